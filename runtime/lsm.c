/* Labels of AppArmor and SELinux for the program that a container's first process becomes.
 *
 * Both take the label for the next exec through /proc/self/attr: SELinux in "exec", AppArmor in "apparmor/exec" (Linux 5.8), or in "exec" where it is
 * alone. The checks before that are for a clear error: at the exec itself only an errno would be left. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/fd.h"
#include "base/file.h"
#include "runtime/lsm.h"
#include "runtime/lsm_profile.h"

#define APPARMOR_PROFILES "/sys/kernel/security/apparmor/profiles"
#define PROFILES_MAX (4 << 20)
#define LABEL_MAX 512

bool lsm_has_apparmor(void)
{
	char enabled[8];
	return file_read_line(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", enabled, sizeof(enabled), NULL) == 0 && *enabled == 'Y';
}

bool lsm_has_selinux(void)
{
	return file_exists(AT_FDCWD, "/sys/fs/selinux/enforce");
}

int lsm_list(struct strv *out, struct err *e)
{
	char line[256], *save = NULL;
	if (file_read_line(AT_FDCWD, "/sys/kernel/security/lsm", line, sizeof(line), NULL) == 0) {
		for (char *name = strtok_r(line, ",", &save); name; name = strtok_r(NULL, ",", &save))
			if (strv_add(out, name, e) < 0)
				return -1;
		return 0;
	}
	/* securityfs is not mounted: the two that matter to containers show elsewhere too. */
	if (lsm_has_apparmor() && strv_add(out, "apparmor", e) < 0)
		return -1;
	return lsm_has_selinux() ? strv_add(out, "selinux", e) : 0;
}

static void read_word(const char *path, char *out, size_t cap)
{
	if (file_read_line(AT_FDCWD, path, out, cap, NULL) < 0)
		snprintf(out, cap, "unknown");
}

int lsm_details(struct strv *out, struct err *e)
{
	char stack[16], name[128], nested[16], mode[16];
	if (lsm_has_apparmor()) {
		read_word("/sys/kernel/security/apparmor/features/domain/stack", stack, sizeof(stack));
		read_word("/sys/kernel/security/apparmor/.ns_name", name, sizeof(name));
		read_word("/sys/kernel/security/apparmor/.ns_stacked", nested, sizeof(nested));
		if (strv_addf(out, e, "apparmor: stacking %s, namespace %s, nested %s", stack, name, nested) < 0)
			return -1;
	}
	if (!lsm_has_selinux())
		return 0;
	read_word("/sys/fs/selinux/enforce", mode, sizeof(mode));
	return strv_addf(out, e, "selinux: %s", str_eq(mode, "1") ? "enforcing" : str_eq(mode, "0") ? "permissive" : mode);
}

/* 1, 0, or -1 where the list cannot be read. */
static int is_loaded(const char *profile)
{
	size_t len, n = strlen(profile);
	auto_free char *list = file_read(AT_FDCWD, APPARMOR_PROFILES, PROFILES_MAX, &len, NULL);
	if (!list)
		return -1;
	for (const char *p = list; (p = strstr(p, profile)); p += n)
		if ((p == list || p[-1] == '\n') && strncmp(p + n, " (", 2) == 0)
			return 1;
	return 0;
}

static int check_apparmor(const char *profile, struct err *e)
{
	const char *field = "process.apparmorProfile";
	if (str_eq(profile, "unconfined"))
		return 0;
	if (strpbrk(profile, "\n") || strlen(profile) >= LABEL_MAX - 8)
		return err_field(e, field, "%s: not the name of a profile", field);
	if (lsm_has_apparmor() && is_loaded(profile) != 0)
		return 0;
	if (lsm_has_apparmor()) {
		err_set(e, ERR_NOT_FOUND, 0, "%s: the AppArmor profile \"%s\" is not loaded", field, profile);
		err_remedy(e, "load it with apparmor_parser");
	} else {
		err_set(e, ERR_UNSUPPORTED, 0, "%s: this kernel runs without AppArmor", field);
		err_remedy(e, "leave process.apparmorProfile out");
	}
	err_prefix_field(e, field);
	return -1;
}

static int check_selinux(const char *label, struct err *e)
{
	const char *field = "process.selinuxLabel";
	if (strpbrk(label, "\n") || strlen(label) >= LABEL_MAX)
		return err_field(e, field, "%s: not a label", field);
	if (!lsm_has_selinux()) {
		err_set(e, ERR_UNSUPPORTED, 0, "%s: this kernel runs without SELinux", field);
		err_prefix_field(e, field);
		return err_remedy(e, "leave process.selinuxLabel out");
	}
	/* The policy says whether there can be such a context. */
	auto_close int fd = open("/sys/fs/selinux/context", O_RDWR | O_CLOEXEC);
	if (fd >= 0 && write(fd, label, strlen(label) + 1) < 0)
		return err_field(e, field, "%s: the loaded policy has no label \"%s\"", field, label);
	return 0;
}

int lsm_check(const Davit__OciProcess *p, struct err *e)
{
	if (p->apparmor_profile && *p->apparmor_profile && check_apparmor(p->apparmor_profile, e) < 0)
		return -1;
	return p->selinux_label && *p->selinux_label ? check_selinux(p->selinux_label, e) : 0;
}

static int write_attr(int procfd, const char *file, const char *text, size_t len)
{
	int fd = openat(procfd, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, len);
	int sys = errno;
	close(fd);
	errno = sys;
	return n < 0 ? -1 : 0;
}

static int apply_apparmor(int procfd, const char *profile)
{
	char text[LABEL_MAX] = "exec ";
	size_t len = strlen(profile);
	if (len >= sizeof(text) - 5) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(text + 5, profile, len);
	if (write_attr(procfd, "thread-self/attr/apparmor/exec", text, len + 5) == 0)
		return 0;
	if (errno == ENOENT && write_attr(procfd, "thread-self/attr/exec", text, len + 5) == 0)
		return 0;
	/* No AppArmor is as unconfined as can be. */
	return strcmp(profile, "unconfined") == 0 ? 0 : -1;
}

int lsm_apply_on_exec(int procfd, const char *apparmor_profile, const char *selinux_label)
{
	if (apparmor_profile && *apparmor_profile && apply_apparmor(procfd, apparmor_profile) < 0)
		return -1;
	if (selinux_label && *selinux_label)
		return write_attr(procfd, "thread-self/attr/exec", selinux_label, strlen(selinux_label));
	return 0;
}

int lsm_load_default_profile(struct err *e)
{
	if (!lsm_has_apparmor())
		return err_set(e, ERR_UNSUPPORTED, 0, "this kernel runs without AppArmor");
	return is_loaded(LSM_DEFAULT_PROFILE) == 1 ? 0 : lsm_profile_load(e);
}
