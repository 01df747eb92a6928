/* Names in JSON and in the schemas. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "proto/json_codec.h"

/* Where the OCI specification's names are not the plain camelCase of ours. */
static const struct {
	const char *field, *name;
} exceptions[] = {
	{ "host_id", "hostID" },
	{ "container_id", "containerID" },
	{ "class_id", "classID" },
	{ "block_io", "blockIO" },
	{ "disable_oom_killer", "disableOOMKiller" },
	{ "clos_id", "closID" },
	{ "kernel_tcp", "kernelTCP" },
	{ "exec_cpu_affinity", "execCPUAffinity" },
	{ "throttle_read_iops_device", "throttleReadIOPSDevice" },
	{ "throttle_write_iops_device", "throttleWriteIOPSDevice" },
};

char *json_name(const ProtobufCFieldDescriptor *f, char out[64])
{
	for (size_t i = 0; i < ARRAY_LEN(exceptions); i++)
		if (strcmp(f->name, exceptions[i].field) == 0)
			return strcpy(out, exceptions[i].name);
	size_t n = 0;
	bool upper = false;
	for (const char *p = f->name; *p && n < 63; p++) {
		if (*p == '_') {
			upper = true;
			continue;
		}
		out[n++] = upper ? (char)toupper((unsigned char)*p) : *p;
		upper = false;
	}
	out[n] = '\0';
	return out;
}

bool json_is_map(const ProtobufCFieldDescriptor *f)
{
	if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE)
		return false;
	const ProtobufCMessageDescriptor *d = f->descriptor;
	return str_suffix(d->name, "Entry") && d->n_fields == 2 && str_eq(d->fields[0].name, "key") && str_eq(d->fields[1].name, "value");
}

const ProtobufCFieldDescriptor *json_field_of(const ProtobufCMessageDescriptor *d, const char *name, unsigned *hint)
{
	char have[64];
	for (unsigned i = 0; i < d->n_fields; i++) {
		unsigned k = (*hint + i) % d->n_fields;
		if (strcmp(json_name(&d->fields[k], have), name) == 0) {
			*hint = k + 1;
			return &d->fields[k];
		}
	}
	return NULL;
}

/* Insertions, deletions and changes between two short names (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
	size_t row[65], m = strnlen(b, 64);
	for (size_t k = 0; k <= m; k++)
		row[k] = k;
	for (size_t i = 0; a[i] && i < 64; i++) {
		size_t corner = row[0];
		row[0] = i + 1;
		for (size_t k = 1; k <= m; k++) {
			size_t change = corner + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[k - 1]));
			corner = row[k];
			row[k] = MIN(change, MIN(row[k], row[k - 1]) + 1);
		}
	}
	return row[m];
}

char *json_nearest(const ProtobufCMessageDescriptor *d, const char *name, char out[64])
{
	size_t best = strlen(name) / 3 + 2;
	char have[64];
	bool found = false;
	for (unsigned i = 0; i < d->n_fields; i++) {
		size_t far = distance(json_name(&d->fields[i], have), name);
		if (far < best) {
			best = far;
			strcpy(out, have);
			found = true;
		}
	}
	return found ? out : NULL;
}

/* Characters of the prefix that all names of an enum share, up to and with a '_'. */
static size_t enum_prefix(const ProtobufCEnumDescriptor *d)
{
	size_t prefix = 0;
	for (size_t i = 0; d->values[0].name[i]; i++) {
		for (unsigned k = 1; k < d->n_values; k++)
			if (d->values[k].name[i] != d->values[0].name[i])
				return prefix;
		if (d->values[0].name[i] == '_')
			prefix = i + 1;
	}
	return prefix;
}

char *json_enum_name(const ProtobufCEnumDescriptor *d, const ProtobufCEnumValue *v, char out[64])
{
	snprintf(out, 64, "%s", v->name + enum_prefix(d));
	for (char *p = out; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return out;
}

const ProtobufCEnumValue *json_enum_of(const ProtobufCEnumDescriptor *d, const char *name)
{
	char have[64];
	for (unsigned i = 0; i < d->n_values; i++)
		if (strcmp(json_enum_name(d, &d->values[i], have), name) == 0)
			return &d->values[i];
	return NULL;
}
