/* See systemd.h. */
#include "runtime/cgroup/systemd.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include "base/clock.h"
#include "runtime/lazy.h"

#define SERVICE "org.freedesktop.systemd1"
#define OBJECT "/org/freedesktop/systemd1"
#define MANAGER SERVICE ".Manager"
#define JOB_LIMIT_US (30 * 1000000ULL)

static struct {
	__typeof__(sd_bus_open_system) *open_system;
	__typeof__(sd_bus_open_user) *open_user;
	__typeof__(sd_bus_flush_close_unref) *close;
	__typeof__(sd_bus_match_signal) *match_signal;
	__typeof__(sd_bus_message_new_method_call) *new_call;
	__typeof__(sd_bus_message_append) *append;
	__typeof__(sd_bus_message_append_array) *append_array;
	__typeof__(sd_bus_message_open_container) *open_container;
	__typeof__(sd_bus_message_close_container) *close_container;
	__typeof__(sd_bus_message_read) *read;
	__typeof__(sd_bus_message_unref) *unref;
	__typeof__(sd_bus_call) *call;
	__typeof__(sd_bus_process) *process;
	__typeof__(sd_bus_wait) *wait;
	__typeof__(sd_bus_error_free) *error_free;
	__typeof__(sd_bus_error_has_name) *error_has_name;
	__typeof__(sd_bus_path_encode) *path_encode;
	__typeof__(sd_bus_get_property_string) *get_string;
} api;
static const struct lazy_function functions[] = {
	{ "sd_bus_open_system", &api.open_system },
	{ "sd_bus_open_user", &api.open_user },
	{ "sd_bus_flush_close_unref", &api.close },
	{ "sd_bus_match_signal", &api.match_signal },
	{ "sd_bus_message_new_method_call", &api.new_call },
	{ "sd_bus_message_append", &api.append },
	{ "sd_bus_message_append_array", &api.append_array },
	{ "sd_bus_message_open_container", &api.open_container },
	{ "sd_bus_message_close_container", &api.close_container },
	{ "sd_bus_message_read", &api.read },
	{ "sd_bus_message_unref", &api.unref },
	{ "sd_bus_call", &api.call },
	{ "sd_bus_process", &api.process },
	{ "sd_bus_wait", &api.wait },
	{ "sd_bus_error_free", &api.error_free },
	{ "sd_bus_error_has_name", &api.error_has_name },
	{ "sd_bus_path_encode", &api.path_encode },
	{ "sd_bus_get_property_string", &api.get_string },
};

/* A connection, and the job that is waited for: systemd tells the end of every job to all. */
struct session {
	sd_bus *bus;
	char *job;
	char result[32];
	bool done;
};

static void session_close(struct session *s)
{
	if (s->bus)
		api.close(s->bus);
	free(s->job);
}
#define auto_session auto_cleanup(session_close)

static int on_removed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct session *s = arg;
	const char *job = NULL, *unit = NULL, *result = NULL;
	uint32_t id;

	(void)error;
	if (api.read(m, "uoss", &id, &job, &unit, &result) < 0 || !s->job || !str_eq(job, s->job))
		return 0;
	s->done = true;
	snprintf(s->result, sizeof(s->result), "%s", result);
	return 0;
}

static int session_open(struct session *s, bool user, struct err *e)
{
	if (lazy_load("libsystemd.so.0", functions, ARRAY_LEN(functions), e) < 0)
		return -1;
	int rc = user ? api.open_user(&s->bus) : api.open_system(&s->bus);
	if (rc >= 0)
		rc = api.match_signal(s->bus, NULL, SERVICE, OBJECT, MANAGER, "JobRemoved", on_removed, s);
	if (rc >= 0)
		return 0;
	err_set(e, ERR_UNSUPPORTED, -rc, "--systemd-cgroup: reach systemd over D-Bus");
	return err_remedy(e, user ? "log in so that the user's systemd runs (loginctl enable-linger), and set XDG_RUNTIME_DIR"
				  : "use it where systemd and dbus run, or leave the option away");
}

static int failed(const char *what, const char *unit, int rc, sd_bus_error *error, struct err *e)
{
	err_set(e, error->name && strstr(error->name, "UnitExists") ? ERR_EXISTS : ERR_IO, error->message ? 0 : -rc, "systemd: %s %s%s%s", what, unit,
		error->message ? ": " : "", error->message ? error->message : "");
	api.error_free(error);
	return -1;
}

/* Sends a call whose answer is a job, and waits for its end. gone_is_fine: no such unit is no error. */
static int run_job(struct session *s, sd_bus_message *m, const char *what, const char *unit, bool gone_is_fine, struct err *e)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *job = NULL;
	int64_t end = clock_now_ns(CLOCK_MONOTONIC) + (int64_t)JOB_LIMIT_US * 1000;
	int rc = api.call(s->bus, m, JOB_LIMIT_US, &error, &reply);

	if (rc < 0 && gone_is_fine && api.error_has_name(&error, SERVICE ".NoSuchUnit")) {
		api.error_free(&error);
		return 0;
	}
	if (rc < 0 || (rc = api.read(reply, "o", &job)) < 0) {
		api.unref(reply);
		return failed(what, unit, rc, &error, e);
	}
	s->job = mem_strdup(job, e);
	api.unref(reply);
	while (s->job && !s->done) {
		rc = api.process(s->bus, NULL);
		if (rc == 0 && clock_now_ns(CLOCK_MONOTONIC) >= end)
			return err_set(e, ERR_TIMEOUT, 0, "systemd: %s %s: not done within 30 s", what, unit);
		if (rc == 0)
			rc = api.wait(s->bus, 1000000);
		if (rc < 0)
			return err_set(e, ERR_IO, -rc, "systemd: %s %s", what, unit);
	}
	if (!s->job)
		return -1;
	return str_eq(s->result, "done") ? 0 : err_set(e, ERR_IO, 0, "systemd: %s %s: the job ended as \"%s\"", what, unit, s->result);
}

/* The first failure sticks in *rc. */
#define PROPERTY(m, rc, name, type, value)                                                                                                           \
	do {                                                                                                                                         \
		if ((rc) >= 0)                                                                                                                       \
			(rc) = api.append((m), "(sv)", (name), (type), (value));                                                                     \
	} while (0)

static int add_value(sd_bus_message *m, const struct property *p)
{
	int rc = 0;

	switch (p->type[0]) {
	case 'a':
		if (p->type[1] == 'y')
			return api.append_array(m, 'y', p->bytes.data, p->bytes.len);
		rc = api.open_container(m, 'a', "s");
		for (size_t i = 0; i < p->words.n && rc >= 0; i++)
			rc = api.append(m, "s", p->words.v[i]);
		return rc < 0 ? rc : api.close_container(m);
	case 's':
	case 'o':
	case 'g':
		return api.append(m, p->type, p->words.v[0]);
	case 'd':
		return api.append(m, "d", p->real);
	case 'x':
	case 't':
		return api.append(m, p->type, p->number);
	default:
		return api.append(m, p->type, (int)p->number); /* smaller types go as int through the ellipsis */
	}
}

static int add_property(sd_bus_message *m, const struct property *p)
{
	int rc = api.open_container(m, 'r', "sv");

	if (rc >= 0)
		rc = api.append(m, "s", p->name);
	if (rc >= 0)
		rc = api.open_container(m, 'v', p->type);
	if (rc >= 0)
		rc = add_value(m, p);
	if (rc >= 0)
		rc = api.close_container(m);
	return rc < 0 ? rc : api.close_container(m);
}

static int add_properties(sd_bus_message *m, const struct properties *list, int rc)
{
	for (size_t i = 0; i < list->n && rc >= 0; i++)
		rc = add_property(m, &list->v[i]);
	return rc;
}

static int add_scope(sd_bus_message *m, const char *slice, const char *unit, pid_t holder, int rc)
{
	PROPERTY(m, rc, "Description", "s", unit);
	PROPERTY(m, rc, "Slice", "s", slice);
	PROPERTY(m, rc, "Delegate", "b", 1);
	PROPERTY(m, rc, "DefaultDependencies", "b", 0);
	PROPERTY(m, rc, "CollectMode", "s", "inactive-or-failed");
	PROPERTY(m, rc, "MemoryAccounting", "b", 1);
	PROPERTY(m, rc, "CPUAccounting", "b", 1);
	PROPERTY(m, rc, "TasksAccounting", "b", 1);
	PROPERTY(m, rc, "IOAccounting", "b", 1);
	return rc < 0 ? rc : api.append(m, "(sv)", "PIDs", "au", 1, (uint32_t)holder);
}

int systemd_names(const char *path, const char *id, bool user, char **slice, char **unit, struct err *e)
{
	auto_free char *text = path && *path ? mem_strdup(path, e) : mem_printf(e, ":davit:%s", id);
	char *prefix = text ? strchr(text, ':') : NULL, *name = prefix ? strchr(prefix + 1, ':') : NULL;

	if (!text)
		return -1;
	if (!name || strchr(name + 1, ':') || strchr(text, '/') || !name[1]) {
		err_field(e, "linux.cgroupsPath", "\"%s\" is not SLICE:PREFIX:NAME, which --systemd-cgroup takes", path);
		return err_remedy(e, "write for example \"system.slice:davit:%s\"", id);
	}
	*prefix++ = *name++ = 0;
	*slice = mem_strdup(str_eq(text, "-") ? "-.slice" : *text ? text : user ? "user.slice" : "system.slice", e);
	*unit = *prefix ? mem_printf(e, "%s-%s.scope", prefix, name) : mem_printf(e, "%s.scope", name);
	return *slice && *unit ? 0 : -1;
}

static char *control_group(struct session *s, const char *unit, struct err *e)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	auto_free char *object = NULL;
	char *path = NULL;
	int rc = api.path_encode(OBJECT "/unit", unit, &object);

	if (rc >= 0)
		rc = api.get_string(s->bus, SERVICE, object, SERVICE ".Scope", "ControlGroup", &error, &path);
	if (rc < 0)
		failed("find the cgroup of", unit, rc, &error, e);
	return path;
}

char *systemd_start(const char *slice, const char *unit, bool user, pid_t holder, const struct properties *properties, struct err *e)
{
	auto_session struct session s = { 0 };
	sd_bus_message *m = NULL;

	if (session_open(&s, user, e) < 0)
		return NULL;
	int rc = api.new_call(s.bus, &m, SERVICE, OBJECT, MANAGER, "StartTransientUnit");
	if (rc >= 0)
		rc = api.append(m, "ss", unit, "fail");
	if (rc >= 0)
		rc = api.open_container(m, 'a', "(sv)");
	rc = add_properties(m, properties, rc < 0 ? rc : add_scope(m, slice, unit, holder, rc));
	if (rc >= 0)
		rc = api.close_container(m);
	if (rc >= 0)
		rc = api.append(m, "a(sa(sv))", 0);
	if (rc < 0)
		err_set(e, ERR_INTERNAL, -rc, "systemd: compose the call for %s", unit);
	else
		rc = run_job(&s, m, "start", unit, false, e);
	api.unref(m);
	return rc < 0 ? NULL : control_group(&s, unit, e);
}

int systemd_set(const char *unit, bool user, const Davit__OciResources *r, struct err *e)
{
	auto_session struct session s = { 0 };
	auto_properties struct properties list = { 0 };
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;

	if (properties_of_resources(r, &list, e) < 0 || session_open(&s, user, e) < 0)
		return -1;
	int rc = api.new_call(s.bus, &m, SERVICE, OBJECT, MANAGER, "SetUnitProperties");
	if (rc >= 0)
		rc = api.append(m, "sb", unit, 1);
	if (rc >= 0)
		rc = api.open_container(m, 'a', "(sv)");
	rc = add_properties(m, &list, rc);
	if (rc >= 0)
		rc = api.close_container(m);
	if (rc >= 0)
		rc = api.call(s.bus, m, JOB_LIMIT_US, &error, NULL);
	api.unref(m);
	return rc < 0 ? failed("set limits of", unit, rc, &error, e) : 0;
}

int systemd_stop(const char *unit, bool user, struct err *e)
{
	auto_session struct session s = { 0 };
	sd_bus_message *m = NULL;

	if (session_open(&s, user, e) < 0)
		return -1;
	int rc = api.new_call(s.bus, &m, SERVICE, OBJECT, MANAGER, "StopUnit");
	if (rc >= 0)
		rc = api.append(m, "ss", unit, "replace");
	rc = rc < 0 ? err_set(e, ERR_INTERNAL, -rc, "systemd: compose the call for %s", unit) : run_job(&s, m, "stop", unit, true, e);
	api.unref(m);
	return rc;
}
