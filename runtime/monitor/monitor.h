/* davit-monitor's parts: one struct for the program, one epoll loop, one file for each thing it looks after.
 *
 * main.c options, order of steps · start.c PROGRAM and its descriptors · sync.c the report to the caller · loop.c waiting · output.c stdout and
 * stderr · log.c the log · attach.c clients · input.c stdin · pty.c the terminal · reap.c children, the exit record · cgroup.c OOM kills · drop.c
 * privileges.
 *
 * Memory counts (there is one monitor for each container), so all buffers are static and touched only when used, and no library but libc is linked.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "proto/attach.h"

#define ATTACH_CLIENTS_MAX 32
#define INHERITED_MAX 64
#define PROGRAM_TAIL_MAX 4096
#define CLIENT_PATIENCE_NS 1000000000LL

struct monitor;

/* A descriptor in the epoll set. events 0: not in the set, since the kernel tells of hang-ups even when nothing was asked for. */
struct watch {
	int fd;
	uint32_t events;
	void (*ready)(struct monitor *m, struct watch *w, uint32_t events);
};

struct options {
	const char *id, *pid_file, *exit_file, *log, *attach;
	uint64_t log_max_bytes, log_max_files, log_group;
	uint64_t rows, columns;
	bool has_log_group, terminal, want_stdin;
	int sync_fd, attach_fd; /* attach_fd -1: none */
	char **program;
};

/* The log: the current file, and a folder to rotate in. */
struct log {
	int dirfd, fd;
	char name[256];
	uint64_t size;
	uint64_t lost; /* bytes of output that could not be written since the last that could */
	int lost_errno;
};

struct output {
	struct watch w; /* first: a watch is cast to it */
	int stream;	/* 0 stdout, 1 stderr */
	size_t owed;	/* bytes that lay in the pipe when the container ended, and are read before that is told */
};

struct client {
	struct watch w;
	bool has_time;	     /* no deadline */
	bool owes_exit;	     /* EXIT could not be sent yet */
	bool owes_chunk;     /* m->chunk could not be sent yet */
	int64_t deadline_ns; /* CLOCK_MONOTONIC, INT64_MAX: none; while it owes */
};

struct monitor {
	struct options o;
	int epoll;
	struct watch signals, listener, console;
	int exit_dirfd, attach_dirfd;
	char exit_name[256], attach_name[256];
	struct log log;

	/* Bytes last read from an output, kept until every client took them: nothing is read meanwhile. */
	struct output out[2];
	enum attach_type chunk_type;
	size_t chunk_n;
	uint8_t chunk[ATTACH_DATA_MAX];

	struct client clients[ATTACH_CLIENTS_MAX];
	uint8_t datagram[ATTACH_DATA_MAX + 1];

	/* stdin: a pipe's write end or a copy of the pty's master; its bytes not written yet, during which no client is read. */
	struct watch in;
	size_t in_off, in_n;
	bool in_eof;
	uint8_t in_data[ATTACH_DATA_MAX];

	int pty; /* the master, or -1; out[0] and in use copies */

	/* Until PROGRAM has ended. */
	pid_t program;
	int inherited[INHERITED_MAX]; /* what the caller left open for PROGRAM */
	int n_inherited;
	char tail[PROGRAM_TAIL_MAX];
	size_t tail_n;
	mode_t umask;

	pid_t init;
	int oom_fd; /* memory.oom_control or memory.events, or -1 */
	uint64_t oom_before;
	bool exited, told, recorded, oom_killed;
	int wait_status;
	int64_t finished_ns;	 /* CLOCK_REALTIME */
	int64_t record_again_ns; /* CLOCK_MONOTONIC: next try to write the exit record */
};

/* loop.c */
int loop_init(struct monitor *m, struct err *e);
int watch_set(struct monitor *m, struct watch *w, uint32_t events);
void watch_close(struct monitor *m, struct watch *w);
/* Runs until PROGRAM failed (-1, *e told) or the container has ended and all was said and written (0). */
int loop_run(struct monitor *m, struct err *e);

/* options.c. err_field names the option. 0, 1 if help was printed, or -1. */
int options_parse(int argc, char **argv, struct options *o, struct err *e);

/* start.c */
/* Notes the descriptors that were inherited, before others are opened. */
int start_note_inherited(struct monitor *m, struct err *e);
/* Makes stdin, stdout, stderr (or the console socket) and starts PROGRAM with them. */
int start_program(struct monitor *m, struct err *e);
/* PROGRAM ended with this wait status: takes over init. -1: it failed. */
int start_done(struct monitor *m, int wait_status, struct err *e);
/* Ends what a failed PROGRAM may have left below us. */
void start_undo(struct monitor *m);

/* sync.c: one line of JSON to the caller, once. */
void sync_pid(struct monitor *m, pid_t pid);
void sync_error(struct monitor *m, const struct err *e);
/* The last line of what PROGRAM wrote to its stderr, as an error. Returns -1. */
int sync_program_error(const struct monitor *m, int wait_status, struct err *e);

/* output.c */
void output_add(struct monitor *m, int stream, int fd);
/* The container ended: what lies in its pipes is still to be read. */
void output_note_exit(struct monitor *m);
/* Reads what is owed, unless clients hold it up. True when nothing is owed. */
bool output_drain(struct monitor *m);
/* Reads outputs again, or stops, as m->chunk is free. */
void output_update(struct monitor *m);
bool output_all_closed(const struct monitor *m);

/* log.c */
int log_open(struct log *l, const struct options *o, struct err *e);
/* PROGRAM is done: what another wrote to the file meanwhile (a log that comes with its container) counts as well. */
void log_look_again(struct log *l);
/* Writes bytes of a stream as lines. Never fails: see there. */
void log_output(struct log *l, const struct options *o, int stream, const uint8_t *p, size_t n);

/* attach.c */
int attach_listen(struct monitor *m, struct err *e);
/* has_time: waited for as long as it lives. */
int attach_add(struct monitor *m, int fd, bool has_time);
void attach_broadcast(struct monitor *m);
void attach_exit(struct monitor *m);
/* Ends clients that were too slow. Returns the next deadline (CLOCK_MONOTONIC), or 0. */
int64_t attach_check_deadlines(struct monitor *m, int64_t now_ns);
bool attach_any_owes(const struct monitor *m);
/* Reads clients again, or stops, as stdin has room. */
void attach_update(struct monitor *m);
/* Removes the socket. */
void attach_unlink(struct monitor *m);

/* input.c */
void input_write(struct monitor *m, const uint8_t *p, size_t n);
void input_end(struct monitor *m);
void input_watch(struct monitor *m, int fd);

/* pty.c */
/* Listens for the pty master. path (cap >= 128) is what PROGRAM gets as --console-socket. */
int pty_listen(struct monitor *m, char *path, size_t cap, struct err *e);
void pty_resize(struct monitor *m, unsigned rows, unsigned columns);
void pty_end_of_input(struct monitor *m);
void pty_unlisten(struct monitor *m);

/* reap.c */
/* SIGCHLD as a descriptor; signals that could end the monitor are ignored. */
int reap_init(struct monitor *m, struct err *e);
/* True once PROGRAM has ended. */
bool reap_program(struct monitor *m, int *wait_status);
/* After init was taken over: looks at once, since it may have ended before. */
void reap_children(struct monitor *m);
/* Writes the exit record, or plans another try. */
void reap_record(struct monitor *m);
int reap_exit_code(const struct monitor *m);

/* cgroup.c */
/* Opens the file that counts OOM kills of pid's memory cgroup. -1: there is none. */
int cgroup_open_oom(pid_t pid);
uint64_t cgroup_oom_count(int fd);

/* drop.c: gives up all that the rest of the work does not need. Failures are ignored: fewer rights are better, but none is worth the container. */
void drop_privileges(const struct monitor *m);
