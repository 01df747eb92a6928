/* What the runtime keeps of a container: ROOT/ID/ with state.pb, config.json (the bytes as they came) and exec.fifo.
 *
 * Every change of a container is made under its lock (flock on the folder); state.pb is replaced atomically. Whether init lives is asked of
 * the kernel each time (pid and start time, boot id), never remembered. */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "oci.pb-c.h"
#include "state.pb-c.h"

struct state_dir {
	int fd;	  /* of ROOT/ID */
	int lock; /* held while open, or -1 */
	char id[256];
};
void state_dir_close(struct state_dir *d);
/* Lets others change the container while the folder stays open. */
void state_dir_unlock(struct state_dir *d);
#define auto_state_dir __attribute__((cleanup(state_dir_close)))

/* OCI ids: 1..255 of [A-Za-z0-9_+.-], not "." or "..". */
int state_check_id(const char *id, struct err *e);
/* Makes ROOT/ID, locked. ERR_EXISTS. */
int state_dir_create(const char *root, const char *id, struct state_dir *d, struct err *e);
/* Opens it, locked or not. ERR_NOT_FOUND: "container ID does not exist". */
int state_dir_open(const char *root, const char *id, bool lock, struct state_dir *d, struct err *e);
int state_dir_remove(const char *root, struct state_dir *d, struct err *e);
Davit__RuntimeState *state_load(const struct state_dir *d, struct err *e);
int state_save(const struct state_dir *d, const Davit__RuntimeState *s, struct err *e);
/* The spec as it was given (parsed from the kept config.json). Owned. */
Davit__OciSpec *state_spec(const struct state_dir *d, struct err *e);
/* "creating", "created", "running", "paused" or "stopped", as the kernel says now. */
const char *state_status(const Davit__RuntimeState *s);
bool state_init_alive(const Davit__RuntimeState *s);
