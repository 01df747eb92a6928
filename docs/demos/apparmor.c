/* A program under an AppArmor profile: what it may do is decided by its profile, not by its user. Run as root, with the profile loaded.
 *
 *   cc -o apparmor apparmor.c && ./apparmor PROFILE PROGRAM [ARGUMENT…] */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char text[256], enabled = 'N';
	int module = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);

	if (argc < 3)
		errx(2, "usage: apparmor PROFILE PROGRAM [ARGUMENT...]");
	if (module < 0 || read(module, &enabled, 1) != 1 || enabled != 'Y') {
		puts("this kernel runs without AppArmor");
		return 0;
	}
	/* The label of the next exec; from then on it is the process's and its children's, and only the profile can let it out. */
	int fd = open("/proc/self/attr/apparmor/exec", O_WRONLY | O_CLOEXEC);
	int n = snprintf(text, sizeof(text), "exec %s", argv[1]);
	if (fd < 0 || write(fd, text, (size_t)n) < 0)
		err(1, "profile %s", argv[1]);
	execvp(argv[2], argv + 2);
	err(1, "%s", argv[2]);
}
