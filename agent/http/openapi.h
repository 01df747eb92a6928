/* The API's description (OpenAPI 3.1), made from the table of routes and the descriptors of the messages, so that it cannot differ from either. */
#pragma once
#include "base/str.h"

int openapi_print(struct buf *out, struct err *e);
