#!/usr/bin/env python3
"""Asks the servers of this folder: client.py ADDRESS CONNECTIONS. Each connection sends bursts of lines and checks every answer.

Prints "going" once all are served and waits for the end of stdin (the moves); then the server's own state must still grow, with nothing wrong, and it prints
"right" and how many answers came.
"""
import socket
import sys
import threading
import time

address, connections = sys.argv[1], int(sys.argv[2])
ended = threading.Event()
served = threading.Barrier(connections + 1)
counts = [0] * connections
problems = []
BURST = 20


def connect():
    end = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection((address, 7000), 60)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def run(at):
    try:
        f = connect().makefile("rwb")
        while not ended.is_set():
            first = counts[at]
            f.write(b"".join(b"%d\n" % (at * 1000 + i) for i in range(BURST)))
            f.flush()
            for i in range(BURST):
                got, want = f.readline(), b"%d %d\n" % (first + i + 1, (at * 1000 + i) * 31 + 7)
                assert got == want, (got, want)
            counts[at] += BURST
            if first == 0:
                served.wait()
            time.sleep(0.002)
    except Exception as e:
        problems.append(f"connection {at} after {counts[at]}: {e!r}")
        served.abort()


def state():
    f = connect().makefile("rwb")
    f.write(b"state\n")
    f.flush()
    return [int(x) for x in f.readline().split()]


threads = [threading.Thread(target=run, args=(i,)) for i in range(connections)]
for t in threads:
    t.start()
try:
    served.wait()
    print("going", flush=True)
    sys.stdin.read()
except threading.BrokenBarrierError:
    pass
ended.set()
for t in threads:
    t.join()
before = state()
end = time.monotonic() + 60
while time.monotonic() < end and not all(b > a for a, b in zip(before[:2], state()[:2])):
    time.sleep(0.1)
after = state()
if not all(b > a for a, b in zip(before[:2], after[:2])) or after[2]:
    problems.append(f"the server's state went from {before} to {after}")
print("\n".join(problems) or f"right {sum(counts)}")
sys.exit(bool(problems))
