/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the sources of this layer share about a single process's directory. */
#pragma once

#include <sys/types.h>

#include "peerfs/parse/stat.h"
#include "peerfs/proc/proc.h"

/* The pid that a directory of /proc is named after, or 0 for any other name. */
pid_t pfs_pid_of_name (const char *name);

/* Opens /proc/<pid> with flags (O_PATH or O_RDONLY). Returns a descriptor owned by the caller, or -errno. */
int pfs_proc_open_pid (const PfsProc *proc, pid_t pid, int flags);

/* Reads and parses the stat file of an open process directory. 0 or -errno: -ESRCH, -ENOENT once it has ended. */
int pfs_proc_stat_at (int piddir, PfsStat *ret);

static inline bool
pfs_stat_is_dead (const PfsStat *stat)
{
  return stat->state == 'Z' || stat->state == 'X' || stat->state == 'x';
}
