/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container's directory. */
#include "peerfs/tree/peer.h"
#include "peerfs/tree/tree.h"

#include <string.h>

typedef struct {
  const char *name;
  mode_t type;
  bool gated;
  PfsNode *(*new) (PfsNode *peer, const char *name);
} PeerChild;

static PfsNode *
root_new (PfsNode *peer, const char *name)
{
  return peer->tree->root->new (peer, name);
}

static const PeerChild children[] = {
  /* clang-format off */
  { "id", S_IFREG, false, pfs_text_new },
  { "pid", S_IFREG, false, pfs_text_new },
  { "root", S_IFDIR, true, root_new },
  { "sockets", S_IFDIR, false, pfs_sockets_new }, /* has a gate of its own */
  { "env", S_IFDIR, true, pfs_env_new },
  { "maps", S_IFDIR, true, pfs_maps_new },
  { "pids", S_IFDIR, false, pfs_pids_new },
  { "proc", S_IFLNK, false, pfs_proclink_new },
  /* clang-format on */
};

static int
peer_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  (void) file;
  (void) who;
  return pfs_peer_stat (node, S_IFDIR | 0555, false, 0, ret);
}

/* Once the container has ended, a name that is none would be remembered, and the directory with it: ESTALE is not. The
 * kernel looks the path up once more then, in which another one may have the container's name. */
static int
peer_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  PfsContainer *c = pfs_node_container (dir);

  if (pfs_container_ended (c))
    return -ESTALE;
  for (size_t i = 0; i < G_N_ELEMENTS (children); i++) {
    if (strcmp (children[i].name, name) != 0)
      continue;
    int r = children[i].gated ? pfs_peer_gate (c, who) : 0;
    if (r >= 0)
      r = pfs_entry_of (children[i].new (dir, name), who, ret);
    return pfs_gone (r, -ESTALE);
  }
  return -ENOENT;
}

static int
peer_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  uint64_t ino = pfs_node_ino (dir);

  (void) who;
  if (pfs_container_ended (pfs_node_container (dir)))
    return -ESTALE;
  PfsListing *listing = pfs_listing_new ();
  for (size_t i = 0; i < G_N_ELEMENTS (children); i++)
    pfs_peer_list (listing, ino, children[i].name, children[i].type);
  *ret = pfs_file_new (dir, -1, NULL, listing);
  return 0;
}

const PfsNodeOps pfs_peer_ops = {
  .kind = "peer",
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (PfsPeerNode),
  .finalize = pfs_peer_finalize,
  .getattr = peer_getattr,
  .lookup = peer_lookup,
  .opendir = peer_opendir,
};
