#!/usr/bin/env python3
"""Prints what `make demo` saw, for a person to read, and writes report.json.

report.py FOLDER OUT: FOLDER holds what demo.sh gathered: N.move.json (davit's record of a move), N.client.json (the client's view), N.before and N.after
(clocks of container and hosts), watch (the watcher's line), snapshot.json, api.json. Exits 1 if a check failed, and says which.
"""
import json
import os
import sys

folder, out = sys.argv[1], sys.argv[2]
BAR = 44


def load(name):
    with open(os.path.join(folder, name)) as f:
        return json.load(f)


def clocks(name):
    """Lines `who monotonic boottime realtime` in ns."""
    with open(os.path.join(folder, name)) as f:
        return {p[0]: tuple(int(x) for x in p[1:4]) for p in (line.split() for line in f)}


def days(ns):
    return "%4d d %02d:%02d:%06.3f" % (ns // 86400e9, ns // 3600e9 % 24, ns // 60e9 % 60, ns % 60e9 / 1e9)


def human(n):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return "%.1f %s" % (n, unit)
        n /= 1024


def phases(move):
    end = max(p["startUs"] + p.get("durationUs", 0) for p in move["phases"]) or 1
    for p in move["phases"]:
        start, length = p["startUs"] / end, p.get("durationUs", 0) / end
        left = int(start * BAR)
        width = max(1, round(length * BAR))
        bar = (" " * left + "█" * width)[:BAR].ljust(BAR)
        size = human(p["bytes"]) if p.get("bytes") else ""
        print("    %-10s %8.1f ms  │%s│ %s" % (p["name"], p.get("durationUs", 0) / 1e3, bar, size))


def clock_table(move, before, after):
    clock = move["clock"]
    print("    %-26s %-20s %-20s %s" % ("", "CLOCK_MONOTONIC", "CLOCK_BOOTTIME", "CLOCK_REALTIME"))
    for who in before:
        for when, values in (("before", before), ("after", after)):
            m, b, r = values[who]
            print("    %-26s %-20s %-20s %.6f" % ("%s, %s" % (who, when), days(m), days(b), r / 1e9))
    print("    offsets chosen there: monotonic %+.6f s, boottime %+.6f s" % (clock["offsetMonotonic"] / 1e9, clock["offsetBoottime"] / 1e9))
    print("    policy %s: error monotonic %+.1f µs, boottime %+.1f µs, bound ± %.1f µs" % (
        clock["policy"], clock["monotonicError"] / 1e3, clock["boottimeError"] / 1e3, clock["bound"] / 1e3))


def main():
    failed = []

    def check(ok, what):
        if not ok:
            failed.append(what)

    report = {"moves": []}
    n = 1
    while os.path.exists(os.path.join(folder, "%d.move.json" % n)):
        move, client = load("%d.move.json" % n), load("%d.client.json" % n)
        before, after = clocks("%d.before" % n), clocks("%d.after" % n)
        clock = move["clock"]
        source, target = (move["peer"] == "host-b" and ("host-a", "host-b")) or ("host-b", "host-a")
        downtime = move["downtimeUs"] / 1e3
        print("\nmove %d: %s → %s, %s" % (n, source, target, move["mode"]))
        phases(move)
        print("    downtime %.1f ms, the client's longest pause %.1f ms, %d replies so far, %d lost" % (
            downtime, client["max_pause_ms"], client["replies"], client["lost"]))
        print("    %s at %s/s, %.1f ms in all" % (human(move["bytes"]), human(move.get("rate", 0)), move["totalUs"] / 1e3))
        clock_table(move, before, after)
        # What the container's clocks advanced beside the wall clock, between the two looks at them, is the move's effect with the
        # time of the looks themselves in it: it may not be more than their order of magnitude.
        drift = [((after["container"][i] - before["container"][i]) - (after["container"][2] - before["container"][2])) / 1e6 for i in (0, 1)]
        print("    the container's own reading, against its wall clock: monotonic %+.3f ms, boottime %+.3f ms" % tuple(drift))
        check(client["lost"] == 0 and not client["problem"], "move %d: client: %s" % (n, client["problem"]))
        check(not clock.get("backwards"), "move %d: a clock went back" % n)
        check(max(abs(clock["monotonicError"]), abs(clock["boottimeError"])) <= clock["bound"], "move %d: clock error above its bound" % n)
        check(all(abs(d) < 5 for d in drift), "move %d: the container's clocks did not go on with its wall clock" % n)
        report["moves"].append({
            "from": source, "to": target, "mode": move["mode"], "downtime_ms": downtime, "client_max_pause_ms": client["max_pause_ms"],
            "replies": client["replies"], "lost_replies": client["lost"], "bytes": int(move["bytes"]), "total_ms": move["totalUs"] / 1e3,
            "clock": {"policy": clock["policy"], "monotonic_error_us": clock["monotonicError"] / 1e3,
                      "boottime_error_us": clock["boottimeError"] / 1e3, "bound_us": clock["bound"] / 1e3,
                      "backwards": bool(clock.get("backwards"))}})
        n += 1
    check(n > 2, "two moves were to be seen")

    with open(os.path.join(folder, "watch")) as f:
        watch = f.read().split()
    seen = dict(zip(watch[0::2], watch[1::2])) if len(watch) % 2 == 0 else {}
    backs = int(watch[watch.index("back_monotonic") + 1]), int(watch[watch.index("back_boottime") + 1])
    print("\na watcher inside read the clocks %s times: monotonic went back %d times, boottime %d times" % (
        (seen.get("samples") or watch[1]).lstrip("0"), *backs))
    check(backs == (0, 0), "the watcher saw a clock go back")

    snapshot, api = load("snapshot.json"), load("api.json")
    print("snapshot by cron: %s in %.0f ms; restored as a clone in %.0f ms; the clone answers: %s" % (
        human(snapshot["bytes"]), snapshot["create_ms"], snapshot["restore_ms"], "yes" if snapshot["clone_ok"] else "NO"))
    check(snapshot["clone_ok"], "the clone did not answer")
    print("scheduler by curl: created, watched and moved a container: %s" % ("yes" if api["ok"] else "NO: " + api.get("why", "")))
    check(api["ok"], "the API session failed: " + api.get("why", ""))
    report["snapshot"], report["api"] = snapshot, {"ok": api["ok"]}
    with open(out, "w") as f:
        json.dump(report, f, indent=2)
        f.write("\n")
    for what in failed:
        print("FAILED: " + what)
    print("\n%s; report: %s" % ("all checks passed" if not failed else "%d checks failed" % len(failed), os.path.relpath(out)))
    return 1 if failed else 0


sys.exit(main())
