/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pids/: a link for each process of the container. */
#include <fcntl.h>

#include "path_tree.h"

/* One that has ended is not found, though the last scan had it. */
static int
pid_readlink (PfsNode *node, const PfsCaller *who, char **ret_target)
{
  PfsContainer *c = pfs_node_container (node);
  PfsProc *proc = c->proc;
  struct stat st;

  (void) who;
  if (pfs_container_ended (c) || fstatat (proc->fd, node->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return -ESTALE;
  *ret_target = g_strdup_printf ("%s/%s", proc->path, node->name);
  return 0;
}

static const PfsNodeOps pid_ops = {
  PFS_PEER_LINK_OPS,
  .attr_life = PFS_ATTR_BRIEF,
  .readlink = pid_readlink,
};

static int
pids_scan (PfsNode *top, const PfsCaller *who, PfsPathTree **ret)
{
  g_autoptr (GArray) pids = NULL;

  (void) who;
  int r = pfs_container_pids_now (pfs_node_container (top), &pids);
  if (r < 0)
    return r;
  *ret = pfs_path_tree_new (NULL, NULL);
  for (guint i = 0; i < pids->len; i++) {
    pid_t pid = g_array_index (pids, pid_t, i);
    g_autofree char *name = g_strdup_printf ("%d", (int) pid);
    pfs_path_tree_add (*ret, name, GINT_TO_POINTER (pid));
  }
  return 0;
}

static const PfsNodeOps pids_ops = {
  .mode = S_IFDIR | 0555,
  PFS_PATH_TREE_OPS,
};

static const PfsPathTreeKind pids_kind = {
  .ops = &pids_ops,
  .scan = pids_scan,
  .leaf_ops = &pid_ops,
};

PfsNode *
pfs_pids_new (PfsNode *peer, const char *name)
{
  return pfs_path_tree_top (peer, name, &pids_kind);
}
