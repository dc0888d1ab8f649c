/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that --as means: NAME (its main process), NAME/sockets/X (the one that listens there), NAME/pids/PID. */
#pragma once

#include "app.h"
#include "peerfs/parse/stat.h"

typedef struct {
  PfsStatus status;
  int root; /* of that process, O_PATH; -1 if we may not enter it */
} PfsTarget;

/* Finds options->target. Returns PFS_EXIT_DONE, or another exit status after telling the user.
 * Clear with pfs_target_clear(). */
int pfs_target_find (PfsTable *table, const PfsOptions *options, PfsTarget *ret);
void pfs_target_clear (PfsTarget *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsTarget, pfs_target_clear)
