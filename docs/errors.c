/* Prints docs/ERRORS.md from the table of base/err.c: `make docs`. A test checks that the file is what this prints. */
#include <stdio.h>
#include "base/err.h"

int main(void)
{
	puts("# Errors\n\n"
	     "Every error has a stable code. The API answers with it as `application/problem+json` (RFC 9457) under the HTTP status below, with the\n"
	     "offending `field` and a `remedy` where there are such; the commands end with the exit status below and one line on stderr.\n"
	     "`davit-runtime`'s OCI commands end with 1 on any error, as the tools that call a runtime expect.\n\n"
	     "This page is made by `make docs` from the table in base/err.c.\n\n"
	     "| code | HTTP | exit | meaning |\n|---|---|---|---|");
	for (int c = ERR_NONE + 1; c < ERR_CODE_COUNT; c++) {
		const struct err_info *i = err_info((enum err_code)c);
		printf("| `%s` | %d | %d | %s |\n", i->name, i->http, i->exit, i->help);
	}
	puts("\nExit status 0: it is done. `davit run` and `davit exec` in the foreground, and `davit wait`, end with the exit status of the "
	     "container's\n"
	     "process, 128 + N if signal N ended it.");
	return 0;
}
