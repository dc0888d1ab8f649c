/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which container a process is of. */
#pragma once

#include "container.h"
#include "processes.h"

/* Decides by its cgroup which container the process of the info belongs to, joining or creating its
 * instance. Those that name none are for the second function, after the main processes of the others are known. */
void pfs_classify (PfsTable *table, PfsProcessInfo *info);
void pfs_classify_without_id (PfsTable *table, PfsProcessInfo *info);
/* The instance of a cgroup's id that the kubelet mount is of, or NULL. */
PfsContainer *pfs_find_by_kubelet (PfsTable *table, const PfsKubeletMount *kubelet);
