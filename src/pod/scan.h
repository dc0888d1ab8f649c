/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "peerfs/pod/table.h"

/* One scan; the caller has set scanning. Returns 0 or -errno of reading /proc: then what was published stays.
 */
int pfs_table_scan (PfsTable *table);
