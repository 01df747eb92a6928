#!/usr/bin/env python3
"""Moves a ledger between two hosts, again and again, and lets something go wrong in each move (faults.py); then what was taken is put back and looked at:

  exactly one copy, running (unless a host died with it), that the other host knows nothing of;
  its data right, every write of them verified by the ledger itself; its client served, over the same connection;
  nothing left anywhere: mounts, cgroups, processes, links, rules, files; limits as they were; no operation that still runs.

drive.py --dir DIR --tag TAG --count N --seconds S --seed SEED [--first N] [--only NAME,…] [--mode MODE] (run.sh makes the hosts and calls it)
The same seed gives the same faults at the same transitions. The first failure ends it with the evidence kept.
"""
import argparse
import collections
import json
import os
import random
import sys
import threading
import time

from client import Client
from faults import FAULTS, HERE, RUNS, SERVED, moment_of, none
from host import ApiError, Host, run, seconds_of

NAME, ADDRESS, PORT = "ledger", "10.91.0.50", 7000
SETTLE_S = 120  # what never comes, not what takes long
LEAST = 5  # moves, however little --seconds gives on a loaded machine
LONG_S = 8  # a pause of the client, or a move until all is settled: its timeline is told


class Failure(Exception):
    pass


class Experiment:
    """One move and its faults."""

    def __init__(self, drive, source, target, seed):
        self.drive, self.source, self.target = drive, source, target
        self.random = random.Random(seed)
        self.move, self.began, self.struck, self.steps = None, 0.0, [], []
        self.timers, self.lock = [], threading.Lock()

    def host(self, side):
        return self.source if side == "source" else self.target

    def on(self, host, script):
        run("nsenter", "--net=/run/netns/" + host.netns, "--", "sh", "-c", script, check=False)

    def switch(self, script):
        run("nsenter", "--net=/run/netns/dv%s-switch" % self.drive.tag, "--", "sh", "-c", script, check=False)

    def later(self, seconds, what):
        t = threading.Timer(seconds, what)
        t.daemon = True
        t.start()
        self.timers.append(t)

    def begin(self):
        options = dict(target=self.target.name)
        if self.drive.mode:
            options["mode"] = self.drive.mode
        if self.random.random() < 0.2:
            options["bandwidth"] = self.random.choice([4, 12]) << 20
        self.began = time.time()
        self.move = self.source.call("POST", "/v1/containers/%s/migrate" % NAME, options)["id"]

    def ended(self):
        try:
            return self.source.call("GET", "/v1/operations/" + self.move, timeout=2)["state"] != "running"
        except (OSError, ApiError):
            return not self.source.find("davitd")

    def wait_for(self, moment):
        """True: it came. False: the move was over before."""
        if moment[0] == "now":
            return True
        if moment[0] == "time":
            time.sleep(moment[1])
            return True
        host, state = self.host(moment[1]), moment[2]
        began = checked = time.monotonic()
        while state not in host.journal(self.move):
            now = time.monotonic()
            if now - checked > 0.2:
                if self.ended():
                    return state in host.journal(self.move)
                if now - began > 40:
                    return False
                checked = now
            time.sleep(0.0005)
        time.sleep(moment[3])
        return True


class Drive:
    def __init__(self, options):
        self.tag, self.mode, self.verbose = options.tag, options.mode, options.verbose
        self.hosts = [Host(h, options.dir, options.tag) for h in "ab"]
        self.client = Client("dv%s-switch" % options.tag, ADDRESS, PORT)
        self.client.start()
        self.empty, self.full, self.limits = {}, {}, {}
        self.counts = collections.Counter()
        self.longest = collections.defaultdict(float)

    def other(self, host):
        return self.hosts[1 - self.hosts.index(host)]

    def make_container(self, host):
        host.davit("rm", "--force", NAME)
        self.client.drop()
        self.client.forget(True)
        before = self.client.answers
        done = host.davit("run", "--detach", "--name", NAME, "--image", "base", "--network", "lan", "--ip", ADDRESS, "--memory", "256m", "--",
                          "/bin/ledger", str(PORT), "24", "/data/ledger")
        if done.returncode != 0:
            raise Failure("the container does not start: " + done.stderr.strip())
        self.until(lambda: self.client.answers > before, SETTLE_S, "the new container does not answer")

    def until(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Failure(what() if callable(what) else what)
            time.sleep(0.02)

    def warm_up(self):
        """A host's inventory with the container and without it, as a quiet move leaves them."""
        a, b = self.hosts
        self.make_container(a)
        for source, target in ((a, b), (b, a), (a, b), (b, a)):
            x = Experiment(self, source, target, 0)
            x.move = source.call("POST", "/v1/containers/%s/migrate" % NAME, {"target": target.name})["id"]
            self.settle(x, RUNS)
            if self.holder() is not target:
                raise Failure("a move without faults did not arrive: " + json.dumps(source.call("GET", "/v1/operations/" + x.move)))
            self.until(lambda: not source.find("mover"), SETTLE_S, "the mover does not end")
            time.sleep(0.5)
            self.empty[source], self.full[target] = source.inventory(), target.inventory()
            self.limits[target] = target.limits()

    def states(self):
        return [h.container_state(NAME) for h in self.hosts]

    def holder(self):
        for h in self.hosts:
            if h.container_state(NAME):
                return h
        return None

    def quiet(self, promise):
        """None when all is settled, else what is not yet."""
        try:
            states = self.states()
            if sum(s is not None for s in states) != 1:
                return "copies: %s" % states
            state = next(s for s in states if s)
            if state != "running" and not (promise == HERE and state in ("stopped", "exited", "dead")):
                return "states: %s" % states
            for h in self.hosts:
                busy = h.running_operations()
                if busy:
                    return "%s still does %s (%s)" % (h.name, busy[0]["kind"], busy[0].get("phase"))
                for m in h.moves()[:3]:
                    if m["state"] not in ("done", "aborted", "running", "dropped"):
                        return "%s has a move in state %s as %s" % (h.name, m["state"], m.get("role"))
        except (OSError, ApiError) as e:
            return "an agent does not answer: %s" % e
        return None

    def decide(self, x):
        """What only an operator may: a host that died took memory that the copy on the other lacks. That copy is given up, and kept as it ended."""
        for h in self.hosts:
            try:
                if any(m["id"] == x.move and m["state"] == "stranded" for m in h.moves()[:3]):
                    h.davit("migrate", "resolve", x.move, "--force", "target", "--yes-i-know-the-consequences")
                    self.counts["decided by an operator"] += 1
            except (OSError, ApiError):
                pass

    def settle(self, x, promise):
        if promise == HERE:
            self.until(lambda: self.quiet(promise) is None or self.decide(x), SETTLE_S, lambda: "it does not settle: %s" % self.quiet(promise))
            return
        self.until(lambda: self.quiet(promise) is None, SETTLE_S, lambda: "it does not settle: %s" % self.quiet(promise))

    def leftovers(self, host, should):
        now = host.inventory()
        more, less = list(now), list(should)
        for item in should:
            if item in more:
                more.remove(item)
        for item in now:
            if item in less:
                less.remove(item)
        # A container whose monitor was killed goes on without one, as anybody's child.
        return ["+ " + m for m in more] + ["- " + m for m in less if not m.startswith("process ")]

    def look(self, x, promise):
        """After all is settled: data, client, leftovers."""
        here = self.holder()
        there = self.other(here)
        if self.client.problems:
            raise Failure("; ".join(self.client.problems[:3]))
        if here.container_state(NAME) == "running":
            before = self.client.answers
            if promise == HERE:
                self.client.drop()
                self.client.forget(False)
            self.until(lambda: self.client.answers > before + 3, SETTLE_S, "the client is not served (breaks: %s)" % self.client.breaks)
            if promise == RUNS and self.client.breaks:
                raise Failure("the client's connection broke: %s" % self.client.breaks)
            self.compare(here, self.full[here])
            if here.limits() != self.limits[here]:
                raise Failure("limits on %s changed: %s instead of %s" % (here.name, here.limits(), self.limits[here]))
        self.compare(there, self.empty[there])
        if self.client.problems:
            raise Failure("; ".join(self.client.problems[:3]))

    def compare(self, host, should):
        self.until(lambda: not self.leftovers(host, should), SETTLE_S,
                   lambda: "not as before on %s:\n  %s" % (host.name, "\n  ".join(self.leftovers(host, should))))

    def one(self, number, seed, only):
        chooser = random.Random(seed)
        choices = [f for f in FAULTS if not only or f.name in only]
        faults = [chooser.choice(choices)]
        if chooser.random() < 0.2 and not only:
            faults.append(chooser.choice(choices))
        source = self.holder()
        x = Experiment(self, source, self.other(source), seed)
        promise = next(p for p in (HERE, SERVED, RUNS) if any(p == f.promise for f in faults + [none()]))
        self.client.forget(False)
        started = time.monotonic()
        told = []
        threads = [threading.Thread(target=self.strike, args=(x, f, moment_of(f, x.random), told)) for f in faults]
        x.begin()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        x.steps.append((time.time(), "all faults were struck"))
        self.put_right(x, faults)
        x.steps.append((time.time(), "what they took is put back"))
        try:
            self.settle(x, promise)
            x.steps.append((time.time(), "settled"))
            self.look(x, promise)
            x.steps.append((time.time(), "looked at"))
        except Failure as e:
            x.steps.append((time.time(), "failed"))
            self.tell_timeline(x, number, seed, told)
            raise Failure("%d (seed %d), %s to %s, %s: %s" % (number, seed, source.name, x.target.name, "; ".join(told), e)) from e
        here = self.holder()
        if here.container_state(NAME) != "running":
            self.make_container(here)
        for f in faults:
            self.counts[f.name] += 1
        self.counts["moved" if here is x.target else "stayed"] += 1
        took = time.monotonic() - started
        self.longest["settle"] = max(self.longest["settle"], took)
        self.longest["pause"] = max(self.longest["pause"], self.client.pause)
        self.counts["long pauses"] += self.client.pause > LONG_S
        if max(self.client.pause, took) > LONG_S:
            self.tell_timeline(x, number, seed, told)
        if self.verbose:
            print("%4d %-60s %s %5.1f s, pause %4.0f ms" % (number, "; ".join(told)[:90], "moved " if here is x.target else "stayed", took,
                                                           self.client.pause * 1000), flush=True)

    def tell_timeline(self, x, number, seed, told):
        """What happened when in a move that took long: faults, journals of the move and logs of both hosts, in seconds from the move's begin."""
        lines = [(x.began + at, "fault   " + text) for at, text in x.struck]
        lines.append((self.client.paused_at - self.client.pause, "client  last answer"))
        lines.append((self.client.paused_at, "client  next answer after %.1f s" % self.client.pause))
        for h in self.hosts:
            lines += [(seconds_of(at), "%s journal %s" % (h.name, state)) for state, at in h.entries(x.move)]
            lines += [(at, "%s log %s" % (h.name, text.split(" ", 1)[1][:300])) for at, text in h.log_since(x.began - 1)]
        lines += [(at, "test    " + what) for at, what in x.steps]
        print("%d (seed %d), %s to %s, %s:" % (number, seed, x.source.name, x.target.name, "; ".join(told)))
        for at, text in sorted(lines):
            print("     %8.3f %s" % (at - x.began, text), flush=True)

    def strike(self, x, fault, moment, told):
        at = "/".join(str(m) for m in moment[:3] if not isinstance(m, float)) + ("" if moment[0] != "time" else " %.3f" % moment[1])
        try:
            comes = x.wait_for(moment)
            x.struck.append((time.time() - x.began, fault.name))
            told.append("%s at %s: %s" % (fault.name, at, fault.strike(x) if comes else "too late"))
        except Exception as e:  # pylint: disable=broad-except
            told.append("%s at %s: %r" % (fault.name, at, e))

    def put_right(self, x, faults):
        """The network and the disks come back in their own time, then agents that do not run are started."""
        for t in x.timers:
            t.join()
        for f in faults:
            f.heal(x)
        for h in self.hosts:
            if h.heal():
                self.counts["restarts"] += 1


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--dir", required=True)
    p.add_argument("--tag", required=True)
    p.add_argument("--count", type=int, default=0)
    p.add_argument("--seconds", type=float, default=0)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--first", type=int, default=1)
    p.add_argument("--only", default="")
    p.add_argument("--mode", default="")
    p.add_argument("--verbose", action="store_true")
    options = p.parse_args()
    drive = Drive(options)
    started = time.monotonic()
    done = 0
    failure = None
    try:
        drive.warm_up()
        started = time.monotonic()
        while (not options.count or done < options.count) and (not options.seconds or done < LEAST or time.monotonic() - started < options.seconds):
            drive.one(options.first + done, options.seed * 1000003 + options.first - 1 + done, [o for o in options.only.split(",") if o])
            done += 1
    except Failure as e:
        failure = e
    drive.client.stop = True
    print(json.dumps({"seed": options.seed, "done": done, "seconds": round(time.monotonic() - started), "mode": options.mode or "default",
                      "counts": drive.counts, "longestSettleS": round(drive.longest["settle"], 1),
                      "longestPauseS": round(drive.longest["pause"], 1), "answers": drive.client.answers,
                      "writes": drive.client.writes, "failure": str(failure) if failure else None}, indent=1))
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
