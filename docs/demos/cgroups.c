/* Limits: a cgroup, a few files in it, and a process that meets them. Run as root, on cgroup v2 or v1.
 *
 *   cc -o cgroups cgroups.c && ./cgroups */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char group[64]; /* of one controller: its own hierarchy on v1, the one there is on v2 */

static void make_group(const char *controller)
{
	snprintf(group, sizeof(group), "/sys/fs/cgroup/%s/demo", controller);
	if (mkdir(group, 0755) == 0)
		return;
	snprintf(group, sizeof(group), "/sys/fs/cgroup/demo"); /* v2; systemd has given the controllers to it */
	if (mkdir(group, 0755) < 0)
		err(1, "%s", group);
}

static int put(const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
	close(fd);
	return rc;
}

static void forks(void)
{
	int n = 1;

	while (fork() > 0)
		n++;
	if (errno == EAGAIN && getpid() == getpgrp()) {
		printf("pids:    %d tasks, then fork: %s\n", n, strerror(errno));
		fflush(stdout);
		kill(0, SIGKILL); /* the process group */
	}
	pause();
}

static void eats(void)
{
	for (;;)
		memset(malloc(1 << 20), 1, 1 << 20);
}

static int run_in_group(void (*work)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		if (put("cgroup.procs", "0") < 0) /* 0: who writes */
			err(1, "enter %s", group);
		errno = 0;
		work();
	}
	waitpid(pid, &status, 0);
	while (rmdir(group) < 0 && errno == EBUSY) /* the last ones are still ending */
		usleep(10000);
	return status;
}

int main(void)
{
	make_group("pids");
	put("pids.max", "10");
	run_in_group(forks);
	make_group("memory");
	if (put("memory.max", "16777216") < 0)
		put("memory.limit_in_bytes", "16777216");
	if (put("memory.swap.max", "0") < 0)
		put("memory.memsw.limit_in_bytes", "16777216");
	int status = run_in_group(eats);
	printf("memory:  16 MiB, then signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	return 0;
}
