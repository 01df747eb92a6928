/* See sync.h. */
#include "runtime/init/sync.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

struct message {
	uint32_t type;
	int32_t value;
	struct err err; /* sent with SYNC_ERROR only */
};
#define SHORT offsetof(struct message, err)

int sync_send(int sock, enum sync_type type, int value, struct err *e)
{
	struct message m = { .type = type, .value = value };

	return send(sock, &m, SHORT, MSG_NOSIGNAL) < 0 ? err_sys(e, errno, "talk to the other stage") : 0;
}

void sync_send_error(int sock, const struct err *what)
{
	struct message m = { .type = SYNC_ERROR, .err = *what };

	send(sock, &m, sizeof(m), MSG_NOSIGNAL);
}

/* recv(2) to its true answer. A stage that ended without having read what we sent resets the connection: the kernel says so once, and then gives what
 * the stage had said. */
static ssize_t take(int sock, struct message *m, int flags)
{
	ssize_t n;

	do
		n = recv(sock, m, sizeof(*m), flags);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	return n;
}

/* Returns 1, 0 at the end, -1 with the error told or met. */
static int receive(int sock, struct message *m, struct err *e)
{
	ssize_t n = take(sock, m, 0);

	if (n == 0)
		return 0;
	if (n < (ssize_t)SHORT)
		return err_sys(e, n < 0 ? errno : EPROTO, "hear from the other stage");
	if (m->type != SYNC_ERROR)
		return 1;
	if (n != sizeof(*m))
		return err_set(e, ERR_INTERNAL, 0, "a stage told an error of the wrong size");
	if (e)
		*e = m->err;
	return -1;
}

void sync_prefer_told(int sock, struct err *e)
{
	struct message m;
	ssize_t n;

	while ((n = take(sock, &m, MSG_DONTWAIT)) > 0)
		if (n == sizeof(m) && m.type == SYNC_ERROR && e)
			*e = m.err;
}

int sync_wait(int sock, enum sync_type want, int *value, struct err *e)
{
	struct message m;
	int rc = receive(sock, &m, e);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_STATE, 0, "the container's first process ended before it was ready");
	if (m.type != want)
		return err_set(e, ERR_INTERNAL, 0, "a stage said %u where %u was due", m.type, want);
	if (value)
		*value = m.value;
	return 0;
}

int sync_wait_end(int sock, struct err *e)
{
	struct message m;
	int rc = receive(sock, &m, e);

	return rc > 0 ? err_set(e, ERR_INTERNAL, 0, "a stage said %u where nothing was due", m.type) : rc;
}
