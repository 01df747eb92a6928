/* Asks for mounts and settings while another thread changes what the arguments point to: what was judged must be what is done.
 *
 * turncoat: mounts "tmpfs" at /race and opens /proc/sys/kernel/shmmax for writing, again and again; the other thread turns the texts into "proc" and
 * /proc/sys/kernel/panic and back. Prints how many mounts and opens there were, and ends with 1 if one of them was of what it turned them into. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define ROUNDS 200
#define PROC_MAGIC 0x9fa0

static volatile char type[8] = "tmpfs", path[64] = "/proc/sys/kernel/shmmax";
static volatile int ended;

static void set(volatile char *to, const char *from)
{
	do
		*to++ = *from;
	while (*from++);
}

static void *turn(void *arg)
{
	while (!ended) {
		set(type, "proc");
		set(path, "/proc/sys/kernel/panic");
		set(type, "tmpfs");
		set(path, "/proc/sys/kernel/shmmax");
	}
	return arg;
}

int main(void)
{
	pthread_t thread;
	int mounts = 0, opens = 0, wrong = 0;
	char name[128], link[64];
	struct statfs fs;

	mkdir("/race", 0755);
	if (pthread_create(&thread, NULL, turn, NULL) != 0)
		return 2;
	for (int i = 0; i < ROUNDS; i++) {
		if (mount("none", "/race", (const char *)type, 0, NULL) == 0)
			wrong += statfs("/race", &fs) < 0 || fs.f_type == PROC_MAGIC, mounts++;
		int fd = open((const char *)path, O_WRONLY);
		if (fd < 0)
			continue;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		wrong += strstr(name, "shmmax") == NULL;
		opens++;
		close(fd);
	}
	ended = 1;
	pthread_join(thread, NULL);
	printf("%d mounts, %d opens, %d wrong\n", mounts, opens, wrong);
	return wrong != 0;
}
