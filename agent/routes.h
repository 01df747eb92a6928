/* The table of all requests. */
#pragma once
#include "agent/http/route.h"

const struct route *routes_table(size_t *n);
