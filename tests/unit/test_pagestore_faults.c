/* The page store when something goes wrong: connections cut, a worker killed, a source that lies, a restore that fails. */
#include <limits.h>
#include <sys/stat.h>
#include "runtime/pagestore/guard.h"
#include "tests/unit/pagestore.h"

#define FALLS 8 /* that a guard mends (guard.c) */

static bool cut_off(const struct world *w)
{
	char some[4096];
	ssize_t n = 1;
	while (n > 0 && fd_wait(w->memory, POLLIN | POLLHUP, WAIT_MS, NULL) > 0)
		n = recv(w->memory, some, sizeof(some), 0);
	return n <= 0;
}

static void connect_again(struct world *w)
{
	fd_closep(&w->memory);
	w->memory = pagestore_attach(w->dir, &w->e);
	if (w->memory < 0)
		fail_msg("%s", w->e.msg);
}

static void after_a_cut_the_next_connection_is_asked_again(void **state)
{
	struct world *w = *state;
	uint64_t n;
	put(w, MEMORY_DATA, 0, 100, false);
	pid_t task = start_task(w, look);
	assert_int_equal(fetched(w, &n), 100);
	assert_int_equal(fetched(w, &n), 101);
	const uint8_t half[20] = { 1 };
	assert_int_equal(fd_write_all(w->memory, half, sizeof(half), NULL), 0); /* cut within a record */
	connect_again(w);
	assert_int_equal(fetched(w, &n), 100);
	put(w, MEMORY_DATA, 100, PAGES - 100, false);
	assert_int_equal(status_of(task), 0);
}

/* The store's processes hold the images' folder open. */
static bool is_of_store(const struct world *w, const char *pid)
{
	char path[300], link[300], comm[64] = "";
	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	if (file_read_line(AT_FDCWD, path, comm, sizeof(comm), NULL) < 0 || !str_eq(comm, "davit-pages"))
		return false;
	for (int fd = 3; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/%.20s/fd/%d", pid, fd);
		ssize_t n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = 0;
		if (str_eq(link, w->dir))
			return true;
	}
	return false;
}

static pid_t parent_of(pid_t pid)
{
	char path[64], stat[1024] = "";
	int ppid = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read_line(AT_FDCWD, path, stat, sizeof(stat), NULL) == 0)
		sscanf(strrchr(stat, ')'), ") %*c %d", &ppid);
	return ppid;
}

/* Whose parent, in the end, is the one behind and whose child is none. -1: there is no such process just now. */
static pid_t worker_of(const struct world *w)
{
	DIR *proc = opendir("/proc");
	pid_t all[8];
	size_t n = 0;
	for (struct dirent *x; n < ARRAY_LEN(all) && (x = readdir(proc));)
		if (x->d_name[0] >= '1' && x->d_name[0] <= '9' && is_of_store(w, x->d_name))
			all[n++] = atoi(x->d_name);
	closedir(proc);
	for (size_t i = 0; n == 3 && i < n; i++) {
		bool leaf = true;
		for (size_t j = 0; j < n; j++)
			leaf = leaf && parent_of(all[j]) != all[i];
		if (leaf)
			return all[i];
	}
	return -1;
}

/* All three of the store's processes are there. */
static pid_t worker_soon(const struct world *w)
{
	pid_t worker = -1;
	for (int i = 0; i < WAIT_MS && (worker = worker_of(w)) < 0; i++)
		poll(NULL, 0, 1);
	return worker;
}

static bool is_there(const struct world *w)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/" PAGESTORE_SOCKET, w->dir);
	return file_exists(AT_FDCWD, path);
}

static void assert_goes(const struct world *w)
{
	for (int i = 0; i < WAIT_MS && is_there(w); i++)
		poll(NULL, 0, 1);
	assert_false(is_there(w));
}

/* Returns when its guard has seen it. */
static void kill_worker(const struct world *w)
{
	pid_t worker = worker_soon(w);
	assert_true(worker > 0);
	assert_int_equal(kill(worker, SIGKILL), 0);
	while (kill(worker, 0) == 0)
		poll(NULL, 0, 1);
}

static int note_ended(void *arg, const Davit__MemoryStatus *s, struct err *e)
{
	*(bool *)arg = s->ended;
	return err_set(e, ERR_CANCELLED, 0, "seen");
}

static bool has_ended(const struct world *w)
{
	bool ended = false;
	(void)pagestore_wait(w->dir, -1, note_ended, &ended, NULL);
	return ended;
}

/* Else the target would take a container for whole that lacks what the new connection has not brought yet, and have its source deleted. */
static void the_end_of_a_connection_is_not_that_of_the_next(void **state)
{
	struct world *w = *state;
	uint64_t pages;
	put(w, MEMORY_DATA, 0, 1, false);
	pid_t task = start_task(w, look);
	assert_int_equal(fetched(w, &pages), 1);
	put(w, MEMORY_END, 0, 0, false);
	while (!has_ended(w))
		poll(NULL, 0, 1);
	connect_again(w);
	assert_false(has_ended(w));
	put(w, MEMORY_DATA, 1, PAGES - 1, false);
	put(w, MEMORY_END, 0, 0, false);
	assert_int_equal(status_of(task), 0);
	auto_pb(Davit__MemoryStatus) *s = wait_complete(w);
}

static void a_killed_worker_has_a_successor_that_loses_nothing(void **state)
{
	struct world *w = *state;
	uint64_t n;
	put(w, MEMORY_DATA, 0, 100, false);
	pid_t task = start_task(w, look);
	assert_int_equal(fetched(w, &n), 100);
	assert_int_equal(fetched(w, &n), 101);
	for (int i = 0; i < 3; i++) {
		kill_worker(w);
		connect_again(w);
		assert_int_equal(fetched(w, &n), 100);
	}
	put(w, MEMORY_DATA, 100, PAGES - 100, false);
	put(w, MEMORY_END, 0, 0, false);
	assert_int_equal(status_of(task), 0);
}

/* Without the third the kernel would give zeros to the task, which looks at every byte, until somebody notices. */
static void worker_and_guard_killed_at_once_have_successors_that_lose_nothing(void **state)
{
	struct world *w = *state;
	uint64_t n;
	put(w, MEMORY_DATA, 0, 100, false);
	pid_t task = start_task(w, look);
	assert_int_equal(fetched(w, &n), 100);
	assert_int_equal(fetched(w, &n), 101);
	for (int worker_first = 0; worker_first < 2; worker_first++) {
		pid_t worker = worker_soon(w), guard = parent_of(worker);
		assert_true(worker > 0 && guard > 1);
		assert_int_equal(kill(worker_first ? worker : guard, SIGKILL), 0);
		assert_int_equal(kill(worker_first ? guard : worker, SIGKILL), 0);
		while (kill(worker, 0) == 0 || kill(guard, 0) == 0)
			poll(NULL, 0, 1);
		connect_again(w);
		assert_int_equal(fetched(w, &n), 100);
	}
	put(w, MEMORY_DATA, 100, PAGES - 100, false);
	put(w, MEMORY_END, 0, 0, false);
	assert_int_equal(status_of(task), 0);
}

/* While the source has not said its end the store of a container that is whole still hears it; a successor has nobody to hear. */
static void a_worker_that_is_killed_when_all_is_given_leaves_no_store_that_stays(void **state)
{
	struct world *w = *state;
	put(w, MEMORY_DATA, 0, PAGES, false);
	pid_t task = start_task(w, look);
	assert_int_equal(status_of(task), 0);
	auto_pb(Davit__MemoryStatus) *s = wait_complete(w);
	kill_worker(w);
	assert_goes(w);
}

static void a_successor_ends_with_the_container_as_well(void **state)
{
	struct world *w = *state;
	uint64_t n;
	pid_t task = start_task(w, look);
	assert_int_equal(fetched(w, &n), 0);
	assert_int_equal(pagestore_running(w->dir, task, &w->e), 0);
	kill_worker(w);
	assert_true(worker_soon(w) > 0);
	assert_int_equal(kill(task, SIGKILL), 0);
	(void)status_of(task);
	assert_goes(w);
}

/* Without its mark a container that is whole would be taken for one whose memory is lost. */
static void a_worker_whose_guard_was_killed_ends_as_with_it(void **state)
{
	struct world *w = *state;
	uint64_t n;
	pid_t task = start_task(w, look);
	assert_int_equal(fetched(w, &n), 0);
	pid_t worker = worker_soon(w);
	assert_true(worker > 0);
	assert_int_equal(kill(parent_of(worker), SIGKILL), 0);
	put(w, MEMORY_DATA, 0, PAGES, false);
	put(w, MEMORY_END, 0, 0, false);
	assert_int_equal(status_of(task), 0);
	auto_pb(Davit__MemoryStatus) *s = pagestore_wait(w->dir, -1, NULL, NULL, &w->e);
	if (!s)
		fail_msg("%s", w->e.msg);
	assert_true(s->complete);
}

/* Its descriptors are closed only when it has ended: look() would see zeros, and end by itself. */
static void one_whose_worker_falls_again_and_again_ends_the_container_before_it_reads_zeros(void **state)
{
	struct world *w = *state;
	uint64_t n;
	int status = 0;
	put(w, MEMORY_DATA, 0, 100, false);
	pid_t task = start_task(w, look);
	assert_int_equal(fetched(w, &n), 100);
	assert_int_equal(pagestore_running(w->dir, task, &w->e), 0);
	for (int i = 0; i < FALLS; i++)
		kill_worker(w);
	assert_int_equal(waitpid(task, &status, 0), task);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_null(pagestore_wait(w->dir, -1, NULL, NULL, &w->e));
	assert_int_equal(w->e.code, ERR_CORRUPT);
}

static void a_restore_that_failed_may_be_repeated(void **state)
{
	struct world *w = *state;
	put(w, MEMORY_DATA, 0, PAGES, false);
	assert_int_equal(pagestore_restore(w->dir, 0, NULL), 0);
	pid_t first = fork();
	if (first == 0) {
		become_task(w, false);
		_exit(holds(w->area, 0, 20) ? 0 : 1);
	}
	(void)status_of(first);
	pid_t task = start_task(w, look);
	assert_int_equal(status_of(task), 0);
}

/* The last round may still be on its way when the tasks are there. */
static void nothing_is_given_before_the_last_round_is_whole(void **state)
{
	struct world *w = *state;
	put(w, MEMORY_DATA, 0, PAGES, true);
	assert_int_equal(pagestore_restore(w->dir, 5000, NULL), 0);
	pid_t task = fork();
	if (task == 0) {
		become_task(w, true);
		_exit(look(w));
	}
	put(w, MEMORY_MARK, 4999, 0, false);
	assert_int_equal(waitpid(task, NULL, WNOHANG), 0);
	poll(NULL, 0, 50);
	put(w, MEMORY_DATA, 0, PAGES, false);
	put(w, MEMORY_MARK, 5000, 0, false);
	assert_int_equal(pagestore_running(w->dir, task, &w->e), 0);
	assert_int_equal(status_of(task), 0);
}

/* A restore whose tasks are not taken yet. It ends when it is refused. */
static pid_t start_restore(const struct world *w)
{
	assert_int_equal(pagestore_restore(w->dir, 5000, NULL), 0);
	pid_t task = fork();
	if (task == 0) {
		char nothing;
		alarm(WAIT_MS / 1000);
		_exit(recv(begin_task(w), &nothing, 1, 0) <= 0 ? 0 : 1);
	}
	return task;
}

static void a_restore_whose_last_round_is_lost_fails(void **state)
{
	struct world *w = *state;
	pid_t task = start_restore(w);
	shutdown(w->memory, SHUT_RDWR);
	assert_int_equal(pagestore_running(w->dir, getpid(), &w->e), -1);
	assert_int_equal(status_of(task), 0);
}

/* It would wait at the store's door for as long as it is let, and the container stand still on both hosts. */
static void a_restore_whose_worker_falls_before_it_is_let_in_fails(void **state)
{
	struct world *w = *state;
	pid_t task = start_restore(w);
	kill_worker(w);
	assert_int_equal(pagestore_running(w->dir, getpid(), &w->e), -1);
	assert_int_equal(status_of(task), 0);
}

/* It would wait for pages that nobody has any more, and hold what a restore holds. */
static void a_task_that_waits_for_a_lost_source_is_ended_while_it_is_restored(void **state)
{
	struct world *w = *state;
	uint64_t pages;
	put(w, MEMORY_DATA, 0, 1, false);
	assert_int_equal(pagestore_restore(w->dir, 0, NULL), 0);
	for (int before = 1; before >= 0; before--) {
		pid_t task = fork();
		if (task == 0) {
			signal(SIGBUS, SIG_DFL);
			alarm(WAIT_MS / 1000);
			(void)begin_task(w);
			_exit(look(w));
		}
		if (before)
			(void)fetched(w, &pages);
		shutdown(w->memory, SHUT_RDWR);
		int status = 0;
		assert_int_equal(waitpid(task, &status, 0), task);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGBUS);
	}
}

/* A store of little memory is complete as soon as its tasks are there, and ends while the core still asks it. */
static void one_that_ends_complete_while_it_is_asked_was_no_failure(void **state)
{
	struct world *w = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char dir[PATH_MAX];
	snprintf(dir, sizeof(dir), "%s/ending", w->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_true(snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/" PAGESTORE_SOCKET, dir) < (int)sizeof(sa.sun_path));
	for (int done = 1; done >= 0; done--) {
		int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(bind(listener, (const struct sockaddr *)&sa, sizeof(sa)), 0);
		assert_int_equal(listen(listener, 4), 0);
		pid_t store = fork();
		if (store == 0) {
			(void)fd_wait(listener, POLLIN, WAIT_MS, NULL); /* asked, and not accepted any more */
			_exit(done && file_write_atomic(folder, PAGESTORE_DONE, "", 0, 0600, false, NULL) < 0);
		}
		close(listener);
		assert_int_equal(pagestore_running(dir, getpid(), &w->e), done ? 0 : -1);
		assert_int_equal(status_of(store), 0);
		(void)unlinkat(folder, PAGESTORE_SOCKET, 0);
		(void)unlinkat(folder, PAGESTORE_DONE, 0);
		close(folder);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void more_than_the_container_may_have_is_refused(void **state)
{
	struct world *w = *state;
	static uint8_t data[PAGE * MEMORY_DATA_PAGES_MAX];
	bool open = true;
	for (uint64_t i = 0; open && i < 2 * LIMIT / sizeof(data); i++) {
		struct memory_record r = { .type = MEMORY_DATA, .pid = 1, .vaddr = i * sizeof(data), .pages = MEMORY_DATA_PAGES_MAX };
		uint8_t head[MEMORY_RECORD_SIZE];
		memory_put(&r, head);
		open = fd_write_all(w->memory, head, sizeof(head), NULL) == 0 && fd_write_all(w->memory, data, sizeof(data), NULL) == 0;
	}
	assert_true(cut_off(w));
}

static void pages_scattered_over_all_addresses_are_bounded(void **state)
{
	struct world *w = *state;
	bool open = true;
	for (uint64_t i = 0; open && i < 1000000; i++) {
		struct memory_record r = { .type = MEMORY_ZERO, .pid = 1 + (uint32_t)(i % 100), .vaddr = i << 24, .pages = 1 };
		uint8_t head[MEMORY_RECORD_SIZE];
		memory_put(&r, head);
		open = fd_write_all(w->memory, head, sizeof(head), NULL) == 0;
	}
	assert_false(open);
	assert_true(cut_off(w));
}

static void huge_ranges_cost_no_time(void **state)
{
	struct world *w = *state;
	struct memory_record r = { .type = MEMORY_DROP, .pid = PID, .vaddr = 0, .pages = MEMORY_ADDRESS_MAX / PAGE };
	uint8_t head[MEMORY_RECORD_SIZE];
	put(w, MEMORY_DATA, 0, PAGES, true);
	memory_put(&r, head);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(fd_write_all(w->memory, head, sizeof(head), NULL), 0);
	put(w, MEMORY_DATA, 0, PAGES, false);
	put(w, MEMORY_END, 0, 0, false);
	pid_t task = start_task(w, look);
	assert_int_equal(status_of(task), 0);
}

static void what_is_no_record_ends_the_connection(void **state)
{
	struct world *w = *state;
	const uint8_t bad[MEMORY_RECORD_SIZE] = { MEMORY_REST };
	assert_int_equal(fd_write_all(w->memory, bad, sizeof(bad), NULL), 0);
	assert_true(cut_off(w));
	connect_again(w);
}

static void it_ends_with_the_container(void **state)
{
	struct world *w = *state;
	pid_t task = start_task(w, look);
	uint64_t n;
	(void)fetched(w, &n);
	assert_int_equal(pagestore_running(w->dir, task, &w->e), 0);
	kill(task, SIGKILL);
	(void)status_of(task);
	assert_true(cut_off(w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(after_a_cut_the_next_connection_is_asked_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_end_of_a_connection_is_not_that_of_the_next, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_killed_worker_has_a_successor_that_loses_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(worker_and_guard_killed_at_once_have_successors_that_lose_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_worker_that_is_killed_when_all_is_given_leaves_no_store_that_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_successor_ends_with_the_container_as_well, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_worker_whose_guard_was_killed_ends_as_with_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_whose_worker_falls_again_and_again_ends_the_container_before_it_reads_zeros, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_restore_that_failed_may_be_repeated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_given_before_the_last_round_is_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_task_that_waits_for_a_lost_source_is_ended_while_it_is_restored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_restore_whose_last_round_is_lost_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_restore_whose_worker_falls_before_it_is_let_in_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_ends_complete_while_it_is_asked_was_no_failure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(more_than_the_container_may_have_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pages_scattered_over_all_addresses_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(huge_ranges_cost_no_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_record_ends_the_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_ends_with_the_container, set_up, tear_down),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
