/* The parts of a spec, as spec.c and spec_make.c share them. Each returns 0, or -1 with the option named. */
#pragma once
#include "agent/cli/spec.h"

int spec_set_key_value(const char *text, const char *option, size_t *n, Davit__KeyValue ***array, struct err *e);
int spec_set_network(Davit__ContainerSpec *s, const struct spec_options *o, struct err *e);
int spec_set_limits(Davit__ContainerSpec *s, const struct spec_options *o, struct err *e);
int spec_add_mount(Davit__ContainerSpec *s, const char *type, const char *option, const char *text, struct err *e);
