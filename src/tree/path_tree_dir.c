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
  GString *path = g_string_new (NULL);

  for (const PfsNode *node = &dir->peer.node; node != &dir->top->dir.peer.node; node = node->parent) {
    if (path->len > 0)
      g_string_prepend_c (path, '/');
    g_string_prepend (path, node->name);
  }
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

  g_clear_pointer (&top->path_tree, pfs_path_tree_unref);
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

static bool
serves_locked (const PfsPathTreeTop *top, const PfsCaller *who)
{
  return top->path_tree
         && (!top->kind->per_caller
             || (top->asker.uid == who->uid && top->asker.gid == who->gid
                 && top->asker.caps == pfs_caller_known (who)->caps));
}

/* The last scan if it is young enough, as a reference, or NULL. */
static PfsPathTree *
snapshot_recent (PfsPathTreeTop *top, const PfsCaller *who, bool to_list)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&top->lock);
  gint64 age = g_get_monotonic_time () - top->taken;
  bool young = age < MAX (SNAPSHOT_USEC, SNAPSHOT_TIMES * top->took) && (!to_list || top->took > SNAPSHOT_USEC);

  return young && serves_locked (top, who) ? pfs_path_tree_ref (top->path_tree) : NULL;
}

/* The last scan if it began after the given time, as a reference, or NULL. */
static PfsPathTree *
snapshot_since (PfsPathTreeTop *top, const PfsCaller *who, gint64 asked)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&top->lock);

  return serves_locked (top, who) && top->taken >= asked ? pfs_path_tree_ref (top->path_tree) : NULL;
}

static void
snapshot_keep (PfsPathTreeTop *top, const PfsCaller *who, PfsPathTree *path_tree, gint64 taken)
{
  g_mutex_lock (&top->lock);
  g_autoptr (PfsPathTree) old = g_steal_pointer (&top->path_tree);
  top->path_tree = pfs_path_tree_ref (path_tree);
  top->taken = taken;
  top->took = g_get_monotonic_time () - taken;
  if (top->kind->per_caller)
    top->asker = (PfsCaller) { .uid = who->uid, .gid = who->gid, .caps = pfs_caller_known (who)->caps };
  g_mutex_unlock (&top->lock);
}

/* One scan at a time: each may take memory for all that a process maps. A caller that waits for one takes the result of
 * the next that began after it had asked. */
static int
snapshot_take (PfsPathTreeTop *top, const PfsCaller *who, PfsPathTree **ret)
{
  gint64 asked = g_get_monotonic_time ();
  g_autoptr (GRecMutexLocker) scanning = g_rec_mutex_locker_new (&top->scanning);
  g_autoptr (PfsPathTree) path_tree = snapshot_since (top, who, asked);

  if (!path_tree) {
    gint64 taken = g_get_monotonic_time ();
    int r = top->kind->scan (&top->dir.peer.node, &path_tree);
    if (r < 0)
      return r;
    snapshot_keep (top, who, path_tree, taken);
  }
  *ret = g_steal_pointer (&path_tree);
  return 0;
}

int
pfs_path_tree_get (PfsNode *node, const PfsCaller *who, PfsPathTree **ret)
{
  PfsPathTree *recent = snapshot_recent ((PfsPathTreeTop *) node, who, false);

  if (!recent)
    return snapshot_take ((PfsPathTreeTop *) node, who, ret);
  *ret = recent;
  return 0;
}

/* A directory (leaf is NULL) has its name. */
static char *
key_of (const PfsPathTreeKind *kind, const char *name, gconstpointer leaf)
{
  return leaf && kind->key ? kind->key (name, leaf) : g_strdup (name);
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
  *looker = (Looker) { { looker_sees, looker }, top, who, g_hash_table_new (NULL, NULL), 0 };
}

/* NULL if it sees everything. */
static const PfsPathTreeEyes *
looker_eyes (const Looker *looker)
{
  return looker->top->kind->may_see && looker->who != &pfs_caller_self ? &looker->eyes : NULL;
}

static void
looker_clear (Looker *looker)
{
  g_hash_table_unref (looker->verdicts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Looker, looker_clear)

/* May it enter the top? 0, or -EACCES as the kernel says at a directory whose mode shuts it out. */
static int
looker_enter (Looker *looker, const PfsPathTree *path_tree)
{
  const PfsPathTreeEyes *eyes = looker_eyes (looker);
  int r = eyes ? pfs_peer_gate (looker->top->dir.peer.container, looker->who) : 0;

  if (r == -EACCES && pfs_path_tree_any (path_tree, eyes))
    return 0;
  return r == -EACCES && looker->error < 0 ? looker->error : r;
}

static int
path_tree_entry (const PfsPathTree *path_tree, PfsPathTreeDir *dir, const char *name, const PfsCaller *who,
                 PfsEntry *ret)
{
  const PfsPathTreeKind *kind = dir->top->kind;
  PfsNode *parent = &dir->peer.node;
  g_auto (Looker) looker = { 0 };
  gconstpointer leaf = NULL;
  g_autofree char *path = dir_path (dir);

  looker_init (&looker, dir->top, who);
  if (!pfs_path_tree_find (path_tree, path, name, looker_eyes (&looker), &leaf)) {
    int r = pfs_gone (looker_enter (&looker, path_tree), -ENOENT);
    return r < 0 ? r : looker.error < 0 ? looker.error : -ENOENT;
  }
  if (!leaf)
    return pfs_entry_of (pfs_peer_child (parent, name, &dir_ops, dir_init, dir->top), who, ret);
  g_autofree char *key = key_of (kind, name, leaf);
  return pfs_entry_of (pfs_peer_child (parent, key, kind->leaf_ops, kind->leaf_init, (gpointer) leaf), who, ret);
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
  recent = snapshot_recent (dir->top, who, false);
  if (recent) {
    r = path_tree_entry (recent, dir, name, who, ret);
    if (r != -ENOENT && r != -ESTALE && r != -EACCES)
      return r;
  }
  r = snapshot_take (dir->top, who, &now);
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
  g_autoptr (PfsListing) listing = pfs_listing_new ();
  g_autofree char *path = dir_path (dir);
  g_auto (Looker) looker = { 0 };
  ListData list = { listing, dir->top->kind, pfs_node_ino (node) };

  looker_init (&looker, dir->top, who);
  if (pfs_container_ended (dir->peer.container))
    return -ESTALE;
  path_tree = *path ? snapshot_recent (dir->top, who, true) : NULL;
  int r = path_tree ? 0 : snapshot_take (dir->top, who, &path_tree);
  if (r >= 0)
    r = looker_enter (&looker, path_tree);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  pfs_path_tree_foreach (path_tree, path, looker_eyes (&looker), list_add, &list);
  if (looker.error < 0)
    return looker.error;
  *ret = pfs_file_new (node, -1, NULL, g_steal_pointer (&listing));
  return 0;
}
