/* Networks: bridges, attachments, published ports. As root. */
#include "tests/unit/net.h"

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
	assert_int_equal(in(netns, "for i in $(seq 1200); do grep -q :0050 /proc/net/tcp6 && exit 0; sleep 0.05; done; exit 1"), 0);
	return pid;
}

#define GET(address, port, want)                                                                                                                     \
	"timeout 60 python3 -c \"import socket; s = socket.create_connection(('" address "', " port                                                  \
	"), 60); t = s.recv(100).decode(); print(t); assert t.startswith('" want "'), t\" >/dev/null"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(host_end_is_named_by_id_and_index),	     T(bridge_is_made_once_and_removed),
		T(bad_bridges_are_refused_with_their_field), T(containers_reach_each_other_and_the_host),
		T(failed_attachment_leaves_nothing),	     T(a_second_attachment_under_the_id_harms_the_first_not),
		T(published_ports_lead_to_the_container),    T(a_port_is_one_container_s),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
