/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "path_tree.h"

#include <string.h>

/* How long a scan answers lookups of names that it has. It is at least a few times as long as the scan took: else a
 * caller that looks at each of many names spends its time on scans. A scan that took longer serves listings of
 * folders too. */
#define SNAPSHOT_USEC (100 * G_TIME_SPAN_MILLISECOND)
#define SNAPSHOT_TIMES 5

/* The path of a directory below its top, "" for that. No node keeps it: thousands of folders, one in the other, would
 * keep a long one each. A generated directory never gets another name or parent. */
static char *
dir_path (const PfsPathTreeDir *dir)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  GString *path = g_string_new (NULL);

  for (const PfsNode *node = &dir->peer.node; node != &dir->top->dir.peer.node; node = node->parent)
    g_ptr_array_add (names, node->name);
  for (guint i = names->len; i > 0; i--)
    g_string_append_printf (path, "%s%s", path->len > 0 ? "/" : "", (char *) names->pdata[i - 1]);
  return g_string_free (path, FALSE);
}

/* Root's, 0755: a copied mode, such as /tmp's 1777, would make fs.protected_symlinks refuse the links in it. */
static const PfsNodeOps dir_ops = {
  .mode = S_IFDIR | 0755,
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (PfsPathTreeDir),
  .finalize = pfs_peer_finalize,
  .getattr = pfs_peer_getattr,
  .lookup = pfs_path_tree_lookup,
  .opendir = pfs_path_tree_opendir,
};

static void
dir_init (PfsNode *node, gpointer top)
{
  ((PfsPathTreeDir *) node)->top = top;
}

static void
top_init (PfsNode *node, gpointer kind)
{
  PfsPathTreeTop *top = (PfsPathTreeTop *) node;

  g_rec_mutex_init (&top->scanning);
  g_mutex_init (&top->lock);
  top->kind = kind;
  top->dir.top = top;
}

void
pfs_path_tree_top_finalize (PfsNode *node)
{
  PfsPathTreeTop *top = (PfsPathTreeTop *) node;

  for (guint i = 0; i < G_N_ELEMENTS (top->scans); i++)
    g_clear_pointer (&top->scans[i].path_tree, pfs_path_tree_unref);
  g_mutex_clear (&top->lock);
  g_rec_mutex_clear (&top->scanning);
  pfs_peer_finalize (node);
}

PfsNode *
pfs_path_tree_top (PfsNode *parent, const char *name, const PfsPathTreeKind *kind)
{
  return pfs_peer_child (parent, name, kind->ops, top_init, (gpointer) kind);
}

/* --- the last scan --- */

typedef enum {
  FOR_LOOKUP, /* answered by what is young */
  FOR_FOLDER, /* likewise, if the scan took long */
  FOR_TOP,    /* answered by a scan that began after it had asked */
} Use;

static bool
is_for_one (const PfsPathTreeTop *top, const PfsPathTreeScan *a, const PfsPathTreeScan *b)
{
  return !top->kind->per_caller || (a->uid == b->uid && a->gid == b->gid && a->caps == b->caps);
}

static bool
serves (const PfsPathTreeTop *top, const PfsPathTreeScan *scan, const PfsPathTreeScan *asked, Use use)
{
  gint64 age = MAX (SNAPSHOT_USEC, SNAPSHOT_TIMES * scan->took);

  if (use == FOR_TOP || (use == FOR_FOLDER && scan->took <= SNAPSHOT_USEC))
    age = 0;
  return scan->path_tree && scan->taken + age >= asked->taken && is_for_one (top, scan, asked);
}

/* One of the last scans that serves, as a reference; or NULL. */
static PfsPathTree *
recent_scan (PfsPathTreeTop *top, const PfsPathTreeScan *asked, Use use)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&top->lock);

  for (guint i = 0; i < G_N_ELEMENTS (top->scans); i++)
    if (serves (top, &top->scans[i], asked, use))
      return pfs_path_tree_ref (top->scans[i].path_tree);
  return NULL;
}

/* In the place of that caller's last one, else of the oldest. */
static void
keep_scan (PfsPathTreeTop *top, const PfsPathTreeScan *scan)
{
  g_autoptr (PfsPathTree) old = NULL;
  PfsPathTreeScan *place = top->scans;

  g_mutex_lock (&top->lock);
  for (guint i = 1; i < G_N_ELEMENTS (top->scans) && !is_for_one (top, place, scan); i++)
    if (is_for_one (top, &top->scans[i], scan) || top->scans[i].taken < place->taken)
      place = &top->scans[i];
  old = place->path_tree;
  *place = *scan;
  pfs_path_tree_ref (scan->path_tree);
  g_mutex_unlock (&top->lock);
}

/* One scan at a time: each may take memory for all that a process maps. A caller that waits for one takes the result of
 * the next that began after it had asked. */
static int
get_scan (PfsPathTreeTop *top, const PfsCaller *who, gint64 asked_at, Use use, PfsPathTree **ret)
{
  PfsPathTreeScan scan = { .taken = asked_at, .uid = who->uid, .gid = who->gid };

  if (top->kind->per_caller)
    scan.caps = who == &pfs_caller_self ? UINT64_MAX : pfs_caller_known (who)->caps;
  *ret = recent_scan (top, &scan, use);
  if (*ret)
    return 0;
  g_autoptr (GRecMutexLocker) scanning = g_rec_mutex_locker_new (&top->scanning);
  *ret = recent_scan (top, &scan, FOR_TOP);
  if (*ret)
    return 0;
  scan.taken = g_get_monotonic_time ();
  int r = top->kind->scan (&top->dir.peer.node, who, &scan.path_tree);
  if (r < 0)
    return r;
  scan.took = g_get_monotonic_time () - scan.taken;
  keep_scan (top, &scan);
  *ret = scan.path_tree;
  return 0;
}

int
pfs_path_tree_get (PfsNode *node, const PfsCaller *who, PfsPathTree **ret)
{
  return get_scan ((PfsPathTreeTop *) node, who, g_get_monotonic_time (), FOR_LOOKUP, ret);
}

/* A directory (leaf is NULL) has its name. */
static char *
key_of (const PfsPathTreeKind *kind, const char *name, gconstpointer leaf)
{
  return leaf && kind->key ? kind->key (name, leaf) : g_strdup (name);
}

/* --- names --- */

static int
path_tree_entry (const PfsPathTree *path_tree, PfsPathTreeDir *dir, const char *name, const PfsCaller *who,
                 PfsEntry *ret)
{
  const PfsPathTreeKind *kind = dir->top->kind;
  PfsNode *parent = &dir->peer.node;
  gconstpointer leaf = NULL;
  g_autofree char *path = dir_path (dir);

  if (!pfs_path_tree_find (path_tree, path, name, &leaf))
    return -ENOENT;
  if (!leaf)
    return pfs_entry_of (pfs_peer_child (parent, name, &dir_ops, dir_init, dir->top), who, ret);
  g_autofree char *key = key_of (kind, name, leaf);
  return pfs_entry_of (pfs_peer_child (parent, key, kind->leaf_ops, kind->leaf_init, (gpointer) leaf), who, ret);
}

int
pfs_path_tree_lookup (PfsNode *node, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  PfsPathTreeDir *dir = (PfsPathTreeDir *) node;
  gint64 asked_at = g_get_monotonic_time ();
  int r = -ENOENT;

  if (pfs_container_ended (dir->peer.container))
    return -ENOENT;
  for (Use use = FOR_LOOKUP; r == -ENOENT || r == -ESTALE || r == -EACCES; use = FOR_TOP) {
    g_autoptr (PfsPathTree) path_tree = NULL;

    r = get_scan (dir->top, who, asked_at, use, &path_tree);
    if (r < 0)
      break;
    r = path_tree_entry (path_tree, dir, name, who, ret);
    if (use == FOR_TOP)
      break;
  }
  return r == -ESTALE ? -ENOENT : pfs_gone (r, -ENOENT);
}

typedef struct {
  GArray *listing;
  const PfsPathTreeKind *kind;
  uint64_t ino;
} ListData;

static void
list_add (const char *name, gconstpointer leaf, gpointer data)
{
  const ListData *list = data;
  g_autofree char *key = key_of (list->kind, name, leaf);
  mode_t mode = leaf ? list->kind->leaf_ops->mode & S_IFMT : S_IFDIR;

  pfs_listing_add (list->listing, name, mode, pfs_ino_hash (list->ino, key, strlen (key)));
}

int
pfs_path_tree_opendir (PfsNode *node, const PfsCaller *who, PfsFile **ret)
{
  PfsPathTreeDir *dir = (PfsPathTreeDir *) node;
  g_autoptr (PfsPathTree) path_tree = NULL;
  g_autoptr (GArray) listing = pfs_listing_new ();
  g_autofree char *path = dir_path (dir);
  ListData list = { listing, dir->top->kind, pfs_node_ino (node) };

  if (pfs_container_ended (dir->peer.container))
    return -ESTALE;
  int r = get_scan (dir->top, who, g_get_monotonic_time (), *path ? FOR_FOLDER : FOR_TOP, &path_tree);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  pfs_path_tree_foreach (path_tree, path, list_add, &list);
  *ret = pfs_file_new (node, -1, NULL, g_steal_pointer (&listing));
  return 0;
}
