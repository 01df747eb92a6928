/* A look over packed bytes before they are unpacked, for what protobuf-c does not bound itself: nesting (it recurses without a limit) and
 * the memory that a small message of many empty messages would take. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include "base/err.h"

#define PB_DEPTH_MAX 64
/* Memory of the unpacked message: at most this, plus PB_MEMORY_FACTOR bytes a packed byte. */
#define PB_MEMORY_BASE (4 << 20)
#define PB_MEMORY_FACTOR 16

/* 0 or -1 (ERR_LIMIT, or ERR_CORRUPT where the bytes are no protobuf at all). Does not check types; protobuf-c does. */
int pb_scan(const ProtobufCMessageDescriptor *d, const void *p, size_t n, const char *what, struct err *e);
