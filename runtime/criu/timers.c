/* See timers.h. files.img is an image with many entries (images.c has the form of one). */
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
#define FILES_MAX ((size_t)64 << 20)
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

static int copy_entry(const uint8_t *p, uint32_t n, const struct timens_offsets *elapsed, struct buf *out, bool *changed, struct err *e)
{
	auto_pb(Criu__FileEntry) *f = pb_unpack(&criu__file_entry__descriptor, p, n, FILES, e);

	if (!f)
		return -1;
	if (!f->tfd || !set_timer(f->tfd, elapsed))
		return buf_append(out, &n, sizeof(n), e) < 0 ? -1 : buf_append(out, p, n, e);
	*changed = true;
	n = (uint32_t)protobuf_c_message_get_packed_size(&f->base);
	return buf_append(out, &n, sizeof(n), e) < 0 ? -1 : pb_pack(&f->base, out, e);
}

int criu_images_set_timers(int images_dirfd, int out_dirfd, const struct timens_offsets *elapsed, struct err *e)
{
	size_t n = 0, at = 2 * sizeof(uint32_t);
	auto_buf struct buf out = { 0 };
	bool changed = false;
	uint32_t head[2], length;

	if (!file_exists(images_dirfd, FILES))
		return 0;
	auto_free char *data = file_read(images_dirfd, FILES, FILES_MAX, &n, e);
	if (!data)
		return -1;
	if (n < sizeof(head) || (memcpy(head, data, sizeof(head)), head[0] != CRIU_IMAGE_HEAD || head[1] != HEAD_FILES))
		return err_set(e, ERR_CORRUPT, 0, FILES " is no image of that kind");
	if (buf_append(&out, head, sizeof(head), e) < 0)
		return -1;
	while (at < n) {
		if (n - at < sizeof(length) || (memcpy(&length, data + at, sizeof(length)), length > n - at - sizeof(length)))
			return err_set(e, ERR_CORRUPT, 0, FILES " ends in the middle of an entry");
		at += sizeof(length);
		if (copy_entry((const uint8_t *)data + at, length, elapsed, &out, &changed, e) < 0)
			return -1;
		at += length;
	}
	return changed ? file_write_atomic(out_dirfd, FILES, out.data, out.len, 0644, false, e) : 0;
}
