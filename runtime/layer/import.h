/* Unpacking tars in the jail: the work for jail_run(). */
#pragma once
#include "runtime/layer/jail.h"

/* A layer: plain tar, whiteouts and opaque folders kept. */
int import_layer(int in, const struct layer_limits *lim, struct jail_counts *counts, struct err *e);
/* An image: plain, gzip or zstd; overlay's own attributes are left out. */
int import_image(int in, const struct layer_limits *lim, struct jail_counts *counts, struct err *e);
/* lim with its zeroes replaced: free space below dirfd less 64 MiB, 10 million files. */
int import_limits(int dirfd, const struct layer_limits *lim, struct layer_limits *out, struct err *e);
