/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories that always have the same names: a container's, and maps/. */
#include <string.h>

#include "peerfs/tree/peer.h"

/* Once the container has ended, a name that is none would be remembered, and the directory with it: ESTALE is not. The
 * kernel looks the path up once more then, in which another one may have the container's name. */
int
pfs_peer_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  PfsContainer *c = pfs_node_container (dir);
  const PfsPeerChild *child = dir->ops->children;

  if (pfs_container_ended (c))
    return -ESTALE;
  while (child->name && strcmp (child->name, name) != 0)
    child++;
  if (!child->name)
    return -ENOENT;
  int r = child->gated ? pfs_peer_gate (c, who) : 0;
  if (r >= 0 && child->exists)
    r = child->exists (dir, name);
  if (r >= 0)
    r = pfs_entry_of (child->new (dir, name), who, ret);
  return pfs_gone (r, -ESTALE);
}

int
pfs_peer_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  g_autoptr (GArray) listing = pfs_listing_new ();
  uint64_t ino = pfs_node_ino (dir);

  (void) who;
  if (pfs_container_ended (pfs_node_container (dir)))
    return -ESTALE;
  for (const PfsPeerChild *child = dir->ops->children; child->name; child++) {
    int r = child->exists ? child->exists (dir, child->name) : 0;
    if (r < 0 && r != -ENOENT)
      return pfs_gone (r, -ESTALE);
    if (r == 0)
      pfs_listing_add (listing, child->name, child->type, pfs_ino_hash (ino, child->name, strlen (child->name)));
  }
  *ret = pfs_file_new (dir, -1, NULL, g_steal_pointer (&listing));
  return 0;
}
