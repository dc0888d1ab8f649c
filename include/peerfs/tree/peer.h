/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the generated kinds of node share. */
#pragma once

#include <errno.h>

#include "peerfs/tree/kinds.h"

/* What a process's files say once it has ended (-ESRCH) becomes `gone`: -ENOENT if something is looked up, -ESTALE if
 * the node is known already. */
static inline int
pfs_gone (int r, int gone)
{
  return r == -ESRCH ? gone : r;
}

/* Fills *ret for a generated node of a container, by its ops->mode and ops->owned. Its times are the main process's
 * start. 0, or -ESTALE once the container has ended. */
int pfs_peer_stat (PfsNode *node, off_t size, struct stat *ret);

/* Operations for PfsNodeOps: getattr with size 0, and for links, by their readlink. */
int pfs_peer_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret);
int pfs_peer_link_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret);

/* getattr and open of generated files, by ops->content. An open file keeps the content that it had then. */
int pfs_peer_content_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret);
int pfs_peer_content_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret);

/* One name in a directory that always has the same ones. */
struct PfsPeerChild {
  const char *name;
  mode_t type;
  bool gated; /* found only by callers that may look into the container */
  PfsNode *(*new) (PfsNode *dir, const char *name);
  int (*exists) (PfsNode *dir, const char *name); /* 0 or -errno; NULL: it always does */
};

/* lookup and opendir for PfsNodeOps, by ops->children. -ESTALE once the container has ended. */
int pfs_peer_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret);
int pfs_peer_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret);

/* What is alike in the PfsNodeOps of plain nodes of a container: links, generated files, and directories. */
#define PFS_PEER_LINK_OPS                                                                                              \
  .mode = S_IFLNK | 0777, .size = sizeof (PfsPeerNode), .finalize = pfs_peer_finalize, .getattr = pfs_peer_link_getattr
#define PFS_PEER_CONTENT_OPS                                                                                           \
  .mode = S_IFREG | 0444, .size = sizeof (PfsPeerNode), .finalize = pfs_peer_finalize,                                 \
  .getattr = pfs_peer_content_getattr, .open = pfs_peer_content_open
#define PFS_PEER_DIR_OPS                                                                                               \
  .size = sizeof (PfsPeerNode), .finalize = pfs_peer_finalize, .getattr = pfs_peer_getattr, .lookup = pfs_peer_lookup, \
  .opendir = pfs_peer_opendir

/* May the caller look into that process? 0, -EACCES, -ESRCH once it has ended, or what we lack: -EMFILE, -ENFILE,
 * -ENOMEM. Its /proc may be another namespace's. For the daemon itself it is 0. */
int pfs_gate_pin (PfsProc *proc, const PfsProcess *pin, const PfsCaller *who);
