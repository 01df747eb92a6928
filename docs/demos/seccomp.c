/* System calls denied: a filter of eight instructions for the kernel's BPF machine. Run as anybody.
 *
 *   cc -o seccomp seccomp.c && ./seccomp */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define HERE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define HERE AUDIT_ARCH_AARCH64
#endif
#ifndef SYS_mkdir
#define SYS_mkdir SYS_mkdirat
#endif

/* The filter sees the call's number, its architecture and six registers (struct seccomp_data); what a register points to it cannot see. */
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_NOT(k, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, skip)
#define IF(k, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, skip, 0)
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)

static struct sock_filter filter[] = {
	LOAD(arch),
	IF_NOT(HERE, 4), /* numbers mean other calls in another architecture */
	LOAD(nr),
	IF(SYS_mkdir, 3),
	IF(SYS_mkdirat, 2),
	ANSWER(SECCOMP_RET_ALLOW),
	ANSWER(SECCOMP_RET_KILL_PROCESS),
	ANSWER(SECCOMP_RET_ERRNO | EPERM),
};

static void says(const char *what, long result)
{
	printf("%-28s %s\n", what, result < 0 ? strerror(errno) : "works");
}

int main(void)
{
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };
	char name[32];

	snprintf(name, sizeof(name), "/tmp/demo-%d", getpid());
	says("mkdir", mkdir(name, 0700));
	rmdir(name);
	/* Without this a filter could trick a set-uid program; so it is asked of who has no CAP_SYS_ADMIN. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		err(1, "seccomp");
	says("mkdir, filtered", mkdir(name, 0700));
	says("getuid, filtered", (long)getuid());
	fflush(stdout);
	if (fork() == 0) /* children and what they execute keep it, for good */
		execlp("mkdir", "mkdir", "/tmp/demo", NULL);
	wait(NULL);
	return 0;
}
