/* What `events` tells of a cgroup, from folders whose files stand as a kernel with all controllers shows them. */
#include <sys/stat.h>
#include "base/mem.h"
#include "tests/unit/cgroup.h"

static const unsigned all = CONTROLLER_BIT(CONTROLLER_CPU) | CONTROLLER_BIT(CONTROLLER_CPUSET) | CONTROLLER_BIT(CONTROLLER_MEMORY) |
			    CONTROLLER_BIT(CONTROLLER_IO) | CONTROLLER_BIT(CONTROLLER_PIDS) | CONTROLLER_BIT(CONTROLLER_HUGETLB);

static void put(const char *folder, const char *file, const char *text)
{
	struct err e = { 0 };
	auto_free char *path = mem_printf(&e, "%s/%s", folder, file);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void assert_reported(const char *folder, bool unified, unsigned controllers, const char *const *parts, size_t n)
{
	struct err e = { 0 };
	struct cgroup c = { .n = 1 };
	auto_buf struct buf out = { 0 };
	auto_close int fd = open(folder, O_PATH | O_CLOEXEC);

	c.h[0] = (struct hierarchy){ .unified = unified, .controllers = controllers, .fd = fd };
	if (cgroup_report(&c, &out, &e) < 0 || buf_append(&out, "", 1, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < n; i++)
		if (!strstr(out.data, parts[i]))
			fail_msg("%s is not in %s", parts[i], out.data);
}

static void v2_tells_pressure_huge_pages_cpus_and_devices(void **state)
{
	static const char *const parts[] = {
		"\"throttledTime\":0},\"psi\":{\"some\":{\"avg10\":1.50,\"avg60\":0.20,\"avg300\":0.00,\"total\":42},\"full\":{\"avg10\":0.00,"
		"\"avg60\":0.00,"
		"\"avg300\":0.00,\"total\":7}}},\"cpuset\":{\"cpus\":[0,1,2,5],\"mems\":[0]},\"memory\":{",
		"\"blkio\":{\"ioServiceBytesRecursive\":[{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":4096},{\"major\":8,\"minor\":0,\"op\":"
		"\"Write\",\"value\":0}]"
		",\"ioServicedRecursive\":[{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":1},{\"major\":8,\"minor\":0,\"op\":\"Write\",\"value\":"
		"2}]}",
		"\"hugetlb\":{\"2MB\":{\"usage\":4194304,\"max\":0,\"failcnt\":3}},\"intel_rdt\":{},\"network_interfaces\":null}",
	};

	put(*state, "cpu.pressure", "some avg10=1.50 avg60=0.20 avg300=0.00 total=42\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
	put(*state, "cpuset.cpus.effective", "0-2,5\n");
	put(*state, "cpuset.mems.effective", "0\n");
	put(*state, "io.stat", "8:0 rbytes=4096 wbytes=0 rios=1 wios=2 dbytes=0 dios=0\n");
	put(*state, "hugetlb.2MB.current", "2097152\n");
	put(*state, "hugetlb.2MB.rsvd.current", "4194304\n");
	put(*state, "hugetlb.2MB.events", "max 3\n");
	assert_reported(*state, true, all, parts, ARRAY_LEN(parts));
}

static void the_pressure_of_devices_stands_alone_where_nothing_was_read(void **state)
{
	static const char *const parts[] = {
		"\"blkio\":{\"psi\":{\"some\":{\"avg10\":0.00,\"avg60\":0.00,\"avg300\":0.00,\"total\":9}}},\"hugetlb\":{}",
	};

	put(*state, "io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=9\n");
	put(*state, "io.stat", "");
	assert_reported(*state, true, all, parts, ARRAY_LEN(parts));
}

static void v1_tells_huge_pages_cpus_and_what_bfq_counts(void **state)
{
	static const char *const parts[] = {
		"\"cpuset\":{\"cpus\":[3],\"mems\":[0,1],\"cpu_exclusive\":1,\"mem_hardwall\":0,\"mem_exclusive\":0,\"memory_migrate\":0,\"memory_"
		"spread_page\":0,"
		"\"memory_spread_slab\":0,\"memory_pressure\":0,\"sched_load_balance\":1,\"sched_relax_domain_level\":-1}",
		"\"blkio\":{\"ioServicedRecursive\":[{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":5}],\"sectorsRecursive\":[{\"major\":8,"
		"\"minor\":0,\"value\":77}]}",
		"\"hugetlb\":{\"1GB\":{\"usage\":1073741824,\"max\":2147483648,\"failcnt\":4}}",
	};

	put(*state, "cpuset.cpus", "3\n");
	put(*state, "cpuset.mems", "0-1\n");
	put(*state, "cpuset.cpu_exclusive", "1\n");
	put(*state, "cpuset.sched_load_balance", "1\n");
	put(*state, "blkio.bfq.io_serviced_recursive", "8:0 Read 5\nTotal 5\n");
	put(*state, "blkio.bfq.sectors_recursive", "8:0 77\n");
	put(*state, "blkio.throttle.io_serviced_recursive", "8:0 Read 6\n");
	put(*state, "hugetlb.1GB.usage_in_bytes", "1073741824\n");
	put(*state, "hugetlb.1GB.max_usage_in_bytes", "2147483648\n");
	put(*state, "hugetlb.1GB.failcnt", "4\n");
	assert_reported(*state, false, all, parts, ARRAY_LEN(parts));
}

static void what_no_controller_counts_is_empty(void **state)
{
	static const char *const parts[] = { "\"memory\":{},\"pids\":{\"current\":0},\"blkio\":{},\"hugetlb\":{}" };

	assert_reported(*state, true, 0, parts, ARRAY_LEN(parts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(v2_tells_pressure_huge_pages_cpus_and_devices),
		unit_in_folder(the_pressure_of_devices_stands_alone_where_nothing_was_read),
		unit_in_folder(v1_tells_huge_pages_cpus_and_what_bfq_counts),
		unit_in_folder(what_no_controller_counts_is_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
