/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files of a container are its unix sockets. */
#pragma once

#include <glib.h>

#include "peerfs/proc/patience.h"
#include "sockdiag.h"

/* Everything that is needed of a container, so that it can be tested without a table of containers. */
typedef struct {
  int proc_fd;           /* of /proc */
  PfsPatience *patience; /* NULL: its pids are not those of our own namespace, by which the kernel can be asked */
  int main_fd;           /* of /proc/<main pid> */
  pid_t main_pid;
  uint64_t main_start; /* its start time */
  const pid_t *pids;   /* all its processes */
  guint n_pids;
} PfsSocketScan;

/* As pfs_sockets_list(). */
int pfs_sockets_scan (const PfsSocketScan *scan, GPtrArray **ret);

/* Looks for the files of sockets (an array of borrowed PfsUnixSocket, each with holders) and gives those that are where
 * they can be found: a GPtrArray of PfsSocket, unsorted, without short names. 0 or -errno. */
int pfs_sockets_find (const PfsSocketScan *scan, GPtrArray *sockets, GPtrArray **ret);
