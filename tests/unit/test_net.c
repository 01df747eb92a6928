/* Networks: bridges, attachments, published ports, holding. As root, in network namespaces of its own; `ip`, `nft`, `ping` look from outside. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/net/net.h"

static struct err err;
static int host_ns = -1; /* the test's own start: where each test makes a new one */

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%s (field %s)", err.msg, err.field);
}

static void needs_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
}

/* A host without anything. */
static int setup(void **state)
{
	(void)state;
	err_clear(&err);
	if (geteuid() != 0)
		return 0;
	if (host_ns < 0)
		host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	return host_ns >= 0 ? setns(host_ns, CLONE_NEWNET) : 0;
}

static int new_netns(void)
{
	auto_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int made = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	return made;
}

static pid_t start_in(int netns, const char *command)
{
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0)
			_exit(99);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(98);
	}
	return pid;
}

static int finish(pid_t pid)
{
	int status;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int in(int netns, const char *command)
{
	return finish(start_in(netns, command));
}

static void kill_wait(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Networks and attachments of the tests. */
struct place {
	Davit__RuntimeNetwork n;
	Davit__CoreNetwork net;
	Davit__NetworkAttachment a;
	Davit__Port port;
	Davit__CoreNetwork *nets[1];
	Davit__NetworkAttachment *as[1];
	Davit__Port *ports[1];
};

static struct place *place(const char *address, const char *address6, const char *mac)
{
	static struct place all[8];
	static unsigned next;
	struct place *p = &all[next++ % 8];
	davit__runtime_network__init(&p->n);
	davit__core_network__init(&p->net);
	davit__network_attachment__init(&p->a);
	davit__port__init(&p->port);
	p->net.name = "lan";
	p->net.bridge = "dvtest0";
	p->net.subnet = "10.77.0.0/24";
	p->net.gateway = "10.77.0.1";
	p->net.has_nat = p->net.nat = true;
	p->net.subnet6 = "fd77::/64";
	p->net.gateway6 = "fd77::1";
	p->a.network = "lan";
	p->a.address = (char *)address;
	p->a.address6 = (char *)address6;
	p->a.gateway = "10.77.0.1";
	p->a.gateway6 = address6 ? "fd77::1" : NULL;
	p->a.mac = (char *)mac;
	p->nets[0] = &p->net;
	p->as[0] = &p->a;
	p->ports[0] = &p->port;
	p->n.networks = p->nets;
	p->n.n_networks = 1;
	p->n.attachments = p->as;
	p->n.n_attachments = 1;
	return p;
}

static void publish(struct place *p, unsigned host_port, unsigned container_port)
{
	p->port.host_port = host_port;
	p->port.container_port = container_port;
	p->a.ports = p->ports;
	p->a.n_ports = 1;
}

static void host_end_is_named_by_id_and_index(void **state)
{
	(void)state;
	char a[16], b[16], c[16], again[16];
	net_host_end("web", 0, a);
	net_host_end("web", 1, b);
	net_host_end("web2", 0, c);
	net_host_end("web", 0, again);
	assert_int_equal(strlen(a), 12);
	assert_true(str_prefix(a, "dv"));
	assert_string_equal(a, again);
	assert_string_not_equal(a, b);
	assert_string_not_equal(a, c);
}

static void bridge_is_made_once_and_removed(void **state)
{
	(void)state;
	needs_root();
	struct place *p = place("10.77.0.5/24", NULL, NULL);
	must(net_bridge_ensure(&p->net, &err));
	must(net_bridge_ensure(&p->net, &err));
	assert_int_equal(in(-1, "ip -4 addr show dvtest0 | grep -q '10.77.0.1/24' && ip -6 addr show dvtest0 | grep -q fd77::1/64"), 0);
	assert_int_equal(in(-1, "nft list set ip davit nat | grep -q 10.77.0.0/24"), 0);
	must(net_bridge_remove(&p->net, &err));
	must(net_bridge_remove(&p->net, &err));
	assert_int_equal(in(-1, "! ip link show dvtest0 2>/dev/null && ! nft list set ip davit nat | grep -q 10.77"), 0);
}

static void bad_bridges_are_refused_with_their_field(void **state)
{
	(void)state;
	needs_root();
	struct place *p = place("10.77.0.5/24", NULL, NULL);
	p->net.bridge = "a-name-that-is-too-long";
	assert_int_equal(net_bridge_ensure(&p->net, &err), -1);
	assert_string_equal(err.field, "bridge");
	p = place("10.77.0.5/24", NULL, NULL);
	p->net.subnet = "10.77.0.0";
	assert_int_equal(net_bridge_ensure(&p->net, &err), -1);
	assert_string_equal(err.field, "subnet");
	p = place("10.77.0.5/24", NULL, NULL);
	p->net.bridge = "lo";
	assert_int_equal(net_bridge_ensure(&p->net, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
}

static void containers_reach_each_other_and_the_host(void **state)
{
	(void)state;
	needs_root();
	struct place *a = place("10.77.0.5/24", "fd77::5/64", "02:00:0a:4d:00:05"), *b = place("10.77.0.6/24", "fd77::6/64", NULL);
	auto_close int na = new_netns(), nb = new_netns();
	must(net_bridge_ensure(&a->net, &err));
	must(net_attach_all(&a->n, "a", na, &err));
	must(net_attach_all(&b->n, "b", nb, &err));
	assert_int_equal(in(na, "ip link show eth0 | grep -q 02:00:0a:4d:00:05"), 0);
	assert_int_equal(in(na, "ping -q -c1 -W2 10.77.0.6 >/dev/null"), 0);
	assert_int_equal(in(na, "ping -q -c1 -W2 fd77::6 >/dev/null"), 0);
	assert_int_equal(in(na, "ping -q -c1 -W2 10.77.0.1 >/dev/null && ping -q -c1 -W2 fd77::1 >/dev/null"), 0);
	uint64_t rx = 0, tx = 0;
	must(net_stats(&a->n, "a", &rx, &tx, &err));
	assert_true(rx > 98 && tx > 98);
	assert_int_equal(net_bridge_remove(&a->net, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	must(net_detach_all(&a->n, "a", &err));
	must(net_detach_all(&a->n, "a", &err));
	must(net_detach_all(&b->n, "b", &err));
	must(net_bridge_remove(&a->net, &err));
	assert_int_equal(in(-1, "! ip -o link | grep -q ' dv'"), 0);
}

static void failed_attachment_leaves_nothing(void **state)
{
	(void)state;
	needs_root();
	struct place *p = place("10.77.0.5/24", NULL, NULL);
	auto_close int ns = new_netns();
	must(net_bridge_ensure(&p->net, &err));
	p->a.gateway = "10.99.0.1"; /* not reachable from the address */
	assert_int_equal(net_attach_all(&p->n, "a", ns, &err), -1);
	assert_int_equal(in(-1, "! ip -o link | grep -v dvtest0 | grep -q ' dv'"), 0);
	p->a.gateway = NULL;
	p->a.mac = "nonsense";
	assert_int_equal(net_attach_all(&p->n, "a", ns, &err), -1);
	assert_string_equal(err.field, "mac");
	p->a.network = "other";
	p->a.mac = NULL;
	assert_int_equal(net_attach_all(&p->n, "a", ns, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(in(-1, "! ip -o link | grep -v dvtest0 | grep -q ' dv'"), 0);
}

static void a_second_attachment_under_the_id_harms_the_first_not(void **state)
{
	(void)state;
	needs_root();
	struct place *p = place("10.77.0.5/24", NULL, NULL);
	auto_close int ns = new_netns(), other = new_netns();
	must(net_bridge_ensure(&p->net, &err));
	must(net_attach_all(&p->n, "a", ns, &err));
	assert_int_equal(net_attach_all(&p->n, "a", other, &err), -1);
	assert_int_equal(in(ns, "ping -q -c1 -W2 10.77.0.1 >/dev/null"), 0);
}

/* Answers one line on TCP port 80 of a namespace, again and again. */
static pid_t start_server(int netns, const char *text)
{
	char command[512];
	snprintf(command, sizeof(command),
		 "exec python3 -c \"\nimport socket\ns = socket.create_server(('::', 80), family=socket.AF_INET6, dualstack_ipv6=True)\nwhile "
		 "True:\n c, a = s.accept()\n c.send(b'%s ' + a[0].encode())\n "
		 "c.close()\n\"",
		 text);
	pid_t pid = start_in(netns, command);
	assert_int_equal(in(netns, "for i in $(seq 100); do grep -q :0050 /proc/net/tcp6 && exit 0; sleep 0.05; done; exit 1"), 0);
	return pid;
}

#define GET(address, port, want)                                                                                                                     \
	"timeout 5 python3 -c \"import socket; s = socket.create_connection(('" address "', " port                                                   \
	"), 3); t = s.recv(100).decode(); print(t); assert t.startswith('" want "'), t\" >/dev/null"

static void published_ports_lead_to_the_container(void **state)
{
	(void)state;
	needs_root();
	struct place *p = place("10.77.0.5/24", "fd77::5/64", NULL), *q = place("10.77.0.6/24", NULL, NULL);
	auto_close int ns = new_netns(), neighbour = new_netns(), outside = new_netns();
	assert_int_equal(in(-1, "ip link add up0 type veth peer name up1 && ip addr add 192.0.2.1/24 dev up0 && ip link set up0 up"), 0);
	char command[200];
	snprintf(command, sizeof(command), "ip link set up1 netns /proc/%d/fd/%d", (int)getpid(), outside);
	assert_int_equal(in(-1, command), 0);
	assert_int_equal(in(outside, "ip addr add 192.0.2.2/24 dev up1 && ip link set up1 up && ip link set lo up"), 0);
	must(net_bridge_ensure(&p->net, &err));
	publish(p, 8080, 80);
	must(net_attach_all(&p->n, "a", ns, &err));
	must(net_attach_all(&q->n, "b", neighbour, &err));
	pid_t server = start_server(ns, "hello");
	assert_int_equal(in(outside, GET("192.0.2.1", "8080", "hello ::ffff:192.0.2.2")), 0); /* from outside, with its own address */
	assert_int_equal(in(-1, GET("127.0.0.1", "8080", "hello")), 0);
	assert_int_equal(in(-1, GET("192.0.2.1", "8080", "hello")), 0);
	assert_int_equal(in(neighbour, GET("10.77.0.1", "8080", "hello")), 0);
	kill_wait(server);
	/* What leaves is masqueraded. */
	server = start_server(outside, "out");
	assert_int_equal(in(ns, GET("192.0.2.2", "80", "out ::ffff:192.0.2.1")), 0);
	kill_wait(server);
	must(net_detach_all(&p->n, "a", &err));
	assert_int_equal(in(-1, "! nft list map ip davit tcp_any | grep -q 8080"), 0);
	must(net_detach_all(&q->n, "b", &err));
}

static void a_port_is_one_container_s(void **state)
{
	(void)state;
	needs_root();
	struct place *p = place("10.77.0.5/24", NULL, NULL), *q = place("10.77.0.6/24", NULL, NULL);
	auto_close int ns = new_netns(), other = new_netns();
	must(net_bridge_ensure(&p->net, &err));
	publish(p, 8080, 80);
	publish(q, 8080, 80);
	must(net_attach_all(&p->n, "a", ns, &err));
	assert_int_equal(net_attach_all(&q->n, "b", other, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_int_equal(in(-1, "nft list map ip davit tcp_any | grep -q '8080 : 10.77.0.5 . 80'"), 0);
	assert_int_equal(in(-1, "! ip -o link show master dvtest0 | grep -v ' dv' "), 0);
	/* One that goes away does not take another's port along. */
	must(net_detach_all(&q->n, "b", &err));
	assert_int_equal(in(-1, "nft list map ip davit tcp_any | grep -q '8080 : 10.77.0.5 . 80'"), 0);
	must(net_detach_all(&p->n, "a", &err));
	must(net_attach_all(&q->n, "b", other, &err));
	/* Again under the same address: nothing changes. */
	must(net_hold(&q->n, "b", &err));
	must(net_release(&q->n, "b", &err));
	must(net_detach_all(&q->n, "b", &err));
}

/* ping from `from` that must be answered within 3 s. Returns its round trip in ms, or -1. */
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
		snprintf(command, sizeof(command), "ping -q -c1 -W2 %s >/dev/null", targets[i]);
		assert_int_equal(in(nb, command), 0);
		must(net_hold(&a->n, "a", &err));
		must(net_hold(&a->n, "a", &err));
		if (in(-1, "ip -o link | grep -q ' dw'") != 0) {
			unlink(out);
			print_message("packets cannot be held here: no /dev/net/tun\n");
			skip();
		}
		snprintf(command, sizeof(command), "ping -n -c1 -W3 %s >%s", targets[i], out);
		pid_t ping = start_in(nb, command);
		usleep(300000);
		/* Nothing came in meanwhile. */
		assert_int_equal(waitpid(ping, NULL, WNOHANG), 0);
		must(net_release(&a->n, "a", &err));
		assert_int_equal(finish(ping), 0);
		FILE *f = fopen(out, "r");
		double ms = ping_ms(f);
		fclose(f);
		unlink(out);
		assert_true(ms > 200 && ms < 1000);
		/* And the bridge is as before. */
		snprintf(command, sizeof(command), "ping -q -c3 -i0.1 -W1 %s | grep -q ' 0%% packet loss'", targets[i]);
		assert_int_equal(in(nb, command), 0);
		assert_int_equal(in(-1, "for i in $(seq 60); do ip -o link | grep -q ' dw' || exit 0; sleep 0.05; done; exit 1"), 0);
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
	assert_int_equal(in(-1, "for i in $(seq 60); do ip -o link | grep -qE ' dw| dv[0-9a-f]{10}' || exit 0; sleep 0.05; done; exit 1"), 0);
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
	assert_int_equal(in(-1, "ping -q -c1 -W2 10.77.0.5 >/dev/null"), 0);

	assert_int_equal(on_host(host_a, do_hold, &a), 0);
	assert_int_equal(on_host(host_b, do_catch, &b), 0);
	/* The container is nowhere. */
	snprintf(command, sizeof(command), "ping -n -c1 -W3 10.77.0.5 >%s", out);
	pid_t ping = start_in(-1, command);
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
	assert_true(ms > 150 && ms < 1000);
	assert_int_equal(in(-1, "ping -q -c3 -i0.1 -W1 10.77.0.5 | grep -q ' 0% packet loss'"), 0);
	assert_int_equal(on_host(host_b, do_detach, &b), 0);
	close(a.ns);
	close(b.ns);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(host_end_is_named_by_id_and_index),
		T(bridge_is_made_once_and_removed),
		T(bad_bridges_are_refused_with_their_field),
		T(containers_reach_each_other_and_the_host),
		T(failed_attachment_leaves_nothing),
		T(a_second_attachment_under_the_id_harms_the_first_not),
		T(published_ports_lead_to_the_container),
		T(a_port_is_one_container_s),
		T(held_packets_arrive_late_but_arrive),
		T(detaching_a_held_container_leaves_no_keeper),
		T(packets_sent_during_a_move_arrive_at_the_new_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
