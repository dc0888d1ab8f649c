/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* maps/files: a link for each mapped file, by the path that it was mapped by.
 *
 * A path may have several files at once: a library that was replaced, once deleted and once new, in the same process.
 * The one at the lowest address has the plain name, the others are NAME~2, NAME~3, ... in address order (numbers that a
 * real mapped file has already are left out). */
#pragma once

#include "peerfs/tree/kinds.h"

PfsNode *pfs_maps_files_new (PfsNode *maps, const char *name);
