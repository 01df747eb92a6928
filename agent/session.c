/* A small table under a lock. */
#include "agent/session.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"

struct session_table {
	pthread_mutex_t lock;
	struct session *all[SESSION_MAX];
};

struct session_table *session_table_new(struct err *e)
{
	struct session_table *t = mem_new(1, sizeof(*t), e);

	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

static void drop(struct session *s)
{
	if (--s->refs > 0)
		return;
	close(s->fd);
	free(s);
}

/* Under the lock: what nobody came for goes. */
static void sweep(struct session_table *t)
{
	int64_t old = clock_now_ns(CLOCK_MONOTONIC) - SESSION_IDLE_MS * NSEC_PER_MSEC;

	for (size_t i = 0; i < SESSION_MAX; i++)
		if (t->all[i] && !t->all[i]->listened && t->all[i]->opened < old) {
			drop(t->all[i]);
			t->all[i] = NULL;
		}
}

void session_table_stop(struct session_table *t)
{
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < SESSION_MAX; i++)
		if (t->all[i])
			shutdown(t->all[i]->fd, SHUT_RDWR);
	pthread_mutex_unlock(&t->lock);
}

int session_add(struct session_table *t, const char *container, int fd, char id[33], struct err *e)
{
	struct session *s = mem_new(1, sizeof(*s), e);
	size_t i = 0;

	if (!s || str_random_hex(id, 16, e) < 0) {
		free(s);
		close(fd);
		return -1;
	}
	s->fd = fd;
	s->refs = 1;
	s->opened = clock_now_ns(CLOCK_MONOTONIC);
	memcpy(s->id, id, 33);
	snprintf(s->container, sizeof(s->container), "%s", container);
	pthread_mutex_lock(&t->lock);
	sweep(t);
	while (i < SESSION_MAX && t->all[i])
		i++;
	if (i < SESSION_MAX)
		t->all[i] = s;
	else
		drop(s);
	pthread_mutex_unlock(&t->lock);
	return i < SESSION_MAX ? 0 : err_set(e, ERR_LIMIT, 0, "%d sessions of exec and attach are open already", SESSION_MAX);
}

struct session *session_get(struct session_table *t, const char *id, bool listen, struct err *e)
{
	struct session *s = NULL;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < SESSION_MAX && !s; i++)
		if (t->all[i] && strcmp(t->all[i]->id, id) == 0)
			s = t->all[i];
	if (!s) {
		err_set(e, ERR_NOT_FOUND, 0, "no session %s", id);
	} else if (listen && s->listened) {
		err_set(e, ERR_BUSY, 0, "session %s is being read already", id);
		s = NULL;
	} else {
		s->listened |= listen;
		s->refs++;
	}
	pthread_mutex_unlock(&t->lock);
	return s;
}

void session_put(struct session_table *t, struct session *s)
{
	pthread_mutex_lock(&t->lock);
	drop(s);
	pthread_mutex_unlock(&t->lock);
}

void session_end(struct session_table *t, struct session *s)
{
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < SESSION_MAX; i++)
		if (t->all[i] == s) {
			t->all[i] = NULL;
			drop(s);
		}
	pthread_mutex_unlock(&t->lock);
}
