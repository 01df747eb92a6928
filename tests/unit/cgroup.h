/* What the tests of cgroups share. */
#pragma once
#include <stdio.h>
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/cgroup/internal.h"
#include "tests/unit/unit.h"

static inline Davit__OciResources *parse(const char *json)
{
	struct err e = { 0 };
	Davit__OciResources *r = json_parse(&davit__oci_resources__descriptor, json, strlen(json), JSON_REFUSE, NULL, &e);
	if (!r)
		fail_msg("%s: %s", json, e.msg);
	return r;
}
