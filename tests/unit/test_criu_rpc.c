/* The conversation with a real criu: dump, cancel, causes. Needs root and a criu that works here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/criu.h"
#include "runtime/criu/images.h"

#define MEMORY (32 << 20)

static char folder[32];
static int dir;
static char *criu;
static pid_t child;

/* A process that counts in shared memory, with enough memory to fill any socket. */
static volatile uint64_t *counter;

static int setup(void **state)
{
	struct err e = { 0 };
	(void)state;
	strcpy(folder, "/tmp/davit-unit.XXXXXX");
	if (!mkdtemp(folder) || (dir = file_open_dir(AT_FDCWD, folder, &e)) < 0 || !(criu = criu_find(NULL, NULL, &e))) {
		print_message("%s\n", e.msg);
		return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(dir);
	free(criu);
	return file_remove_tree(AT_FDCWD, folder, NULL);
}

static int start_child(void **state)
{
	(void)state;
	counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	child = fork();
	if (child == 0) {
		setsid();
		for (int i = 0; i < 3; i++)
			close(i);
		close(dir);
		char *m = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(m, 'x', MEMORY);
		for (;;) {
			(*counter)++;
			usleep(1000);
		}
	}
	while (*counter < 5)
		usleep(1000);
	return 0;
}

static int end_child(void **state)
{
	(void)state;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return munmap((void *)counter, 4096);
}

static bool goes_on(void)
{
	uint64_t from = *counter;
	for (int i = 0; i < 60000 && *counter < from + 5; i++)
		usleep(1000);
	return *counter >= from + 5;
}

static int dump(int page_socket, int cancel_fd, const struct criu_callbacks *cb, struct err *e)
{
	Criu__CriuReq req = CRIU__CRIU_REQ__INIT;
	Criu__CriuOpts o = CRIU__CRIU_OPTS__INIT;
	Criu__PageServer ps = CRIU__PAGE_SERVER__INIT;

	o.images_dir_fd = dir;
	o.has_pid = o.has_leave_running = o.leave_running = o.has_notify_scripts = o.notify_scripts = o.has_log_level = true;
	o.pid = child;
	o.log_level = 2;
	o.log_file = (char *)"dump.log";
	if (page_socket >= 0) {
		ps.has_fd = true;
		ps.fd = page_socket;
		o.ps = &ps;
	}
	req.type = CRIU__REQ_TYPE__REQ_DUMP;
	req.opts = &o;
	struct criu_call c = { .criu = criu,
			       .req = &req,
			       .fds = &page_socket,
			       .nfds = page_socket >= 0,
			       .timens_fd = -1,
			       .log_dirfd = dir,
			       .cb = cb,
			       .cancel_fd = cancel_fd };
	auto_pb(Criu__CriuResp) *resp = criu_run(&c, NULL, e);
	return resp ? 0 : -1;
}

static int note(void *arg, const char *action, pid_t pid, int fd, struct err *e)
{
	(void)pid, (void)fd, (void)e;
	snprintf(arg, 64, "%s", action);
	return 0;
}

static void a_dump_leaves_the_process_running_and_tells_its_steps(void **state)
{
	struct err e = { 0 };
	char last[64] = "";
	const struct criu_callbacks cb = { note, last };
	(void)state;
	if (dump(-1, -1, &cb, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(last, "post-dump");
	assert_true(goes_on());
	auto_pb(Criu__StatsEntry) *s = NULL;
	assert_int_equal(criu_images_dump_stats(dir, &s, &e), 0);
	assert_true(s->dump->pages_written >= MEMORY / 4096);
}

/* Nobody reads the pages: the dump would hang for ever. */
static void a_cancelled_dump_leaves_the_process_as_it_was(void **state)
{
	struct err e = { 0 };
	int sv[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	auto_close int cancel = eventfd(0, EFD_CLOEXEC);
	pid_t canceller = fork();
	if (canceller == 0) {
		usleep(500000); /* well inside the dump, which does not end */
		_exit(eventfd_write(cancel, 1) < 0);
	}
	assert_int_equal(dump(sv[0], cancel, NULL, &e), -1);
	assert_int_equal(e.code, ERR_CANCELLED);
	assert_true(goes_on());
	waitpid(canceller, NULL, 0);
	close(sv[0]);
	close(sv[1]);
	if (dump(-1, -1, NULL, &e) < 0) /* and nothing is left in it that would hinder another */
		fail_msg("%s", e.msg);
	assert_true(goes_on());
}

static int refuse(void *arg, const char *action, pid_t pid, int fd, struct err *e)
{
	(void)arg, (void)pid, (void)fd;
	return str_eq(action, "post-dump") ? err_set(e, ERR_RESOURCE, 0, "no more") : 0;
}

static void a_callback_that_fails_ends_the_dump_with_its_error(void **state)
{
	struct err e = { 0 };
	const struct criu_callbacks cb = { refuse, NULL };
	(void)state;
	assert_int_equal(dump(-1, -1, &cb, &e), -1);
	assert_int_equal(e.code, ERR_RESOURCE);
	assert_string_equal(e.msg, "dump: no more");
	assert_true(goes_on());
}

static void a_criu_that_is_none_is_told(void **state)
{
	struct err e = { 0 };
	(void)state;
	assert_int_equal(criu_version("/nonexistent/criu", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(criu_version("/bin/true", &e), -1);
	assert_int_equal(e.code, ERR_CRIU);
	assert_null(criu_find("/bin/true", NULL, &e));
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.msg, "/bin/true"));
}

/* criu looks at the kernel with the help of children that sleep until it ends them. */
static void a_criu_that_is_killed_leaves_no_helper(void **state)
{
	static const char text[] = "#!/bin/sh\ncd \"${0%/*}\"\ncp \"$(command -v sleep)\" criu\n./criu 1000 &\n"
				   "until [ \"$(cat /proc/$!/comm)\" = criu ]; do :; done\nkill -KILL $$\n";
	struct err e = { 0 };
	Criu__CriuReq req = CRIU__CRIU_REQ__INIT;
	char path[64];
	(void)state;
	snprintf(path, sizeof(path), "%s/script", folder);
	assert_int_equal(file_write_atomic(dir, "script", text, sizeof(text) - 1, 0755, false, &e), 0);
	req.type = CRIU__REQ_TYPE__REQ_VERSION;
	const struct criu_call call = { .criu = path, .req = &req, .timens_fd = -1, .log_dirfd = -1, .cancel_fd = -1 };
	assert_null(criu_run(&call, NULL, &e));
	assert_true(file_exists(dir, "criu"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void this_cpu_fits_itself(void **state)
{
	struct err e = { 0 };
	auto_buf struct buf image = { 0 };
	(void)state;
	if (criu_cpuinfo(criu, &image, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(image.len > 12);
	assert_int_equal(criu_cpuinfo_check(criu, image.data, image.len, &e), 0);
	memset(image.data + 12, 0xff, image.len - 12);
	assert_int_equal(criu_cpuinfo_check(criu, image.data, image.len, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_dump_leaves_the_process_running_and_tells_its_steps, start_child, end_child),
		cmocka_unit_test_setup_teardown(a_cancelled_dump_leaves_the_process_as_it_was, start_child, end_child),
		cmocka_unit_test_setup_teardown(a_callback_that_fails_ends_the_dump_with_its_error, start_child, end_child),
		cmocka_unit_test(a_criu_that_is_none_is_told),
		cmocka_unit_test(a_criu_that_is_killed_leaves_no_helper),
		cmocka_unit_test(this_cpu_fits_itself),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
