/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The top of the tree: one directory for each container. On a node, two levels stand above them: namespaces and pods.
 * These are no more than names: one shows the containers whose names begin with it. */
#include <string.h>

#include "peerfs/tree/peer.h"
#include "peerfs/tree/tree.h"

/* A directory is one instance, so its node is named by the serial number: a restarted container of the same name is
 * another node with another inode number, and nothing of the old one can be taken for it. */
static char *
peer_key (const PfsContainer *c)
{
  return g_strdup_printf ("%" G_GUINT64_FORMAT, c->serial);
}

static void
peer_init (PfsNode *node, gpointer data)
{
  ((PfsPeerNode *) node)->container = pfs_container_ref (data);
}

static const PfsNodeOps group_ops;

/* How the names below it begin: "", "NAMESPACE/" or "NAMESPACE/POD/". */
static char *
prefix_of (const PfsNode *dir)
{
  g_autofree char *above = dir->parent ? prefix_of (dir->parent) : NULL;

  return above ? g_strconcat (above, dir->name, "/", NULL) : g_strdup ("");
}

/* Is there a level of groups below it, before the containers? A node has two: namespaces and pods. */
static bool
has_groups (PfsNode *dir)
{
  return pfs_table_scope (dir->tree->table) == PFS_SCOPE_NODE && !(dir->parent && dir->parent->parent);
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
find_child (PfsNode *dir, const char *name, PfsNode **ret)
{
  g_autoptr (PfsContainer) c = NULL;
  g_autofree char *prefix = prefix_of (dir), *path = g_strconcat (prefix, name, NULL);

  if (has_groups (dir)) {
    int r = pfs_table_find_group (dir->tree->table, path);
    if (r == 0)
      *ret = pfs_node_child (dir, name, &group_ops, NULL, NULL);
    return r;
  }
  int r = pfs_table_find (dir->tree->table, path, &c);
  if (r < 0)
    return r;
  g_autofree char *key = peer_key (c);
  *ret = pfs_node_child (dir, key, &pfs_peer_ops, peer_init, c);
  return 0;
}

static int
top_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  PfsNode *child;

  int r = find_child (dir, name, &child);
  if (r == 0)
    r = pfs_entry_of (child, who, ret);
  return r == -ESTALE ? -ENOENT : r;
}

/* What is in one group stands together, because containers are by name. */
static void
list_below (PfsNode *dir, const GPtrArray *containers, GArray *listing)
{
  g_autofree char *prefix = prefix_of (dir), *last = NULL;
  uint64_t ino = pfs_node_ino (dir);
  bool groups = has_groups (dir);

  for (guint i = 0; i < containers->len; i++) {
    g_autofree char *path = pfs_container_name (containers->pdata[i]);
    if (!g_str_has_prefix (path, prefix))
      continue;
    const char *below = path + strlen (prefix);
    g_autofree char *name = groups ? g_strndup (below, strcspn (below, "/")) : g_strdup (below);
    if (g_strcmp0 (name, last) == 0)
      continue;
    g_autofree char *key = groups ? g_strdup (name) : peer_key (containers->pdata[i]);
    pfs_listing_add (listing, name, S_IFDIR, pfs_ino_hash (ino, key, strlen (key)));
    g_free (last);
    last = g_steal_pointer (&name);
  }
}

static int
top_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  g_autoptr (GPtrArray) containers = NULL;

  (void) who;
  int r = pfs_table_list (dir->tree->table, &containers);
  if (r < 0)
    return r;
  GArray *listing = pfs_listing_new ();
  list_below (dir, containers, listing);
  *ret = pfs_file_new (dir, -1, NULL, listing);
  return 0;
}

const PfsNodeOps pfs_top_ops = {
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (PfsPeerNode),
  .getattr = top_getattr,
  .lookup = top_lookup,
  .opendir = top_opendir,
};

static const PfsNodeOps group_ops = {
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (PfsPeerNode),
  .getattr = top_getattr,
  .lookup = top_lookup,
  .opendir = top_opendir,
};
