/* Polling: each 150 ms for a bar, else one long request after the other. */
#include "agent/cli/progress.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DRAW_MS 150
#define BAR 24

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void clear_line(const struct cli *c)
{
	if (c->terminal && !c->json)
		fprintf(stderr, "\r\033[K");
}

static void draw_bar(const Davit__Operation *op, char *out, size_t cap)
{
	unsigned filled = op->has_bytes_total && op->bytes_total ? (unsigned)(MIN(op->bytes_done, op->bytes_total) * BAR / op->bytes_total) : 0;
	size_t n = 0;

	out[0] = 0;
	if (!op->has_bytes_total)
		return;
	n += (size_t)snprintf(out + n, cap - n, " [");
	for (unsigned i = 0; i < BAR; i++)
		n += (size_t)snprintf(out + n, cap - n, "%s", i < filled ? "#" : ".");
	snprintf(out + n, cap - n, "]");
}

/* ", round 3: 120 MiB left, 8 MiB/s written" of a move whose memory is copied while it runs. */
static void draw_round(const Davit__Operation *op, char *out, size_t cap)
{
	const Davit__MoveRecord *m = op->move;
	char left[32], written[32];

	out[0] = 0;
	if (!m || !m->n_rounds)
		return;
	const Davit__MoveRound *r = m->rounds[m->n_rounds - 1];
	uint64_t page = r->pages ? r->bytes / r->pages : (uint64_t)sysconf(_SC_PAGESIZE);
	snprintf(out, cap, "  round %u: %s left, %s/s written", r->number, str_human_bytes(r->left_pages * page, left, sizeof(left)),
		 str_human_bytes(r->dirty_rate * page, written, sizeof(written)));
}

static void draw(const Davit__Operation *op)
{
	char bar[BAR + 8], done[32] = "", rate[48] = "", left[48] = "", round[128];

	draw_bar(op, bar, sizeof(bar));
	if (op->has_bytes_done)
		str_human_bytes(op->bytes_done, done, sizeof(done));
	if (op->has_rate) {
		char r[32];

		snprintf(rate, sizeof(rate), "  %s/s", str_human_bytes(op->rate, r, sizeof(r)));
	}
	if (op->has_eta_ms)
		snprintf(left, sizeof(left), "  %.1f s left", (double)op->eta_ms / 1e3);
	draw_round(op, round, sizeof(round));
	fprintf(stderr, "\r\033[K%s: %s%s %s%s%s%s", op->container ? op->container : op->kind, op->phase ? op->phase : "…", bar, done, rate, left,
		round);
}

int progress_cancel(struct cli *c, const char *id, struct err *e)
{
	auto_free char *path = mem_printf(e, "/v1/operations/%s/cancel", id);

	if (path)
		client_call(c->client, "POST", path, NULL, NULL, NULL, &(struct err){ 0 });
	return path ? 0 : -1;
}

static Davit__Operation *wait_for(struct cli *c, const char *id, struct err *e)
{
	bool shown = c->terminal && !c->json, cancelled = false;
	auto_free char *path = mem_printf(e, "/v1/operations/%s%s", id, shown ? "" : "?wait=1");

	while (path) {
		Davit__Operation *op = NULL;

		if (client_call(c->client, "GET", path, NULL, &davit__operation__descriptor, &op, e) < 0)
			return NULL;
		if (!str_eq(op->state, "running"))
			return op;
		if (shown)
			draw(op);
		pb_freep(&op);
		if (interrupted && !cancelled && progress_cancel(c, id, e) < 0)
			return NULL;
		cancelled = interrupted;
		if (shown)
			poll(NULL, 0, DRAW_MS);
	}
	return NULL;
}

Davit__Operation *progress_begin(struct cli *c, const char *path, const ProtobufCMessage *body, struct err *e)
{
	struct sigaction sa = { .sa_handler = on_interrupt };
	Davit__Operation *op = NULL;

	if (!path || !cli_client(c, e) || client_call(c->client, "POST", path, body, &davit__operation__descriptor, &op, e) < 0)
		return NULL;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	return op;
}

Davit__Operation *progress_end(struct cli *c, const char *id, struct err *e)
{
	auto_pb(Davit__Operation) *op = wait_for(c, id, e);

	clear_line(c);
	if (!op || str_eq(op->state, "succeeded"))
		return steal_ptr(&op);
	if (!op->error) {
		err_set(e, ERR_INTERNAL, 0, "operation %s %s", op->id, op->state);
		return NULL;
	}
	pb_error_get(op->error, e);
	client_set_details(c->client, &op->error);
	return NULL;
}

Davit__Operation *progress_run(struct cli *c, const char *path, const ProtobufCMessage *body, struct err *e)
{
	auto_pb(Davit__Operation) *begun = progress_begin(c, path, body, e);

	return begun ? progress_end(c, begun->id, e) : NULL;
}
