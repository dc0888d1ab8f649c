/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pods of a node. */
#pragma once

#include "container.h"

/* Reads the names of pods that the last scan was the first to see. True if another scan will have more names.
 */
bool pfs_pods_learn (PfsTable *table);
/* The rest is for the thread that scans, after pfs_self_get(). The uid of the container's pod, borrowed; "" without
 * one. */
const char *pfs_pods_uid (const PfsTable *table, const PfsContainer *c);
/* Gives each its place. */
void pfs_pods_place (PfsTable *table, GPtrArray *live);
/* Is it in the scope of the table? */
bool pfs_pods_is_shown (const PfsTable *table, const PfsContainer *c);
/* All their pods, by place: an array of PfsPod (g_ptr_array_unref). */
GPtrArray *pfs_pods_list (const PfsTable *table, GPtrArray *live);
