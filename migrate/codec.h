/* Compression of a move's data frames: zstd, lz4, none, or whichever brings the most through (auto).
 *
 * Each frame stands for itself, so the reader needs no state and a frame that would grow goes as it is. `auto` tries each way for a while on the data
 * and the link as they are, counts the bytes that came through before compression, keeps the best, and tries again after AUTO_HOLD bytes: a link that
 * got faster, or memory of another kind, is noticed. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum codec { CODEC_NONE, CODEC_ZSTD, CODEC_LZ4, CODEC_COUNT }; /* as StreamData.codec */

/* Bytes of a frame before compression, at most. */
#define CODEC_FRAME_MAX (256 << 10)

struct codec_writer;
/* how: none, lz4, zstd, zstd:LEVEL (1–19), auto; NULL is none. *out NULL: none. 0 or -1 (ERR_INVALID, field "compress"). */
int codec_writer_new(const char *how, struct codec_writer **out, struct err *e);
void codec_writer_freep(struct codec_writer **w);
/* Checks the word alone. */
int codec_check(const char *how, struct err *e);
/* Where the next frame's bytes are to be put: CODEC_FRAME_MAX of them. */
uint8_t *codec_writer_space(struct codec_writer *w);
/* Compresses n bytes of the space into out (cap ≥ n). Returns the codec; *len: bytes in out. now: CLOCK_MONOTONIC, for `auto`. */
enum codec codec_write(struct codec_writer *w, size_t n, uint8_t *out, size_t cap, size_t *len, int64_t now);

struct codec_reader;
struct codec_reader *codec_reader_new(struct err *e);
void codec_reader_freep(struct codec_reader **r);
/* Undoes it. raw_len: what it was, and must be again, at most CODEC_FRAME_MAX. Borrowed until the next call; NULL: ERR_CORRUPT. */
const uint8_t *codec_read(struct codec_reader *r, enum codec codec, const void *p, size_t n, size_t raw_len, struct err *e);
