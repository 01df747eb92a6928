#!/usr/bin/env python3
"""A seccomp agent as the OCI specification has it: takes a listener and the process state, answers every call with an errno.

seccomp_agent.py SOCKET OUT COUNT: prints each state as one line of OUT, then answers COUNT calls of each listener with EDOM, and ends.
"""
import array, fcntl, json, os, socket, struct, sys, threading

RECV, SEND = 0xC0502100, 0xC0182101
NOTIF = struct.Struct("=QIIiIQ6Q")
path, out, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(path)
server.listen()


def answer(fd):
    for _ in range(count):
        b = bytearray(NOTIF.size)
        try:
            fcntl.ioctl(fd, RECV, b)
            fcntl.ioctl(fd, SEND, struct.pack("=QqiI", NOTIF.unpack(b)[0], 0, -33, 0))
        except FileNotFoundError:
            pass  # the caller is gone


while True:
    connection, _ = server.accept()
    data, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(64))
    fds = array.array("i")
    for _, kind, value in ancillary:
        if kind == socket.SCM_RIGHTS:
            fds.frombytes(value[: len(value) - len(value) % fds.itemsize])
    state = json.loads(data)
    assert connection.recv(1) == b""
    state["received"] = len(fds)
    with open(out, "a") as f:
        f.write(json.dumps(state) + "\n")
    threading.Thread(target=answer, args=(fds[0],), daemon=True).start()
