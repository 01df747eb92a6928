/* Annotations of config.json that davit heeds. */
#pragma once
#include "oci.pb-c.h"

/* The value of an annotation, "" if it is null; the last one's of a key that stands twice. Borrowed, or NULL: there is none. */
const char *annotation_of_spec(const Davit__OciSpec *spec, const char *key);
