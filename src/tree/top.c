/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The top of the tree: one directory for each container; of a node's, two levels above them, namespaces and pods. These
 * are no more than names: one has what the containers have whose names begin with it. */
#include <string.h>

#include "peerfs/tree/peer.h"
#include "peerfs/tree/tree.h"

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

#define GROUP_LEVELS 2 /* of a node */

typedef struct {
  PfsPeerNode peer; /* of no container */
  char *path;       /* "NAMESPACE" or "NAMESPACE/POD"; NULL for the top */
} GroupNode;

static const PfsNodeOps group_ops;

static void
group_init (PfsNode *node, gpointer path)
{
  ((GroupNode *) node)->path = g_strdup (path);
}

static void
group_finalize (PfsNode *node)
{
  g_free (((GroupNode *) node)->path);
}

/* What the names begin with that are below it: "" or its path and a '/'. */
static char *
prefix_of (PfsNode *dir)
{
  const char *path = ((GroupNode *) dir)->path;

  return path ? g_strconcat (path, "/", NULL) : g_strdup ("");
}

/* Is there a level of groups below it, before the containers? */
static bool
has_groups (PfsNode *dir)
{
  const char *path = ((GroupNode *) dir)->path;
  int level = !path ? 0 : strchr (path, '/') ? 2 : 1;

  return pfs_table_scope (dir->tree->table) == PFS_SCOPE_NODE && level < GROUP_LEVELS;
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
      *ret = pfs_node_child (dir, name, &group_ops, group_init, path);
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

/* containers are by name, so that what is in one group stands together. */
static void
list_groups (PfsListing *listing, uint64_t ino, const char *prefix, const GPtrArray *containers)
{
  g_autofree char *last = NULL;

  for (guint i = 0; i < containers->len; i++) {
    g_autofree char *name = pfs_container_name (containers->pdata[i]);
    if (!g_str_has_prefix (name, prefix))
      continue;
    const char *rest = name + strlen (prefix);
    g_autofree char *group = g_strndup (rest, strcspn (rest, "/"));
    if (g_strcmp0 (group, last) == 0)
      continue;
    pfs_listing_add (listing, group, S_IFDIR, pfs_ino_hash (ino, group, strlen (group)));
    g_free (last);
    last = g_steal_pointer (&group);
  }
}

static void
list_peers (PfsListing *listing, uint64_t ino, const char *prefix, const GPtrArray *containers)
{
  for (guint i = 0; i < containers->len; i++) {
    g_autofree char *name = pfs_container_name (containers->pdata[i]);
    g_autofree char *key = peer_key (containers->pdata[i]);
    if (g_str_has_prefix (name, prefix))
      pfs_listing_add (listing, name + strlen (prefix), S_IFDIR, pfs_ino_hash (ino, key, strlen (key)));
  }
}

static int
top_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  g_autoptr (GPtrArray) containers = NULL;
  g_autofree char *prefix = prefix_of (dir);
  uint64_t ino = pfs_node_ino (dir);

  (void) who;
  int r = pfs_table_list (dir->tree->table, &containers);
  if (r < 0)
    return r;
  PfsListing *listing = pfs_listing_new ();
  (has_groups (dir) ? list_groups : list_peers) (listing, ino, prefix, containers);
  *ret = pfs_file_new (dir, -1, NULL, listing);
  return 0;
}

const PfsNodeOps pfs_top_ops = {
  .kind = "top",
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (GroupNode),
  .getattr = top_getattr,
  .lookup = top_lookup,
  .opendir = top_opendir,
};

static const PfsNodeOps group_ops = {
  .kind = "group",
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (GroupNode),
  .finalize = group_finalize,
  .getattr = top_getattr,
  .lookup = top_lookup,
  .opendir = top_opendir,
};
