#!/usr/bin/env python3
"""Starts davit-monitor and talks to it, as the core does.

start DIR [monitor options] -- PROGRAM ARGS   starts it with its files in DIR, prints the line of its sync fd
attach DIR [send=TEXT|eof|resize=R,C|stall]…  says these, then prints "TYPE data" for each datagram until the end
exec DIR [monitor options] -- PROGRAM ARGS    as start with --attach-fd, then prints as attach does
"""
import os, socket, struct, subprocess, sys

bin_dir = os.environ["BIN"]


def start(directory, args, client=None):
    r, w = os.pipe()
    fds = [w]
    extra = []
    if client:
        fds.append(client.fileno())
        extra = ["--attach-fd", str(client.fileno())]
    command = [bin_dir + "/davit-monitor", "--id", "t", "--pid-file", directory + "/pid", "--exit-file", directory + "/exit.json",
               "--attach", directory + "/attach.sock", "--sync-fd", str(w), *extra, *args]
    status = subprocess.run(command, pass_fds=fds).returncode
    os.close(w)
    if client:
        client.close()
    line = b""
    while piece := os.read(r, 65536):
        line += piece
    sys.stdout.write(line.decode())
    sys.stdout.flush()
    return status


def listen(sock):
    while True:
        try:
            datagram = sock.recv(70000)
        except ConnectionResetError:
            datagram = b""
        if not datagram:
            print("end")
            return
        kind, data = datagram[:1].decode(), datagram[1:]
        if kind == "x":
            data = str(struct.unpack(">i", data)[0]).encode()
        print(kind, repr(data.decode(errors="replace"))[1:-1], flush=True)


def attach(directory, words):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.chdir(directory)
    sock.connect("attach.sock")
    for word in words:
        name, _, value = word.partition("=")
        if name == "send":
            sock.send(b"i" + value.encode().decode("unicode_escape").encode())
        elif name == "eof":
            sock.send(b"z")
        elif name == "resize":
            sock.send(b"r" + struct.pack(">HH", *map(int, value.split(","))))
        elif name == "stall":
            print("stalled", flush=True)
            sys.stdin.read()
    listen(sock)


def main():
    verb, directory, args = sys.argv[1], sys.argv[2], sys.argv[3:]
    if verb == "start":
        sys.exit(start(directory, args))
    if verb == "attach":
        attach(directory, args)
    if verb == "exec":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        start(directory, args, theirs)
        listen(ours)


main()
