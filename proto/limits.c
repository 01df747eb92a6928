/* See limits.h. */
#include "proto/limits.h"
#include <string.h>
#include "base/mem.h"
#include "spec.pb-c.h"

static const struct {
	const ProtobufCMessageDescriptor *message;
	const char *member;
	size_t max;
} lists[] = {
	{ &davit__container_spec__descriptor, "mounts", 256 },	  { &davit__container_spec__descriptor, "attachments", 8 },
	{ &davit__container_spec__descriptor, "capAdd", 64 },	  { &davit__container_spec__descriptor, "capDrop", 64 },
	{ &davit__container_spec__descriptor, "sysctls", 128 },	  { &davit__container_spec__descriptor, "rlimits", 32 },
	{ &davit__container_spec__descriptor, "devices", 64 },	  { &davit__container_spec__descriptor, "labels", 256 },
	{ &davit__network_attachment__descriptor, "ports", 256 },
};

size_t limits_of_list(const ProtobufCMessageDescriptor *d, const char *member)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (lists[i].message == d && strcmp(lists[i].member, member) == 0)
			return lists[i].max;
	return 0;
}
