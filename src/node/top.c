/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The top of the tree: one directory for each container. */
#include <string.h>

#include "peer.h"

/* A directory is one instance, so its node is named by the serial number: a restarted container of the same name is
 * another node with another inode number, and nothing of the old one can be taken for it. */
static char *
peer_key (const PfsContainer *c)
{
  return g_strdup_printf ("%" G_GUINT64_FORMAT, pfs_container_serial (c));
}

static void
peer_init (PfsNode *node, gpointer data)
{
  ((PfsPeerNode *) node)->container = pfs_container_ref (data);
}

static int
top_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  struct timespec now;

  (void) file;
  (void) who;
  clock_gettime (CLOCK_REALTIME, &now);
  pfs_node_stat (node, S_IFDIR | 0555, 0, 0, 0, &now, ret);
  return 0;
}

static int
top_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  g_autoptr (PfsContainer) c = NULL;
  g_autofree char *key = NULL;

  int r = pfs_table_find (pfs_tree_table (dir->tree), name, &c);
  if (r < 0)
    return r;
  key = peer_key (c);
  r = pfs_entry_of (pfs_node_child (dir, key, &pfs_peer_ops, peer_init, c), who, ret);
  return r == -ESTALE ? -ENOENT : r;
}

static int
top_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  g_autoptr (GPtrArray) containers = NULL;
  uint64_t ino = pfs_node_ino (dir);

  (void) who;
  int r = pfs_table_list (pfs_tree_table (dir->tree), &containers);
  if (r < 0)
    return r;
  PfsListing *listing = pfs_listing_new ();
  for (guint i = 0; i < containers->len; i++) {
    PfsContainer *c = containers->pdata[i];
    g_autofree char *name = pfs_container_name (c);
    g_autofree char *key = peer_key (c);
    pfs_listing_add (listing, name, S_IFDIR, pfs_ino_hash (ino, key, strlen (key)));
  }
  *ret = pfs_file_new (dir, -1, NULL, listing);
  return 0;
}

const PfsNodeOps pfs_top_ops = {
  .kind = "top",
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (PfsNode),
  .getattr = top_getattr,
  .lookup = top_lookup,
  .opendir = top_opendir,
};
