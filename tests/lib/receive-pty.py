#!/usr/bin/env python3
"""Takes a terminal as a caller of the runtime does: receive-pty.py SOCKET [INPUT]

Listens on SOCKET, takes one master by SCM_RIGHTS, writes INPUT to it, and copies what comes from it to stdout until the other side is closed.
The first line of the output is the name that came with it.
"""
import array, os, socket, sys

path = sys.argv[1]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
listener.listen(1)
listener.settimeout(60)
peer, _ = listener.accept()
data, ancillary, _, _ = peer.recvmsg(4096, socket.CMSG_SPACE(4))
fds = array.array("i")
for level, kind, payload in ancillary:
    assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
    fds.frombytes(payload[:4])
assert len(fds) == 1, fds
print(data.decode(), flush=True)
if len(sys.argv) > 2:
    os.write(fds[0], sys.argv[2].encode())
while True:
    try:
        piece = os.read(fds[0], 4096)
    except OSError:
        break
    if not piece:
        break
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
