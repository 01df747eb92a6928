#!/usr/bin/env python3
"""The rows of `make bench`. bench.py OUT: run by tests/bench/run.sh, which has two hosts up (HOSTS_DIR) and a folder to work in (WORK).

Each row is measured for every runtime that can do it, in turn within each round, so that a slow moment of the machine meets all of them; the
figure is the median of the rounds after one that is thrown away.
"""
import json
import os
import shutil
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


def make_bundle(path, args, userns=True):
    os.makedirs(path)
    run("runc", "spec", "--bundle", path)
    os.makedirs(path + "/rootfs")
    run("tar", "-C", path + "/rootfs", "-xf", WORK + "/image.tar")
    with open(path + "/config.json") as f:
        c = json.load(f)
    c["process"].update(terminal=False, args=args)
    c["root"]["readonly"] = False
    kinds = ["pid", "ipc", "uts", "mount", "network", "cgroup"] + (["user"] if userns else [])
    c["linux"]["namespaces"] = [{"type": t} for t in kinds]
    if userns:
        c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        run("chown", "-R", "100000:100000", path + "/rootfs")
    c["mounts"] = [m for m in c["mounts"] if m["type"] in ("proc", "tmpfs", "devpts", "mqueue", "sysfs")]
    for m in c["mounts"]:
        m["options"] = [o for o in m.get("options", []) if not o.startswith("gid=")]
    with open(path + "/config.json", "w") as f:
        json.dump(c, f)


RUNTIMES = {
    "davit": [BIN + "davit-runtime", "--root", WORK + "/davit-root"],
    "crun": ["crun", "--root", WORK + "/crun-root"],
    "runc": ["runc", "--root", WORK + "/runc-root"],
}


def row_run_true():
    make_bundle(WORK + "/true", ["/bin/true"])
    makers = {name: lambda c=c: timed(lambda: run(*c, "run", "--bundle", WORK + "/true", "bench-true")) for name, c in RUNTIMES.items()}
    return rounds(makers, RUNS * 3)


def podman_checkpoint():
    run(*PODMAN, "run", "--detach", "--network", "none", "--name", "bench-cr", "localhost/small", "/bin/sleep", "1000")
    try:
        def both():
            run(*PODMAN, "container", "checkpoint", "--export", WORK + "/podman.tar", "bench-cr")
            run(*PODMAN, "rm", "--force", "bench-cr")
            run(*PODMAN, "container", "restore", "--import", WORK + "/podman.tar")
        return timed(both)
    finally:
        subprocess.run([*PODMAN, "rm", "--force", "--time", "0", "bench-cr"], capture_output=True, check=False)


def row_checkpoint_restore():
    davit("a", "run", "--detach", "--name", "cr", "--image", "small", "--", "/bin/sleep", "1000")

    def ours():
        def both():
            davit("a", "checkpoint", "cr")
            davit("a", "restore", "cr")
        return timed(both)
    try:
        return rounds({"davit": ours, "podman": podman_checkpoint}, max(3, RUNS // 2))
    finally:
        davit("a", "rm", "--force", "cr")


def move_there_and_back(name, figure):
    place = ["a", "b"]

    def once():
        record = json.loads(davit(place[0], "migrate", name, "host-" + place[1], "--json"))
        place.reverse()
        return figure(record)
    return once, place


def row_move_small():
    davit("a", "run", "--detach", "--name", "small", "--image", "small", "--network", "lan", "--", "/bin/sleep", "1000")
    once, place = move_there_and_back("small", lambda r: r["downtimeUs"] / 1e3)
    try:
        return rounds({"davit": once}, RUNS)
    finally:
        davit(place[0], "rm", "--force", "small")


def wait_log(host, name, text):
    for _ in range(600):
        if text in davit(host, "logs", name):
            return
        time.sleep(0.1)
    raise RuntimeError("%s never said %s" % (name, text))


def criu_limit_1g():
    """CRIU alone: full dump of 1 GiB to a tmpfs and its restore, in MiB/s."""
    images = "/dev/shm/davit-bench-%d" % os.getpid()
    os.makedirs(images, exist_ok=True)
    log = open(WORK + "/fill.log", "w")
    p = subprocess.Popen(["setsid", BUILD + "/tools/fill", "1024"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    pid = p.pid
    try:
        while "ready" not in open(WORK + "/fill.log").read():
            time.sleep(0.05)

        def dump():
            run("criu", "dump", "--tree", str(pid), "--images-dir", images, "--network-lock", "skip", "--shell-job")

        def restore():
            run("criu", "restore", "--images-dir", images, "--restore-detached", "--shell-job")
        spent = timed(dump)
        p.wait()
        spent += timed(restore)
        subprocess.run(["kill", "-9", str(pid)], check=False)
        return 1024 / (spent / 1e3)
    finally:
        shutil.rmtree(images, ignore_errors=True)


def row_stream_1g():
    davit("a", "run", "--detach", "--name", "big", "--image", "small", "--memory", "1200m", "--", "/bin/fill", "1024")
    wait_log("a", "big", "ready")
    once, place = move_there_and_back("big", lambda r: 1024 / (r["downtimeUs"] / 1e6))
    try:
        figures = rounds({"davit": once, "limit": criu_limit_1g}, 3)
    finally:
        davit(place[0], "rm", "--force", "big")
    return figures


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


def row_monitor_pss():
    davit("a", "run", "--detach", "--name", "pss", "--image", "small", "--", "/bin/sleep", "1000")
    figures = {"davit": pss_kb(pid_of("davit-monitor", "pss"))}
    davit("a", "rm", "--force", "pss")
    try:
        ident = run(*PODMAN, "run", "--detach", "--network", "none", "--name", "pss", "localhost/small", "/bin/sleep", "1000").strip()
        figures["podman"] = pss_kb(pid_of("conmon", ident))
    except Exception as e:
        print("bench: podman cannot: %s" % e, file=sys.stderr)
    subprocess.run([*PODMAN, "rm", "--force", "--time", "0", "pss"], capture_output=True, check=False)
    return figures


def row_agent_rss():
    with open("/proc/%s/status" % os.environ["HOSTS_PID_A"]) as f:
        return {"davit": next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))}


ROWS = [
    ("run_true_ms", "ms", row_run_true, lambda r: r["davit"] <= (r["crun"] or r["runc"]), "≤ crun"),
    ("checkpoint_restore_small_ms", "ms", row_checkpoint_restore, lambda r: r["davit"] <= 100 and (not r["podman"] or r["davit"] <= r["podman"] / 4),
     "≤ 100 and ≤ podman / 4"),
    ("move_small_downtime_ms", "ms", row_move_small, lambda r: r["davit"] <= 120, "≤ 120"),
    ("stream_1g_mb_s", "MiB/s", row_stream_1g, lambda r: r["davit"] >= 0.7 * r["limit"], "≥ 0.7 × limit"),
    ("monitor_pss_kb", "KiB", row_monitor_pss, lambda r: not r["podman"] or r["davit"] <= r["podman"], "≤ conmon"),
    ("agent_idle_rss_kb", "KiB", row_agent_rss, lambda r: r["davit"] <= 8192, "≤ 8192"),
]


def show(value):
    return "-" if value is None else "%.1f" % value


def main():
    out = sys.argv[1]
    os.makedirs(os.path.dirname(out), exist_ok=True)
    try:
        run(*PODMAN, "import", WORK + "/image.tar", "localhost/small")
    except RuntimeError as e:
        print("bench: podman cannot take part: %s" % e, file=sys.stderr)
    rows, missed = [], 0
    print("%-30s %10s %10s %10s %10s %10s  %s" % ("", "davit", "crun", "runc", "podman", "limit", "bar"))
    wanted = os.environ.get("BENCH_ROWS", "").split()
    for name, unit, measure, holds, bar in ROWS:
        if wanted and name not in wanted:
            continue
        figures = {k: None for k in ("davit", "crun", "runc", "podman", "limit")}
        figures.update(measure())
        ok = holds(figures)
        missed += not ok
        print("%-30s %10s %10s %10s %10s %10s  %s: %s" % (name, *(show(figures[k]) for k in ("davit", "crun", "runc", "podman", "limit")), bar,
                                                         "holds" if ok else "MISSED"), flush=True)
        rows.append({"name": name, "unit": unit, **figures})
    with open(out, "w") as f:
        json.dump({"rows": rows}, f, indent=2)
        f.write("\n")
    print("%d of %d bars hold; report: %s" % (len(rows) - missed, len(rows), os.path.relpath(out)))
    return 1 if missed else 0


sys.exit(main())
