/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors that close themselves at the end of their scope, and the lack of them. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

/* Is it that we lack descriptors or memory? Then an error says nothing of what was looked at. */
static inline bool
pfs_is_shortage (int r)
{
  return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

static inline void
pfs_fd_cleanup (int *fd)
{
  if (*fd >= 0)
    close (*fd);
}

/* A descriptor variable; initialise it (to -1 if nothing is open yet). */
#define pfs_autofd __attribute__ ((cleanup (pfs_fd_cleanup))) int

/* Returns the descriptor and sets *fd to -1. */
static inline int
pfs_fd_steal (int *fd)
{
  int taken = *fd;
  *fd = -1;
  return taken;
}

/* Writes the name of a descriptor in /proc/self/fd into buffer, and returns it as a part of that. */
#define PFS_FD_NAME_MAX 12

static inline const char *
pfs_fd_name (int fd, char buffer[PFS_FD_NAME_MAX])
{
  char *at = buffer + PFS_FD_NAME_MAX - 1;

  *at = '\0';
  do
    *--at = (char) ('0' + fd % 10);
  while ((fd /= 10) > 0);
  return at;
}
