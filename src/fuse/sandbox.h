/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon gives up. */
#pragma once

/* Gives up every privilege that is not in use from here on; for good, in all threads. 0 or -errno. */
int pfs_sandbox_enter (void);
