#!/usr/bin/env python3
"""Holds a container's terminal: receive_console.py SOCKET FILE takes one master from the console socket and writes what comes from it to FILE."""
import array, os, socket, sys

path, out = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
listener.listen(1)
connection, _ = listener.accept()
_, control, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
master = array.array("i", control[0][2])[0]
with open(out, "wb", buffering=0) as file:
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # the last slave was closed
            break
        if not data:
            break
        file.write(data)
