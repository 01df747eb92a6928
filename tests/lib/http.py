#!/usr/bin/env python3
"""A client of bad manners: http.py malformed SOCKET | pipeline SOCKET COUNT | flood SOCKET PIDFILE SECONDS KIBIBYTES

malformed: sends what is no proper request; each must be answered with 4xx or 505, or closed. pipeline: COUNT requests at once are all answered.
flood: readers of events that never read and as many half requests as can be opened; within SECONDS davitd answers again, and never had more memory.
"""
import re, socket, sys, time

mode, path = sys.argv[1:3]


def client(timeout=60):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    s.connect(path)
    return s


def malformed():
    post = b"POST /v1/containers HTTP/1.1\r\nHost: x\r\n"
    for raw in (
        b"GET  /healthz\r\n\r\n",
        b"GET /v1/containers/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/containers/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/containers/" + b"a" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET " + b"/" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/containers?x=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://elsewhere/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 3000000 + b"\r\n\r\n",
        post + b"Content-Length: -5\r\n\r\n",
        post + b"Content-Length: 99999999999999999999999\r\n\r\n",
        post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ):
        s = client()
        try:
            s.sendall(raw)
            answer = s.recv(4096)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        if answer and not re.match(rb"HTTP/1\.1 (4\d\d|505) ", answer):
            sys.exit(f"{raw[:60]!r} was answered with {answer[:60]!r}")


def pipeline(count):
    s = client()
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * count)
    seen = b""
    while seen.count(b"HTTP/1.1 200") < count:
        more = s.recv(65536)
        if not more:
            sys.exit(f"{seen.count(b'HTTP/1.1 200')} of {count} answers")
        seen += more


def healthy():
    try:
        s = client(1)
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return s.recv(4096).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def peak(pidfile):
    with open(f"/proc/{open(pidfile).read().strip()}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def flood(pidfile, seconds, limit):
    held, most = [], 0
    for i in range(1000):
        try:
            s = client(0.05)
            s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n" if i < 32 else b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-")
            held.append(s)
        except OSError:
            break
    end = time.monotonic() + seconds
    while not healthy():
        most = max(most, peak(pidfile))
        if time.monotonic() > end:
            sys.exit(f"{len(held)} connections keep davitd from answering")
    if most > limit:
        sys.exit(f"{len(held)} connections took {most} KiB of memory")


if mode == "malformed":
    malformed()
elif mode == "pipeline":
    pipeline(int(sys.argv[3]))
else:
    flood(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
