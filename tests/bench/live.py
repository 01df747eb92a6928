"""Rows about containers that are busy while they move: downtime, bytes, what clients notice, memory of the agents.

A busy container is tests/tools/fill (checks every page it writes: one that is lost or old ends it) or redis under tests/tools/load, which keeps
the start and length of every request. All moves are davit's default mode unless the row says another.
"""
import array
import functools
import json
import os
import signal
import statistics
import subprocess
import threading
import time

from lib import BUILD, PODMAN, WORK, davit, move_there_and_back, rounds, run, timed, wait_log

SMALL_ADDRESS, REDIS_ADDRESS = "10.91.0.20", "10.91.0.21"
SWITCH = "/run/netns/dv%s-switch" % os.environ["HOSTS_TAG"]


def start(host, name, memory, *command, address=None):
    network = ["--network", "lan", "--ip", address] if address else []
    davit(host, "run", "--detach", "--name", name, "--image", "small", *network, "--memory", memory, "--", *command)


def move(place, name, *options):
    record = json.loads(davit(place[0], "migrate", name, "host-" + place[1], "--json", *options))
    place.reverse()
    return record


def alive(host, name):
    state = json.loads(davit(host, "inspect", name))["state"]
    if state != "running":
        raise RuntimeError("%s is %s: %s" % (name, state, davit(host, "logs", name)[-300:]))


def fill_moves(name, mib, rate, moves, *options):
    """Records of moves of a filled container, after one that warms both hosts' memory up."""
    place, records = ["a", "b"], []
    start("a", name, "%dm" % (mib + mib // 8 + 64), "/bin/fill", str(mib), str(rate))
    try:
        wait_log("a", name, "ready")
        for n in range(moves + 1):
            record = move(place, name, *options)
            alive(place[0], name)
            if n:
                records.append(record)
    finally:
        davit(place[0], "rm", "--force", name)
    return records


def downtime_ms(records):
    return statistics.median(r["downtimeUs"] / 1e3 for r in records)


def podman_pause(mib, rate):
    """How long podman's checkpoint and restore on one host stops the same program."""
    run(*PODMAN, "run", "--detach", "--network", "none", "--name", "bench-busy", "localhost/small", "/bin/fill", str(mib), str(rate))
    try:
        for _ in range(600):
            if "ready" in run(*PODMAN, "logs", "bench-busy"):
                break
            time.sleep(0.1)

        def both():
            run(*PODMAN, "container", "checkpoint", "bench-busy")
            run(*PODMAN, "container", "restore", "bench-busy")
        return timed(both)
    finally:
        subprocess.run([*PODMAN, "rm", "--force", "--time", "0", "bench-busy"], capture_output=True, check=False)


@functools.cache
def busy_moves():
    return fill_moves("busy", 1024, 20000, 3)


def row_busy_downtime():
    figures = {"davit": downtime_ms(busy_moves())}
    figures.update(rounds({"podman": lambda: podman_pause(1024, 20000)}, 1))
    return figures


def row_busy_bytes():
    """Bytes sent for each byte of memory and of pages that were written meanwhile."""
    def ratio(r):
        dirtied = sum(x["dirtyRate"] * x["durationUs"] / 1e6 for x in r["rounds"]) * 4096
        return r["bytes"] / (1024 * 1024 * 1024 + dirtied)
    return {"davit": statistics.median(map(ratio, busy_moves()))}


class Load:
    """redis in a container of host-a under tests/tools/load from the switch."""

    def __init__(self, keys, size):
        self.out = WORK + "/load.bin"
        start("a", "redis", "1g", "/usr/bin/redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", address=REDIS_ADDRESS)
        wait_log("a", "redis", "Ready to accept")
        self.process = subprocess.Popen(["nsenter", "--net=" + SWITCH, BUILD + "/tools/load", REDIS_ADDRESS, "6379", self.out, str(keys), str(size)],
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the client of redis has ended")

    def end(self):
        """[(start, took)] in ns."""
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(30):
            raise RuntimeError("the client of redis lost an answer")
        words = array.array("Q")
        with open(self.out, "rb") as f:
            words.frombytes(f.read())
        return list(zip(words[0::2], words[1::2]))


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p))] if values else float("inf")


def redis_move():
    """One move of a loaded redis: the record, its requests, and when the move began (ns of CLOCK_MONOTONIC)."""
    load = Load(100000, 1024)
    place = ["a", "b"]
    try:
        time.sleep(2)
        began = time.monotonic_ns()
        record = move(place, "redis")
        time.sleep(2)
        return record, load.end(), began
    finally:
        load.process.kill()
        davit(place[0], "rm", "--force", "redis")


def frozen_at(record, requests, began):
    """The longest request after the move began is the one that met the freeze."""
    return max((r for r in requests if r[0] + r[1] > began), key=lambda r: r[1])


@functools.cache
def redis_figures():
    """What its clients get while memory is copied, and right after: both as parts of what they got before."""
    precopy, p999, plots = [], [], []
    for _ in range(3):
        record, requests, began = redis_move()
        worst = frozen_at(record, requests, began)
        thawed = worst[0] + worst[1]
        before = [r for r in requests if began - 1_000_000_000 <= r[0] < began]
        during = [r for r in requests if began <= r[0] < worst[0]]
        after = [r for r in requests if thawed <= r[0] < thawed + 1_000_000_000]
        span = (worst[0] - began) / 1e9
        precopy.append(len(during) / span / len(before))
        p999.append(percentile([r[1] for r in after], 0.999) / percentile([r[1] for r in before], 0.999))
        plots.append((record, requests, began, worst))
    plot(plots[-1])
    return statistics.median(precopy), statistics.median(p999)


def plot(move_of_redis):
    """docs/move.svg by tests/bench/move.gnuplot, from build/bench/move.dat: each 10 ms answers a second and the longest wait."""
    record, requests, began, worst_one = move_of_redis
    step, bins = 10_000_000, {}
    for started, took in requests:
        at = (started + took - began) // step
        if -100 <= at < 180:
            count, worst = bins.get(at, (0, 0))
            bins[at] = (count + 1, max(worst, took))
    os.makedirs(BUILD + "/bench", exist_ok=True)
    with open(BUILD + "/bench/move.dat", "w") as f:
        for at in range(-100, 180):
            count, worst = bins.get(at, (0, 0))
            f.write("%d %d %.3f\n" % (at * 10, count * 100, worst / 1e6))
    here = os.path.dirname(os.path.abspath(__file__))
    frozen, thawed = ((t - began) / 1e6 for t in (worst_one[0], worst_one[0] + worst_one[1]))
    subprocess.run(["gnuplot", "-e", "data='%s/bench/move.dat'; out='%s/../../docs/move.svg'; mode='%s'; down=%.0f; frozen=%.1f; thawed=%.1f" %
                    (BUILD, here, record["mode"], record["downtimeUs"] / 1e3, frozen, thawed), here + "/move.gnuplot"], check=False)


def row_redis(index):
    return lambda: {"davit": redis_figures()[index]}


def memcpy_to_tmpfs(mib):
    """MiB/s of writing so much, from memory that is there, to a new file of a tmpfs."""
    block = memoryview(bytearray(os.urandom(1 << 20)) * 16)
    path = "/dev/shm/davit-bench-copy-%d" % os.getpid()

    def copy():
        with open(path, "wb", buffering=0) as f:
            for _ in range(mib // 16):
                f.write(block)
    try:
        return mib / (timed(copy) / 1e3)
    finally:
        os.unlink(path)


def row_stream_2g():
    moves = fill_moves("stream", 2048, 0, 2, "--mode", "stop-and-copy")
    return {"davit": 2048 / (downtime_ms(moves) / 1e3), "limit": statistics.median(memcpy_to_tmpfs(2048) for _ in range(3))}


def resident_kb(pid):
    try:
        with open("/proc/%d/status" % pid) as f:
            return next((int(line.split()[1]) for line in f if line.startswith("VmRSS:")), 0)
    except OSError:
        return 0


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(p) for p in f.read().split()]
    except OSError:
        return []


def name_of(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return ""


def agent_kb(host):
    """davitd with its movers: all that a move takes of memory on its side, but for what holds pages by its nature (CRIU, the page store's tmpfs)."""
    pid = int(os.environ["HOSTS_PID_" + host.upper()])
    return resident_kb(pid) + sum(resident_kb(c) for c in children(pid) if name_of(c) == "davit-mover")


def row_agent_rss():
    worst, stop = {"a": 0, "b": 0}, threading.Event()

    def watch():
        while not stop.wait(0.02):
            for host in worst:
                worst[host] = max(worst[host], agent_kb(host))
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        fill_moves("large", 4096, 0, 1)
    finally:
        stop.set()
        watcher.join()
    return {"davit": max(worst.values()) / 1024}


def row_client_pause():
    """How much longer than the downtime a client waits: redis, one request at a time."""
    over = []
    for _ in range(3):
        record, requests, began = redis_move()
        over.append(frozen_at(record, requests, began)[1] / 1e6 - record["downtimeUs"] / 1e3)
    return {"davit": statistics.median(over)}


DOWNTIMES = {}


def row_downtime(mib):
    def row():
        DOWNTIMES[mib] = downtime_ms(fill_moves("idle", mib, 0, 3 if mib < 2048 else 2))
        return {"davit": DOWNTIMES[mib]}
    return row


def flat(_):
    return max(DOWNTIMES.values()) <= 1.5 * min(DOWNTIMES.values())


ROWS = [
    ("move_small_client_pause_over_ms", "ms", row_client_pause, lambda r: r["davit"] <= 10, "≤ downtime + 10"),
    ("move_busy_1g_downtime_ms", "ms", row_busy_downtime, lambda r: r["davit"] <= 150 and (not r["podman"] or r["davit"] <= r["podman"] / 50),
     "≤ 150 and ≤ podman / 50"),
    ("move_busy_1g_bytes_ratio", "", row_busy_bytes, lambda r: r["davit"] <= 1.3, "≤ 1.3"),
    ("downtime_64m_ms", "ms", row_downtime(64), flat, "flat"),
    ("downtime_512m_ms", "ms", row_downtime(512), flat, "largest ≤ 1.5 × smallest"),
    ("downtime_2g_ms", "ms", row_downtime(2048), flat, "largest ≤ 1.5 × smallest"),
    ("downtime_8g_ms", "ms", row_downtime(8192), flat, "largest ≤ 1.5 × smallest"),
    ("redis_set_during_precopy_ratio", "", row_redis(0), lambda r: r["davit"] >= 0.95, "≥ 0.95 of before"),
    ("redis_p999_after_ratio", "", row_redis(1), lambda r: r["davit"] <= 10, "≤ 10 × before"),
    ("stream_2g_mb_s", "MiB/s", row_stream_2g, lambda r: r["davit"] >= 0.5 * r["limit"], "≥ 0.5 × limit, over TLS"),
    ("agent_rss_during_4g_move_mb", "MiB", row_agent_rss, lambda r: r["davit"] <= 64, "≤ 64"),
]
