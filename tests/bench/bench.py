#!/usr/bin/env python3
"""The rows of `make bench`. bench.py OUT: run by tests/bench/run.sh, which has two hosts up (HOSTS_DIR) and a folder to work in (WORK).

Each row is measured for every runtime that can do it, in turn within each round, so that a slow moment of the machine meets all of them; the
figure is the median of the rounds after one that is thrown away.
"""
import json
import os
import shutil
import subprocess
import sys
import time

import live
from lib import BIN, BUILD, PODMAN, RUNS, WORK, davit, move_there_and_back, pid_of, pss_kb, rounds, run, timed, wait_log


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


def begin(runtime, bundle, name):
    """A container that stays, its output nowhere: a pipe would be held open by it."""
    subprocess.run([*RUNTIMES[runtime], "create", "--bundle", WORK + "/" + bundle, name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    run(*RUNTIMES[runtime], "start", name)


def end(runtime, name):
    subprocess.run([*RUNTIMES[runtime], "delete", "--force", name], capture_output=True, check=False)


def row_exec_true():
    make_bundle(WORK + "/exec", ["/bin/sleep", "1000"])
    makers, begun = {}, []
    try:
        for name, c in RUNTIMES.items():
            try:
                begin(name, "exec", "bench-exec-" + name)
                begun.append(name)
            except subprocess.CalledProcessError as e:
                print("bench: %s cannot: %s" % (name, e), file=sys.stderr)
                continue
            makers[name] = lambda c=c, name=name: timed(lambda: run(*c, "exec", "bench-exec-" + name, "/bin/true"))
        return rounds(makers, RUNS * 3)
    finally:
        for name in begun:
            end(name, "bench-exec-" + name)


def row_start_100():
    """A hundred containers at once, from the first call to the last answer."""
    make_bundle(WORK + "/many", ["/bin/sleep", "1000"])
    names = ["bench-many-%d" % n for n in range(100)]

    def all_of(c):
        calls = [subprocess.Popen([*c, "run", "--detach", "--bundle", WORK + "/many", n], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE) for n in names]
        failed = [p.stderr.read() for p in calls if p.wait()]
        if failed:
            raise RuntimeError("%d of 100 did not start: %s" % (len(failed), failed[0].decode().strip()[-200:]))

    def one(runtime):
        try:
            return timed(lambda: all_of(RUNTIMES[runtime]))
        finally:
            for n in names:
                end(runtime, n)
    return rounds({name: lambda name=name: one(name) for name in RUNTIMES}, 2)


def row_create_rss():
    """The most memory that a process of the runtime has while it makes a container. Started by something small: the kernel counts what a process was
    before its exec too."""
    make_bundle(WORK + "/rss", ["/bin/sleep", "1000"])

    def one(runtime):
        figure = WORK + "/rss.out"
        try:
            subprocess.run(["busybox", "time", "-o", figure, "-f", "%M", *RUNTIMES[runtime], "create", "--bundle", WORK + "/rss", "bench-rss"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        finally:
            end(runtime, "bench-rss")
        with open(figure) as f:
            return int(f.read().split()[-1])
    return rounds({name: lambda name=name: one(name) for name in RUNTIMES}, 3)


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


def row_move_small():
    davit("a", "run", "--detach", "--name", "small", "--image", "small", "--network", "lan", "--", "/bin/sleep", "1000")
    once, place = move_there_and_back("small", lambda r: r["downtimeUs"] / 1e3)
    try:
        return rounds({"davit": once}, RUNS)
    finally:
        davit(place[0], "rm", "--force", "small")


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
    once, place = move_there_and_back("big", lambda r: 1024 / (r["downtimeUs"] / 1e6), "--mode", "stop-and-copy")
    try:
        figures = rounds({"davit": once, "limit": criu_limit_1g}, 3)
    finally:
        davit(place[0], "rm", "--force", "big")
    return figures


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
    """The least of some seconds: what it gives back, it gives back when it has been idle for a moment."""
    figures = []
    for _ in range(10):
        figures.append(live.resident_kb(int(os.environ["HOSTS_PID_A"])))
        time.sleep(0.5)
    return {"davit": min(figures)}


def within(r, **bars):
    """Whether davit is within its share of each peer that could do the case."""
    return all(not r[peer] or r["davit"] <= share * r[peer] for peer, share in bars.items())


ROWS = [
    ("run_true_ms", "ms", row_run_true, lambda r: within(r, crun=0.7, runc=0.3), "≤ 0.7 × crun, ≤ 0.3 × runc"),
    ("exec_true_ms", "ms", row_exec_true, lambda r: within(r, crun=0.7), "≤ 0.7 × crun"),
    ("start_100_ms", "ms", row_start_100, lambda r: within(r, crun=0.8), "≤ 0.8 × crun"),
    ("create_peak_rss_kb", "KiB", row_create_rss, lambda r: within(r, crun=1), "≤ crun"),
    ("checkpoint_restore_small_ms", "ms", row_checkpoint_restore, lambda r: r["davit"] <= 100 and (not r["podman"] or r["davit"] <= r["podman"] / 4),
     "≤ 100 and ≤ podman / 4"),
    ("move_small_downtime_ms", "ms", row_move_small, lambda r: r["davit"] <= 120, "≤ 120"),
    ("stream_1g_mb_s", "MiB/s", row_stream_1g, lambda r: r["davit"] >= 0.7 * r["limit"], "≥ 0.7 × limit"),
    ("monitor_pss_kb", "KiB", row_monitor_pss, lambda r: not r["podman"] or r["davit"] <= r["podman"], "≤ conmon"),
    ("agent_idle_rss_kb", "KiB", row_agent_rss, lambda r: r["davit"] <= 8192, "≤ 8192"),
    *live.ROWS,
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
