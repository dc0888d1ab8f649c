/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the generated kinds of node share. */
#pragma once

#include <errno.h>

#include "peerfs/tree/kinds.h"

/* What a process's files say once it has ended (-ESRCH) becomes `gone`: -ENOENT where something is looked up, -ESTALE
 * where a node is known already. */
static inline int
pfs_gone (int r, int gone)
{
  return r == -ESRCH ? gone : r;
}

/* Fills *ret for a generated node of a container: its times are the main process's start; its owner too where owned,
 * else root. 0, or -ESTALE once the container has ended. */
int pfs_peer_stat (PfsNode *node, mode_t mode, bool owned, off_t size, struct stat *ret);

/* A getattr for links, by their readlink. */
int pfs_peer_link_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret);

/* Adds name to a listing of dir whose children are keyed by their shown names; dir_ino is pfs_node_ino (dir). */
void pfs_peer_list (PfsListing *listing, uint64_t dir_ino, const char *name, mode_t type);

/* An open file of generated content (taken over). */
PfsFile *pfs_peer_content (PfsNode *node, GBytes *content);

/* May the caller look into that process? 0, -EACCES, -ESRCH once it has ended, or what we lack: -EMFILE, -ENFILE,
 * -ENOMEM. Its /proc may be another namespace's. For the daemon itself it is 0. */
int pfs_gate_pin (PfsProc *proc, const PfsProcess *pin, const PfsCaller *who);
