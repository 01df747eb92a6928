/* pthread_create(3), pthread_attr_setstacksize(3). */
#include "base/thread.h"
#include <pthread.h>

int thread_detach(size_t stack, void *(*run)(void *), void *arg, const char *what, struct err *e)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, stack);
	int r = pthread_create(&thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return r == 0 ? 0 : err_sys(e, r, "start %s", what);
}
