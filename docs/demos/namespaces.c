/* A process by itself: new user, PID, mount, UTS, network and IPC namespaces by one clone(2). Run as root or as an ordinary user.
 *
 *   cc -o namespaces namespaces.c && ./namespaces */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

/* Root of the new namespace is who called us; nobody else of the host has an id in there. */
static void map_id(pid_t pid, const char *file, unsigned id)
{
	char path[64], map[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	snprintf(map, sizeof(map), "0 %u 1", id);
	put(path, strcmp(file, "setgroups") ? map : "deny");
}

static int inside(void)
{
	char name[64];
	int cards = 0;

	if (sethostname("box", 3) < 0)
		err(1, "sethostname");
	/* No mount of ours goes back to the host; then /proc of this PID namespace, in a folder of this mount namespace alone. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("proc", "/proc", "proc", 0, NULL) < 0)
		err(1, "mount");
	gethostname(name, sizeof(name));
	for (struct if_nameindex *i = if_nameindex(); i && i->if_index; i++)
		cards++;
	printf("inside:  pid %d, uid %d, host name %s, network cards %d (lo)\n", getpid(), getuid(), name, cards);
	printf("inside:  kill(2, 0) %s\n", kill(2, 0) < 0 ? "finds nobody: there is no other process" : "finds somebody");
	return 0;
}

int main(void)
{
	int go[2], status;
	char was[64], is[64];

	gethostname(was, sizeof(was));
	if (pipe2(go, O_CLOEXEC) < 0)
		err(1, "pipe");
	pid_t pid =
	    (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWIPC | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		err(1, "clone");
	if (pid == 0) { /* waits until it has ids */
		close(go[1]);
		read(go[0], was, 1);
		exit(inside());
	}
	map_id(pid, "setgroups", 0);
	map_id(pid, "uid_map", geteuid());
	map_id(pid, "gid_map", getegid());
	close(go[1]);
	waitpid(pid, &status, 0);
	gethostname(is, sizeof(is));
	printf("outside: the same process has %s pid, and the host its name: %s\n", pid > 1 ? "another" : "the same", strcmp(was, is) ? "no" : "yes");
	return WEXITSTATUS(status);
}
