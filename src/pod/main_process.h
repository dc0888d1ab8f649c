/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which process of a container is its main one. */
#pragma once

#include "container.h"

/* Keeps or chooses the main process. 0; -ESRCH if no process of the instance can be; another -errno
 * if that cannot be told: then nothing changes, and PfsContainer.main_error says why. */
int pfs_choose_main (PfsTable *table, PfsContainer *c);
