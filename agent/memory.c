/* mallopt(3), malloc_trim(3), madvise(2).
 *
 * Most of an idle davitd's resident memory is code of GnuTLS and SQLite that ran once. Executable mappings are never written to (there are no text
 * relocations), so MADV_DONTNEED loses nothing of them. */
#include "agent/memory.h"
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

void memory_setup(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 128 << 10);
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
}

static int release_code(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size, (void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = (info->dlpi_addr + p->p_vaddr + page - 1) & ~(page - 1),
			  end = (info->dlpi_addr + p->p_vaddr + p->p_filesz) & ~(page - 1);

		if (p->p_type == PT_LOAD && (p->p_flags & PF_X) && !(p->p_flags & PF_W) && end > start)
			madvise((void *)start, end - start, MADV_DONTNEED);
	}
	return 0;
}

void memory_release(void)
{
	malloc_trim(0);
	dl_iterate_phdr(release_code, NULL);
}
