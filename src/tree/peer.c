/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container's directory, and those of its entries that have no file of their own: id and pid, one line each, and
 * proc, a link to the main process's directory in /proc. */
#include "peerfs/tree/peer.h"
#include "peerfs/tree/tree.h"

#include <string.h>

static int
text_content (PfsNode *node, const PfsCaller *who, GBytes **ret)
{
  PfsContainer *c = pfs_node_container (node);
  g_autoptr (PfsProcess) pin = NULL;
  char *line;

  (void) who;
  int r = pfs_container_main (c, &pin);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  if (strcmp (node->name, "pid") == 0)
    line = g_strdup_printf ("%d\n", (int) pin->pid);
  else
    line = g_strconcat (c->cgroup.id, "\n", NULL);
  *ret = g_bytes_new_take (line, strlen (line));
  return 0;
}

static const PfsNodeOps text_ops = {
  PFS_PEER_CONTENT_OPS,
  .content = text_content,
};

static PfsNode *
text_new (PfsNode *peer, const char *name)
{
  return pfs_peer_child (peer, name, &text_ops, NULL, NULL);
}

static int
proc_readlink (PfsNode *node, const PfsCaller *who, char **ret_target)
{
  PfsContainer *c = pfs_node_container (node);
  g_autoptr (PfsProcess) pin = NULL;

  (void) who;
  int r = pfs_container_main (c, &pin);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  *ret_target = g_strdup_printf ("%s/%d", c->proc->path, (int) pin->pid);
  return 0;
}

static const PfsNodeOps proc_ops = {
  PFS_PEER_LINK_OPS,
  .attr_life = PFS_ATTR_BRIEF,
  .readlink = proc_readlink,
};

static PfsNode *
proc_new (PfsNode *peer, const char *name)
{
  return pfs_peer_child (peer, name, &proc_ops, NULL, NULL);
}

static PfsNode *
root_new (PfsNode *peer, const char *name)
{
  return peer->tree->root->new (peer, name);
}

static const PfsPeerChild children[] = {
  { "id", S_IFREG, false, text_new, NULL },
  { "pid", S_IFREG, false, text_new, NULL },
  { "root", S_IFDIR, true, root_new, NULL },
  { "sockets", S_IFDIR, false, pfs_sockets_new, NULL }, /* has a gate of its own */
  { "env", S_IFDIR, true, pfs_env_new, NULL },
  { "maps", S_IFDIR, true, pfs_maps_new, NULL },
  { "pids", S_IFDIR, false, pfs_pids_new, NULL },
  { "proc", S_IFLNK, false, proc_new, NULL },
  { NULL },
};

const PfsNodeOps pfs_peer_ops = {
  PFS_PEER_DIR_OPS,
  .mode = S_IFDIR | 0555,
  .attr_life = PFS_ATTR_FIXED,
  .children = children,
};
