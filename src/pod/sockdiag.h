/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The unix sockets of a network namespace that have a file: bound datagram sockets and listening others. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "peerfs/pod/sockets.h"

/* A process that has the socket open, and as which of its descriptors. */
typedef struct {
  PfsProcessId process;
  int fd;
} PfsSocketHolder;

typedef struct {
  uint32_t inode; /* of the socket, as "socket:[%u]" in a process's fd */
  int type;
  char *path;          /* sun_path, any bytes but NUL */
  dev_t file_dev;      /* of the superblock */
  uint32_t file_inode; /* its low 32 bits: the kernel gives no more */
  GArray *holders;     /* of PfsSocketHolder, the oldest first; NULL before one is found */
} PfsUnixSocket;

/* All of the network namespace of the process whose directory pid_fd is, by inode: a GHashTable of uint32_t (as
 * GUINT_TO_POINTER) to PfsUnixSocket, which it owns. Asks the kernel by sock_diag(7), from a thread of its own inside
 * that namespace if it is not ours. Returns 0 or -errno. */
int pfs_sockdiag_dump (int pid_fd, GHashTable **ret);
