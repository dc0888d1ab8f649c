/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree as a whole: what is shared by all of its nodes. */
#include <errno.h>
#include <string.h>

#include "peerfs/tree/kinds.h"
#include "peerfs/tree/tree.h"

static guint
name_hash (gconstpointer key)
{
  const PfsNode *node = key;

  return g_direct_hash (node->parent) * 31 ^ g_str_hash (node->name);
}

static gboolean
name_equal (gconstpointer a, gconstpointer b)
{
  const PfsNode *x = a, *y = b;

  return x->parent == y->parent && x->ops == y->ops && strcmp (x->name, y->name) == 0;
}

static guint
number_hash (gconstpointer key)
{
  return g_int64_hash (&((const PfsNode *) key)->number);
}

static gboolean
number_equal (gconstpointer a, gconstpointer b)
{
  return ((const PfsNode *) a)->number == ((const PfsNode *) b)->number;
}

static int
nowhere_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  (void) node, (void) file, (void) who, (void) ret;
  return -ESTALE;
}

static int
nowhere_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  (void) dir, (void) name, (void) who, (void) ret;
  return -ESTALE;
}

static const PfsNodeOps nowhere_ops = {
  .size = sizeof (PfsNode),
  .getattr = nowhere_getattr,
  .lookup = nowhere_lookup,
};

/* A node without a parent. */
static PfsNode *
parentless_new (PfsTree *tree, const PfsNodeOps *ops, uint64_t number)
{
  PfsNode *node = g_malloc0 (ops->size);

  node->ops = ops;
  node->tree = tree;
  node->name = g_strdup ("");
  node->refs = 1;
  node->number = number;
  return node;
}

PfsTree *
pfs_tree_new (PfsTable *table, const PfsTreeOptions *options, const PfsRootKind *root)
{
  PfsTree *tree = g_new0 (PfsTree, 1);

  tree->table = pfs_table_ref (table);
  tree->options = *options;
  tree->handles = true;
  g_mutex_init (&tree->lock);
  tree->by_name = g_hash_table_new (name_hash, name_equal);
  tree->by_number = g_hash_table_new (number_hash, number_equal);
  tree->last_number = PFS_NODE_TOP;
  tree->root = root;
  tree->top = parentless_new (tree, &pfs_top_ops, PFS_NODE_TOP);
  tree->nowhere = parentless_new (tree, &nowhere_ops, 0);
  root->attach (tree);
  return tree;
}

/* At the unmount the kernel forgets all nodes without telling us. So the tree forgets what the kernel still knew. */
static void
forget_all (PfsTree *tree)
{
  for (;;) {
    g_autoptr (GPtrArray) known = g_ptr_array_new ();
    GHashTableIter iter;
    gpointer node;

    g_hash_table_iter_init (&iter, tree->by_number);
    while (g_hash_table_iter_next (&iter, &node, NULL))
      if (((PfsNode *) node)->nlookup > 0)
        g_ptr_array_add (known, pfs_node_ref (node));
    if (known->len == 0)
      return;
    for (guint i = 0; i < known->len; i++) {
      pfs_node_forget (known->pdata[i], G_MAXUINT64);
      pfs_node_unref (known->pdata[i]);
    }
  }
}

void
pfs_tree_free (PfsTree *tree)
{
  forget_all (tree);
  pfs_node_unref (tree->top);
  pfs_node_unref (tree->nowhere);
  tree->root->detach (tree);
  g_hash_table_unref (tree->by_name);
  g_hash_table_unref (tree->by_number);
  g_mutex_clear (&tree->lock);
  pfs_table_unref (tree->table);
  g_free (tree);
}

PfsNode *
pfs_tree_top (const PfsTree *tree)
{
  return tree->top;
}

PfsNode *
pfs_tree_node (PfsTree *tree, uint64_t number)
{
  PfsNode key = { .number = number };

  if (number == PFS_NODE_TOP)
    return tree->top;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&tree->lock);
  PfsNode *node = g_hash_table_lookup (tree->by_number, &key);
  return node ? node : tree->nowhere;
}

size_t
pfs_tree_size (PfsTree *tree)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&tree->lock);

  return g_hash_table_size (tree->by_number);
}
