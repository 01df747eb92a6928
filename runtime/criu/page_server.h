/* The receiving side of CRIU's page-server protocol: memory pages of a dump elsewhere become pages-N.img and pagemap-*.img here. */
#pragma once
#include <sys/types.h>
#include "base/err.h"

/* Starts `criu page-server` on a connected stream socket. Images go to images_dirfd, its log to page-server.log there. Returns the pid of a child to
 * be given to criu_page_server_wait(), or -1. `sock` stays the caller's (close it after this returns, or the end of the stream is not seen). */
pid_t criu_page_server(const char *criu, const char *tmp_dir, int images_dirfd, int sock, struct err *e);
/* Waits until it has stored everything. timeout_ms -1: as long as the other side takes. On an error it is ended. 0 or -1 (ERR_CRIU with its last log
 * line). */
int criu_page_server_wait(pid_t pid, int images_dirfd, int timeout_ms, struct err *e);
