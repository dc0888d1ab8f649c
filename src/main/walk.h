/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths of the tree, walked without a mount. */
#pragma once

#include "peerfs/tree/node.h"

/* Does the tree have an entry at path (no leading '/')? Links on the way are followed as a kernel would with the tree
 * mounted; one at the end is an entry as it is. Returns 0 or -errno: ENOENT, ENOTDIR, EACCES, ELOOP, ... */
int pfs_walk_exists (PfsTree *tree, const char *path);
