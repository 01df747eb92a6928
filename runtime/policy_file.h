/* A file of the administrator: nobody else may write it, or the policy would be anyone's. */
#pragma once
#include "base/err.h"
#include "proto/json.h"

/* Its one message. A file that is missing (or path NULL) is an empty message. Owned. ERR_DENIED: others can write it. */
void *policy_file_read(const char *path, const ProtobufCMessageDescriptor *d, enum json_unknown unknown, struct err *e);
