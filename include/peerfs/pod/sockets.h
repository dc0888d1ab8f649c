/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The unix sockets that the processes of one container listen on or are bound to. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "peerfs/pod/table.h"

/* A process, by what tells it from a later one of its pid. */
typedef struct {
  pid_t pid;
  uint64_t start_time; /* clock ticks since boot */
} PfsProcessId;

/* One way to a socket: /proc/<pid>/root<physical>. */
typedef struct {
  PfsProcessId process;
  char *physical; /* where the file is for that process, every link resolved, with leading '/' (a GRefString) */
} PfsSocketWay;

typedef struct {
  char *path;      /* canonical, without leading '/': as bound, or where the file is for relative and renamed ones;
                    * its "." and ".." removed lexically; every component a valid file name */
  uint32_t inode;  /* of the socket itself */
  int type;        /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
  bool short_name; /* its last component alone means this socket, of all that have it */
  bool held_by_main;
  bool outside;        /* the path is its holder's, which has another root than the container */
  PfsProcessId holder; /* the oldest process that holds it */
  GArray *ways; /* of PfsSocketWay, never empty: holders with the container's root, the oldest first; other holders;
                 * last the main process, if it is no holder and the file is below its root */
} PfsSocket;

/* All of them, sorted by path, no path twice: a GPtrArray of PfsSocket (g_ptr_array_unref frees all). Needs to read
 * the processes' fd directories and the container's root. Looks at 65,536 descriptors at most, the oldest process
 * first; but always at 16 of each process. Waits for a peer some seconds at most, under no lock of the table. Asks
 * no file system that may not answer (NFS, FUSE) for anything. Returns 0, -ESRCH once the container has ended,
 * -EACCES without CAP_SYS_PTRACE over it, or another -errno. At most PFS_SOCKETS_MAX entries. rescan: also those of
 * processes that the last scan did not know. */
int pfs_sockets_list (PfsContainer *c, bool rescan, GPtrArray **ret);

#define PFS_SOCKETS_MAX 65536

/* The process that listens at sockets/NAME (the whole path or the short name): the oldest that holds it, pinned
 * (pfs_process_unref). 0, -ENOENT if no socket has that name, or as pfs_sockets_list(). */
int pfs_sockets_holder (PfsContainer *c, const char *name, PfsProcess **ret);
