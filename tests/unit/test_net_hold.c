/* Packets for a container that stands still, or is on its way to another host. As root. */
#include "tests/unit/net.h"

/* The round trip that ping tells in ms, or -1. */
static double ping_ms(FILE *f)
{
	char line[256];
	double ms = -1;
	while (fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, "time=");
		if (at)
			sscanf(at, "time=%lf", &ms);
	}
	return ms;
}

#define ECHOS                                                                                                                                        \
	"echos() { cat /proc/net/snmp /proc/net/snmp6 | awk '/^Icmp: / && c { n += $c } /^Icmp: / && !c { for (i = 2; $i != \"OutEchos\";) i++; c "  \
	"= i } "                                                                                                                                     \
	"$1 == \"Icmp6OutEchos\" { n += $2 } END { print n + 0 }'; }; "

/* Starts a ping and returns when its one packet was sent. Its words go to the file `out`. */
static pid_t ping_sent(int netns, const char *target, const char *out)
{
	char command[1000];
	snprintf(command, sizeof(command), ECHOS "echos >%s.n", out);
	assert_int_equal(in(netns, command), 0);
	snprintf(command, sizeof(command), "exec ping -n -c1 -W30 %s >%s", target, out);
	pid_t ping = start_in(netns, command);
	snprintf(command, sizeof(command), ECHOS "for i in $(seq 1200); do [ $(echos) -gt $(cat %s.n) ] && exec rm %s.n; sleep 0.05; done; exit 1",
		 out, out);
	assert_int_equal(in(netns, command), 0);
	return ping;
}

static void held_packets_arrive_late_but_arrive(void **state)
{
	(void)state;
	needs_root();
	struct place *a = place("10.77.0.5/24", "fd77::5/64", "02:00:0a:4d:00:05"), *b = place("10.77.0.6/24", "fd77::6/64", "02:00:0a:4d:00:06");
	auto_close int na = new_netns(), nb = new_netns();
	must(net_bridge_ensure(&a->net, &err));
	must(net_attach_all(&a->n, "a", na, &err));
	must(net_attach_all(&b->n, "b", nb, &err));
	const char *const targets[] = { "10.77.0.5", "fd77::5" };
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		char command[200], out[] = "/tmp/davit-ping.XXXXXX";
		auto_close int fd = mkstemp(out);
		snprintf(command, sizeof(command), "ping -q -c1 -W30 %s >/dev/null", targets[i]);
		assert_int_equal(in(nb, command), 0);
		must(net_hold(&a->n, "a", &err));
		must(net_hold(&a->n, "a", &err));
		if (in(-1, "ip -o link | grep -q ' dw'") != 0) {
			unlink(out);
			print_message("packets cannot be held here: no /dev/net/tun\n");
			skip();
		}
		pid_t ping = ping_sent(nb, targets[i], out);
		usleep(300000);
		/* Nothing came in meanwhile. */
		assert_int_equal(waitpid(ping, NULL, WNOHANG), 0);
		must(net_release(&a->n, "a", &err));
		assert_int_equal(finish(ping), 0);
		FILE *f = fopen(out, "r");
		double ms = ping_ms(f);
		fclose(f);
		unlink(out);
		assert_true(ms > 200);
		/* And the bridge is as before. */
		snprintf(command, sizeof(command), "ping -q -c3 -i0.1 -W30 %s | grep -q ' 0%% packet loss'", targets[i]);
		assert_int_equal(in(nb, command), 0);
		assert_int_equal(in(-1, "for i in $(seq 1200); do ip -o link | grep -q ' dw' || exit 0; sleep 0.05; done; exit 1"), 0);
	}
	must(net_detach_all(&a->n, "a", &err));
	must(net_detach_all(&b->n, "b", &err));
}

static void detaching_a_held_container_leaves_no_keeper(void **state)
{
	(void)state;
	needs_root();
	struct place *a = place("10.77.0.5/24", NULL, "02:00:0a:4d:00:05");
	auto_close int na = new_netns();
	must(net_bridge_ensure(&a->net, &err));
	a->n.has_held = a->n.held = true;
	must(net_attach_all(&a->n, "a", na, &err));
	must(net_detach_all(&a->n, "a", &err));
	assert_int_equal(in(-1, "for i in $(seq 1200); do ip -o link | grep -qE ' dw| dv[0-9a-f]{10}' || exit 0; sleep 0.05; done; exit 1"), 0);
	must(net_bridge_remove(&a->net, &err));
}

/* Two hosts and the switch between them: the place of an address changes sides while packets are on their way. */
static int on_host(int ns, int (*f)(void *), void *arg)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (setns(ns, CLONE_NEWNET) < 0)
			_exit(99);
		_exit(f(arg) < 0 ? (fprintf(stderr, "%s\n", err.msg), 1) : 0);
	}
	return finish(pid);
}

struct side {
	struct place *p;
	int ns;
};
static int do_ensure(void *arg)
{
	return net_bridge_ensure(&((struct side *)arg)->p->net, &err);
}
static int do_attach(void *arg)
{
	struct side *s = arg;
	return net_attach_all(&s->p->n, "web", s->ns, &err);
}
static int do_hold(void *arg)
{
	return net_hold(&((struct side *)arg)->p->n, "web", &err);
}
static int do_catch(void *arg)
{
	return net_catch(&((struct side *)arg)->p->n, "web", &err);
}
static int do_release(void *arg)
{
	return net_release(&((struct side *)arg)->p->n, "web", &err);
}
static int do_detach(void *arg)
{
	return net_detach_all(&((struct side *)arg)->p->n, "web", &err);
}

static void packets_sent_during_a_move_arrive_at_the_new_place(void **state)
{
	(void)state;
	needs_root();
	const char *mac = "02:00:0a:4d:00:05";
	struct side a = { place("10.77.0.5/24", NULL, mac), new_netns() }, b = { place("10.77.0.5/24", NULL, mac), new_netns() };
	auto_close int host_a = new_netns(), host_b = new_netns();
	char command[400], out[] = "/tmp/davit-ping.XXXXXX";
	auto_close int fd = mkstemp(out);
	a.p->net.uplink = b.p->net.uplink = "eth1";
	a.p->net.gateway = b.p->net.gateway = a.p->a.gateway = b.p->a.gateway = NULL;
	a.p->net.gateway6 = b.p->net.gateway6 = a.p->a.gateway6 = b.p->a.gateway6 = NULL;
	a.p->net.nat = b.p->net.nat = false;
	snprintf(command, sizeof(command),
		 "ip link add sw0 type bridge && ip addr add 10.77.0.254/24 dev sw0 && ip link set sw0 up && "
		 "ip link add eth1 netns /proc/%1$d/fd/%2$d type veth peer name swa && ip link add eth1 netns /proc/%1$d/fd/%3$d type veth peer name "
		 "swb && "
		 "ip link set swa master sw0 up && ip link set swb master sw0 up",
		 (int)getpid(), host_a, host_b);
	assert_int_equal(in(-1, command), 0);
	assert_int_equal(on_host(host_a, do_ensure, &a), 0);
	assert_int_equal(on_host(host_b, do_ensure, &b), 0);
	assert_int_equal(on_host(host_a, do_attach, &a), 0);
	assert_int_equal(in(-1, "ping -q -c1 -W30 10.77.0.5 >/dev/null"), 0);

	assert_int_equal(on_host(host_a, do_hold, &a), 0);
	assert_int_equal(on_host(host_b, do_catch, &b), 0);
	/* The container is nowhere. */
	pid_t ping = ping_sent(-1, "10.77.0.5", out);
	usleep(200000);
	b.p->n.has_held = b.p->n.held = true;
	assert_int_equal(on_host(host_b, do_attach, &b), 0);
	assert_int_equal(on_host(host_b, do_release, &b), 0);
	assert_int_equal(on_host(host_a, do_detach, &a), 0);
	assert_int_equal(finish(ping), 0);
	FILE *f = fopen(out, "r");
	double ms = ping_ms(f);
	fclose(f);
	unlink(out);
	assert_true(ms > 150);
	assert_int_equal(in(-1, "ping -q -c3 -i0.1 -W30 10.77.0.5 | grep -q ' 0% packet loss'"), 0);
	assert_int_equal(on_host(host_b, do_detach, &b), 0);
	close(a.ns);
	close(b.ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(held_packets_arrive_late_but_arrive),
		T(detaching_a_held_container_leaves_no_keeper),
		T(packets_sent_during_a_move_arrive_at_the_new_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
