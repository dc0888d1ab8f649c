/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors that close themselves at the end of their scope. */
#pragma once

#include <unistd.h>

static inline void
pfs_fd_cleanup (int *fd)
{
  if (*fd >= 0)
    close (*fd);
}

/* A descriptor variable; initialise it (to -1 where nothing is open yet). */
#define pfs_autofd __attribute__ ((cleanup (pfs_fd_cleanup))) int

/* Takes the descriptor out of *fd, which is -1 afterwards. */
static inline int
pfs_fd_steal (int *fd)
{
  int taken = *fd;
  *fd = -1;
  return taken;
}
