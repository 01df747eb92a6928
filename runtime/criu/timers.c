/* See timers.h. */
#include "runtime/criu/timers.h"
#include <fcntl.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "criu.pb-c.h"
#include "proto/pb.h"
#include "runtime/criu/images.h"

#define FILES "files.img"
#define HEAD_FILES 0x56303138
#define ABSTIME ((uint32_t)TFD_TIMER_ABSTIME)
#define CANCEL_ON_SET ((uint32_t)TFD_TIMER_CANCEL_ON_SET)

int64_t timers_elapsed(uint32_t clock, const struct timens_offsets *elapsed)
{
	if (clock == CLOCK_MONOTONIC)
		return elapsed->monotonic;
	return clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM ? elapsed->boottime : 0;
}

/* As the kernel would have left it: what is due is counted, a period goes on from when it was due. */
static bool set_timer(Criu__TimerfdEntry *t, const struct timens_offsets *elapsed)
{
	uint64_t second = (uint64_t)NSEC_PER_SEC, left = t->vsec * second + t->vnsec, period = t->isec * second + t->insec;
	int64_t elapsed_ns = timers_elapsed(t->clockid, elapsed);
	uint64_t gone = (uint64_t)MAX(elapsed_ns, 0);

	if (left == 0 && (period == 0 || t->ticks == 0))
		return false; /* not armed, or a single one that ran out */
	if (left == 0) {
		left = period; /* since when it is due nobody knows */
	} else if (elapsed_ns < 0) {
		left += (uint64_t)-elapsed_ns;
	} else if (left > gone) {
		left -= gone;
	} else if (period == 0) {
		left = 1; /* at once */
	} else {
		t->ticks += 1 + (gone - left) / period;
		left = period - (gone - left) % period;
	}
	if (!(t->settime_flags & CANCEL_ON_SET))
		t->settime_flags &= ~ABSTIME;
	t->vsec = left / second;
	t->vnsec = left % second;
	return true;
}

struct copy {
	const struct timens_offsets *elapsed;
	struct buf out;
	bool changed;
};

static int copy_entry(void *arg, const uint8_t *p, uint32_t n, struct err *e)
{
	struct copy *c = arg;
	auto_pb(Criu__FileEntry) *f = pb_unpack(&criu__file_entry__descriptor, p, n, FILES, e);

	if (!f)
		return -1;
	if (!f->tfd || !set_timer(f->tfd, c->elapsed))
		return buf_append(&c->out, &n, sizeof(n), e) < 0 ? -1 : buf_append(&c->out, p, n, e);
	c->changed = true;
	n = (uint32_t)protobuf_c_message_get_packed_size(&f->base);
	return buf_append(&c->out, &n, sizeof(n), e) < 0 ? -1 : pb_pack(&f->base, &c->out, e);
}

static void copy_free(struct copy *c)
{
	buf_free(&c->out);
}

int criu_images_set_timers(int images_dirfd, int out_dirfd, const struct timens_offsets *elapsed, struct err *e)
{
	static const uint32_t head[2] = { CRIU_IMAGE_HEAD, HEAD_FILES };
	auto_cleanup(copy_free) struct copy c = { .elapsed = elapsed };

	if (!file_exists(images_dirfd, FILES))
		return 0;
	if (buf_append(&c.out, head, sizeof(head), e) < 0 ||
	    criu_image_each(images_dirfd, FILES, &criu__file_entry__descriptor, copy_entry, &c, e) < 0)
		return -1;
	return c.changed ? file_write_atomic(out_dirfd, FILES, c.out.data, c.out.len, 0644, false, e) : 0;
}
