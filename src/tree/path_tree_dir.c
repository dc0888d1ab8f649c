/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "path_tree.h"
#include "peerfs/tree/peer.h"

/* How long a scan answers lookups of names that it has; at least a few times as long as it took, so that who lists many
 * and then looks at each does not spend his time on scans. A scan that took longer serves listings of folders too. */
#define SNAPSHOT_USEC (100 * G_TIME_SPAN_MILLISECOND)
#define SNAPSHOT_TIMES 4

/* The path of a directory below its top, "" for that. No node keeps it: thousands of folders, one in the other, would
 * keep a long one each. A generated directory never gets another name or parent. */
static char *
dir_path (const PfsPathTreeDir *dir)
{
  GString *path = g_string_new (NULL);

  for (const PfsNode *node = &dir->peer.node; node != &dir->top->dir.peer.node; node = node->parent) {
    if (path->len > 0)
      g_string_prepend_c (path, '/');
    g_string_prepend (path, node->name);
  }
  return g_string_free (path, FALSE);
}

static const PfsNodeOps dir_ops = {
  .kind = "path_tree",
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (PfsPathTreeDir),
  .finalize = pfs_peer_finalize,
  .getattr = pfs_path_tree_getattr,
  .lookup = pfs_path_tree_lookup,
  .opendir = pfs_path_tree_opendir,
};

void
pfs_path_tree_top_init (PfsNode *node, const PfsPathTreeKind *kind)
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

  g_clear_pointer (&top->path_tree, pfs_path_tree_unref);
  g_mutex_clear (&top->lock);
  g_rec_mutex_clear (&top->scanning);
  pfs_peer_finalize (node);
}

static bool
is_recent_locked (const PfsPathTreeTop *top)
{
  gint64 age = g_get_monotonic_time () - top->taken - top->took;

  return top->path_tree && age < MAX (SNAPSHOT_USEC - top->took, SNAPSHOT_TIMES * top->took);
}

/* The last scan where it is young enough, as a reference, or NULL. */
static PfsPathTree *
snapshot_recent (PfsPathTreeTop *top, bool to_list)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&top->lock);

  return is_recent_locked (top) && (!to_list || top->took > SNAPSHOT_USEC) ? pfs_path_tree_ref (top->path_tree) : NULL;
}

/* Lets go of a scan that nobody will ask for any more. */
static void
snapshot_drop_old (PfsPathTreeTop *top)
{
  g_mutex_lock (&top->lock);
  PfsPathTree *old = is_recent_locked (top) ? NULL : g_steal_pointer (&top->path_tree);
  g_mutex_unlock (&top->lock);
  g_clear_pointer (&old, pfs_path_tree_unref);
}

/* The last scan if it began after the given time, as a reference, or NULL. */
static PfsPathTree *
snapshot_since (PfsPathTreeTop *top, gint64 asked)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&top->lock);

  return top->path_tree && top->taken >= asked ? pfs_path_tree_ref (top->path_tree) : NULL;
}

/* One scan at a time: each may take memory for all that a process maps. Who waits for one takes the result of the next
 * that began after it had asked. */
static int
snapshot_take (PfsPathTreeTop *top, PfsPathTree **ret)
{
  gint64 asked = g_get_monotonic_time ();
  g_autoptr (GRecMutexLocker) scanning = g_rec_mutex_locker_new (&top->scanning);
  g_autoptr (PfsPathTree) path_tree = snapshot_since (top, asked);
  g_autoptr (PfsPathTree) old = NULL;

  if (path_tree) {
    *ret = g_steal_pointer (&path_tree);
    return 0;
  }
  snapshot_drop_old (top);
  gint64 taken = g_get_monotonic_time ();
  int r = top->kind->scan (&top->dir.peer.node, &path_tree);
  if (r < 0)
    return r;
  g_mutex_lock (&top->lock);
  old = top->path_tree;
  top->path_tree = pfs_path_tree_ref (path_tree);
  top->taken = taken;
  top->took = g_get_monotonic_time () - taken;
  g_mutex_unlock (&top->lock);
  *ret = g_steal_pointer (&path_tree);
  return 0;
}

int
pfs_path_tree_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  (void) file;
  (void) who;
  return pfs_peer_stat (node, S_IFDIR | 0755, false, 0, ret);
}

static void
dir_init (PfsNode *node, gpointer data)
{
  ((PfsPathTreeDir *) node)->top = ((const PfsPathTreeDir *) data)->top;
}

/* --- for one caller --- */

typedef struct {
  PfsPathTreeEyes eyes;
  const PfsPathTreeTop *top;
  const PfsCaller *who;
  GHashTable *verdicts;
  int error; /* -errno: some leaf may be missing */
} Looker;

static bool
looker_sees (gconstpointer leaf, gpointer data)
{
  Looker *looker = data;
  int r = looker->top->kind->may_see (looker->top->dir.peer.container, leaf, looker->who, looker->verdicts);

  looker->error = MIN (looker->error, r);
  return r > 0;
}

static void
looker_init (Looker *looker, const PfsPathTreeTop *top, const PfsCaller *who)
{
  bool all = !top->kind->may_see || who == &pfs_caller_self;

  *looker = (Looker) { { all ? NULL : looker_sees, looker }, top, who, g_hash_table_new (NULL, NULL), 0 };
}

static void
looker_clear (Looker *looker)
{
  g_hash_table_unref (looker->verdicts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Looker, looker_clear)

/* May he enter the top? 0, or -EACCES as the kernel says at a directory whose mode shuts him out. */
static int
looker_enter (Looker *looker, PfsPathTree *path_tree)
{
  if (!looker->eyes.see)
    return 0;
  int r = pfs_peer_gate (looker->top->dir.peer.container, looker->who);
  for (guint i = 0; r == -EACCES && i < pfs_path_tree_size (path_tree); i++)
    if (pfs_path_tree_sees (&looker->eyes, pfs_path_tree_nth (path_tree, i)))
      r = 0;
  return r == -EACCES && looker->error < 0 ? looker->error : r;
}

static int
path_tree_entry (PfsPathTree *path_tree, PfsPathTreeDir *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  const PfsPathTreeKind *kind = dir->top->kind;
  PfsNode *parent = &dir->peer.node;
  g_auto (Looker) looker = { 0 };
  gconstpointer leaf = NULL;
  g_autofree char *path = dir_path (dir);
  g_autofree char *key = NULL;
  int r;

  looker_init (&looker, dir->top, who);
  switch (pfs_path_tree_find (path_tree, path, name, &looker.eyes, &leaf)) {
  case PFS_PATH_TREE_DIR:
    return pfs_entry_of (pfs_peer_child (parent, name, &dir_ops, dir_init, dir), who, ret);
  case PFS_PATH_TREE_LEAF:
    key = kind->key (name, leaf);
    return pfs_entry_of (pfs_peer_child (parent, key, kind->leaf_ops, kind->leaf_init, (gpointer) leaf), who, ret);
  default:
    r = pfs_gone (looker_enter (&looker, path_tree), -ENOENT);
    return r < 0 ? r : looker.error < 0 ? looker.error : -ENOENT;
  }
}

int
pfs_path_tree_lookup (PfsNode *node, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  PfsPathTreeDir *dir = (PfsPathTreeDir *) node;
  g_autoptr (PfsPathTree) recent = NULL;
  g_autoptr (PfsPathTree) now = NULL;
  int r;

  if (pfs_container_ended (dir->peer.container))
    return -ENOENT;
  recent = snapshot_recent (dir->top, false);
  if (recent) {
    r = path_tree_entry (recent, dir, name, who, ret);
    if (r != -ENOENT && r != -ESTALE && r != -EACCES)
      return r;
  }
  r = snapshot_take (dir->top, &now);
  if (r >= 0)
    r = path_tree_entry (now, dir, name, who, ret);
  return r == -ESTALE ? -ENOENT : pfs_gone (r, -ENOENT);
}

typedef struct {
  PfsListing *listing;
  const PfsPathTreeKind *kind;
  uint64_t ino;
} ListData;

static void
list_add (const char *name, PfsPathTreeType type, gconstpointer leaf, gpointer data)
{
  const ListData *list = data;
  g_autofree char *key = leaf ? list->kind->key (name, leaf) : g_strdup (name);
  mode_t mode = type == PFS_PATH_TREE_DIR ? S_IFDIR : S_IFLNK;

  pfs_listing_add (list->listing, name, mode, pfs_ino_hash (list->ino, key, strlen (key)));
}

int
pfs_path_tree_opendir (PfsNode *node, const PfsCaller *who, PfsFile **ret)
{
  PfsPathTreeDir *dir = (PfsPathTreeDir *) node;
  g_autoptr (PfsPathTree) path_tree = NULL;
  g_autofree char *path = dir_path (dir);
  g_auto (Looker) looker = { 0 };
  ListData list = { .kind = dir->top->kind, .ino = pfs_node_ino (node) };

  looker_init (&looker, dir->top, who);
  if (pfs_container_ended (dir->peer.container))
    return -ESTALE;
  path_tree = *path ? snapshot_recent (dir->top, true) : NULL;
  int r = path_tree ? 0 : snapshot_take (dir->top, &path_tree);
  if (r >= 0)
    r = looker_enter (&looker, path_tree);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  list.listing = pfs_listing_new ();
  pfs_path_tree_foreach (path_tree, path, &looker.eyes, list_add, &list);
  if (looker.error < 0) {
    pfs_listing_free (list.listing);
    return looker.error;
  }
  *ret = pfs_file_new (node, -1, NULL, list.listing);
  return 0;
}
