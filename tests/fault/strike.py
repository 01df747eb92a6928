#!/usr/bin/env python3
"""Kills a process the moment that a new move's journal says STATE: strike.py MOVES_FOLDER STATE PID (prints the move's id).

It looks every half millisecond; the move may be quicker than that, so who calls looks what came of it.
"""
import os
import signal
import sys
import time

from host import parse_journal

folder, state, pid = sys.argv[1], sys.argv[2], int(sys.argv[3])
known = set(os.listdir(folder))
print("ready", file=sys.stderr, flush=True)
end = time.monotonic() + 60
while time.monotonic() < end:
    for move in set(os.listdir(folder)) - known:
        if state in [name for name, _ in parse_journal(os.path.join(folder, move, "journal"))]:
            os.kill(pid, signal.SIGKILL)
            print(move)
            sys.exit(0)
    time.sleep(0.0005)
sys.exit(1)
