#!/usr/bin/env python3
"""Stands in for a container runtime with a terminal: makes one, sends its master to the console socket, starts a command on it.

console.py PIDFILE COMMAND… --console-socket PATH
"""
import array, os, pty, socket, sys

pidfile, command, path = sys.argv[1], sys.argv[2:-2], sys.argv[-1]
assert sys.argv[-2] == "--console-socket", sys.argv
master, slave = pty.openpty()
sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
sock.connect(path)
sock.sendmsg([b"/dev/ptmx"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))])
pid = os.fork()
if pid == 0:
    os.setsid()
    for fd in range(3):
        os.dup2(slave, fd)
    import fcntl, termios
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execvp(command[0], command)
with open(pidfile, "w") as f:
    f.write(f"{pid}\n")
