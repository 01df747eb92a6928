/* See lazy.h. A library stays loaded until the program ends. */
#include "runtime/lazy.h"
#include <dlfcn.h>
#include <string.h>

int lazy_load(const char *soname, const struct lazy_function *f, size_t n, struct err *e)
{
	void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL), *at;

	if (!library) {
		err_set(e, ERR_UNSUPPORTED, 0, "%s", dlerror());
		return err_remedy(e, "install the package that holds %s", soname);
	}
	for (size_t i = 0; i < n; i++) {
		at = dlsym(library, f[i].name);
		if (!at)
			return err_set(e, ERR_UNSUPPORTED, 0, "%s has no %s", soname, f[i].name);
		memcpy(f[i].pointer, &at, sizeof(at));
	}
	return 0;
}
