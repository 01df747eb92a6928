/* Root in pieces: all capabilities but one are taken away, and what root can do then. Run as root.
 *
 *   cc -o capabilities capabilities.c && ./capabilities */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void says(const char *what, long result)
{
	printf("%-36s %s\n", what, result < 0 ? strerror(errno) : "works");
}

/* Ports below 1024 take CAP_NET_BIND_SERVICE. */
static long bind_port(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(81) };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = bind(s, (struct sockaddr *)&any, sizeof(any));

	close(s);
	return rc;
}

static void try_all(void)
{
	says("bind port 81 (NET_BIND_SERVICE)", bind_port());
	says("set the host's name (SYS_ADMIN)", sethostname("demo", 4));
	says("read a user's file (DAC_OVERRIDE)", access("/tmp/demo-file", R_OK));
}

static void keep_only(int cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { 0 };

	/* The bounding set first, while SETPCAP is there: what is not in it comes back by no program, set-uid or not. */
	for (int c = 0; prctl(PR_CAPBSET_READ, c) >= 0; c++)
		if (c != cap && prctl(PR_CAPBSET_DROP, c) < 0)
			err(1, "bounding set");
	sets[cap / 32].effective = sets[cap / 32].permitted = 1u << cap % 32;
	if (syscall(SYS_capset, &head, sets) < 0)
		err(1, "capset");
}

int main(void)
{
	/* Names and ports of our own: the host's stay as they are. */
	if (unshare(CLONE_NEWUTS | CLONE_NEWNET) < 0)
		err(1, "unshare");
	FILE *f = fopen("/tmp/demo-file", "w");
	if (!f || fchmod(fileno(f), 0) < 0 || fchown(fileno(f), 1000, 1000) < 0)
		err(1, "/tmp/demo-file");
	puts("as root:");
	try_all();
	keep_only(CAP_NET_BIND_SERVICE);
	puts("with NET_BIND_SERVICE alone:");
	try_all();
	fflush(stdout);
	if (fork() == 0)
		execlp("grep", "grep", "-E", "Cap(Eff|Bnd)", "/proc/self/status", NULL);
	wait(NULL);
	return unlink("/tmp/demo-file");
}
