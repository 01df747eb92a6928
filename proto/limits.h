/* How much a spec may hold: what the core checks and the API's description tells, from one table. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* Bytes of a text of a spec. */
#define SPEC_TEXT_MAX 4096

/* Elements that a repeated field may have, by its member's name ("mounts"); 0: no limit of its own. */
size_t limits_of_list(const ProtobufCMessageDescriptor *d, const char *member);
