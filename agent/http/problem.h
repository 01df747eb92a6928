/* Errors as RFC 9457 problems: one object, JSON or protobuf, with a stable code. */
#pragma once
#include "api.pb-c.h"
#include "base/err.h"

#define PROBLEM_TYPE "urn:davit:error:"

/* details: obstacles and reasons to add, or NULL. status 0: the code's own. Owned; NULL only without memory. */
Davit__Problem *problem_new(const struct err *from, const Davit__Error *details, int status);
