/* Compression of frames. See codec.h. Sources: zstd.h, lz4.h. */
#include "migrate/codec.h"
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "base/mem.h"
#include "base/str.h"

#define LEVEL_MAX 19
/* Of each way's trial, and how long the best is kept. The first bytes of a trial still meet the buffers that the way before has left. */
#define AUTO_TRIAL (16ULL << 20)
#define AUTO_SKIP (4ULL << 20)
#define AUTO_HOLD (512ULL << 20)
#define AUTO_LEVEL 1
/* Saves less than that: as it is. */
#define WORTH_PERCENT 95

struct codec_writer {
	bool is_auto;
	enum codec codec;
	int level;
	ZSTD_CCtx *zstd;
	uint8_t *space;
	/* auto */
	enum codec trying, best; /* trying: CODEC_COUNT: none, the best is kept */
	uint64_t bytes;		 /* of this trial or time */
	int64_t began;
	double best_rate;
};

static int parse(const char *how, struct codec_writer *w, struct err *e)
{
	uint64_t level = 0;
	if (!how || str_eq(how, "none")) {
		w->codec = CODEC_NONE;
	} else if (str_eq(how, "lz4")) {
		w->codec = CODEC_LZ4;
	} else if (str_eq(how, "auto")) {
		w->is_auto = true;
		w->level = AUTO_LEVEL;
	} else if (str_eq(how, "zstd")) {
		w->codec = CODEC_ZSTD;
		w->level = 1;
	} else if (str_prefix(how, "zstd:") && str_to_u64(how + 5, 1, LEVEL_MAX, &level, "compress", NULL) == 0) {
		w->codec = CODEC_ZSTD;
		w->level = (int)level;
	} else {
		return err_field(e, "compress", "none, lz4, zstd, zstd:LEVEL (1 to %d) or auto, not \"%.32s\"", LEVEL_MAX, how);
	}
	return 0;
}

int codec_check(const char *how, struct err *e)
{
	struct codec_writer w = { 0 };
	return parse(how, &w, e);
}

int codec_writer_new(const char *how, struct codec_writer **out, struct err *e)
{
	struct codec_writer wanted = { .trying = CODEC_NONE, .best = CODEC_NONE };
	*out = NULL;
	if (parse(how, &wanted, e) < 0)
		return -1;
	if (wanted.codec == CODEC_NONE && !wanted.is_auto)
		return 0;
	struct codec_writer *w = mem_new(1, sizeof(*w), e);
	if (!w)
		return -1;
	*w = wanted;
	w->space = mem_new(CODEC_FRAME_MAX, 1, e);
	w->zstd = w->is_auto || w->codec == CODEC_ZSTD ? ZSTD_createCCtx() : NULL;
	if (w->space && (w->zstd || w->codec == CODEC_LZ4)) {
		*out = w;
		return 0;
	}
	codec_writer_freep(&w);
	return err_set(e, ERR_RESOURCE, 0, "no memory for compression");
}

void codec_writer_freep(struct codec_writer **w)
{
	if (*w) {
		ZSTD_freeCCtx((*w)->zstd);
		free((*w)->space);
		free(*w);
	}
	*w = NULL;
}

uint8_t *codec_writer_space(struct codec_writer *w)
{
	return w->space;
}

static void begin_trial(struct codec_writer *w, enum codec c, int64_t now)
{
	w->trying = c;
	w->bytes = 0;
	w->began = now;
}

/* The way of the next frame. */
static enum codec choose(struct codec_writer *w, size_t n, int64_t now)
{
	bool skipping = w->bytes < AUTO_SKIP;
	if (!w->is_auto)
		return w->codec;
	if (!w->began)
		begin_trial(w, CODEC_NONE, now);
	w->bytes += n;
	if (w->trying == CODEC_COUNT) {
		if (w->bytes < AUTO_HOLD)
			return w->best;
		w->best_rate = 0;
		begin_trial(w, CODEC_NONE, now);
		return w->trying;
	}
	if (skipping)
		w->began = now;
	if (w->bytes < AUTO_TRIAL)
		return w->trying;
	double rate = (double)(w->bytes - AUTO_SKIP) / (double)MAX(now - w->began, 1);
	if (rate > w->best_rate) {
		w->best_rate = rate;
		w->best = w->trying;
	}
	begin_trial(w, (enum codec)(w->trying + 1), now);
	return w->trying == CODEC_COUNT ? w->best : w->trying;
}

/* Bytes in out, 0: not worth it. */
static size_t compress(struct codec_writer *w, enum codec c, size_t n, uint8_t *out, size_t cap)
{
	size_t most = MIN(cap, n * WORTH_PERCENT / 100);
	if (c == CODEC_ZSTD) {
		size_t r = ZSTD_compressCCtx(w->zstd, out, most, w->space, n, w->level);
		return ZSTD_isError(r) ? 0 : r;
	}
	int r = c == CODEC_LZ4 ? LZ4_compress_default((const char *)w->space, (char *)out, (int)n, (int)most) : 0;
	return r > 0 ? (size_t)r : 0;
}

enum codec codec_write(struct codec_writer *w, size_t n, uint8_t *out, size_t cap, size_t *len, int64_t now)
{
	enum codec c = choose(w, n, now);
	*len = compress(w, c, n, out, cap);
	if (*len > 0)
		return c;
	memcpy(out, w->space, n);
	*len = n;
	return CODEC_NONE;
}

struct codec_reader {
	ZSTD_DCtx *zstd;
	uint8_t space[CODEC_FRAME_MAX];
};

struct codec_reader *codec_reader_new(struct err *e)
{
	struct codec_reader *r = mem_new(1, sizeof(*r), e);
	if (r && !(r->zstd = ZSTD_createDCtx())) {
		err_set(e, ERR_RESOURCE, 0, "no memory for compression");
		codec_reader_freep(&r);
	}
	return r;
}

void codec_reader_freep(struct codec_reader **r)
{
	if (*r)
		ZSTD_freeDCtx((*r)->zstd);
	free(*r);
	*r = NULL;
}

const uint8_t *codec_read(struct codec_reader *r, enum codec codec, const void *p, size_t n, size_t raw_len, struct err *e)
{
	size_t got = 0;
	if (raw_len > 0 && raw_len <= sizeof(r->space) && codec == CODEC_ZSTD) {
		got = ZSTD_decompressDCtx(r->zstd, r->space, raw_len, p, n);
		got = ZSTD_isError(got) ? 0 : got;
	} else if (raw_len > 0 && raw_len <= sizeof(r->space) && codec == CODEC_LZ4) {
		int unpacked = LZ4_decompress_safe(p, (char *)r->space, (int)n, (int)raw_len);
		got = unpacked > 0 ? (size_t)unpacked : 0;
	}
	if (got == raw_len && got > 0)
		return r->space;
	err_set(e, ERR_CORRUPT, 0, "a compressed frame does not unpack to its %zu bytes", raw_len);
	return NULL;
}
