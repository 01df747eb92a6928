/* config.json as it stands in a bundle and in a state folder, to a message. */
#pragma once
#include <stddef.h>
#include "base/err.h"
#include "oci.pb-c.h"

/* Owned, or NULL. Nothing is checked but the JSON (validate.h does the rest). A mount's relative destination, which the specification deprecates but
 * demands, becomes the absolute one that it stands for. */
Davit__OciSpec *config_parse(const char *text, size_t len, struct err *e);
