/* See annotation.h. */
#include "runtime/annotation.h"
#include "base/str.h"

const char *annotation_of_spec(const Davit__OciSpec *spec, const char *key)
{
	const char *value = NULL;
	for (size_t i = 0; i < spec->n_annotations; i++)
		if (str_eq(spec->annotations[i]->key, key))
			value = spec->annotations[i]->value ? spec->annotations[i]->value : "";
	return value;
}
