/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The unix sockets of a network namespace that have a file: bound datagram sockets and listening others. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
  uint32_t inode;               /* of the socket, as "socket:[%u]" in a process's fd */
  int type;
  char *path;                   /* sun_path, any bytes but NUL */
  bool has_file;                /* file_dev and file_inode are known (not from net/unix) */
  dev_t file_dev;               /* of the superblock */
  uint32_t file_inode;          /* its low 32 bits: the kernel gives no more */
  GArray *holders;              /* of pid_t; NULL before one is found */
} PfsUnixSocket;

/* All of the network namespace of the process whose directory pin_fd is, by inode: a GHashTable of uint32_t (as
 * GUINT_TO_POINTER) to PfsUnixSocket, which it owns. Asks the kernel by sock_diag(7), from a thread of its own inside
 * that namespace where it is not ours; where neither is allowed it reads net/unix. Returns 0 or -errno. */
int pfs_sockdiag_dump (int pin_fd, GHashTable **ret);

/* As above by one way only: through a NETLINK_SOCK_DIAG socket, or from the content of net/unix. */
int pfs_sockdiag_dump_netlink (int netlink_fd, GHashTable **ret);
int pfs_sockdiag_dump_netunix (int pin_fd, GHashTable **ret);
