/* Takes kernel memory without end, to be stopped by a limit: flood fds N | files N FOLDER | names N FOLDER. "flooded" and status 0 if nobody did.
 * Linked statically, for containers of the tests. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Open files in as many processes as it takes. */
static int fds(long n)
{
	while (n > 0) {
		int p[2];
		long made = 0;

		if (pipe(p) < 0)
			return 1;
		pid_t pid = fork();
		if (pid == 0) {
			while (made < n && memfd_create("flood", 0) >= 0)
				made++;
			if (errno == EMFILE || made == n)
				write(p[1], &made, sizeof(made));
			for (;;)
				pause();
		}
		close(p[1]);
		/* A child that was killed, or found no memory, says nothing. */
		if (pid < 0 || read(p[0], &made, sizeof(made)) != sizeof(made))
			return 1;
		close(p[0]);
		n -= made;
	}
	return 0;
}

static int files(long n, const char *folder)
{
	char name[300];

	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%ld", folder, i);
		int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			return 1;
		close(fd);
	}
	return 0;
}

/* The kernel remembers names that are not there; long ones take their own memory. */
static int names(long n, const char *folder)
{
	char name[300];

	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%0200ld", folder, i);
		access(name, F_OK);
	}
	return 0;
}

int main(int argc, char **argv)
{
	long n = argc > 2 ? atol(argv[2]) : 0;
	const char *folder = argc > 3 ? argv[3] : "/tmp";
	int rc = 2;

	if (n > 0)
		rc = strcmp(argv[1], "fds") == 0 ? fds(n) : strcmp(argv[1], "files") == 0 ? files(n, folder) : names(n, folder);
	puts(rc == 0 ? "flooded" : "held");
	return rc;
}
