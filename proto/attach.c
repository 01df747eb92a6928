/* The attach socket's datagrams: see attach.h. Numbers are big-endian. */
#include "proto/attach.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Fills `number` with what a message carries besides its data; returns its bytes. */
static size_t put_number(const struct attach_msg *m, uint8_t number[4])
{
	uint32_t code = (uint32_t)m->exit_code;
	switch (m->type) {
	case ATTACH_EXIT:
		for (int i = 0; i < 4; i++)
			number[i] = (uint8_t)(code >> (24 - 8 * i));
		return 4;
	case ATTACH_RESIZE:
		number[0] = (uint8_t)(m->rows >> 8);
		number[1] = (uint8_t)m->rows;
		number[2] = (uint8_t)(m->columns >> 8);
		number[3] = (uint8_t)m->columns;
		return 4;
	default:
		return 0;
	}
}

int attach_send(int sock, const struct attach_msg *m, struct err *e)
{
	uint8_t type = (uint8_t)m->type, number[4];
	size_t fixed = put_number(m, number);
	if (m->n > ATTACH_DATA_MAX)
		return err_set(e, ERR_LIMIT, 0, "attach: %zu bytes in one message, at most %d", m->n, ATTACH_DATA_MAX);
	struct iovec parts[] = {
		{ .iov_base = &type, .iov_len = 1 },
		{ .iov_base = fixed ? number : (uint8_t *)m->data, .iov_len = fixed ? fixed : m->n },
	};
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n;
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(e, errno, "attach: send") : 0;
}

static uint16_t get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

int attach_parse(const uint8_t *p, size_t n, struct attach_msg *out, struct err *e)
{
	if (n == 0 || n > ATTACH_DATA_MAX + 1)
		return err_set(e, ERR_PROTOCOL, 0, "attach: a message of %zu bytes", n);
	*out = (struct attach_msg){ .type = p[0], .data = p + 1, .n = n - 1 };
	bool good = false;
	switch (out->type) {
	case ATTACH_STDOUT:
	case ATTACH_STDERR:
	case ATTACH_STDIN:
		good = true;
		break;
	case ATTACH_STDIN_EOF:
		good = out->n == 0;
		break;
	case ATTACH_EXIT:
		good = out->n == 4;
		if (good)
			out->exit_code = (int32_t)((uint32_t)get_u16(p + 1) << 16 | get_u16(p + 3));
		break;
	case ATTACH_RESIZE:
		good = out->n == 4;
		if (good) {
			out->rows = get_u16(p + 1);
			out->columns = get_u16(p + 3);
		}
		break;
	}
	return good ? 0 : err_set(e, ERR_PROTOCOL, 0, "attach: a message of type 0x%02x with %zu bytes", p[0], n - 1);
}
