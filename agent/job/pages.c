/* A byte-wise follower of the protocol: it keeps no pages. */
#include "agent/job/pages.h"
#include <string.h>
#include <unistd.h>
#include "base/fd.h"

enum { PS_ADD = 1, PS_HOLE = 2, PS_OPEN = 3, PS_OPEN2 = 4, PS_PARENT = 5, PS_ADD_F = 6, PS_CLOSE = 0x1023, PS_FORCE_CLOSE = 0x1024 };
#define FLAG_PRESENT 4u
#define COMMAND_MASK 0xffffu
#define HEADER_SHORT 24
#define PAGES_AT_ONCE_MAX (UINT64_C(1) << 36)

static uint64_t u64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static int answer(const struct pages *p, size_t n, struct err *e)
{
	static const uint8_t zero[4];

	return p->sock < 0 ? 0 : fd_write_all(p->sock, zero, n, e);
}

static int take_header(struct pages *p, struct err *e)
{
	uint32_t word = u32_at(p->header), command = word & COMMAND_MASK;
	uint64_t count = p->header_size == HEADER_SHORT ? u32_at(p->header + 4) : u64_at(p->header + 8);

	p->header_len = 0;
	switch (command) {
	case PS_OPEN:
	case PS_HOLE:
		return 0;
	case PS_OPEN2:
		return answer(p, 1, e);
	case PS_PARENT:
		return answer(p, 4, e);
	case PS_CLOSE:
	case PS_FORCE_CLOSE:
		p->closed = true;
		return answer(p, 4, e);
	case PS_ADD:
	case PS_ADD_F:
		if (count > PAGES_AT_ONCE_MAX)
			return err_set(e, ERR_PROTOCOL, 0, "CRIU sends %llu pages at once", (unsigned long long)count);
		if (command == PS_ADD || (word >> 16 & FLAG_PRESENT)) {
			p->data_left = count * (uint64_t)sysconf(_SC_PAGESIZE);
			p->total += count;
		}
		return 0;
	default:
		return err_set(e, ERR_PROTOCOL, 0, "CRIU's page stream has an unknown command %#x", command);
	}
}

/* The end has no dst_id: it is taken as soon as the shorter form is whole. */
static bool is_end(const struct pages *p)
{
	uint32_t command = u32_at(p->header) & COMMAND_MASK;

	return command == PS_CLOSE || command == PS_FORCE_CLOSE;
}

static int take_header_bytes(struct pages *p, const uint8_t *data, size_t n, size_t *used, struct err *e)
{
	size_t want = p->header_size ? p->header_size : HEADER_SHORT;
	size_t piece = MIN(n, want - p->header_len);

	memcpy(p->header + p->header_len, data, piece);
	p->header_len += piece;
	*used = piece;
	if (p->header_len < want)
		return 0;
	if (!p->header_size && !is_end(p)) {
		p->header_size = u64_at(p->header + 16) ? HEADER_SHORT : PAGES_HEADER_MAX;
		if (p->header_len < p->header_size)
			return 0;
	}
	return take_header(p, e);
}

int pages_feed(struct pages *p, const uint8_t *data, size_t n, struct err *e)
{
	while (n > 0 && !p->closed) {
		size_t used = (size_t)MIN((uint64_t)n, p->data_left);

		if (used)
			p->data_left -= used;
		else if (take_header_bytes(p, data, n, &used, e) < 0)
			return -1;
		data += used;
		n -= used;
	}
	return 0;
}
