/* A layer that is sent while it is in use: what comes out is what it is at the last pass, whatever happened between. As root. */
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <time.h>
#include "base/fd.h"
#include "base/clock.h"
#include "base/proc.h"
#include "runtime/layer/passes.h"
#include "tests/unit/layer.h"

static const struct passes_use nothing;

struct trip {
	int in[2];
	pid_t taker; /* a process: it forks, which beside other threads' allocations a sanitizer's allocator does not bear */
	struct passes *passes;
};

static _Noreturn void take(const struct trip *t)
{
	uint64_t bytes;
	close(t->in[1]);
	int rc = layer_import(in("to"), t->in[0], NULL, &bytes, &err);
	if (rc < 0)
		fprintf(stderr, "# %s\n", err.msg);
	_exit(rc < 0);
}

static void begin(struct trip *t)
{
	memset(t, 0, sizeof(*t));
	must(layer_create(in("layer"), &err));
	must(fd_pipe(t->in, &err));
	t->taker = fork();
	assert_true(t->taker >= 0);
	if (t->taker == 0)
		take(t);
	close(t->in[0]);
	t->passes = passes_new(in("layer"), t->in[1], &err);
	assert_non_null(t->passes);
}

static uint64_t pass(struct trip *t, const struct passes_use *in_use, bool last)
{
	struct passes_use use = *in_use;
	uint64_t bytes = 0;
	use.since = clock_now_ns(CLOCK_REALTIME_COARSE);
	must(passes_run(t->passes, &use, last, &bytes, &err));
	return bytes;
}

static void end(struct trip *t)
{
	passes_freep(&t->passes);
	close(t->in[1]);
	assert_int_equal(proc_exit_code(proc_wait(t->taker, -1, NULL)), 0); /* no limit: the stream has ended */
	must(layer_sync(in("to"), &err));
}

static void shell(const char *command)
{
	char line[2048];
	snprintf(line, sizeof(line), "cd %s/layer/upper && %s", root, command);
	assert_int_equal(system(line), 0);
}

/* Names, types, modes, owners, times, link counts and content are the same. */
static void assert_same(void)
{
	char line[4096];
	snprintf(line, sizeof(line),
		 "cd %s && for d in layer to; do (cd $d/upper && find . -printf '%%p %%y %%m %%U:%%G %%T@ %%n %%l\\n' | sort && find . -type f | "
		 "sort | xargs -r cksum) >$d.list; done; "
		 "diff layer.list to.list >&2",
		 root);
	assert_int_equal(system(line), 0);
}

/* Older than the tick in which a change could hide. */
static void settle(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
}

static void what_did_not_change_is_sent_once(void **state)
{
	struct trip t;
	(void)state;
	needs_root();
	begin(&t);
	shell("mkdir d && head -c 1000000 /dev/urandom >d/big && echo a >small");
	settle();
	assert_true(pass(&t, &nothing, false) > 1000000);
	shell("echo b >>small");
	settle();
	uint64_t second = pass(&t, &nothing, false), third = pass(&t, &nothing, true);
	assert_true(second < 10000);
	assert_true(third < 10000);
	end(&t);
	assert_same();
}

static void changes_of_every_kind_arrive(void **state)
{
	struct trip t;
	(void)state;
	needs_root();
	begin(&t);
	shell("mkdir -p a/b/c d e && echo 1 >a/b/c/file && echo 2 >d/file && echo 3 >e/x && ln e/x e/y && ln -s d link && chmod 700 d && mkfifo pipe "
	      "&& echo 4 >f");
	pass(&t, &nothing, false);
	shell("rm -r a && echo now a file >a && mv d g && echo 5 >>e/y && rm link && ln -s g link && rm f && mkdir f && echo 6 >f/in && chown 5:6 e "
	      "&& chmod 750 e");
	pass(&t, &nothing, false);
	shell("rm -r f g && rm e/x && touch -d '2001-01-01' e && ln e/y z && truncate -s 3000000 sparse && mv pipe e/pipe && mknod white c 0 0");
	pass(&t, &nothing, true);
	end(&t);
	assert_same();
}

static void change_in_the_same_tick_arrives(void **state)
{
	struct trip t;
	(void)state;
	needs_root();
	begin(&t);
	for (int i = 0; i < 20; i++) {
		shell("echo aaaa >quick");
		pass(&t, &nothing, false);
		auto_close int fd = open(in("layer/upper/quick"), O_WRONLY | O_CLOEXEC);
		assert_true(fd >= 0 && pwrite(fd, "bbbb", 4, 0) == 4);
	}
	pass(&t, &nothing, true);
	end(&t);
	assert_same();
}

/* The second write through a mapping that was written before changes no time: as the end of a long write(2) does not. */
static void assert_arrives(struct strv *list, const struct passes_use *use)
{
	struct trip t;
	needs_root();
	begin(&t);
	shell("head -c 8192 /dev/zero >mapped");
	auto_close int fd = open(in("layer/upper/mapped"), O_RDWR | O_CLOEXEC);
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	memset(p, 1, 8192);
	must(strv_add(list, "mapped", &err));
	settle();
	pass(&t, use, false);
	memset(p, 2, 8192);
	pass(&t, use, false);
	memset(p, 3, 8192);
	munmap(p, 8192);
	pass(&t, &nothing, true);
	end(&t);
	assert_same();
}

static void write_through_a_mapping_arrives(void **state)
{
	struct passes_use use = { 0 };
	(void)state;
	assert_arrives(&use.mapped, &use);
	passes_use_free(&use);
}

static void write_that_had_begun_before_arrives(void **state)
{
	struct passes_use use = { 0 };
	(void)state;
	assert_arrives(&use.writing, &use);
	passes_use_free(&use);
}

/* Relative to the layer; of its own, since in() is one thread's. */
__attribute__((format(printf, 2, 3))) static const char *name_in(char *out, const char *format, ...)
{
	va_list ap;
	int n = snprintf(out, 512, "%s/layer/upper/", root);
	va_start(ap, format);
	vsnprintf(out + n, 512 - (size_t)n, format, ap);
	va_end(ap);
	return out;
}

static void *churn(void *arg)
{
	char dir[512], file[512], other[512];
	for (int i = 0; !*(volatile bool *)arg; i++) {
		name_in(dir, "dir%d", i % 7);
		name_in(file, "dir%d/file%d", i % 7, i % 11);
		mkdir(dir, 0755);
		auto_close int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC | (i % 3 ? O_TRUNC : O_APPEND), 0644);
		if (fd >= 0 && write(fd, root, sizeof(root)) > 0 && i % 5 == 0)
			(void)!ftruncate(fd, i % 100000);
		if (i % 13 == 0)
			unlink(file);
		if (i % 17 == 0)
			rename(dir, name_in(other, "dir3/moved"));
		if (i % 101 == 0)
			file_remove_tree(AT_FDCWD, dir, NULL);
	}
	return NULL;
}

static void layer_in_full_use_arrives_as_it_ends(void **state)
{
	struct trip t;
	pthread_t user;
	bool stop = false;
	(void)state;
	needs_root();
	begin(&t);
	assert_int_equal(pthread_create(&user, NULL, churn, &stop), 0);
	for (int i = 0; i < 30; i++)
		pass(&t, &nothing, false);
	stop = true;
	pthread_join(user, NULL);
	pass(&t, &nothing, true);
	end(&t);
	assert_same();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_did_not_change_is_sent_once), T(changes_of_every_kind_arrive),	     T(change_in_the_same_tick_arrives),
		T(write_through_a_mapping_arrives),  T(write_that_had_begun_before_arrives), T(layer_in_full_use_arrives_as_it_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
