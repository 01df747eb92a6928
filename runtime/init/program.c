/* What args[0] means, and the user's home. The container's files are read as files: no NSS module of its image is loaded into this process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "runtime/init/init.h"

#define PASSWD_MAX (1 << 20)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *get(const struct strv *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = env->n; i-- > 0;)
		if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
			return env->v[i] + n + 1;
	return NULL;
}

/* 0, or the errno that execve(2) would give. */
static int can_run(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

static int not_runnable(const char *name, int sys, struct err *e)
{
	err_set(e, sys == ENOENT ? ERR_NOT_FOUND : ERR_DENIED, sys, "exec: \"%s\"", name);
	if (e)
		snprintf(e->field, sizeof(e->field), "process.args[0]");
	return err_remedy(e, sys == EACCES ? "make it a file that the container's user may execute (chmod +x), or name another program"
					   : "name a program of the container by its absolute path, or one in the PATH of process.env");
}

char *init_find_program(const char *name, const struct strv *env, struct err *e)
{
	const char *path = get(env, "PATH");
	int sys, worst = ENOENT;

	if (strchr(name, '/')) {
		sys = can_run(name);
		if (sys == 0)
			return mem_strdup(name, e);
		not_runnable(name, sys, e);
		return NULL;
	}
	for (const char *p = path ? path : DEFAULT_PATH; *p; p += strcspn(p, ":"), p += *p == ':') {
		int n = (int)strcspn(p, ":");
		auto_free char *full = mem_printf(e, "%.*s/%s", n, n ? p : ".", name);

		if (!full)
			return NULL;
		sys = can_run(full);
		if (sys == 0)
			return steal_ptr(&full);
		worst = sys == EACCES ? EACCES : worst;
	}
	not_runnable(name, worst, e);
	return NULL;
}

/* name:password:uid:gid:comment:home:shell, passwd(5). Returns the home in line's place, or NULL. */
static char *home_of_line(char *line, uid_t uid)
{
	char *field[7], *rest = line;
	int n = 0;
	char number[16];

	while (n < 7 && (field[n] = strsep(&rest, ":")))
		n++;
	snprintf(number, sizeof(number), "%u", uid);
	return n >= 6 && strcmp(field[2], number) == 0 && *field[5] ? field[5] : NULL;
}

int init_set_home(struct strv *env, uid_t uid, int root, struct err *e)
{
	if (get(env, "HOME") && *get(env, "HOME"))
		return 0;
	auto_close int fd = path_open_in(root, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, NULL);
	auto_free char *text = fd >= 0 ? fd_read_all(fd, PASSWD_MAX, NULL, NULL) : NULL;
	char *rest = text, *line, *home = NULL;

	while (!home && rest && (line = strsep(&rest, "\n")))
		home = home_of_line(line, uid);
	return strv_addf(env, e, "HOME=%s", home ? home : "/");
}
