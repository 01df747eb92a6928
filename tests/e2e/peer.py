#!/usr/bin/env python3
"""The other end of tests/tools/peer.c.

peer.py ask ADDRESS             one question by TCP and one by UDP
peer.py states V4 V6 READY      opens connections in many states, makes the file READY, waits for the end of stdin (the move) and looks at them
peer.py published ADDRESS PORT READY   one connection over a published port, before and after
peer.py storm ADDRESS READY     new connections without a pause until the end of stdin, each answered
peer.py waiting ADDRESS READY   connections that nobody accepts until the end of stdin, and then answers
peer.py reset V4 V6 READY       the same, but all must be closed by then: a reset, at once
"""
import select
import socket
import sys
import time

PORT, DATAGRAMS, BYTES = 7000, 7002, 8 << 20
PATIENCE = 60  # seconds, for what may take as long as the machine is busy: who never gets it fails by that
PATTERN = bytes(((i * 31) >> 3) & 255 for i in range(2048))  # repeats: 2048 * 31 >> 3 is a multiple of 256


def connect(address, what, port=PORT):
    s = socket.create_connection((address, port), timeout=PATIENCE)
    s.sendall(what)
    return s


def receive(s, n):
    got = b""
    while len(got) < n:
        part = s.recv(n - len(got))
        if not part:
            raise SystemExit(f"the connection ended after {len(got)} of {n} bytes")
        got += part
    return got


def say(s, text):
    s.sendall(text)
    got = receive(s, len(text))
    assert got == text, (got, text)


def datagram(address):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(PATIENCE)
    s.connect((address, DATAGRAMS))
    return s


def ask(address):
    say(connect(address, b"e"), b"question")
    s = datagram(address)
    s.send(b"u")
    assert s.recv(10) == b"u"


def fill(s):
    """Writes until nothing more goes: both queues and the server's are full. Returns what was written."""
    written = 0
    s.setblocking(False)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        try:
            written += s.send(b"\x07" * 65536)
        except BlockingIOError:
            select.select([], [s], [], 0.1)
    s.settimeout(PATIENCE)
    return written


def open_states(address):
    echo, queues, half, first = connect(address, b"e"), connect(address, b"q"), connect(address, b"h"), connect(address, b"e")
    say(echo, b"before")
    written = fill(queues)
    half.sendall(b"last words")
    half.shutdown(socket.SHUT_WR)
    first.send(b"x")
    first.send(b"!", socket.MSG_OOB)  # urgent, and not read before the move, or read
    udp = datagram(address)
    udp.send(b"1")
    assert udp.recv(10) == b"1"
    return echo, queues, written, half, first, udp


def look(address, states):
    echo, queues, written, half, urgent, udp = states
    say(echo, b"after")
    got = receive(queues, BYTES)
    assert got == PATTERN * (BYTES // len(PATTERN)), f"{address}: bytes in the queues changed"
    queues.shutdown(socket.SHUT_WR)
    answer = queues.makefile().readline()
    assert answer == f"{written} {written * 7}\n", (address, answer, written)
    assert receive(half, 3) == b"bye" and half.recv(1) == b"", address
    say(urgent, b"yz"[:1]) if urgent.recv(1) == b"x" else sys.exit(f"{address}: what came before the urgent byte is lost")
    udp.send(b"2")
    assert udp.recv(10) == b"2"
    ask(address)


def is_reset(address, states):
    s = states[0]
    try:
        ended = s.recv(1) == b""
    except ConnectionResetError:
        ended = True
    except TimeoutError:
        ended = False
    assert ended, f"{address}: the peer was not told"


def storm(address, ready):
    n = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        with connect(address, b"e") as s:
            say(s, b"%d" % n)
        n += 1
        if n == 20:
            open(ready, "w").close()


def waiting(address, ready):
    connections = [connect(address, b"e", 7003) for _ in range(3)]
    open(ready, "w").close()
    sys.stdin.read()
    for s in connections:
        say(s, b"accepted at last")


def main():
    what, addresses = sys.argv[1], sys.argv[2:]
    if what == "ask":
        return ask(addresses[0])
    ready = addresses.pop()
    if what in ("storm", "waiting"):
        return (storm if what == "storm" else waiting)(addresses[0], ready)
    if what == "published":
        s = socket.create_connection((addresses[0], int(addresses[1])), timeout=PATIENCE)
        s.sendall(b"e")
        say(s, b"before")
        open(ready, "w").close()
        sys.stdin.read()
        return say(s, b"after")
    states = {a: open_states(a) for a in addresses}
    open(ready, "w").close()
    sys.stdin.read()
    for a in addresses:
        (look if what == "states" else is_reset)(a, states[a])


main()
