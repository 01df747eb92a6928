/* libarchive, loaded when a tar is read or written, not when davit-runtime starts: it brings a dozen libraries, whose loading takes longer than
 * starting a container does. The functions keep their names; lazy_archive() comes before the first use. */
#pragma once
#include <archive.h>
#include <archive_entry.h>
#include "runtime/lazy.h"

#define LAZY_ARCHIVE_FUNCTIONS(X)                                                                                                                    \
	X(archive_entry_copy_pathname)                                                                                                               \
	X(archive_entry_copy_sourcepath)                                                                                                             \
	X(archive_entry_copy_stat)                                                                                                                   \
	X(archive_entry_copy_symlink)                                                                                                                \
	X(archive_entry_filetype)                                                                                                                    \
	X(archive_entry_free)                                                                                                                        \
	X(archive_entry_hardlink)                                                                                                                    \
	X(archive_entry_linkify)                                                                                                                     \
	X(archive_entry_linkresolver_free)                                                                                                           \
	X(archive_entry_linkresolver_new)                                                                                                            \
	X(archive_entry_linkresolver_set_strategy)                                                                                                   \
	X(archive_entry_new)                                                                                                                         \
	X(archive_entry_pathname)                                                                                                                    \
	X(archive_entry_sparse_add_entry)                                                                                                            \
	X(archive_entry_sparse_count)                                                                                                                \
	X(archive_entry_sparse_next)                                                                                                                 \
	X(archive_entry_sparse_reset)                                                                                                                \
	X(archive_entry_xattr_add_entry)                                                                                                             \
	X(archive_entry_xattr_clear)                                                                                                                 \
	X(archive_entry_xattr_next)                                                                                                                  \
	X(archive_entry_xattr_reset)                                                                                                                 \
	X(archive_errno)                                                                                                                             \
	X(archive_error_string)                                                                                                                      \
	X(archive_read_data_block)                                                                                                                   \
	X(archive_read_disk_entry_from_file)                                                                                                         \
	X(archive_read_disk_new)                                                                                                                     \
	X(archive_read_disk_set_behavior)                                                                                                            \
	X(archive_read_free)                                                                                                                         \
	X(archive_read_new)                                                                                                                          \
	X(archive_read_next_header)                                                                                                                  \
	X(archive_read_open_fd)                                                                                                                      \
	X(archive_read_support_filter_gzip)                                                                                                          \
	X(archive_read_support_filter_zstd)                                                                                                          \
	X(archive_read_support_format_tar)                                                                                                           \
	X(archive_set_error)                                                                                                                         \
	X(archive_write_close)                                                                                                                       \
	X(archive_write_data)                                                                                                                        \
	X(archive_write_data_block)                                                                                                                  \
	X(archive_write_disk_new)                                                                                                                    \
	X(archive_write_disk_set_options)                                                                                                            \
	X(archive_write_finish_entry)                                                                                                                \
	X(archive_write_free)                                                                                                                        \
	X(archive_write_header)                                                                                                                      \
	X(archive_write_new)                                                                                                                         \
	X(archive_write_open)                                                                                                                        \
	X(archive_write_set_bytes_in_last_block)                                                                                                     \
	X(archive_write_set_bytes_per_block)                                                                                                         \
	X(archive_write_set_format_option)                                                                                                           \
	X(archive_write_set_format_pax)

#define LAZY_ARCHIVE_DECLARE(name) extern __typeof__(name) *lazy_##name;
LAZY_ARCHIVE_FUNCTIONS(LAZY_ARCHIVE_DECLARE)

/* Loads the library, once. 0 or -1. */
int lazy_archive(struct err *e);

#ifndef LAZY_ARCHIVE_SELF
#define archive_entry_copy_pathname lazy_archive_entry_copy_pathname
#define archive_entry_copy_sourcepath lazy_archive_entry_copy_sourcepath
#define archive_entry_copy_stat lazy_archive_entry_copy_stat
#define archive_entry_copy_symlink lazy_archive_entry_copy_symlink
#define archive_entry_filetype lazy_archive_entry_filetype
#define archive_entry_free lazy_archive_entry_free
#define archive_entry_hardlink lazy_archive_entry_hardlink
#define archive_entry_linkify lazy_archive_entry_linkify
#define archive_entry_linkresolver_free lazy_archive_entry_linkresolver_free
#define archive_entry_linkresolver_new lazy_archive_entry_linkresolver_new
#define archive_entry_linkresolver_set_strategy lazy_archive_entry_linkresolver_set_strategy
#define archive_entry_new lazy_archive_entry_new
#define archive_entry_pathname lazy_archive_entry_pathname
#define archive_entry_sparse_add_entry lazy_archive_entry_sparse_add_entry
#define archive_entry_sparse_count lazy_archive_entry_sparse_count
#define archive_entry_sparse_next lazy_archive_entry_sparse_next
#define archive_entry_sparse_reset lazy_archive_entry_sparse_reset
#define archive_entry_xattr_add_entry lazy_archive_entry_xattr_add_entry
#define archive_entry_xattr_clear lazy_archive_entry_xattr_clear
#define archive_entry_xattr_next lazy_archive_entry_xattr_next
#define archive_entry_xattr_reset lazy_archive_entry_xattr_reset
#define archive_errno lazy_archive_errno
#define archive_error_string lazy_archive_error_string
#define archive_read_data_block lazy_archive_read_data_block
#define archive_read_disk_entry_from_file lazy_archive_read_disk_entry_from_file
#define archive_read_disk_new lazy_archive_read_disk_new
#define archive_read_disk_set_behavior lazy_archive_read_disk_set_behavior
#define archive_read_free lazy_archive_read_free
#define archive_read_new lazy_archive_read_new
#define archive_read_next_header lazy_archive_read_next_header
#define archive_read_open_fd lazy_archive_read_open_fd
#define archive_read_support_filter_gzip lazy_archive_read_support_filter_gzip
#define archive_read_support_filter_zstd lazy_archive_read_support_filter_zstd
#define archive_read_support_format_tar lazy_archive_read_support_format_tar
#define archive_set_error lazy_archive_set_error
#define archive_write_close lazy_archive_write_close
#define archive_write_data lazy_archive_write_data
#define archive_write_data_block lazy_archive_write_data_block
#define archive_write_disk_new lazy_archive_write_disk_new
#define archive_write_disk_set_options lazy_archive_write_disk_set_options
#define archive_write_finish_entry lazy_archive_write_finish_entry
#define archive_write_free lazy_archive_write_free
#define archive_write_header lazy_archive_write_header
#define archive_write_new lazy_archive_write_new
#define archive_write_open lazy_archive_write_open
#define archive_write_set_bytes_in_last_block lazy_archive_write_set_bytes_in_last_block
#define archive_write_set_bytes_per_block lazy_archive_write_set_bytes_per_block
#define archive_write_set_format_option lazy_archive_write_set_format_option
#define archive_write_set_format_pax lazy_archive_write_set_format_pax
#endif
