/* Stands in for davitd before the runtime core, for tests: keeps a core running, and sends it requests written as JSON.
 *
 *   corectl serve SOCKET PROGRAM ARGS…
 *     starts `PROGRAM ARGS… --socket-fd 3` and gives every client that connects to SOCKET a channel of its own
 *   corectl ask SOCKET REQUEST [I<FILE | I>FILE]…
 *     sends a request (JSON, id 1) and prints each reply on a line; stream I is written to or read from FILE
 *   corectl run SOCKET REQUEST [TEXT]
 *     exec or attach: writes TEXT to the process, prints its output, ends with its status
 *   corectl move SOCKET DUMP SOCKET PREPARE [MODE PROCESS…]
 *     joins the streams of both; prints both last replies; with MODE also a source of memory (tests/lib/source.h), whose pid comes first
 *   corectl source SOCKET ATTACH MODE PROCESS…
 *     such a source on the socket that the request brings
 *   corectl raw SOCKET HEX
 *     sends these bytes and prints the reply
 *   corectl watch SOCKET COUNT
 *     subscribes and prints that many events
 *
 * Ends with 1 if the last reply is an error. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "proto/attach.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "tests/lib/source.h"
#include "core.pb-c.h"

static struct err e;

static void die(const char *what)
{
	fprintf(stderr, "corectl: %s: %s %s\n", what, e.msg, e.field);
	exit(2);
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= (int)sizeof(sa.sun_path))
		die("path too long");
	return sa;
}

/* The core's new channel, by way of our own first one. */
static int new_channel(int core, char *name)
{
	Davit__CoreChannel ask = DAVIT__CORE_CHANNEL__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	Davit__CoreReply *reply = NULL;
	int fd = -1;
	size_t n = 1;
	q.id = 7;
	q.op_case = DAVIT__CORE_REQUEST__OP_CHANNEL;
	q.channel = &ask;
	ask.name = name;
	if (pb_send(core, &q.base, NULL, 0, &e) < 0 || pb_recv(core, &davit__core_reply__descriptor, &reply, &fd, &n, &e) <= 0)
		die("channel");
	pb_freep(&reply);
	return n == 1 ? fd : -1;
}

static int serve(const char *path, char **argv, int argc)
{
	int sv[2];
	struct sockaddr_un sa = address(path);
	char **args = calloc((size_t)argc + 3, sizeof(*args));
	for (int i = 0; i < argc; i++)
		args[i] = argv[i];
	args[argc] = "--socket-fd";
	args[argc + 1] = "3";
	if (fd_socketpair(SOCK_SEQPACKET, sv, &e) < 0)
		die("socketpair");
	pid_t core = fork();
	if (core == 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		if (sv[1] == 3)
			fd_set_cloexec(3, false, &e);
		else
			dup2(sv[1], 3);
		execv(args[0], args);
		_exit(127);
	}
	close(sv[1]);
	free(args);
	printf("%d\n", (int)core);
	fflush(stdout);
	unlink(path);
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(listener, (const struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(listener, 16) < 0)
		die("listen");
	for (;;) {
		struct pollfd p[] = { { .fd = listener, .events = POLLIN }, { .fd = sv[0], .events = 0 } };
		poll(p, 2, -1);
		if (p[1].revents)
			return 0; /* the core has ended */
		int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC), channel = client < 0 ? -1 : new_channel(sv[0], NULL);
		if (channel >= 0)
			(void)fd_send_msg(client, "x", 1, &channel, 1, &e);
		close(client);
		close(channel);
	}
}

static int connect_core(const char *path)
{
	struct sockaddr_un sa = address(path);
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), fd = -1;
	char byte;
	size_t n = 1;
	if (connect(s, (const struct sockaddr *)&sa, sizeof(sa)) < 0 || fd_recv_msg(s, &byte, 1, &fd, &n, &e) <= 0 || n != 1) {
		perror("corectl: connect");
		exit(2);
	}
	close(s);
	return fd;
}

static void ask(int core, const char *json)
{
	Davit__CoreRequest *q = json_parse(&davit__core_request__descriptor, json, strlen(json), JSON_REFUSE, NULL, &e);
	if (!q)
		die("request");
	q->id = 1;
	if (pb_send(core, &q->base, NULL, 0, &e) < 0)
		die("send");
	pb_freep(&q);
}

static Davit__CoreReply *hear(int core, int *fds, size_t *n)
{
	Davit__CoreReply *reply = NULL;
	*n = FD_PASS_MAX;
	int rc = pb_recv(core, &davit__core_reply__descriptor, &reply, fds, n, &e);
	if (rc <= 0)
		die(rc ? "receive" : "the core has gone");
	return reply;
}

/* Prints it; returns whether it is an error. */
static bool say(const Davit__CoreReply *reply)
{
	auto_buf struct buf b = { 0 };
	if (json_print(&reply->base, false, &b, &e) < 0)
		die("print");
	printf("%s\n", b.data);
	fflush(stdout);
	return reply->error != NULL;
}

struct pump {
	int from, to;
	bool shut; /* tell the end by shutdown, as the other direction goes on */
};

static void *pump(void *arg)
{
	const struct pump p = *(struct pump *)arg;
	free(arg);
	static __thread char data[65536];
	for (ssize_t n; (n = read(p.from, data, sizeof(data))) > 0;)
		if (fd_write_all(p.to, data, (size_t)n, NULL) < 0)
			break;
	if (p.shut)
		shutdown(p.to, SHUT_WR);
	else
		close(p.to);
	return NULL;
}

static void start_pump(pthread_t *t, int from, int to, bool shut)
{
	struct pump *p = malloc(sizeof(*p));
	*p = (struct pump){ from, to, shut };
	if (pthread_create(t, NULL, pump, p))
		die("thread");
}

/* "0<FILE" writes the file to stream 0, "0>FILE" stores it. */
static void open_pumps(int *fds, size_t n, char **files, int count, pthread_t *threads)
{
	for (int i = 0; i < count; i++) {
		size_t k = (size_t)(files[i][0] - '0');
		bool in = files[i][1] == '<';
		int fd = open(files[i] + 2, in ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || k >= n)
			die(files[i]);
		start_pump(&threads[i], in ? fd : fds[k], in ? fds[k] : fd, false);
		fds[k] = -1;
	}
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int do_ask(int core, const char *json, char **files, int count)
{
	int fds[FD_PASS_MAX], started = 0;
	pthread_t threads[8];
	size_t n;
	bool failed, more;
	ask(core, json);
	do {
		Davit__CoreReply *reply = hear(core, fds, &n);
		failed = say(reply);
		more = reply->more;
		if (n) {
			open_pumps(fds, n, files, count, threads);
			started = count;
		}
		pb_freep(&reply);
	} while (more);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return failed;
}

static int do_run(const char *path, const char *json, const char *text)
{
	int core = connect_core(path), fds[FD_PASS_MAX];
	static uint8_t data[ATTACH_DATA_MAX + 1];
	struct attach_msg m;
	size_t n;
	ask(core, json);
	auto_pb(Davit__CoreReply) *reply = hear(core, fds, &n);
	if (n != 1)
		return say(reply);
	if (text) {
		attach_send(fds[0], &(struct attach_msg){ .type = ATTACH_STDIN, .data = (const uint8_t *)text, .n = strlen(text) }, &e);
		attach_send(fds[0], &(struct attach_msg){ .type = ATTACH_STDIN_EOF }, &e);
	}
	for (;;) {
		ssize_t got = recv(fds[0], data, sizeof(data), 0);
		if (got <= 0 || attach_parse(data, (size_t)got, &m, &e) < 0)
			return 3;
		if (m.type == ATTACH_EXIT)
			return m.exit_code;
		fd_write_all(m.type == ATTACH_STDERR ? 2 : 1, m.data, m.n, &e);
	}
}

/* A process that serves memory as long as it is wanted; its pid is printed. */
static void start_source(int sock, const char *mode, char **processes, int n)
{
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(sock, 3);
		close_range(4, ~0U, 0);
		source_serve(3, mode, processes, (size_t)n);
		_exit(0);
	}
	close(sock);
	printf("%d\n", (int)pid);
	fflush(stdout);
}

static int do_source(const char *path, const char *json, char **args, int n)
{
	int core = connect_core(path), fds[FD_PASS_MAX];
	size_t nfds;
	ask(core, json);
	auto_pb(Davit__CoreReply) *reply = hear(core, fds, &nfds);
	if (nfds != 1)
		return say(reply) | 1;
	start_source(fds[0], args[0], args + 1, n - 1);
	return 0;
}

static int do_move(const char *from, const char *dump, const char *to, const char *prepare, char **memory, int n)
{
	int source = connect_core(from), target = connect_core(to), out[FD_PASS_MAX], in[FD_PASS_MAX];
	pthread_t t[5];
	size_t nout, nin;
	ask(target, prepare);
	Davit__CoreReply *reply = hear(target, in, &nin);
	if (nin != (n ? 5U : 4U))
		exit(say(reply) | 1);
	if (n)
		start_source(in[4], memory[0], memory + 1, n - 1);
	pb_freep(&reply);
	ask(source, dump);
	reply = hear(source, out, &nout);
	if (nout != 4)
		exit(say(reply) | 1);
	pb_freep(&reply);
	for (int i = 0; i < 4; i++)
		start_pump(&t[i], out[i], in[i], i == 2);
	start_pump(&t[4], in[2], out[2], true);
	reply = hear(source, out, &nout);
	bool failed = say(reply);
	pb_freep(&reply);
	if (failed)
		return 1; /* closing all of it ends the other side */
	reply = hear(target, in, &nin);
	failed = say(reply);
	pb_freep(&reply);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return failed;
}

static int do_raw(const char *path, const char *hex)
{
	int core = connect_core(path), fds[FD_PASS_MAX];
	uint8_t data[4096];
	size_t n = 0, nfds;
	for (; hex[2 * n] && n < sizeof(data); n++)
		sscanf(hex + 2 * n, "%2hhx", &data[n]);
	if (send(core, data, n, 0) < 0)
		die("send");
	auto_pb(Davit__CoreReply) *reply = hear(core, fds, &nfds);
	return say(reply);
}

static int do_watch(const char *path, int count)
{
	int core = connect_core(path), fds[FD_PASS_MAX];
	size_t n;
	ask(core, "{\"id\":1,\"subscribe\":{}}");
	for (int i = 0; i <= count; i++) {
		Davit__CoreReply *reply = hear(core, fds, &n);
		say(reply);
		pb_freep(&reply);
	}
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc >= 4 && str_eq(argv[1], "serve"))
		return serve(argv[2], argv + 3, argc - 3);
	if (argc >= 4 && str_eq(argv[1], "ask"))
		return do_ask(connect_core(argv[2]), argv[3], argv + 4, argc - 4);
	if (argc == 5 && str_eq(argv[1], "limited"))
		return do_ask(new_channel(connect_core(argv[2]), argv[3]), argv[4], NULL, 0);
	if (argc >= 4 && str_eq(argv[1], "run"))
		return do_run(argv[2], argv[3], argv[4]);
	if (argc >= 6 && str_eq(argv[1], "move"))
		return do_move(argv[2], argv[3], argv[4], argv[5], argv + 6, argc - 6);
	if (argc >= 6 && str_eq(argv[1], "source"))
		return do_source(argv[2], argv[3], argv + 4, argc - 4);
	if (argc == 4 && str_eq(argv[1], "raw"))
		return do_raw(argv[2], argv[3]);
	if (argc == 4 && str_eq(argv[1], "watch"))
		return do_watch(argv[2], atoi(argv[3]));
	fprintf(stderr, "usage: see corectl.c\n");
	return 2;
}
