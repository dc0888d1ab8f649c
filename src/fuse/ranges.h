/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The byte ranges that one owner has locked (POSIX locks), to tell which owners are in the way of another. */
#pragma once

#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>

typedef struct {
  gint64 start, end; /* the last byte; G_MAXINT64: to the end of the file, wherever that is */
  short type;        /* F_RDLCK or F_WRLCK */
} PfsRange;

GArray *pfs_ranges_new (void); /* of PfsRange; g_array_unref() */
/* What the owner has once the kernel has done that. Whence is SEEK_SET. */
void pfs_ranges_set (GArray *ranges, const struct flock *lock);
/* Does one of them conflict with that lock of another owner? */
bool pfs_ranges_conflict (const GArray *ranges, const struct flock *lock);
/* That range as a lock of fcntl(2). */
struct flock pfs_range_lock (const PfsRange *range);
