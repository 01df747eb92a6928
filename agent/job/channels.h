/* The four streams of a container's dump and restore, each moved by a thread of its own between a descriptor and the snapshot store. */
#pragma once
#include <pthread.h>
#include "agent/job/pages.h"
#include "migrate/core.h"
#include "migrate/store.h"

#define CHANNELS 4 /* images, layer, pages, log: the order of the descriptors in StreamsReady */

struct channel {
	Davit__StreamChannel id;
	int fd; /* owned */
	struct store_writer *writer;
	struct store_reader *reader;
	struct pages pages;	 /* of a dump's page channel */
	_Atomic uint64_t *bytes; /* moved by all channels together */
	pthread_t thread;
	bool running;
	int result;
	struct err err;
};
struct channels {
	struct channel of[CHANNELS];
	_Atomic uint64_t bytes;
};

/* Takes the descriptors and starts to store what comes (writer), or to send what is stored (reader). 0 or -1; then channels_join all the same. */
int channels_store(struct channels *c, struct core_fds *fds, struct store_writer *w, struct err *e);
int channels_send(struct channels *c, struct core_fds *fds, struct store_reader *r, struct err *e);
/* Breaks the streams off: the threads end soon. */
void channels_break(struct channels *c);
/* Waits for the threads, which end with their streams. 0, or -1 with the first failure. */
int channels_join(struct channels *c, struct err *e);
