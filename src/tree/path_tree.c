/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "path_tree.h"

#include <limits.h>
#include <string.h>

#include "peerfs/base/name.h"

struct PfsPathTree {
  gint refs;
  GPtrArray *leaves;   /* owns the leaves */
  GPtrArray *sorted;   /* of borrowed leaves, by path_compare() */
  GHashTable *aliases; /* name -> borrowed leaf */
  PfsPathTreePath path_of;
};

/* '/' sorts before every other byte, so that what lies in a directory is contiguous and follows a leaf of its name at
 * once: "a", "a/b", "a-b". */
static int
path_compare (const char *a, const char *b)
{
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

static int
leaf_compare (gconstpointer a, gconstpointer b, gpointer data)
{
  const PfsPathTree *path_tree = data;
  return path_compare (path_tree->path_of (*(gconstpointer const *) a),
                       path_tree->path_of (*(gconstpointer const *) b));
}

static bool
path_valid (const char *path)
{
  char name[NAME_MAX + 1];
  size_t len;

  for (;; path += len + 1) {
    len = strcspn (path, "/");
    if (len > NAME_MAX)
      return false;
    memcpy (name, path, len);
    name[len] = '\0';
    if (!pfs_name_valid (name))
      return false;
    if (!path[len])
      return true;
  }
}

static bool
path_below (const char *path, const char *dir)
{
  size_t len = strlen (dir);
  return strncmp (path, dir, len) == 0 && path[len] == '/';
}

PfsPathTree *
pfs_path_tree_new (GPtrArray *leaves, PfsPathTreePath path_of)
{
  PfsPathTree *path_tree = g_new0 (PfsPathTree, 1);
  g_autoptr (GPtrArray) valid = g_ptr_array_new ();

  path_tree->refs = 1;
  path_tree->leaves = leaves;
  path_tree->path_of = path_of;
  path_tree->sorted = g_ptr_array_new ();
  path_tree->aliases = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < leaves->len; i++)
    if (path_valid (path_of (leaves->pdata[i])))
      g_ptr_array_add (valid, leaves->pdata[i]);
  g_ptr_array_sort_with_data (valid, leaf_compare, path_tree);

  for (guint i = 0; i < valid->len; i++) {
    const char *path = path_of (valid->pdata[i]);
    guint n = path_tree->sorted->len;
    const char *last = n ? path_of (path_tree->sorted->pdata[n - 1]) : NULL;
    if (last && strcmp (last, path) == 0)
      continue;
    if (last && path_below (path, last))
      g_ptr_array_set_size (path_tree->sorted, (gint) n - 1);
    g_ptr_array_add (path_tree->sorted, valid->pdata[i]);
  }
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
  g_ptr_array_unref (path_tree->sorted);
  g_hash_table_unref (path_tree->aliases);
  g_ptr_array_unref (path_tree->leaves);
  g_free (path_tree);
}

guint
pfs_path_tree_size (const PfsPathTree *path_tree)
{
  return path_tree->sorted->len;
}

gconstpointer
pfs_path_tree_nth (const PfsPathTree *path_tree, guint i)
{
  return path_tree->sorted->pdata[i];
}

void
pfs_path_tree_alias (PfsPathTree *path_tree, const char *name, gconstpointer leaf)
{
  if (pfs_name_valid (name))
    g_hash_table_insert (path_tree->aliases, g_strdup (name), (gpointer) leaf);
}

/* The first leaf whose path is not before the given one. */
static guint
lower_bound (const PfsPathTree *path_tree, const char *path)
{
  guint low = 0, high = path_tree->sorted->len;

  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (path_compare (path_tree->path_of (path_tree->sorted->pdata[middle]), path) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static char *
path_join (const char *dir, const char *name)
{
  return *dir ? g_strconcat (dir, "/", name, NULL) : g_strdup (name);
}

bool
pfs_path_tree_sees (const PfsPathTreeEyes *eyes, gconstpointer leaf)
{
  return !eyes->see || eyes->see (leaf, eyes->data);
}

PfsPathTreeType
pfs_path_tree_find (const PfsPathTree *path_tree, const char *dir, const char *name, const PfsPathTreeEyes *eyes,
                    gconstpointer *ret_leaf)
{
  g_autofree char *path = path_join (dir, name);
  gconstpointer leaf = *dir ? NULL : g_hash_table_lookup (path_tree->aliases, name);

  for (guint i = lower_bound (path_tree, path); i < path_tree->sorted->len; i++) {
    const char *found = path_tree->path_of (path_tree->sorted->pdata[i]);
    bool exact = strcmp (found, path) == 0;
    if (!exact && !path_below (found, path))
      break;
    if (exact) {
      leaf = path_tree->sorted->pdata[i];
      break;
    }
    if (pfs_path_tree_sees (eyes, path_tree->sorted->pdata[i]))
      return PFS_PATH_TREE_DIR;
  }
  if (!leaf || !pfs_path_tree_sees (eyes, leaf))
    return PFS_PATH_TREE_NONE;
  *ret_leaf = leaf;
  return PFS_PATH_TREE_LEAF;
}

static void
foreach_alias (const PfsPathTree *path_tree, const PfsPathTreeEyes *eyes, PfsPathTreeFunc func, gpointer data)
{
  GHashTableIter iter;
  gpointer name, leaf;
  gconstpointer found;

  g_hash_table_iter_init (&iter, path_tree->aliases);
  while (g_hash_table_iter_next (&iter, &name, &leaf))
    if (pfs_path_tree_find (path_tree, "", name, eyes, &found) == PFS_PATH_TREE_LEAF && found == leaf
        && strcmp (path_tree->path_of (leaf), name) != 0)
      func (name, PFS_PATH_TREE_LEAF, leaf, data);
}

void
pfs_path_tree_foreach (const PfsPathTree *path_tree, const char *dir, const PfsPathTreeEyes *eyes, PfsPathTreeFunc func,
                       gpointer data)
{
  g_autofree char *below = path_join (dir, "");
  g_autofree char *last = NULL;
  size_t skip = strlen (below);

  for (guint i = lower_bound (path_tree, below); i < path_tree->sorted->len; i++) {
    gconstpointer leaf = path_tree->sorted->pdata[i];
    const char *path = path_tree->path_of (leaf);
    if (strncmp (path, below, skip) != 0)
      break;
    size_t len = strcspn (path + skip, "/");
    bool known = last && strlen (last) == len && strncmp (last, path + skip, len) == 0;
    if (known || !pfs_path_tree_sees (eyes, leaf))
      continue;
    if (!path[skip + len]) {
      func (path + skip, PFS_PATH_TREE_LEAF, leaf, data);
    } else {
      g_free (last);
      last = g_strndup (path + skip, len);
      func (last, PFS_PATH_TREE_DIR, NULL, data);
    }
  }
  if (!*dir)
    foreach_alias (path_tree, eyes, func, data);
}
