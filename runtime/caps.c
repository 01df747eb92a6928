/* Capability sets: names to bits, and the two steps by which a container's first process comes to hold only what it was given.
 *
 * The table is that of linux/capability.h, the same libcap has; what it or the running kernel does not know is left out with
 * a warning, as the OCI spec demands and runc does. The steps are raw capset and prctl, because they run between clone and exec. Sources:
 * capabilities(7), capset(2). */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/log.h"
#include "base/str.h"
#include "runtime/caps.h"

static const char *const names[] = {
	[CAP_CHOWN] = "CAP_CHOWN",
	[CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
	[CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
	[CAP_FOWNER] = "CAP_FOWNER",
	[CAP_FSETID] = "CAP_FSETID",
	[CAP_KILL] = "CAP_KILL",
	[CAP_SETGID] = "CAP_SETGID",
	[CAP_SETUID] = "CAP_SETUID",
	[CAP_SETPCAP] = "CAP_SETPCAP",
	[CAP_LINUX_IMMUTABLE] = "CAP_LINUX_IMMUTABLE",
	[CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
	[CAP_NET_BROADCAST] = "CAP_NET_BROADCAST",
	[CAP_NET_ADMIN] = "CAP_NET_ADMIN",
	[CAP_NET_RAW] = "CAP_NET_RAW",
	[CAP_IPC_LOCK] = "CAP_IPC_LOCK",
	[CAP_IPC_OWNER] = "CAP_IPC_OWNER",
	[CAP_SYS_MODULE] = "CAP_SYS_MODULE",
	[CAP_SYS_RAWIO] = "CAP_SYS_RAWIO",
	[CAP_SYS_CHROOT] = "CAP_SYS_CHROOT",
	[CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
	[CAP_SYS_PACCT] = "CAP_SYS_PACCT",
	[CAP_SYS_ADMIN] = "CAP_SYS_ADMIN",
	[CAP_SYS_BOOT] = "CAP_SYS_BOOT",
	[CAP_SYS_NICE] = "CAP_SYS_NICE",
	[CAP_SYS_RESOURCE] = "CAP_SYS_RESOURCE",
	[CAP_SYS_TIME] = "CAP_SYS_TIME",
	[CAP_SYS_TTY_CONFIG] = "CAP_SYS_TTY_CONFIG",
	[CAP_MKNOD] = "CAP_MKNOD",
	[CAP_LEASE] = "CAP_LEASE",
	[CAP_AUDIT_WRITE] = "CAP_AUDIT_WRITE",
	[CAP_AUDIT_CONTROL] = "CAP_AUDIT_CONTROL",
	[CAP_SETFCAP] = "CAP_SETFCAP",
	[CAP_MAC_OVERRIDE] = "CAP_MAC_OVERRIDE",
	[CAP_MAC_ADMIN] = "CAP_MAC_ADMIN",
	[CAP_SYSLOG] = "CAP_SYSLOG",
	[CAP_WAKE_ALARM] = "CAP_WAKE_ALARM",
	[CAP_BLOCK_SUSPEND] = "CAP_BLOCK_SUSPEND",
	[CAP_AUDIT_READ] = "CAP_AUDIT_READ",
	[CAP_PERFMON] = "CAP_PERFMON",
	[CAP_BPF] = "CAP_BPF",
	[CAP_CHECKPOINT_RESTORE] = "CAP_CHECKPOINT_RESTORE",
};

/* Eight. They are what a service needs that starts as root, makes its folders its own, binds a low port and goes on as another user (redis, nginx,
 * postgres), and they act on the container's own files and processes. Of docker's fourteen are left out: AUDIT_WRITE (the host's audit log), MKNOD
 * (devices), NET_RAW (forged packets on the bridge; ping has its own sockets), SETFCAP and SETPCAP (handing capabilities on), SYS_CHROOT. */
const char *const caps_default[] = {
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID", NULL,
};

int caps_number(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
		if (strcasecmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

const char *caps_name(int number)
{
	return number >= 0 && (size_t)number < ARRAY_LEN(names) ? names[number] : NULL;
}

int caps_last(void)
{
	/* The kernel knows a capability if its place in the bounding set can be read. Ours are mostly all known, and none above. */
	int last = (int)ARRAY_LEN(names) - 1;
	while (last < 63 && prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0)
		last++;
	while (last > 0 && prctl(PR_CAPBSET_READ, last, 0, 0, 0) < 0)
		last--;
	return last;
}

static uint64_t parse_set(char *const *list, size_t n, int last)
{
	uint64_t set = 0;

	for (size_t i = 0; i < n; i++) {
		int number = caps_number(list[i]);
		if (number >= 0 && number <= last)
			set |= 1ULL << number;
	}
	return set;
}

/* The first capability of a set of bits, for messages. */
static const char *first_of(uint64_t set)
{
	const char *name = caps_name(__builtin_ctzll(set));
	return name ? name : "a capability";
}

static int check_sets(struct caps *c, struct err *e)
{
	uint64_t wrong = c->effective & ~c->permitted;
	if (wrong)
		return err_field(e, "process.capabilities.effective", "process.capabilities.effective: %s is not permitted", first_of(wrong));
	/* The kernel would refuse these. `runc spec` writes them nevertheless, so that they are in many a config.json. */
	wrong = c->ambient & ~(c->permitted & c->inheritable);
	if (wrong)
		log_info("process.capabilities.ambient: %s and perhaps others are not both permitted and inheritable and are left out",
			 first_of(wrong));
	c->ambient &= ~wrong;
	return 0;
}

int caps_parse(const Davit__OciCapabilities *c, struct caps *out, struct err *e)
{
	*out = (struct caps){ 0 };
	if (!c)
		return 0;
	int last = caps_last();
	out->bounding = parse_set(c->bounding, c->n_bounding, last);
	out->effective = parse_set(c->effective, c->n_effective, last);
	out->inheritable = parse_set(c->inheritable, c->n_inheritable, last);
	out->permitted = parse_set(c->permitted, c->n_permitted, last);
	out->ambient = parse_set(c->ambient, c->n_ambient, last);
	return check_sets(out, e);
}

/* Each name once, though it mostly stands in several sets. */
static bool is_new(const struct strv *seen, const char *name)
{
	for (size_t i = 0; i < seen->n; i++)
		if (strcasecmp(seen->v[i], name) == 0)
			return false;
	return true;
}

void caps_warn(const Davit__OciCapabilities *c)
{
	auto_strv struct strv seen = { 0 };
	int last = caps_last();
	const struct {
		const char *name;
		char *const *list;
		size_t n;
	} sets[] = {
		{ "bounding", c->bounding, c->n_bounding },
		{ "effective", c->effective, c->n_effective },
		{ "inheritable", c->inheritable, c->n_inheritable },
		{ "permitted", c->permitted, c->n_permitted },
		{ "ambient", c->ambient, c->n_ambient },
	};

	for (size_t s = 0; s < ARRAY_LEN(sets); s++)
		for (size_t i = 0; i < sets[s].n; i++) {
			const char *name = sets[s].list[i];
			int number = caps_number(name);

			if ((number >= 0 && number <= last) || !is_new(&seen, name) || strv_add(&seen, name, NULL) < 0)
				continue;
			log_warn("process.capabilities.%s[%zu]: \"%s\" is left out: %s", sets[s].name, i, name,
				 number < 0 ? "there is no such capability (names are those of capabilities(7), like CAP_CHOWN)"
					    : "this kernel does not know it");
		}
}

int caps_drop_bounding(const struct caps *c)
{
	for (int cap = 0; cap < 64; cap++) {
		if (c->bounding & 1ULL << cap)
			continue;
		int held = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (held < 0)
			return 0;
		if (held && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -1;
	}
	return 0;
}

static int set_ambient(uint64_t ambient)
{
	/* Linux before 4.3 has none to clear. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return errno == EINVAL && !ambient ? 0 : -1;
	for (int cap = 0; cap < 64; cap++)
		if ((ambient & 1ULL << cap) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -1;
	return 0;
}

int caps_apply(const struct caps *c)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)c->effective, (uint32_t)c->permitted, (uint32_t)c->inheritable },
		{ (uint32_t)(c->effective >> 32), (uint32_t)(c->permitted >> 32), (uint32_t)(c->inheritable >> 32) },
	};
	if (syscall(SYS_capset, &header, data) < 0)
		return -1;
	return set_ambient(c->ambient);
}
