/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of nodes and their lifetimes. */
#include "peerfs/tree/node.h"

#include <errno.h>
#include <string.h>

#include "peerfs/tree/tree.h"

PfsNode *
pfs_node_ref_locked (PfsNode *node)
{
  node->refs++;
  return node;
}

PfsNode *
pfs_node_ref (PfsNode *node)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&node->tree->lock);

  return pfs_node_ref_locked (node);
}

/* Takes a node that nothing knows any more out of the tables. Its reference to the parent goes with the node. */
static bool
retire_locked (PfsNode *node)
{
  if (node->refs > 0 || node->nlookup > 0)
    return false;
  pfs_node_orphan_locked (node);
  g_hash_table_remove (node->tree->by_number, node);
  return true;
}

static void
node_free (PfsNode *node)
{
  if (node->ops->finalize)
    node->ops->finalize (node);
  g_free (node->name);
  g_free (node);
}

/* Parents go in a loop, not by recursion: a chain of directories may be longer than a stack. */
static void
drop (PfsNode *node, gint refs, uint64_t nlookup)
{
  PfsTree *tree = node->tree;

  while (node) {
    PfsNode *parent = NULL;

    g_mutex_lock (&tree->lock);
    node->refs -= refs;
    node->nlookup -= MIN (nlookup, node->nlookup);
    bool retired = retire_locked (node);
    if (retired)
      parent = node->parent;
    g_mutex_unlock (&tree->lock);

    if (!retired)
      return;
    node_free (node);
    node = parent;
    refs = 1;
    nlookup = 0;
  }
}

void
pfs_node_unref (PfsNode *node)
{
  drop (node, 1, 0);
}

void
pfs_node_forget (PfsNode *node, uint64_t n)
{
  drop (node, 0, n);
}

void
pfs_node_remember (PfsNode *node)
{
  g_mutex_lock (&node->tree->lock);
  node->nlookup++;
  g_mutex_unlock (&node->tree->lock);
}

PfsNode *
pfs_node_alloc_locked (PfsNode *parent, const char *name, const PfsNodeOps *ops)
{
  PfsNode *node = g_malloc0 (ops->size);

  node->ops = ops;
  node->tree = parent->tree;
  node->parent = pfs_node_ref_locked (parent);
  node->name = g_strdup (name);
  node->refs = 1;
  node->number = ++parent->tree->last_number;
  g_hash_table_add (parent->tree->by_number, node);
  return node;
}

PfsNode *
pfs_node_find_locked (PfsNode *parent, const char *name, const PfsNodeOps *ops)
{
  PfsNode key = { .ops = ops, .parent = parent, .name = (char *) name };

  return g_hash_table_lookup (parent->tree->by_name, &key);
}

void
pfs_node_insert_by_name_locked (PfsNode *node)
{
  node->tables |= PFS_NODE_BY_NAME;
  g_hash_table_add (node->tree->by_name, node);
}

void
pfs_node_insert_by_inode_locked (PfsNode *node)
{
  node->tables |= PFS_NODE_BY_INODE;
  g_hash_table_add (node->tree->by_inode, node);
}

void
pfs_node_orphan_locked (PfsNode *node)
{
  if (node->tables & PFS_NODE_BY_NAME)
    g_hash_table_remove (node->tree->by_name, node);
  if (node->tables & PFS_NODE_BY_INODE)
    g_hash_table_remove (node->tree->by_inode, node);
  node->tables = 0;
}

PfsNode *
pfs_node_move_locked (PfsNode *node, PfsNode *parent, const char *name)
{
  bool by_name = node->tables & PFS_NODE_BY_NAME;
  PfsNode *old = node->parent;

  if (by_name)
    pfs_node_orphan_locked (node);
  node->parent = pfs_node_ref_locked (parent);
  if (strcmp (node->name, name) != 0) {
    g_free (node->name);
    node->name = g_strdup (name);
  }
  if (by_name)
    pfs_node_insert_by_name_locked (node);
  return old;
}

PfsNode *
pfs_node_child (PfsNode *parent, const char *name, const PfsNodeOps *ops, PfsNodeInit init, gpointer data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&parent->tree->lock);
  PfsNode *node = pfs_node_find_locked (parent, name, ops);

  if (node)
    return pfs_node_ref_locked (node);
  node = pfs_node_alloc_locked (parent, name, ops);
  if (init)
    init (node, data);
  pfs_node_insert_by_name_locked (node);
  return node;
}

/* FNV-1a over the name, seeded with the parent, then mixed (the finaliser of MurmurHash3). */
uint64_t
pfs_ino_hash (uint64_t parent_ino, const char *name, size_t len)
{
  uint64_t h = parent_ino ^ 0xcbf29ce484222325u;

  for (size_t i = 0; i < len; i++)
    h = (h ^ (unsigned char) name[i]) * 0x100000001b3u;
  h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
  h = (h ^ (h >> 33)) & PFS_INO_MAX;
  return h ? h : 1;
}

/* Not by recursion, as above. */
uint64_t
pfs_node_ino (const PfsNode *node)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&node->tree->lock);
  uint64_t ino = 1;

  for (; node->parent; node = node->parent)
    g_ptr_array_add (names, node->name);
  for (guint i = names->len; i > 0; i--)
    ino = pfs_ino_hash (ino, names->pdata[i - 1], strlen (names->pdata[i - 1]));
  return ino;
}

void
pfs_node_stat (const PfsNode *node, mode_t mode, uid_t uid, gid_t gid, off_t size, const struct timespec *when,
               struct stat *ret)
{
  *ret = (struct stat) {
    .st_ino = pfs_node_ino (node),
    .st_mode = mode,
    .st_nlink = S_ISDIR (mode) ? 2 : 1,
    .st_uid = uid,
    .st_gid = gid,
    .st_size = size,
    .st_blksize = 4096,
    .st_blocks = (size + 511) / 512,
    .st_atim = *when,
    .st_mtim = *when,
    .st_ctim = *when,
  };
}

double
pfs_node_attr_life (const PfsNode *node)
{
  return MIN (node->tree->options.attr_timeout, node->ops->attr_life);
}

int
pfs_entry_of (PfsNode *child, const PfsCaller *who, PfsEntry *ret)
{
  g_autoptr (PfsNode) node = child;
  PfsEntry entry = { .node = NULL };

  int r = node->ops->getattr (node, NULL, who, &entry.attr);
  if (r < 0)
    return r;
  entry.attr_timeout = pfs_node_attr_life (node);
  entry.node = g_steal_pointer (&node);
  *ret = entry;
  return 0;
}
