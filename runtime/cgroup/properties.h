/* What systemd is told of a container's scope: limits that it would else overwrite at a daemon-reload, and what the annotations
 * `org.systemd.property.NAME` ask for. Pure lists, which systemd.c puts into messages.
 *
 * An annotation's value is in GVariant's text form, as runc has it ("uint64 5", "'text'", "true", "['a', 'b']"); a NAME that ends with "Sec" is in
 * seconds and becomes NAME with "USec". Sources: org.freedesktop.systemd1(5), systemd.resource-control(5), docs.gtk.org/glib/gvariant-text-format. */
#pragma once
#include <stdint.h>
#include "base/str.h"
#include "oci.pb-c.h"

#define PROPERTY_ANNOTATION "org.systemd.property."

struct property {
	char *name;
	char type[3];	 /* of D-Bus: one of b y n q i u x t d s o g, "as" or "ay" */
	uint64_t number; /* of the whole numbers, in two's complement, and of b */
	double real;
	struct strv words; /* one of s, o and g; any of "as" */
	struct buf bytes;  /* of "ay" */
};
struct properties {
	struct property *v;
	size_t n, cap;
};
void properties_free(struct properties *p);
#define auto_properties auto_cleanup(properties_free)

/* Append to `out`; r may be NULL. */
int properties_of_resources(const Davit__OciResources *r, struct properties *out, struct err *e);
/* ERR_INVALID: the annotation, by its name. */
int properties_of_annotations(const Davit__OciSpec *spec, struct properties *out, struct err *e);
/* One value; p->name is not touched. */
int property_parse(const char *text, struct property *p, struct err *e);
