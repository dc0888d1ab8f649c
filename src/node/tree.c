/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree as a whole: what is shared by all of its nodes. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fdcache.h"
#include "peerfs/node/kinds.h"
#include "tree.h"

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

static PfsNode *
top_new (PfsTree *tree)
{
  PfsNode *top = g_malloc0 (pfs_top_ops.size);

  top->ops = &pfs_top_ops;
  top->tree = tree;
  top->name = g_strdup ("");
  top->refs = 1;
  return top;
}

/* An O_PATH descriptor of a pipe that nobody has. It can neither be read nor written; and whoever changes its owner or
 * mode, because he had looked at the descriptor just before, changes nothing that exists. */
static int
nothing_open (int self_fds)
{
  char number[16];
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) < 0)
    return -1;
  g_snprintf (number, sizeof number, "%d", ends[0]);
  int fd = openat (self_fds, number, O_PATH | O_CLOEXEC);
  close (ends[0]);
  close (ends[1]);
  return fd;
}

PfsTree *
pfs_tree_new (PfsTable *table, const PfsTreeOptions *options)
{
  PfsTree *tree = g_new0 (PfsTree, 1);

  tree->table = pfs_table_ref (table);
  tree->options = *options;
  tree->self_fds = open ("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  tree->nothing = nothing_open (tree->self_fds);
  g_mutex_init (&tree->lock);
  g_mutex_init (&tree->rootfs_lock);
  tree->by_name = g_hash_table_new (name_hash, name_equal);
  tree->by_inode = g_hash_table_new (pfs_rootnode_hash, pfs_rootnode_equal);
  tree->orphans = g_hash_table_new (NULL, NULL);
  tree->rootfses = g_ptr_array_new ();
  tree->fds = pfs_fd_cache_new ();
  tree->top = top_new (tree);
  return tree;
}

/* At the unmount the kernel forgets everything at once without a word: what it still knew goes with the tree. */
static void
forget_all (PfsTree *tree)
{
  for (;;) {
    g_autoptr (GPtrArray) known = g_ptr_array_new ();
    GHashTable *tables[] = { tree->by_name, tree->by_inode, tree->orphans };
    GHashTableIter iter;
    gpointer node;

    for (guint i = 0; i < G_N_ELEMENTS (tables); i++) {
      g_hash_table_iter_init (&iter, tables[i]);
      while (g_hash_table_iter_next (&iter, &node, NULL))
        if (((PfsNode *) node)->nlookup > 0)
          g_ptr_array_add (known, pfs_node_ref (node));
    }
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
  pfs_fd_cache_free (tree->fds);
  forget_all (tree);
  pfs_node_unref (tree->top);
  g_hash_table_unref (tree->by_name);
  g_hash_table_unref (tree->by_inode);
  g_hash_table_unref (tree->orphans);
  g_ptr_array_unref (tree->rootfses);
  g_mutex_clear (&tree->lock);
  g_mutex_clear (&tree->rootfs_lock);
  if (tree->self_fds >= 0)
    close (tree->self_fds);
  if (tree->nothing >= 0)
    close (tree->nothing);
  pfs_table_unref (tree->table);
  g_free (tree);
}

PfsTable *
pfs_tree_table (const PfsTree *tree)
{
  return tree->table;
}

const PfsTreeOptions *
pfs_tree_options (const PfsTree *tree)
{
  return &tree->options;
}

PfsNode *
pfs_tree_top (const PfsTree *tree)
{
  return tree->top;
}

size_t
pfs_tree_size (PfsTree *tree)
{
  pfs_tree_lock (tree);
  size_t size = g_hash_table_size (tree->by_name) + g_hash_table_size (tree->by_inode)
                + g_hash_table_size (tree->orphans);
  pfs_tree_unlock (tree);
  return size;
}

void
pfs_tree_set_own_device (PfsTree *tree, dev_t own)
{
  tree->own_device = own;
}
