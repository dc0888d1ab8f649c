/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bounded reads: peers decide how long a file or a link is, never how much memory we spend on it. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* Reads the whole of dirfd/name, opened O_NOFOLLOW|O_NONBLOCK, whatever stat says of its size; more than max bytes is
 * -EFBIG. *ret_bytes (g_bytes_unref) is untouched on failure. Returns 0 or -errno of openat(2), read(2). */
int pfs_read_at (int dirfd, const char *name, size_t max, GBytes **ret_bytes);

/* As pfs_read_at(), but cuts the content at max bytes instead of failing. */
int pfs_read_prefix_at (int dirfd, const char *name, size_t max, GBytes **ret_bytes);

/* A line without its newline, valid during the call. False: no more is needed. */
typedef bool (*PfsLineFunc) (const char *line, size_t len, gpointer data);

/* Reads dirfd/name in pieces of 64 KiB, and calls func for each line. Returns 0 or -errno as above. -EFBIG: it has max
 * bytes or more, or a line is longer than a piece; func got the whole lines before. */
int pfs_read_lines_at (int dirfd, const char *name, size_t max, PfsLineFunc func, gpointer data);

/* Reads the link dirfd/name ("" with an O_PATH|O_NOFOLLOW descriptor of the link itself).
 * *ret_target is a NUL-terminated string (g_free). -ENAMETOOLONG from PATH_MAX bytes on. Else 0 or -errno. */
int pfs_readlink_at (int dirfd, const char *name, char **ret_target);
