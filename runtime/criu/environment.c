/* See environment.h. */
#include "runtime/criu/environment.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"

#define SYSTEM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool has_tar(const char *folder)
{
	char path[PATH_MAX + 8];
	snprintf(path, sizeof(path), "%s/tar", folder);
	return access(path, X_OK) == 0;
}

/* Beside this program as it was built or installed; a copy of it (runtime/self.h) has no neighbours. */
static bool find_tar(char out[PATH_MAX])
{
	static const char *const places[] = { "/../libexec/davit/criu", "/../libexec/criu", "" };
	char self[PATH_MAX - 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(out, PATH_MAX, "%s%s", places[i][0] ? self : DAVIT_PREFIX "/libexec/davit/criu", places[i]);
		if (has_tar(out))
			return true;
	}
	return false;
}

void criu_environment_make(struct criu_environment *env)
{
	char folder[PATH_MAX];
	bool found = find_tar(folder);
	snprintf(env->path, sizeof(env->path), "PATH=%s%s" SYSTEM_PATH, found ? folder : "", found ? ":" : "");
	env->envp[0] = env->path;
	env->envp[1] = NULL;
}
