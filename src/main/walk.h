/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths of the tree, walked without a mount. */
#pragma once

#include "peerfs/tree/node.h"

/* Looks for an entry of the tree at path (no leading '/'). Follows links on the way as a kernel does with the tree
 * mounted; a link at the end is an entry itself. Returns 0 or -errno: ENOENT, ENOTDIR, EACCES, ELOOP, ... */
int pfs_walk_exists (PfsTree *tree, const char *path);
