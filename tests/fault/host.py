"""One of the two hosts of tests/lib/hosts.sh as the fault tests see it: its agent, its processes, its disk, its network, and what is left of a container.

A process belongs to the host whose network namespace it is in, or whose core it descends from. The state folder of each host is a
small tmpfs of its own, so that it can be filled; a read-only disk is a read-only bind mount over the folder that is written to.
"""
import calendar
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
STORE = {"behind": [0], "guard": [1], "worker": [2], "store": [1, 2]}
LIB = os.path.join(HERE, "..", "lib", "hosts.sh")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class ApiError(Exception):
    pass


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(command), done.stderr.strip() or done.returncode))
    return done.stdout


def read(path, default=""):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return default


class Process:
    def __init__(self, pid):
        self.pid = pid
        stat = read("/proc/%d/stat" % pid)
        self.name = stat[stat.find("(") + 1:stat.rfind(")")]
        rest = stat[stat.rfind(")") + 2:].split()
        self.parent = int(rest[1]) if rest else 0
        self.state = rest[0] if rest else "X"
        self.command = read("/proc/%d/cmdline" % pid).replace("\0", " ").strip()
        try:
            self.net = os.readlink("/proc/%d/ns/net" % pid)
        except OSError:
            self.net = ""


def all_processes():
    return {int(p): Process(int(p)) for p in os.listdir("/proc") if p.isdigit()}


def seconds_of(text):
    """CLOCK_REALTIME of a time as journals and logs write it (RFC 3339, UTC)."""
    whole, _, rest = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + (rest or "0"))


def parse_journal(path):
    """The whole entries of a journal, oldest first: state and time of each (migrate/journal.h)."""
    try:
        with open(path, "rb") as f:
            data = f.read()
    except OSError:
        return []
    entries, at = [], 0
    while at + 12 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        body = data[at + 12:at + 12 + length]
        if length == 0 or len(body) < length or body[0] != 0x0a:
            break
        state, rest = body[2:2 + body[1]], body[2 + body[1]:]
        entries.append((state.decode(errors="replace"), rest[2:2 + rest[1]].decode(errors="replace")))
        at += 12 + length
    return entries


class Host:
    def __init__(self, letter, directory, tag):
        self.letter, self.dir, self.tag = letter, directory, tag
        self.name = "host-" + letter
        self.root = os.path.join(directory, letter)
        self.netns = "dv%s-%s" % (tag, letter)
        self.net = "net:[%d]" % os.stat("/run/netns/" + self.netns).st_ino
        self.read_only = []

    # The agent and its API.

    def shell(self, script):
        env = dict(os.environ, HOSTS_DIR_GIVEN=self.dir, HOSTS_TAG_GIVEN=self.tag)
        command = '. "$0"; HOSTS_DIR=$HOSTS_DIR_GIVEN HOSTS_TAG=$HOSTS_TAG_GIVEN; ' + script
        return subprocess.run(["bash", "-c", command, LIB], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def start(self):
        done = self.shell("host_start %s </dev/null" % self.letter)
        if done.returncode != 0:
            raise RuntimeError("davitd of %s does not start: %s" % (self.name, done.stderr.strip()))

    def answers(self):
        try:
            self.call("GET", "/healthz", timeout=10, plain=True)
            return True
        except (OSError, ApiError):
            return False

    def call(self, method, path, body=None, timeout=60, plain=False):
        c = UnixConnection(os.path.join(self.root, "run", "davit.sock"), timeout)
        try:
            data = json.dumps(body) if body is not None else None
            c.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            answer = c.getresponse()
            text = answer.read()
        except http.client.HTTPException as e:
            raise ApiError("%s %s: %r" % (method, path, e)) from e
        finally:
            c.close()
        if answer.status >= 400:
            raise ApiError("%s %s: %d %s" % (method, path, answer.status, text.decode(errors="replace").strip()[:500]))
        return None if plain or not text else json.loads(text)

    def davit(self, *args):
        env = dict(os.environ, DAVIT_HOST="unix://%s/run/davit.sock" % self.root)
        return subprocess.run([os.path.join(os.environ["DAVIT_BUILD"], "bin", "davit"), *args], env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    def container_state(self, name):
        for c in self.call("GET", "/v1/containers").get("containers", []):
            if c["name"] == name:
                return c["state"]
        return None

    def moves(self):
        return self.call("GET", "/v1/migrations").get("migrations", [])

    def running_operations(self):
        return [o for o in self.call("GET", "/v1/operations").get("operations", []) if o["state"] == "running"]

    def entries(self, move):
        return parse_journal(os.path.join(self.root, "state", "agent", "moves", move, "journal"))

    def journal(self, move):
        """The states that a move went through here."""
        return [state for state, _ in self.entries(move)]

    def log_since(self, then):
        """Lines of the agent's log from a time on: (time, text)."""
        found = []
        for line in read(os.path.join(self.root, "davitd.log")).splitlines():
            stamp = line.split(" ", 1)[0].removeprefix("time=")
            try:
                at = seconds_of(stamp)
            except ValueError:
                continue
            if at >= then:
                found.append((at, line))
        return found

    # Its processes.

    def processes(self):
        every = all_processes()
        mine = {p.pid: p for p in every.values() if p.net == self.net}
        grew = True
        while grew:
            grew = False
            for p in every.values():
                if p.pid not in mine and p.parent in mine:
                    mine[p.pid] = p
                    grew = True
        return mine

    def find(self, what):
        """Processes by their part: davitd, core, mover, monitor, criu, tracker, and of a page store worker, guard, behind (the guard), store (worker and guard)."""
        mine = self.processes()

        def depth(p):
            """Of the processes of a page store: 0 stands behind."""
            return 1 + depth(mine[p.parent]) if p.parent in mine and mine[p.parent].name == p.name else 0

        def is_it(p):
            parent = mine[p.parent].name if p.parent in mine else ""
            if what in ("davitd", "criu"):
                return p.name == what
            if what in ("core", "tracker"):
                return p.name == "davit-runtime" and " serve" in p.command and parent == ("davitd" if what == "core" else "")
            if what in STORE:
                return p.name == "davit-pages" and depth(p) in STORE[what]
            return p.name == "davit-" + what

        return [p for p in mine.values() if is_it(p) and p.state not in "ZX"]

    def kill(self, what):
        hit = []
        for p in self.find(what):
            try:
                os.kill(p.pid, signal.SIGKILL)
                hit.append(p.pid)
            except ProcessLookupError:
                pass
        return hit

    def heal(self):
        """Starts the agent if it does not run. A killed one may take a moment to be gone, and its core with it."""
        if self.answers():
            return False
        end = time.monotonic() + 60
        while (self.find("davitd") or self.find("core")) and time.monotonic() < end:
            if self.answers():
                return False
            time.sleep(0.05)
        self.start()
        return True

    def cgroups(self):
        found = []
        for base in ["/sys/fs/cgroup"] + ["/sys/fs/cgroup/" + d for d in os.listdir("/sys/fs/cgroup")]:
            top = "%s/davit-%s-%s" % (base, self.tag, self.letter)
            if os.path.isdir(top):
                found += [d for d, _, _ in os.walk(top)]
        return found

    def die(self):
        """The whole host at once: every process, /run, mounts, network devices and cgroups; only the disk stays."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            pids = [p.pid for p in self.processes().values() if p.state not in "ZX"]
            for d in self.cgroups():
                pids += [int(p) for p in read(d + "/cgroup.procs").split()]
            for pid in set(pids):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for d in self.cgroups():
                if os.path.exists(d + "/freezer.state"):
                    with open(d + "/freezer.state", "w", encoding="ascii") as f:
                        f.write("THAWED")
            if not pids:
                break
            time.sleep(0.01)
        for path in self.mounts():
            if path != os.path.join(self.root, "state"):
                run("umount", "-l", path, check=False)
        self.read_only = []
        run("rm", "-rf", "--one-file-system", os.path.join(self.root, "run"))
        for link in self.links():
            if link not in ("lo", "eth0", "eth1"):
                run("ip", "-n", self.netns, "link", "del", link, check=False)
        run("nsenter", "--net=/run/netns/" + self.netns, "--", "nft", "flush", "ruleset")
        for d in sorted(self.cgroups(), key=len, reverse=True):
            try:
                os.rmdir(d)
            except OSError:
                pass

    # Its disk.

    def fill_disk(self):
        with open(os.path.join(self.root, "state", "ballast"), "wb") as f:
            try:
                while True:
                    f.write(b"\0" * (1 << 16))
                    f.flush()
            except OSError:
                pass

    def make_read_only(self, folder):
        path, aside = os.path.join(self.root, "state", folder), os.path.join(self.root, "aside")
        os.makedirs(aside, exist_ok=True)
        run("mount", "--bind", path, aside)
        run("mount", "-o", "remount,bind,ro", aside)
        run("mount", "--bind", aside, path)  # read-only from its first moment
        run("umount", aside)
        self.read_only.append(path)

    def repair_disk(self):
        for path in reversed(self.read_only):
            run("umount", "-l", path)
        self.read_only = []
        try:
            os.unlink(os.path.join(self.root, "state", "ballast"))
        except FileNotFoundError:
            pass

    # What there is, for comparing before and after.

    def mounts(self):
        lines = [line.split() for line in read("/proc/self/mountinfo").splitlines()]
        return sorted((f[4] for f in lines if f[4].startswith(self.root + "/")), reverse=True)

    def links(self):
        return [x["ifname"] for x in json.loads(run("ip", "-n", self.netns, "-j", "link") or "[]")]

    def inventory(self):
        """Everything that a container, or a move of it, may leave here, with changing numbers taken out."""
        found = []
        for path in self.mounts():
            found.append("mount " + path[len(self.root):])
        for link in self.links():
            found.append("link " + re.sub(r"[0-9a-f]{6,}", "*", link))
        for d in self.cgroups():
            if d.count("/davit-") and "/" in d.split("/davit-", 1)[1]:
                found.append("cgroup " + d)
        for p in self.processes().values():
            if p.state not in "ZX":
                found.append("process " + re.sub(r"[0-9a-f]{32}", "*", p.command)[:60].strip() if p.name != "unshare" else "process unshare")
        for folder in ("state/containers", "state/logs", "run/monitor", "run/runtime", "run/tmp/moves"):
            try:
                found += ["file %s/%s" % (folder, x) for x in os.listdir(os.path.join(self.root, folder)) if x[0] not in ".@"]
            except FileNotFoundError:
                pass
        rules = run("nsenter", "--net=/run/netns/" + self.netns, "--", "nft", "list", "ruleset")
        found += ["rule " + line.strip() for line in rules.splitlines() if line.strip() not in ("", "}")]
        return sorted(found)

    def limits(self):
        """The cgroup files that a move might have changed and forgotten."""
        found = {}
        for d in self.cgroups():
            for name in ("cpu.cfs_quota_us", "cpu.shares", "freezer.state", "memory.limit_in_bytes", "cpu.max", "cgroup.freeze", "pids.max"):
                text = read(os.path.join(d, name)).strip()
                if text:
                    found[re.sub(r".*/davit-", "davit-", d) + "/" + name] = text
            for pid in read(d + "/cgroup.procs").split():
                found["mappings that are tracked"] = found.get("mappings that are tracked", 0) + self.tracked(pid)
        return found

    @staticmethod
    def tracked(pid):
        """Mappings that a userfaultfd is registered for: smaps of proc(5), uw and um."""
        flags = [line.split()[1:] for line in read("/proc/%s/smaps" % pid).splitlines() if line.startswith("VmFlags:")]
        return sum("uw" in f or "um" in f for f in flags)
