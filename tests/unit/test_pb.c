/* Messages: packing, sockets, files, and what is refused before it is unpacked. */
#include "tests/unit/unit.h"
#include <errno.h>
#include <sys/socket.h>
#include "core.pb-c.h"
#include "oci.pb-c.h"
#include "proto/pb_scan.h"
#include "proto/types.h"
#include "tests/unit/generate.h"

static void every_message_copies(void **state)
{
	(void)state;
	uint64_t seed = 7;
	assert_true(proto_types_count > 100);
	for (size_t i = 0; i < proto_types_count; i++) {
		struct err e = { 0 };
		auto_cleanup(pb_freep) ProtobufCMessage *m = generate_message(proto_types[i], &seed, 0);
		auto_cleanup(pb_freep) ProtobufCMessage *copy = pb_dup(m, &e);
		auto_buf struct buf a = { 0 }, b = { 0 };
		if (!copy || pb_pack(m, &a, &e) < 0 || pb_pack(copy, &b, &e) < 0)
			fail_msg("%s: %s", proto_types[i]->name, e.msg);
		assert_int_equal(a.len, b.len);
		if (a.len)
			assert_memory_equal(a.data, b.data, a.len);
	}
}

static void packing_names_what_is_missing(void **state)
{
	(void)state;
	struct err e = { 0 };
	auto_buf struct buf out = { 0 };
	Davit__CoreCreate create = DAVIT__CORE_CREATE__INIT;
	Davit__ContainerSpec spec = DAVIT__CONTAINER_SPEC__INIT;
	Davit__IdRange ids = DAVIT__ID_RANGE__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;
	r.op_case = DAVIT__CORE_REQUEST__OP_CREATE;
	r.create = &create;
	create.spec = &spec;
	create.ids = &ids;
	assert_int_equal(pb_pack(&r.base, &out, &e), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
	unit_assert_message(&e, "name");
	spec.name = (char *)"web";
	assert_int_equal(pb_pack(&r.base, &out, &e), 0);
	assert_true(out.len > 0);
}

static void broken_bytes_are_refused_with_their_name(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
	} cases[] = { { "\xff", 1 }, { "\x0a\x05web", 5 }, { "\x0b", 1 },
		      { "", 0 },     { "\x08\x01", 2 },	   { "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12 } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { 0 };
		assert_null(pb_unpack(&davit__core_name__descriptor, cases[i].bytes, cases[i].n, "state.pb", &e));
		assert_int_equal(e.code, ERR_CORRUPT);
		unit_assert_message(&e, "state.pb");
	}
}

/* Puts Error.reasons around what is in b. */
static void wrap(struct buf *b)
{
	struct buf out = { 0 };
	uint8_t length[10];
	size_t k = 0;
	for (size_t n = b->len; (length[k++] = (uint8_t)(n < 0x80 ? n : n | 0x80)) & 0x80; n >>= 7)
		;
	buf_append(&out, "\x0a\0\x12\0\x32", 5, NULL);
	buf_append(&out, length, k, NULL);
	buf_append(&out, b->data, b->len, NULL);
	buf_free(b);
	*b = out;
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };
	buf_append(&b, "\x0a\0\x12\0", 4, NULL);
	for (int depth = 1; depth < PB_DEPTH_MAX; depth++)
		wrap(&b);
	auto_pb(Davit__Error) *m = pb_unpack(&davit__error__descriptor, b.data, b.len, "answer", &e);
	assert_non_null(m);
	for (int depth = 0; depth < 20000; depth++)
		if (depth == 0 || b.len < 200000)
			wrap(&b);
	assert_null(pb_unpack(&davit__error__descriptor, b.data, b.len, "answer", &e));
	assert_int_equal(e.code, ERR_LIMIT);
}

static void memory_is_bounded_by_the_bytes(void **state)
{
	(void)state;
	/* 500,000 empty device rules in one megabyte would take 50 of memory. */
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };
	for (int i = 0; i < 500000; i++)
		buf_append(&b, "\x0a\0", 2, NULL);
	assert_null(pb_unpack(&davit__oci_resources__descriptor, b.data, b.len, "body", &e));
	assert_int_equal(e.code, ERR_LIMIT);
	auto_pb(Davit__OciResources) *m = pb_unpack(&davit__oci_resources__descriptor, b.data, 20000, "body", &e);
	assert_non_null(m);
	assert_int_equal(m->n_devices, 10000);
}

static void messages_pass_a_socket_with_descriptors(void **state)
{
	(void)state;
	int sv[2], got[2], p[2];
	size_t n = 2;
	struct err e = { 0 };
	assert_int_equal(fd_socketpair(SOCK_SEQPACKET, sv, &e), 0);
	assert_int_equal(fd_pipe(p, &e), 0);
	Davit__CoreName name = DAVIT__CORE_NAME__INIT;
	name.name = (char *)"web";
	assert_int_equal(pb_send(sv[0], &name.base, p, 2, &e), 0);
	auto_pb(Davit__CoreName) *m = NULL;
	assert_int_equal(pb_recv(sv[1], &davit__core_name__descriptor, &m, got, &n, &e), 1);
	assert_string_equal(m->name, "web");
	assert_int_equal(n, 2);
	close(got[0]);
	close(got[1]);
	/* What is no message gives no descriptors. */
	assert_int_equal(fd_send_msg(sv[0], "\xff", 1, p, 2, &e), 0);
	n = 2;
	auto_pb(Davit__CoreName) *bad = NULL;
	assert_int_equal(pb_recv(sv[1], &davit__core_name__descriptor, &bad, got, &n, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_int_equal(n, 0);
	close(sv[0]);
	n = 2;
	assert_int_equal(pb_recv(sv[1], &davit__core_name__descriptor, &bad, got, &n, &e), 0);
	close(sv[1]);
	close(p[0]);
	close(p[1]);
}

static void the_largest_datagram_passes_and_a_larger_one_is_refused(void **state)
{
	(void)state;
	int sv[2];
	struct err e = { 0 };
	assert_int_equal(fd_socketpair(SOCK_SEQPACKET, sv, &e), 0);
	auto_free char *big = mem_new(1, PB_DATAGRAM_MAX + 1, NULL);
	memset(big, 'x', PB_DATAGRAM_MAX - 4);
	Davit__CoreName name = DAVIT__CORE_NAME__INIT;
	name.name = big;
	assert_int_equal(pb_send(sv[0], &name.base, NULL, 0, &e), 0);
	auto_pb(Davit__CoreName) *m = NULL;
	assert_int_equal(pb_recv(sv[1], &davit__core_name__descriptor, &m, NULL, NULL, &e), 1);
	assert_string_equal(m->name, big);
	big[PB_DATAGRAM_MAX - 4] = 'x';
	assert_int_equal(pb_send(sv[0], &name.base, NULL, 0, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	close(sv[0]);
	close(sv[1]);
}

static void files_hold_one_message(void **state)
{
	struct err e = { 0 };
	auto_close int dir = file_open_dir(AT_FDCWD, *state, &e);
	Davit__CoreName name = DAVIT__CORE_NAME__INIT;
	name.name = (char *)"web";
	assert_int_equal(pb_write_file(dir, "a.pb", &name.base, 0600, true, &e), 0);
	auto_pb(Davit__CoreName) *m = pb_read_file(dir, "a.pb", &davit__core_name__descriptor, 100, &e);
	assert_string_equal(m->name, "web");
	assert_null(pb_read_file(dir, "a.pb", &davit__core_name__descriptor, 3, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(pb_read_file(dir, "b.pb", &davit__core_name__descriptor, 3, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void errors_travel(void **state)
{
	(void)state;
	struct err e, back = { 0 };
	err_field(&e, "[2].type", "wrong");
	err_remedy(&e, "fix it");
	auto_pb(Davit__Error) *m = pb_error(&e);
	assert_string_equal(m->code, "invalid");
	pb_error_get(m, &back);
	assert_int_equal(back.code, ERR_INVALID);
	assert_string_equal(back.msg, "wrong");
	assert_string_equal(back.field, "[2].type");
	assert_string_equal(back.remedy, "fix it");
	err_set(&e, ERR_IO, ENOSPC, "write");
	auto_pb(Davit__Error) *plain = pb_error(&e);
	assert_null(plain->field);
	pb_error_get(plain, &back);
	assert_string_equal(back.msg, "write: No space left on device");
	assert_string_equal(back.field, "");
}

static void fields_are_built_by_hand(void **state)
{
	(void)state;
	struct err e = { 0 };
	auto_pb(Davit__ContainerSpec) *m = pb_new(&davit__container_spec__descriptor, &e);
	assert_int_equal(pb_set_str(&m->name, "a", &e), 0);
	assert_int_equal(pb_set_str(&m->name, "web", &e), 0);
	assert_int_equal(pb_set_str(&m->hostname, NULL, &e), 0);
	for (int i = 0; i < 100; i++) {
		Davit__SpecMount *mount = pb_new(&davit__spec_mount__descriptor, &e);
		assert_int_equal(pb_set_str(&mount->type, "tmpfs", &e), 0);
		assert_int_equal(pb_set_str(&mount->target, "/t", &e), 0);
		assert_int_equal(pb_push(&m->n_mounts, &m->mounts, mount, &e), 0);
		assert_int_equal(pb_push_str(&m->n_cap_add, &m->cap_add, "CAP_CHOWN", &e), 0);
	}
	assert_int_equal(pb_push(&m->n_mounts, &m->mounts, NULL, &e), -1);
	assert_int_equal(m->n_mounts, 100);
	auto_pb(Davit__ContainerSpec) *copy = pb_dup(&m->base, &e);
	assert_int_equal(copy->n_cap_add, 100);
	assert_string_equal(copy->mounts[99]->target, "/t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_copies),
		cmocka_unit_test(packing_names_what_is_missing),
		cmocka_unit_test(broken_bytes_are_refused_with_their_name),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(memory_is_bounded_by_the_bytes),
		cmocka_unit_test(messages_pass_a_socket_with_descriptors),
		cmocka_unit_test(the_largest_datagram_passes_and_a_larger_one_is_refused),
		unit_in_folder(files_hold_one_message),
		cmocka_unit_test(errors_travel),
		cmocka_unit_test(fields_are_built_by_hand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
