/* davit's options: all forms are understood, and what is wrong is named together with what to do. */
#include "tests/unit/unit.h"
#include "agent/cli/spec.h"

static const struct command command = { "try", "NAME [COMMAND]…", "try it", NULL };

struct values {
	bool flag;
	const char *text;
	struct option_number bytes, seconds;
	struct strv list;
};

static int parse(struct values *v, int min, int max, bool program, struct words *w, struct err *e, char **argv)
{
	const struct option options[] = {
		{ "flag", 'f', NULL, OPTION_FLAG, &v->flag, "" },	{ "text", 't', "TEXT", OPTION_STRING, &v->text, "" },
		{ "bytes", 'b', "BYTES", OPTION_BYTES, &v->bytes, "" }, { "seconds", 0, "SPAN", OPTION_SECONDS, &v->seconds, "" },
		{ "list", 'l', "ITEM", OPTION_LIST, &v->list, "" },	{ 0 },
	};
	struct cli c = { .command = &command };
	int argc = 0;

	memset(v, 0, sizeof(*v));
	memset(e, 0, sizeof(*e));
	while (argv[argc])
		argc++;
	return cli_parse(&c, options, argc, argv, min, max, program, w, e);
}
#define ARGV(...) ((char *[]){ (char *)"try", __VA_ARGS__, NULL })
#define S(text) ((char *)text)

static void every_form_of_an_option_is_taken(void **state)
{
	struct values v;
	struct words w;
	struct err e;

	(void)state;
	assert_int_equal(parse(&v, 1, 1, false, &w, &e, ARGV(S("-f"), S("--text"), S("x"), S("web"), S("--bytes=64m"), S("--seconds"), S("2m"))), 0);
	assert_true(v.flag);
	assert_string_equal(v.text, "x");
	assert_int_equal(v.bytes.value, 64 << 20);
	assert_int_equal(v.seconds.value, 120);
	assert_int_equal(w.n, 1);
	assert_string_equal(w.v[0], "web");
	assert_int_equal(parse(&v, 0, 0, false, &w, &e, ARGV(S("-fty"), S("-lone"), S("-l"), S("two"))), 0);
	assert_string_equal(v.text, "y");
	assert_int_equal(v.list.n, 2);
	strv_free(&v.list);
}

static void a_field_of_the_api_is_told_as_the_option_that_sets_it(void **state)
{
	static const char *const cases[][2] = {
		{ "newName", "--name" },
		{ "spec.limits.cpuMillis", "--cpus" },
		{ "capAdd[0]", "--cap-add" },
		{ "spec.attachments[0].ports[1].hostPort", "--publish" },
		{ "spec.attachments[0].network", "--network" },
		{ "mounts[12].source", "--mount" },
		{ "process.args", "COMMAND" },
		{ "spec.limits.ioWeight", "spec.limits.ioWeight" },
		{ "names", "names" },
		{ "a[", "a[" },
	};
	char option[ERR_FIELD_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cli_field(cases[i][0], option, sizeof(option));
		assert_string_equal(option, cases[i][1]);
	}
}

static void words_of_a_program_are_not_options(void **state)
{
	struct values v;
	struct words w;
	struct err e;

	(void)state;
	assert_int_equal(parse(&v, 2, -1, true, &w, &e, ARGV(S("-f"), S("web"), S("ls"), S("-t"), S("--flag"))), 0);
	assert_int_equal(w.n, 4);
	assert_null(v.text);
	assert_string_equal(w.v[2], "-t");
	assert_int_equal(parse(&v, 1, -1, true, &w, &e, ARGV(S("--"), S("-x"))), 0);
	assert_string_equal(w.v[0], "-x");
}

static void mistakes_name_the_option(void **state)
{
	static const struct {
		const char *a, *b, *field;
	} bad[] = { { "--nosuch", "x", "--nosuch" },	  { "--text", NULL, "--text" }, { "--bytes", "12x", "--bytes" }, { "-z", NULL, "-z" },
		    { "--seconds", "soon", "--seconds" }, { "--flag=1", NULL, "flag" } };
	struct values v;
	struct words w;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(parse(&v, 0, -1, false, &w, &e, ARGV(S(bad[i].a), S(bad[i].b))), -1);
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.field, bad[i].field);
	}
	assert_int_equal(parse(&v, 1, 1, false, &w, &e, ARGV(S("-f"))), -1);
	assert_non_null(strstr(e.msg, "missing"));
	assert_int_equal(parse(&v, 0, 1, false, &w, &e, ARGV(S("a"), S("b"))), -1);
}

/* The spec of `run ARGV…`, or NULL. */
static Davit__ContainerSpec *spec_of(struct err *e, char **argv)
{
	struct spec_options o = { 0 };
	struct option options[SPEC_OPTIONS];
	struct cli c = { .command = &command };
	Davit__ContainerSpec *s = NULL;
	struct words w;
	int argc = 0;

	memset(e, 0, sizeof(*e));
	while (argv[argc])
		argc++;
	spec_options_table(&o, true, options);
	if (cli_parse(&c, options, argc, argv, 1, -1, true, &w, e) == 0)
		s = spec_make(&o, &w, e);
	spec_options_free(&o);
	return s;
}
#define RUN(...) ARGV(S("--name"), S("web"), S("--image"), S("base"), __VA_ARGS__, S("/bin/true"))

static void options_of_run_make_a_spec(void **state)
{
	struct err e;
	auto_pb(Davit__ContainerSpec) *s =
	    spec_of(&e, RUN(S("--network"), S("lan"), S("--ip"), S("10.0.0.5"), S("--publish"), S("127.0.0.1:8080:80/udp"), S("--memory"), S("256m"),
			    S("--cpus"), S("1.5"), S("--cap-add"), S("net_admin"), S("--cap-drop"), S("all"), S("--mount"), S("/a:/b:ro,nosuid"),
			    S("--tmpfs"), S("/tmp:size=16m"), S("--ulimit"), S("nofile=10:20"), S("--device"), S("/dev/fuse:rw"), S("--label"),
			    S("a=b=c"), S("--read-only"), S("--security-opt"), S("seccomp=unconfined"), S("--env"), S("A=1")));

	(void)state;
	assert_non_null(s);
	assert_string_equal(s->network_mode, "bridge");
	assert_string_equal(s->attachments[0]->address, "10.0.0.5");
	assert_int_equal(s->attachments[0]->ports[0]->host_port, 8080);
	assert_string_equal(s->attachments[0]->ports[0]->host_ip, "127.0.0.1");
	assert_string_equal(s->attachments[0]->ports[0]->protocol, "udp");
	assert_int_equal(s->limits->memory_bytes, 256 << 20);
	assert_int_equal(s->limits->cpu_millis, 1500);
	assert_string_equal(s->cap_add[0], "CAP_NET_ADMIN");
	assert_string_equal(s->cap_drop[0], "ALL");
	assert_true(s->mounts[0]->read_only);
	assert_string_equal(s->mounts[0]->options[0], "nosuid");
	assert_string_equal(s->mounts[1]->type, "tmpfs");
	assert_string_equal(s->rlimits[0]->type, "RLIMIT_NOFILE");
	assert_int_equal(s->rlimits[0]->hard, 20);
	assert_string_equal(s->devices[0]->access, "rw");
	assert_string_equal(s->labels[0]->value, "b=c");
	assert_string_equal(s->seccomp, "unconfined");
	assert_string_equal(s->process->args[0], "/bin/true");
}

static void malformed_options_of_run_are_named(void **state)
{
	static const char *const bad[][2] = {
		{ "--memory", "12x" },	    { "--cpus", "many" },     { "--pids", "0" },	 { "--mount", "/only" },   { "--mount", "a:/b" },
		{ "--tmpfs", "tmp" },	    { "--env", "NOVALUE" },   { "--label", "=x" },	 { "--ulimit", "nofile" }, { "--device", "fuse" },
		{ "--device", "/dev/x:q" }, { "--publish", "80:80" }, { "--security-opt", "x" }, { "--network", "a b" },   { "--ip", "10.0.0.1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e;

		assert_null(spec_of(&e, RUN(S(bad[i][0]), S(bad[i][1]))));
		assert_string_equal(e.field, bad[i][0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_of_an_option_is_taken),
		cmocka_unit_test(words_of_a_program_are_not_options),
		cmocka_unit_test(mistakes_name_the_option),
		cmocka_unit_test(options_of_run_make_a_spec),
		cmocka_unit_test(a_field_of_the_api_is_told_as_the_option_that_sets_it),
		cmocka_unit_test(malformed_options_of_run_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
