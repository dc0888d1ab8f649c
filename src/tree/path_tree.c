/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "path_tree.h"

#include <string.h>

#include "peerfs/base/name.h"

struct PfsPathTree {
  gint refs;
  GTree *leaves; /* path -> borrowed leaf, by path_compare() */
  gpointer owner;
  GDestroyNotify free_owner;
};

/* '/' sorts before every other byte, so that what lies in a directory is contiguous and follows a leaf of its name at
 * once: "a", "a/b", "a-b". */
static int
path_compare (gconstpointer x, gconstpointer y, gpointer data)
{
  const char *a = x, *b = y;

  (void) data;
  for (; *a && *a == *b; a++, b++)
    ;
  if (*a == *b)
    return 0;
  if (!*a || !*b)
    return *a ? 1 : -1;
  if (*a == '/' || *b == '/')
    return *a == '/' ? -1 : 1;
  return (unsigned char) *a < (unsigned char) *b ? -1 : 1;
}

static bool
path_valid (const char *path)
{
  g_auto (GStrv) names = g_strsplit (path, "/", -1);

  for (char **name = names; *name; name++)
    if (!pfs_name_valid (*name))
      return false;
  return *names;
}

static bool
path_below (const char *path, const char *dir)
{
  size_t len = strlen (dir);
  return strncmp (path, dir, len) == 0 && path[len] == '/';
}

static char *
path_join (const char *dir, const char *name)
{
  return *dir ? g_strconcat (dir, "/", name, NULL) : g_strdup (name);
}

PfsPathTree *
pfs_path_tree_new (gpointer owner, GDestroyNotify free_owner)
{
  PfsPathTree *path_tree = g_new0 (PfsPathTree, 1);

  path_tree->refs = 1;
  path_tree->leaves = g_tree_new_full (path_compare, NULL, g_free, NULL);
  path_tree->owner = owner;
  path_tree->free_owner = free_owner;
  return path_tree;
}

PfsPathTree *
pfs_path_tree_ref (PfsPathTree *path_tree)
{
  g_atomic_int_inc (&path_tree->refs);
  return path_tree;
}

void
pfs_path_tree_unref (PfsPathTree *path_tree)
{
  if (!g_atomic_int_dec_and_test (&path_tree->refs))
    return;
  g_tree_unref (path_tree->leaves);
  if (path_tree->free_owner)
    path_tree->free_owner (path_tree->owner);
  g_free (path_tree);
}

gpointer
pfs_path_tree_owner (const PfsPathTree *path_tree)
{
  return path_tree->owner;
}

void
pfs_path_tree_add (PfsPathTree *path_tree, const char *path, gconstpointer leaf)
{
  GTreeNode *next = g_tree_lower_bound (path_tree->leaves, path);
  GTreeNode *before = next ? g_tree_node_previous (next) : g_tree_node_last (path_tree->leaves);
  const char *other = next ? g_tree_node_key (next) : "";

  if (!path_valid (path) || strcmp (other, path) == 0 || path_below (other, path))
    return;
  /* One that it is below has nothing else below it, and so comes right before. */
  if (before && path_below (path, g_tree_node_key (before)))
    g_tree_remove (path_tree->leaves, g_tree_node_key (before));
  g_tree_insert (path_tree->leaves, g_strdup (path), (gpointer) leaf);
}

bool
pfs_path_tree_find (const PfsPathTree *path_tree, const char *dir, const char *name, gconstpointer *ret_leaf)
{
  g_autofree char *path = path_join (dir, name);

  GTreeNode *node = g_tree_lower_bound (path_tree->leaves, path);
  const char *found = node ? g_tree_node_key (node) : "";
  bool exact = strcmp (found, path) == 0;

  if (!exact && !path_below (found, path))
    return false;
  *ret_leaf = exact ? g_tree_node_value (node) : NULL;
  return true;
}

void
pfs_path_tree_foreach (const PfsPathTree *path_tree, const char *dir, PfsPathTreeFunc func, gpointer data)
{
  g_autofree char *below = path_join (dir, "");
  g_autofree char *last = NULL;
  size_t skip = strlen (below);

  for (GTreeNode *node = g_tree_lower_bound (path_tree->leaves, below); node; node = g_tree_node_next (node)) {
    const char *path = g_tree_node_key (node);
    if (strncmp (path, below, skip) != 0)
      break;
    g_autofree char *name = g_strndup (path + skip, strcspn (path + skip, "/"));
    if (g_strcmp0 (name, last) == 0)
      continue;
    func (name, strchr (path + skip, '/') ? NULL : g_tree_node_value (node), data);
    g_free (last);
    last = g_steal_pointer (&name);
  }
}
