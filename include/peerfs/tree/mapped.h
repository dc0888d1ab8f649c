/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* maps/files: the mapped objects by their paths.
 *
 * A path may have several objects at once: a library that was replaced, once deleted and once new, in the same process.
 * The one at the lowest address has the plain name, the others are NAME~2, NAME~3, ... in address order (numbers that a
 * real mapped file has already are left out). */
#pragma once

#include "peerfs/tree/kinds.h"

/* An open file of the container or of its memory, let go of at its end. Takes over fd. 0, or -ESTALE once it ended. */
int pfs_maps_file (PfsNode *node, int fd, guint file_flags, PfsFile **ret);

PfsNode *pfs_mapped_new (PfsNode *maps, const char *name);

/* Is the node a mapped object whose file system may not answer? *ret_dev is what that lies on. */
bool pfs_mapped_remote (PfsNode *node, dev_t *ret_dev);
