/* The eight kinds of namespaces, and which of them a container makes, joins or shares with the host. Sources: namespaces(7), setns(2), clone(2).
 *
 * The order of the table is the order in which they come to be, and why:
 * user first, so that it owns all the others (namespaces(7): a namespace belongs to the user namespace of its maker);
 * mount, pid, network, uts, ipc together with it, by one clone3(2), which makes the user namespace before the rest;
 * cgroup after the process has been put into its cgroup, since the namespace's root is the cgroup that its maker is in;
 * time last: it is made by unshare(2), given its offsets while nobody is in it, and then entered.
 * Joined ones are entered before any is made, by an intermediate process: a new user namespace would take away the right to enter the host's. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "oci.pb-c.h"

enum ns_kind { NS_USER, NS_MOUNT, NS_PID, NS_NETWORK, NS_UTS, NS_IPC, NS_CGROUP, NS_TIME, NS_COUNT };

struct ns_type {
	const char *oci;  /* in config.json */
	const char *proc; /* in /proc/PID/ns/ */
	int flag;	  /* CLONE_NEW… */
};
extern const struct ns_type ns_types[NS_COUNT];

enum ns_how { NS_HOST, NS_NEW, NS_JOIN };

struct ns_set {
	enum ns_how how[NS_COUNT];
	int fd[NS_COUNT]; /* owned; of the ones to join */
};

/* The kind of an OCI name, or -1. */
int ns_kind_of(const char *oci_name);
void ns_set_init(struct ns_set *s); /* all the host's */
void ns_set_close(struct ns_set *s);
#define auto_ns_set __attribute__((cleanup(ns_set_close)))
/* Fills an initialised set from the spec's list and opens what is joined. A path that leads to the caller's own namespace counts as the host's.
 * ERR_INVALID names the entry whose path is no namespace, or one of another kind. */
int ns_set_of_spec(const Davit__OciSpec *spec, struct ns_set *out, struct err *e);
/* Opens the namespace of a process. An owned fd, or -1. */
int ns_open(pid_t pid, enum ns_kind kind, struct err *e);
/* CLONE_NEW… of the namespaces of a process that are not the caller's own. -1: it is gone. */
int ns_flags_of_pid(pid_t pid, struct err *e);
/* CLONE_NEW… of all kinds that are `how`. */
int ns_set_flags(const struct ns_set *s, enum ns_how how);
/* Whether the spec asks for a kind at all / makes a new one of it. */
enum ns_how ns_how_of_spec(const Davit__OciSpec *spec, enum ns_kind kind);
/* Tells why a clone(2) of these kinds failed, as far as errno and the kernel's files say. Returns -1. */
int ns_make_failed(int flags, int cause, struct err *e);
