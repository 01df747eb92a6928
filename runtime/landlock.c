/* See landlock.h. Debian 12's header stops at REFER; the kernel tells us what it knows (its ABI), and what an older one does not know is not held. */
#include "runtime/landlock.h"
#include "runtime/annotation.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fd.h"
#include "proto/json.h"
#include "proto/pb.h"

#define ACCESS_TRUNCATE (1ULL << 14)
#define ACCESS_IOCTL_DEV (1ULL << 15)
#define ALL ((1ULL << 16) - 1)
#define READ_ONLY (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE)
#define OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE | ACCESS_IOCTL_DEV)
#define ENTRIES_MAX 1024

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return abi < 0 ? 0 : (int)abi;
}

static int check_paths(char *const *paths, size_t n, const char *list, const char *field, struct err *e)
{
	if (n > ENTRIES_MAX)
		return err_set(e, ERR_LIMIT, 0, "%s.%s: more than %d paths", field, list, ENTRIES_MAX);
	for (size_t i = 0; i < n; i++)
		if (paths[i][0] != '/') {
			err_field(e, field, "%s[%zu]: \"%.128s\" is not an absolute path", list, i, paths[i]);
			return err_remedy(e, "name files and folders as the container sees them");
		}
	return 0;
}

int landlock_check(const Davit__Landlock *l, const char *field, struct err *e)
{
	if (check_paths(l->read_only, l->n_read_only, "readOnly", field, e) < 0 ||
	    check_paths(l->read_write, l->n_read_write, "readWrite", field, e) < 0)
		return -1;
	if (l->n_read_only + l->n_read_write > 0)
		return 0;
	err_field(e, field, "no path is named: not even the program could be read");
	return err_remedy(e, "name what the container needs, like {\"readOnly\": [\"/\"], \"readWrite\": [\"/data\", \"/dev\"]}");
}

static int check_kernel(const Davit__OciSpec *s, const char *field, struct err *e)
{
	if (landlock_abi() == 0) {
		err_set(e, ERR_UNSUPPORTED, 0, "%s: this kernel runs without Landlock", field);
		err_prefix_field(e, field);
		return err_remedy(e, "leave it away, or boot with landlock in lsm=");
	}
	if (s->process && s->process->no_new_privileges)
		return 0;
	err_field(e, "process.noNewPrivileges", "%s takes process.noNewPrivileges", field);
	return err_remedy(e, "set it to true");
}

int landlock_of_spec(const Davit__OciSpec *spec, Davit__Landlock **out, struct err *e)
{
	const char *field = "annotations." LANDLOCK_ANNOTATION, *text = annotation_of_spec(spec, LANDLOCK_ANNOTATION);
	*out = NULL;
	if (!text)
		return 0;
	auto_pb(Davit__Landlock) *l = json_parse(&davit__landlock__descriptor, text, strlen(text), JSON_REFUSE, NULL, e);
	if (!l) {
		err_prefix_field(e, field);
		return err_remedy(e, "write {\"readOnly\": [\"/\"], \"readWrite\": [\"/data\", \"/dev\"]}");
	}
	if (landlock_check(l, field, e) < 0 || check_kernel(spec, field, e) < 0)
		return -1;
	*out = steal_ptr(&l);
	return 0;
}

static int allow(int ruleset, const char *path, uint64_t access, struct err *e)
{
	struct stat st;
	auto_close int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = { .parent_fd = fd };

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, LANDLOCK_ANNOTATION ": %s", path);
	rule.allowed_access = S_ISDIR(st.st_mode) ? access : access & OF_FILES;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_sys(e, errno, LANDLOCK_ANNOTATION ": rule for %s", path);
	return 0;
}

int landlock_enter(const Davit__Landlock *l, struct err *e)
{
	int abi = landlock_abi();
	struct landlock_ruleset_attr attr = { .handled_access_fs = ALL & ~ACCESS_TRUNCATE & ~ACCESS_IOCTL_DEV & ~LANDLOCK_ACCESS_FS_REFER };

	attr.handled_access_fs |= abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
	attr.handled_access_fs |= abi >= 3 ? ACCESS_TRUNCATE : 0;
	attr.handled_access_fs |= abi >= 5 ? ACCESS_IOCTL_DEV : 0;
	auto_close int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0) {
		err_sys(e, errno, "make the Landlock ruleset");
		return err_remedy(e, "the container's seccomp filter has to allow the calls landlock_*");
	}
	for (size_t i = 0; i < l->n_read_only; i++)
		if (allow(ruleset, l->read_only[i], READ_ONLY & attr.handled_access_fs, e) < 0)
			return -1;
	for (size_t i = 0; i < l->n_read_write; i++)
		if (allow(ruleset, l->read_write[i], attr.handled_access_fs, e) < 0)
			return -1;
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? err_sys(e, errno, "enter the Landlock domain") : 0;
}
