"""What the rows of `make bench` share: programs, hosts, rounds and medians."""
import json
import os
import statistics
import subprocess
import sys
import time

BUILD, WORK, HOSTS = os.environ["DAVIT_BUILD"], os.environ["WORK"], os.environ["HOSTS_DIR"]
RUNS = int(os.environ.get("BENCH_RUNS", "9"))
BIN = BUILD + "/bin/"
PODMAN = ["podman", "--root", WORK + "/podman", "--runroot", WORK + "/podman-run", "--tmpdir", WORK + "/podman-tmp", "--storage-driver", "vfs",
          "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", "runc"]


def run(*args, **kw):
    r = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    if r.returncode:
        raise RuntimeError("%s: %s" % (" ".join(args), r.stderr.strip()[-400:]))
    return r.stdout


def davit(host, *args):
    return run(BIN + "davit", "--host", "unix://%s/%s/run/davit.sock" % (HOSTS, host), *args)


def timed(f):
    start = time.monotonic()
    f()
    return (time.monotonic() - start) * 1e3


def rounds(makers, runs):
    """{name: function → figure} → {name: median or None}; one that fails is told and left out."""
    figures = {name: [] for name in makers}
    for n in range(runs + 1):
        for name, f in makers.items():
            if figures[name] is None:
                continue
            try:
                value = f()
            except Exception as e:  # a peer that cannot do the case is null, davit's failure is the benchmark's
                if name == "davit":
                    raise
                print("bench: %s cannot: %s" % (name, e), file=sys.stderr)
                figures[name] = None
                continue
            if n:
                figures[name].append(value)
    return {name: statistics.median(v) if v else None for name, v in figures.items()}


def move_there_and_back(name, figure, *options):
    place = ["a", "b"]

    def once():
        record = json.loads(davit(place[0], "migrate", name, "host-" + place[1], "--json", *options))
        place.reverse()
        return figure(record)
    return once, place


def wait_log(host, name, text):
    for _ in range(600):
        if text in davit(host, "logs", name):
            return
        time.sleep(0.1)
    raise RuntimeError("%s never said %s" % (name, text))


def pss_kb(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def pid_of(program, argument):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                args = f.read().split(b"\0")
        except OSError:
            continue
        if args[0].endswith(program.encode()) and argument.encode() in args:
            return int(pid)
    raise RuntimeError("no %s for %s" % (program, argument))
