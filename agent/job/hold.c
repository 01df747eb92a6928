/* A list of what is held now: a handful of entries at most. */
#include "agent/job/hold.h"
#include <errno.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/mem.h"

#define WAIT_NS (5 * NSEC_PER_SEC)

struct hold {
	struct hold *next;
	char *name;
	const char *what; /* NULL: shared */
	unsigned shares;
};

void hold_table_init(struct hold_table *t)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &attr);
	pthread_condattr_destroy(&attr);
	t->first = NULL;
}

static struct hold *find(struct hold_table *t, const char *name)
{
	struct hold *h = t->first;

	while (h && strcmp(h->name, name) != 0)
		h = h->next;
	return h;
}

static int add(struct hold_table *t, const char *name, const char *what, struct err *e)
{
	struct hold *h = mem_new(1, sizeof(*h), e);

	if (!h)
		return -1;
	h->name = mem_strdup(name, e);
	if (!h->name) {
		free(h);
		return -1;
	}
	h->what = what;
	h->shares = what ? 0 : 1;
	h->next = t->first;
	t->first = h;
	return 0;
}

static int busy(const struct hold *h, struct err *e)
{
	err_set(e, ERR_BUSY, 0, "container %s is busy: %s", h->name, h->what ? h->what : "another request changes it");
	return err_remedy(e, "wait for it, or cancel its operation");
}

int hold_take(struct hold_table *t, const char *name, const char *what, struct err *e)
{
	struct timespec until = clock_timespec_of_ns(clock_now_ns(CLOCK_MONOTONIC) + WAIT_NS);
	const struct hold *h;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	while ((h = find(t, name)) && !h->what && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&t->changed, &t->lock, &until);
	r = h ? busy(h, e) : add(t, name, what, e);
	pthread_mutex_unlock(&t->lock);
	return r;
}

int hold_share(struct hold_table *t, const char *name, struct err *e)
{
	struct hold *h;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	h = find(t, name);
	if (!h)
		r = add(t, name, NULL, e);
	else if (h->what)
		r = busy(h, e);
	else
		h->shares++;
	pthread_mutex_unlock(&t->lock);
	return r;
}

void hold_drop(struct hold_table *t, const char *name)
{
	pthread_mutex_lock(&t->lock);
	for (struct hold **p = &t->first; *p; p = &(*p)->next) {
		struct hold *h = *p;

		if (strcmp(h->name, name) != 0)
			continue;
		if (h->shares > 1) {
			h->shares--;
		} else {
			*p = h->next;
			free(h->name);
			free(h);
		}
		break;
	}
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

const char *hold_reason(struct hold_table *t, const char *name)
{
	const struct hold *h;
	const char *what;

	pthread_mutex_lock(&t->lock);
	h = find(t, name);
	what = h ? h->what : NULL;
	pthread_mutex_unlock(&t->lock);
	return what;
}
