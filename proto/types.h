/* Every message type of the schemas; the table is made by the Makefile from the generated headers, so that none can be forgotten. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

extern const ProtobufCMessageDescriptor *const proto_types[];
extern const size_t proto_types_count;
