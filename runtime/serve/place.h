/* Where a container's things lie: the paths below STATE and RUN that follow from its name. The name was checked before
 * (str_check_name), so that no path leaves its folder. */
#pragma once
#include "base/err.h"
#include "runtime/serve/serve.h"

struct place {
	char *dir;     /* STATE/containers/NAME */
	char *bundle;  /* … /bundle, with config.json */
	char *rootfs;  /* … /bundle/rootfs: the mounted overlay */
	char *binds;   /* … /bundle/binds: private copies of the mounts that the policy allowed */
	char *layer;   /* … /layer */
	char *network; /* … /network.pb */
	char *exit;    /* … /exit.json */
	char *kept;    /* … /kept: marker */
	char *logs;    /* STATE/logs/NAME */
	char *log;     /* … /log */
	char *monitor; /* RUN/monitor/NAME */
	char *attach;  /* … /attach.sock */
	char *pid;     /* … /pid: the monitor's pid file */
	char *mark;    /* … /throttled: CPU is taken from it (throttle.c) */
	char *move;    /* RUN/tmp/moves/NAME, mode 700 */
	char *images;  /* … /images, mode 755: CRIU's images */
};

int place_of(const struct core *c, const char *name, struct place *out, struct err *e);
void place_free(struct place *p);
#define auto_place __attribute__((cleanup(place_free))) struct place
