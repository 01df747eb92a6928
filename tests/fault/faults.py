"""What goes wrong in a move: each fault has a name, a moment and a promise of what must survive it.

A fault is struck at a transition (an entry of either side's journal), when a process appears, or at a random time, and a random moment later. `heal` puts
back what the fault took, as an operator or a repair would, and nothing else.
"""
import time

# What must be there in the end. RUNS: one running copy, its connection kept. SERVED: one running copy, whose client may have had to connect again: a
# CRIU that is killed lets its tasks go with their sockets in repair mode, in which a read fails. HERE: one copy, of which a host's death may have made a
# stopped one.
RUNS, SERVED, HERE = "runs", "served", "here"

SOURCE_STATES = ["offered", "accepted", "frozen", "ready", "committed", "serving", "done"]
TARGET_STATES = ["offered", "preparing", "ready", "thawing", "filling", "running"]


class Fault:
    def __init__(self, name, strike, heal=None, promise=RUNS, moment=None):
        self.name, self.strike, self.promise, self.moment = name, strike, promise, moment
        self.heal = heal or (lambda x: None)


def kill(side, what, **more):
    def strike(x):
        end = time.monotonic() + (0.6 if what == "criu" else 0)
        while True:
            pids = x.host(side).kill(what)
            if pids or time.monotonic() > end:
                return "killed %s of the %s: %s" % (what, side, pids or "there was none")
    return Fault("kill-%s-%s" % (side, what), strike, **more)


def link(side, seconds):
    def strike(x):
        x.switch("ip link set %s-mgmt down" % x.host(side).letter)
        x.later(seconds(x.random), lambda: heal(x))
        return "link of the %s down" % side

    def heal(x):
        x.switch("ip link set %s-mgmt up" % x.host(side).letter)
    return Fault("link-" + side, strike, heal)


RULES = {
    # One direction only: what one side says is heard, what the other says is not.
    "half-open-up": 'iifname "%(source)s-mgmt" tcp dport 7440 drop',
    "half-open-down": 'iifname "%(target)s-mgmt" tcp sport 7440 drop',
    "cut": "tcp dport 7440 drop; tcp sport 7440 drop",
}


def rules(name, seconds=lambda r: r.choice([0.3, 2, 5])):
    def strike(x):
        text = RULES[name] % {"source": x.source.letter, "target": x.target.letter}
        chain = "; ".join("add rule bridge fault forward %s" % r for r in text.split("; "))
        x.switch("nft 'add table bridge fault; add chain bridge fault forward { type filter hook forward priority 0; }; %s'" % chain)
        x.later(seconds(x.random), lambda: heal(x))
        return "%s of %s to %s" % (name, x.source.name, x.target.name)

    def heal(x):
        x.switch("nft delete table bridge fault 2>/dev/null || true")
    return Fault(name, strike, heal)


def unheard(side):
    """A side loses its connections while nothing passes between the hosts: the other side's kernel is not told, now or later."""
    def strike(x):
        cut.strike(x)
        x.on(x.host(side), "ss -K dport = :7440 or sport = :7440")
        return "cut, and connections of the %s reset" % side

    cut = rules("cut", lambda r: 0.4)
    return Fault("unheard-" + side, strike, cut.heal)


def reset():
    def strike(x):
        x.on(x.target, "ss -K dport = :7440 or sport = :7440")
        x.on(x.source, "ss -K dport = :7440")
        return "connections reset"
    return Fault("reset", strike)


def slow():
    def strike(x):
        rate = x.random.choice(["2mbit", "10mbit", "60mbit"])
        for h in (x.source, x.target):
            x.on(h, "tc qdisc replace dev eth0 root tbf rate %s burst 16kb latency 300ms" % rate)
        x.later(x.random.choice([1, 3]), lambda: heal(x))
        return "link of %s" % rate

    def heal(x):
        for h in (x.source, x.target):
            x.on(h, "tc qdisc del dev eth0 root 2>/dev/null || true")
    return Fault("slow", strike, heal, moment=("now",))


def reorder():
    """A quarter of the packets takes another, slower link to the switch and is overtaken there (kernels without netem do that too)."""
    def strike(x):
        for h in (x.source, x.target):
            x.switch("ip link add %s-slow type veth peer name slow0 netns %s && ip link set %s-slow master mgmt up" % (h.letter, h.netns, h.letter))
            x.on(h, "ip link set slow0 address $(ip -j link show eth0 | jq -r '.[].address') up; tc qdisc replace dev slow0 root tbf rate 20mbit burst 16kb latency 300ms; "
                    "ip rule add fwmark 7 table 77; ip route add 10.90.0.0/24 dev slow0 table 77; "
                    "nft 'add table inet reorder; add chain inet reorder out { type route hook output priority mangle; }; "
                    "add rule inet reorder out meta l4proto tcp numgen random mod 4 == 0 meta mark set 7'")
        x.later(x.random.choice([1, 3]), lambda: heal(x))
        return "packets overtake each other"

    def heal(x):
        for h in (x.source, x.target):
            x.on(h, "nft delete table inet reorder; ip rule del fwmark 7 table 77; ip link del slow0; true")
    return Fault("reorder", strike, heal, moment=("now",))


def full(side):
    def strike(x):
        x.host(side).fill_disk()
        x.later(x.random.choice([0.5, 3]), lambda: heal(x))
        return "disk of the %s is full" % side

    def heal(x):
        x.host(side).repair_disk()
    return Fault("full-" + side, strike, heal)


def read_only(side, folder):
    def strike(x):
        x.host(side).make_read_only(folder)
        x.later(x.random.choice([0.5, 3]), lambda: heal(x))
        return "%s of the %s is read-only" % (folder, side)

    def heal(x):
        x.host(side).repair_disk()
    return Fault("read-only-%s-%s" % (side, folder.replace("/", "-")), strike, heal)


def death(side):
    def strike(x):
        x.host(side).die()
        return "%s (%s) died" % (x.host(side).name, side)
    return Fault("death-" + side, strike, promise=HERE)


def cancel():
    def strike(x):
        answer = x.source.davit("migrations", "cancel", x.move)
        return "cancelled: %s" % (answer.stderr.strip() or "taken")
    return Fault("cancel", strike)


def both_agents():
    def strike(x):
        return "killed davitd of both: %s %s" % (x.source.kill("davitd"), x.target.kill("davitd"))
    return Fault("kill-both-davitd", strike)


def none():
    return Fault("none", lambda x: "nothing goes wrong", moment=("now",))


FAULTS = [
    kill("source", "davitd"), kill("target", "davitd"), kill("source", "core"), kill("target", "core"), both_agents(),
    kill("source", "mover"), kill("source", "monitor"), kill("target", "monitor"),
    kill("source", "tracker"), kill("target", "worker"), kill("target", "guard"), kill("target", "behind"), kill("target", "store"),
    kill("source", "criu", promise=SERVED, moment=("journal", "source", "accepted")), kill("target", "criu", moment=("journal", "source", "frozen")),
    link("source", lambda r: r.choice([0.2, 1, 4])), link("target", lambda r: r.choice([0.2, 1, 4])),
    rules("half-open-up"), rules("half-open-down"), rules("cut"), reset(), slow(), reorder(),
    unheard("source"), unheard("target"),
    full("source"), full("target"), read_only("source", "agent"), read_only("target", "agent"),
    read_only("source", "containers"), read_only("target", "containers"),
    death("source"), death("target"), cancel(), none(),
]


def moment_of(fault, random):
    """When it strikes: (kind, …, delay in seconds after it)."""
    delay = random.choice([0, 0, random.random() * 0.01, random.random() * 0.05])
    if fault.moment:
        return fault.moment + (delay,)
    if random.random() < 0.25:
        return ("time", random.random() * 0.5)
    if random.random() < 0.5:
        return ("journal", "source", random.choice(SOURCE_STATES), delay)
    return ("journal", "target", random.choice(TARGET_STATES), delay)
