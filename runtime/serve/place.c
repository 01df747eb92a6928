/* Paths of a container's things, from one table. */
#include "runtime/serve/place.h"
#include "base/mem.h"

#include <stddef.h>

#define FIELD(f) offsetof(struct place, f)
#define BASE(f) offsetof(struct core, f)
static const struct {
	size_t field, base;
	const char *suffix;
} paths[] = {
	{ FIELD(dir), BASE(containers_dir), "" },
	{ FIELD(bundle), BASE(containers_dir), "/bundle" },
	{ FIELD(rootfs), BASE(containers_dir), "/bundle/rootfs" },
	{ FIELD(binds), BASE(containers_dir), "/bundle/binds" },
	{ FIELD(layer), BASE(containers_dir), "/layer" },
	{ FIELD(network), BASE(containers_dir), "/network.pb" },
	{ FIELD(exit), BASE(containers_dir), "/exit.json" },
	{ FIELD(kept), BASE(containers_dir), "/kept" },
	{ FIELD(logs), BASE(logs_dir), "" },
	{ FIELD(log), BASE(logs_dir), "/log" },
	{ FIELD(monitor), BASE(monitor_dir), "" },
	{ FIELD(attach), BASE(monitor_dir), "/attach.sock" },
	{ FIELD(pid), BASE(monitor_dir), "/pid" },
	{ FIELD(mark), BASE(monitor_dir), "/throttled" },
	{ FIELD(move), BASE(tmp_dir), "" },
	{ FIELD(images), BASE(tmp_dir), "/images" },
};

int place_of(const struct core *c, const char *name, struct place *out, struct err *e)
{
	*out = (struct place){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const char *base = *(char *const *)((const char *)c + paths[i].base);
		const char *moves = paths[i].base == BASE(tmp_dir) ? "/moves" : "";
		char *path = mem_printf(e, "%s%s/%s%s", base, moves, name, paths[i].suffix);
		if (!path) {
			place_free(out);
			return -1;
		}
		*(char **)((char *)out + paths[i].field) = path;
	}
	return 0;
}

void place_free(struct place *p)
{
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		mem_freep((char *)p + paths[i].field);
}
