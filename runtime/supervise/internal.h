/* What the files of runtime/supervise share: the process, and a call that it answers. Only async-signal-safe calls: it is a fork that never execs. */
#pragma once
#include <limits.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "runtime/supervise/supervise.h"

struct supervisor {
	const char *id;
	const Davit__SeccompSupervisor *what;
	int listener, audit;
	int proc;      /* O_PATH fd of the host's /proc */
	int user, mnt; /* namespaces of the container's first process */
	int net, ipc;
	int ready;			   /* pipe to who started it, until it listens */
	dev_t user_dev, mnt_dev, root_dev; /* of these, and of the container's root filesystem */
	ino_t user_ino, mnt_ino;
	uid_t root;    /* the host's id of the container's root */
	bool own_user; /* the container has a user namespace of its own */
};

/* A call as its caller made it, and the caller as it was while the call waited. */
struct call {
	struct seccomp_notif n;
	pid_t process; /* thread group */
	uid_t uid;     /* ids that files are made and opened with */
	gid_t gid;
	mode_t mask;
	int root, cwd;	/* of the caller */
	bool is_served; /* by the container's root, in its own namespaces */
};
/* Opens and reads what belongs to the caller. 0 or an errno (ENOENT: it has gone). */
int call_open(const struct supervisor *s, struct call *c);
void call_close(struct call *c);
/* Whether it still waits: what was read and opened by the caller's pid before is then the caller's. */
bool call_waits(const struct supervisor *s, const struct call *c);
/* Copies a text of the caller once. 0 or an errno. address 0: "". */
int call_text(const struct supervisor *s, const struct call *c, uint64_t address, char *out, size_t cap);
/* Makes c->cwd what a dirfd of the caller is. 0 or an errno. */
int call_at(const struct supervisor *s, struct call *c, int dirfd);
/* The caller's answer: 0 or an errno. */
void call_answer(const struct supervisor *s, const struct call *c, int error);
/* As if nobody had asked. */
void call_continue(const struct supervisor *s, const struct call *c);

/* A line of the log. arguments: JSON text of an object's members. error -1: denied; 0: done; else an errno. */
void audit_call(const struct supervisor *s, const struct call *c, const char *name, const char *arguments, int error);
/* Appends "key":"value" to a list of members. */
void audit_add(char *members, size_t cap, const char *key, const char *value);

/* Each takes a call that is open, answers it and leaves an audit line. */
void do_mknod(const struct supervisor *s, struct call *c);
void do_mount(const struct supervisor *s, struct call *c);
void do_open(const struct supervisor *s, struct call *c);

/* Runs work in a child, so that what it becomes ends with it. Returns its errno; ETIMEDOUT if it did not end. */
int worker_do(int (*work)(void *arg), void *arg);
/* Worker: the caller's root and folder become its own. errno or 0. */
int worker_enter(const struct call *c);
_Noreturn void supervisor_main(struct supervisor *s);
