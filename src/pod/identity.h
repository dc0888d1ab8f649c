/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tells which container a process is of, and the same of ourselves. */
#pragma once

#include <stdbool.h>

#include "peerfs/parse/cgroup.h"
#include "state.h"

/* Reads the cgroup file of an open process directory: 1 if it names a container, 0 if it names none, or -errno.
 */
int pfs_read_cgroup (PfsTable *table, int piddir, PfsCgroup *ret, bool *ret_outside);
/* <uid>/<name>/<8 hex>, which is as good as an id. g_free. */
char *pfs_kubelet_key (const PfsKubeletMount *kubelet);

/* Ourselves, as of some seconds ago at most. 0, or -errno if that cannot be told now. */
int pfs_self_get (PfsTable *table, const PfsSelf **ret);
/* True for a chain of a container that was made in ours, if our own cgroup namespace hides what is before it. */
bool pfs_self_contains (const PfsSelf *self, const char *chain);
void pfs_self_clear (PfsSelf *self);
