#!/usr/bin/env python3
"""Holds one TCP connection to redis, sends INCR without pause and checks every reply: each must be one more than the last.

client.py ADDRESS PORT KEY STATS: STATS is rewritten on SIGUSR1 (and at the end) with replies, lost and doubled ones, and the longest pause
since the last SIGUSR2. SIGTERM ends it; a wrong reply or a lost connection ends it with status 1.
"""
import json
import os
import signal
import socket
import sys
import time

address, port, key, stats_path = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), sys.argv[4]
stop = tell = forget = False


def on_term(*_):
    global stop
    stop = True


def on_usr1(*_):
    global tell
    tell = True


def on_usr2(*_):
    global forget
    forget = True


signal.signal(signal.SIGTERM, on_term)
signal.signal(signal.SIGUSR1, on_usr1)
signal.signal(signal.SIGUSR2, on_usr2)


def connect():
    end = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection((address, port), 1)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def write_stats(**values):
    with open(stats_path + ".new", "w") as f:
        json.dump(values, f)
    os.rename(stats_path + ".new", stats_path)


sock = connect()
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
sock.settimeout(60)
request = b"*2\r\n$4\r\nINCR\r\n$%d\r\n%s\r\n" % (len(key), key)
replies = lost = worst = 0
problem = None
buf = b""
last = time.monotonic_ns()
write_stats(replies=0, lost=0, max_pause_ms=0, problem=None)
while not stop:
    try:
        sock.sendall(request)
        while not buf.endswith(b"\r\n"):
            data = sock.recv(256)
            if not data:
                raise ConnectionError("closed by the server")
            buf += data
    except OSError as e:
        problem = "connection lost after %d replies: %s" % (replies, e)
        lost += 1
        break
    replies += 1
    if buf != b":%d\r\n" % replies:
        problem = "reply %d was %r" % (replies, buf)
        lost += 1
        break
    buf = b""
    now = time.monotonic_ns()
    worst = 0 if forget else max(worst, now - last)
    last, forget = now, False
    if tell:
        tell = False
        write_stats(replies=replies, lost=lost, max_pause_ms=worst / 1e6, problem=None)
write_stats(replies=replies, lost=lost, max_pause_ms=worst / 1e6, problem=problem)
sys.exit(1 if problem else 0)
