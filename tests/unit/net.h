/* What the tests of networks share: a host without anything (a network namespace for each test), containers' namespaces, and descriptions of a
 * network and an attachment. `ip`, `nft` and `ping` look from outside. */
#pragma once
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/str.h"
#include "runtime/net/net.h"
#include "tests/unit/unit.h"

static struct err err;
static int host_ns = -1; /* the test's own start: where each test makes a new one */

static inline void must(int rc)
{
	if (rc < 0)
		fail_msg("%s (field %s)", err.msg, err.field);
}

static inline void needs_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
}

/* A host without anything. */
static inline int net_setup(void **state)
{
	(void)state;
	err_clear(&err);
	if (geteuid() != 0)
		return 0;
	if (host_ns < 0)
		host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0 ? -1 : 0;
}

static inline int net_teardown(void **state)
{
	(void)state;
	return host_ns >= 0 ? setns(host_ns, CLONE_NEWNET) : 0;
}

static inline int new_netns(void)
{
	auto_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int made = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	return made;
}

static inline pid_t start_in(int netns, const char *command)
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

static inline int finish(pid_t pid)
{
	int status;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int in(int netns, const char *command)
{
	return finish(start_in(netns, command));
}

static inline void kill_wait(pid_t pid)
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

static inline struct place *place(const char *address, const char *address6, const char *mac)
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

static inline void publish(struct place *p, unsigned host_port, unsigned container_port)
{
	p->port.host_port = host_port;
	p->port.container_port = container_port;
	p->a.ports = p->ports;
	p->a.n_ports = 1;
}
#define T(f) cmocka_unit_test_setup_teardown(f, net_setup, net_teardown)
