#!/usr/bin/env python3
"""Stands in for a container runtime: starts a command in the background with its own stdio, writes the pid file and ends.

create.py PIDFILE COMMAND…
"""
import os, sys

pidfile, command = sys.argv[1], sys.argv[2:]
pid = os.fork()
if pid == 0:
    os.execvp(command[0], command)
with open(pidfile, "w") as f:
    f.write(f"{pid}\n")
os._exit(0)  # without a wait: a command that has ended already is left to the monitor
