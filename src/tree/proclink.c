/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* proc: a link to the main process's directory in /proc. */

#include "peerfs/tree/peer.h"

static int
proclink_readlink (PfsNode *node, const PfsCaller *who, char **ret_target)
{
  PfsContainer *c = pfs_node_container (node);
  g_autoptr (PfsProcess) pin = NULL;

  (void) who;
  int r = pfs_container_main (c, &pin);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  *ret_target = g_strdup_printf ("%s/%d", pfs_proc_path (pfs_container_proc (c)), (int) pfs_process_pid (pin));
  return 0;
}

static const PfsNodeOps proclink_ops = {
  .kind = "proclink",
  .attr_life = PFS_ATTR_BRIEF,
  .size = sizeof (PfsPeerNode),
  .finalize = pfs_peer_finalize,
  .getattr = pfs_peer_link_getattr,
  .readlink = proclink_readlink,
};

PfsNode *
pfs_proclink_new (PfsNode *peer, const char *name)
{
  return pfs_peer_child (peer, name, &proclink_ops, NULL, NULL);
}
