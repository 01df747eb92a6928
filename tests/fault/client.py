"""The client of tests/tools/ledger.c: one connection, a request at a time, every answer checked. It lives in the switch's network namespace."""
import ctypes
import os
import socket
import threading
import time

CLONE_NEWNET = 0x40000000


class Client(threading.Thread):
    def __init__(self, netns, address, port):
        super().__init__(daemon=True)
        self.netns, self.place = netns, (address, port)
        self.lock = threading.Lock()
        self.stop = False
        self.answers = 0  # in all
        self.breaks = []  # why each connection ended
        self.problems = []  # what must never be
        self.pause = 0.0  # longest wait for an answer since the last reset
        self.paused_at = 0.0  # CLOCK_REALTIME of its end
        self.writes, self.birth = 0, None
        self.last = time.monotonic()
        self.socket = None

    def drop(self):
        """Gives the connection up: nobody is left at its other end."""
        s = self.socket
        if s:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def forget(self, fresh):
        """Before the next experiment. fresh: a new ledger may answer."""
        with self.lock:
            self.breaks, self.pause = [], 0.0
            if fresh:
                self.birth, self.writes = None, 0

    def run(self):
        fd = os.open("/run/netns/" + self.netns, os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
            self.problems.append("the client did not get into its network")
            return
        os.close(fd)
        while not self.stop:
            try:
                with socket.create_connection(self.place, 1) as s:
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    s.settimeout(1)
                    self.talk(s)
            except OSError:
                time.sleep(0.05)

    def talk(self, s):
        number = 0
        self.socket = s
        while not self.stop:
            number += 1
            try:
                s.sendall(b"%d\n" % number)
                line = self.receive(s)
            except OSError as e:
                with self.lock:
                    self.breaks.append(str(e))
                return
            with self.lock:
                self.judge(number, line)
            time.sleep(0.002)

    def receive(self, s):
        """A line, for however long it takes: a container that stands still is no lost connection."""
        data = b""
        while not data.endswith(b"\n"):
            try:
                got = s.recv(512)
            except TimeoutError:
                if self.stop:
                    raise
                continue
            if not got:
                raise ConnectionError("closed by the server")
            data += got
        return data.decode()

    def judge(self, number, line):
        now = time.monotonic()
        if now - self.last > self.pause:
            self.pause, self.paused_at = now - self.last, time.time()
        self.last = now
        echo, lines, writes, wrong, birth, first = line.strip().split(" ", 5)
        if int(echo) != number or int(lines) != number:
            self.problems.append("request %d was answered with '%s': a copy that does not know what was said" % (number, line.strip()))
        if wrong != "0":
            self.problems.append("%s of the container's data are wrong: %s" % (wrong, first))
        if self.birth not in (None, birth):
            self.problems.append("another container answers")
        elif int(writes) < self.writes:
            self.problems.append("an old copy answers: %s writes after %d" % (writes, self.writes))
        self.birth, self.writes = birth, int(writes)
        self.answers += 1
