/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of /proc/<pid>/net/unix (proc_pid_net(5)), the fallback where sock_diag(7) is not to be had. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#define PFS_NETUNIX_MAX (16 * 1024 * 1024)

typedef struct {
  uint64_t inode;
  uint16_t type;                /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
  gboolean listening;           /* __SO_ACCEPTCON in Flags */
  char *path;                   /* as printed, not abstract ('@') and not empty */
} PfsUnixRow;

/* All rows with a filesystem path, in order: a GPtrArray of PfsUnixRow (g_ptr_array_unref frees all). A newline in a
 * path makes the rest of it a row of its own: the caller must check every path against the socket file. */
GPtrArray *pfs_netunix_parse (const char *content, size_t len);
