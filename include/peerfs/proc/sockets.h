/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The unix sockets that the processes of one container listen on or are bound to (design: sockets/). */
#pragma once

#include <glib.h>

#include "peerfs/proc/table.h"

typedef struct {
  char *path;           /* canonical, without leading '/': as bound, or where the file is for relative and renamed ones;
                         * its "." and ".." removed lexically; every component a valid file name */
  char *physical;       /* where the file is in the container, every link resolved, with leading '/' */
  int type;             /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
} PfsSocket;

/* All of them, sorted by path, no path twice: a GPtrArray of PfsSocket (g_ptr_array_unref frees all). Needs to read the
 * processes' fd directories and the container's root. Returns 0, -ESRCH once the container has ended, -EACCES without
 * CAP_SYS_PTRACE over it, or another -errno. At most PFS_SOCKETS_MAX entries. */
int pfs_sockets_list (PfsContainer *c, GPtrArray **ret);

#define PFS_SOCKETS_MAX 65536
