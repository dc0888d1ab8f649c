/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The processes that a /proc shows. */
#pragma once

#include <glib.h>

#include "peerfs/proc/proc.h"

/* procfs gives the directory of a process a new inode number whenever it makes one, and throws the old one away when
 * the process is reaped (fs/proc/base.c: proc_pid_make_inode(), proc_flush_pid(); fs/inode.c: get_next_ino()). So a pid
 * with the number it had is the process it was. The number may also change under memory pressure: then compare the
 * start time. Numbers of a saved copy say nothing. */
typedef struct {
  guint64 ino; /* of /proc/<pid> */
  pid_t pid;
} PfsPidEntry;

/* Appends an entry for each process to entries, a GArray of PfsPidEntry, by pid. One getdents64(2) for many of them;
 * nothing else is read. 0 or -errno. */
int pfs_proc_list_pids (const PfsProc *proc, GArray *entries);

/* Is the process that has the pid alive? A zombie is not, nor a leader that has ended before its threads: it has no
 * root (ENOENT) and no memory. Returns 1, 0 if it has ended, or -errno if that cannot be told. */
int pfs_proc_pid_alive (const PfsProc *proc, pid_t pid);
