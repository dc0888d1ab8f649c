/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mirror.h"

#include <limits.h>
#include <string.h>

#include "peerfs/base/name.h"

struct PfsMirror {
  gint refs;
  GPtrArray *leaves;   /* owns the leaves */
  GPtrArray *sorted;   /* of borrowed leaves, by path_compare() */
  GHashTable *aliases; /* name -> borrowed leaf */
  PfsMirrorPath path_of;
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
  const PfsMirror *mirror = data;
  return path_compare (mirror->path_of (*(gconstpointer const *) a), mirror->path_of (*(gconstpointer const *) b));
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

PfsMirror *
pfs_mirror_new (GPtrArray *leaves, PfsMirrorPath path_of)
{
  PfsMirror *mirror = g_new0 (PfsMirror, 1);
  g_autoptr (GPtrArray) valid = g_ptr_array_new ();

  mirror->refs = 1;
  mirror->leaves = leaves;
  mirror->path_of = path_of;
  mirror->sorted = g_ptr_array_new ();
  mirror->aliases = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < leaves->len; i++)
    if (path_valid (path_of (leaves->pdata[i])))
      g_ptr_array_add (valid, leaves->pdata[i]);
  g_ptr_array_sort_with_data (valid, leaf_compare, mirror);

  for (guint i = 0; i < valid->len; i++) {
    const char *path = path_of (valid->pdata[i]);
    guint n = mirror->sorted->len;
    const char *last = n ? path_of (mirror->sorted->pdata[n - 1]) : NULL;
    if (last && strcmp (last, path) == 0)
      continue;
    if (last && path_below (path, last))
      g_ptr_array_set_size (mirror->sorted, (gint) n - 1);
    g_ptr_array_add (mirror->sorted, valid->pdata[i]);
  }
  return mirror;
}

PfsMirror *
pfs_mirror_ref (PfsMirror *mirror)
{
  g_atomic_int_inc (&mirror->refs);
  return mirror;
}

void
pfs_mirror_unref (PfsMirror *mirror)
{
  if (!g_atomic_int_dec_and_test (&mirror->refs))
    return;
  g_ptr_array_unref (mirror->sorted);
  g_hash_table_unref (mirror->aliases);
  g_ptr_array_unref (mirror->leaves);
  g_free (mirror);
}

guint
pfs_mirror_size (const PfsMirror *mirror)
{
  return mirror->sorted->len;
}

gconstpointer
pfs_mirror_nth (const PfsMirror *mirror, guint i)
{
  return mirror->sorted->pdata[i];
}

void
pfs_mirror_alias (PfsMirror *mirror, const char *name, gconstpointer leaf)
{
  if (pfs_name_valid (name))
    g_hash_table_insert (mirror->aliases, g_strdup (name), (gpointer) leaf);
}

/* The first leaf whose path is not before the given one. */
static guint
lower_bound (const PfsMirror *mirror, const char *path)
{
  guint low = 0, high = mirror->sorted->len;

  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (path_compare (mirror->path_of (mirror->sorted->pdata[middle]), path) < 0)
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
pfs_mirror_sees (const PfsMirrorEyes *eyes, gconstpointer leaf)
{
  return !eyes->see || eyes->see (leaf, eyes->data);
}

PfsMirrorType
pfs_mirror_find (const PfsMirror *mirror, const char *dir, const char *name, const PfsMirrorEyes *eyes,
                 gconstpointer *ret_leaf)
{
  g_autofree char *path = path_join (dir, name);
  gconstpointer leaf = *dir ? NULL : g_hash_table_lookup (mirror->aliases, name);

  for (guint i = lower_bound (mirror, path); i < mirror->sorted->len; i++) {
    const char *found = mirror->path_of (mirror->sorted->pdata[i]);
    bool exact = strcmp (found, path) == 0;
    if (!exact && !path_below (found, path))
      break;
    if (exact) {
      leaf = mirror->sorted->pdata[i];
      break;
    }
    if (pfs_mirror_sees (eyes, mirror->sorted->pdata[i]))
      return PFS_MIRROR_DIR;
  }
  if (!leaf || !pfs_mirror_sees (eyes, leaf))
    return PFS_MIRROR_NONE;
  *ret_leaf = leaf;
  return PFS_MIRROR_LEAF;
}

static void
foreach_alias (const PfsMirror *mirror, const PfsMirrorEyes *eyes, PfsMirrorFunc func, gpointer data)
{
  GHashTableIter iter;
  gpointer name, leaf;
  gconstpointer found;

  g_hash_table_iter_init (&iter, mirror->aliases);
  while (g_hash_table_iter_next (&iter, &name, &leaf))
    if (pfs_mirror_find (mirror, "", name, eyes, &found) == PFS_MIRROR_LEAF && found == leaf
        && strcmp (mirror->path_of (leaf), name) != 0)
      func (name, PFS_MIRROR_LEAF, leaf, data);
}

void
pfs_mirror_foreach (const PfsMirror *mirror, const char *dir, const PfsMirrorEyes *eyes, PfsMirrorFunc func,
                    gpointer data)
{
  g_autofree char *below = path_join (dir, "");
  g_autofree char *last = NULL;
  size_t skip = strlen (below);

  for (guint i = lower_bound (mirror, below); i < mirror->sorted->len; i++) {
    gconstpointer leaf = mirror->sorted->pdata[i];
    const char *path = mirror->path_of (leaf);
    if (strncmp (path, below, skip) != 0)
      break;
    size_t len = strcspn (path + skip, "/");
    bool known = last && strlen (last) == len && strncmp (last, path + skip, len) == 0;
    if (known || !pfs_mirror_sees (eyes, leaf))
      continue;
    if (!path[skip + len]) {
      func (path + skip, PFS_MIRROR_LEAF, leaf, data);
    } else {
      g_free (last);
      last = g_strndup (path + skip, len);
      func (last, PFS_MIRROR_DIR, NULL, data);
    }
  }
  if (!*dir)
    foreach_alias (mirror, eyes, func, data);
}
