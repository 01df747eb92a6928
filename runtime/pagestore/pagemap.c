/* See pagemap.h. The image: two magic numbers, then messages, each with its length before it as u32: one head, then entries (CRIU's
 * images/pagemap.proto). An entry has only numbers, and there may be millions, so they are read without a message for each. */
#include "runtime/pagestore/pagemap.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "proto/memory.h"
#include "runtime/criu/images.h"

#define MAGIC_PAGEMAP 0x56084025
#define FLAG_LAZY (1 << 1)
#define ENTRY_MAX 128

enum field { FIELD_VADDR = 1, FIELD_COMPAT_PAGES = 2, FIELD_FLAGS = 4, FIELD_PAGES = 5, FIELDS };

static int corrupt(struct err *e)
{
	return err_set(e, ERR_CORRUPT, 0, "a pagemap image is not what CRIU writes");
}

/* Bytes taken, or 0. */
static size_t varint(const uint8_t *p, size_t n, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < n && i < 10; i++) {
		*out |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (!(p[i] & 0x80))
			return i + 1;
	}
	return 0;
}

static int read_entry(const uint8_t *p, size_t n, uint64_t fields[FIELDS], struct err *e)
{
	memset(fields, 0, FIELDS * sizeof(*fields));
	while (n > 0) {
		uint64_t key, value;
		size_t k = varint(p, n, &key), v = k ? varint(p + k, n - k, &value) : 0;
		if (v == 0 || (key & 7) != 0)
			return corrupt(e);
		if (key >> 3 < FIELDS)
			fields[key >> 3] = value;
		p += k + v;
		n -= k + v;
	}
	return 0;
}

int pagemap_parse(const uint8_t *p, size_t n, uint64_t page_size, int (*f)(void *arg, uint64_t vaddr, uint64_t pages, struct err *e), void *arg,
		  struct err *e)
{
	uint32_t magic[2], length;
	bool head = true;
	if (n < sizeof(magic))
		return corrupt(e);
	memcpy(magic, p, sizeof(magic));
	if (magic[0] != CRIU_IMAGE_HEAD || magic[1] != MAGIC_PAGEMAP)
		return corrupt(e);
	for (p += sizeof(magic), n -= sizeof(magic); n > 0; p += length, n -= length) {
		uint64_t v[FIELDS];
		if (n < sizeof(length))
			return corrupt(e);
		memcpy(&length, p, sizeof(length));
		p += sizeof(length);
		n -= sizeof(length);
		if (length > n || length > ENTRY_MAX || read_entry(p, length, v, e) < 0)
			return corrupt(e);
		uint64_t pages = v[FIELD_PAGES] ? v[FIELD_PAGES] : v[FIELD_COMPAT_PAGES];
		if (!head &&
		    (v[FIELD_VADDR] % page_size || v[FIELD_VADDR] >= MEMORY_ADDRESS_MAX || pages > (MEMORY_ADDRESS_MAX - v[FIELD_VADDR]) / page_size))
			return corrupt(e);
		if (!head && v[FIELD_FLAGS] & FLAG_LAZY && pages > 0 && f(arg, v[FIELD_VADDR], pages, e) < 0)
			return -1;
		head = false;
	}
	return 0;
}

int pagemap_read(int images_dirfd, uint32_t pid, uint64_t page_size, int (*f)(void *arg, uint64_t vaddr, uint64_t pages, struct err *e), void *arg,
		 struct err *e)
{
	char name[40];
	struct stat st;
	snprintf(name, sizeof(name), "pagemap-%u.img", pid);
	auto_close int fd = openat(images_dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "open %s", name);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return corrupt(e);
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, errno, "read %s", name);
	int rc = pagemap_parse(p, (size_t)st.st_size, page_size, f, arg, e);
	munmap(p, (size_t)st.st_size);
	return rc < 0 ? err_prefix(e, "%s", name) : 0;
}
