/* Kernel settings that belong to a namespace of the container. Only names that runtime/validate.c has found to be such come here. They are written
 * through the host's /proc, opened before the root was changed: the kernel looks at the namespaces of the writer, and an image has no say in it.
 *
 * Who may write differs: settings of UTS namespaces belong to the host's root id whatever the user namespace, so they are early, before the ids
 * change; the others belong to the container's root. Source: kernel/utsname_sysctl.c, ipc/ipc_sysctl.c, net/sysctl_net.c. */
#include <stdio.h>
#include <string.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/init/init.h"

static int write_one(int proc, const Davit__OciStringEntry *s, struct err *e)
{
	char path[256];

	if (snprintf(path, sizeof(path), "sys/%s", s->key) >= (int)sizeof(path))
		return err_set(e, ERR_LIMIT, 0, "linux.sysctl: the name %.64s… is too long", s->key);
	/* "net.ipv4.ip_forward" and, where a name has dots of its own, "net/ipv4/conf/eth0.1/…": sysctl(8). */
	if (!strchr(s->key, '/'))
		for (char *p = path + 4; *p; p++)
			if (*p == '.')
				*p = '/';
	if (file_write_pseudo(proc, path, s->value ? s->value : "", e) == 0)
		return 0;
	if (e)
		snprintf(e->field, sizeof(e->field), "linux.sysctl.%s", s->key);
	return err_prefix(e, "linux.sysctl %s=%s", s->key, s->value ? s->value : "");
}

int init_sysctl(int proc, const Davit__OciLinux *l, bool early, struct err *e)
{
	for (size_t i = 0; i < l->n_sysctl; i++) {
		bool uts = str_eq(l->sysctl[i]->key, "kernel.domainname") || str_eq(l->sysctl[i]->key, "kernel/domainname");

		if (uts == early && write_one(proc, l->sysctl[i], e) < 0)
			return -1;
	}
	return 0;
}
