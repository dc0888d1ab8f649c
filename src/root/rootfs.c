/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* root/ as a kind of node, and what is held of containers. */
#include "peerfs/root/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "rootfs_private.h"

static PfsRootfs *
rootfs_new (PfsTree *tree, PfsContainer *container)
{
  PfsRootfs *rootfs = g_atomic_rc_box_new0 (PfsRootfs);

  rootfs->tree = tree;
  rootfs->container = pfs_container_ref (container);
  rootfs->mounts = pfs_mounts_new ();
  rootfs->mount_table = -1;
  return rootfs;
}

static const PfsNodeOps rootfs_ops;

static void
top_init (PfsNode *node, gpointer data)
{
  PfsRootfs **rootfs = data;

  (*rootfs)->top = node;
  g_ptr_array_add (node->tree->roots->all, *rootfs);
  pfs_rootnode (node)->rootfs = g_steal_pointer (rootfs);
  node->flags |= PFS_ROOTNODE_TOP | (S_IFDIR >> 12);
}

static PfsNode *
rootfs_node_new (PfsNode *peer, const char *name)
{
  PfsRootfs *rootfs = rootfs_new (peer->tree, pfs_node_container (peer));
  PfsNode *node = pfs_node_child (peer, name, &rootfs_ops, top_init, &rootfs);

  if (rootfs)
    pfs_rootfs_unref (rootfs);
  return node;
}

static void
rootnode_finalize (PfsNode *node)
{
  PfsTree *tree = node->tree;

  g_clear_pointer (&pfs_rootnode (node)->mount, pfs_mount_unref);
  if (!(node->flags & PFS_ROOTNODE_TOP))
    return;
  g_mutex_lock (&tree->lock);
  g_ptr_array_remove_fast (tree->roots->all, pfs_rootfs_of (node));
  g_mutex_unlock (&tree->lock);
  pfs_rootfs_unref (pfs_rootfs_of (node));
}

static int
hold_file (PfsFile *file)
{
  PfsNode *peer = file->node;

  while (peer && peer->ops != &pfs_peer_ops)
    peer = peer->parent;
  if (!peer)
    return 0;
  file->root = rootfs_node_new (peer, "root");
  return pfs_rootfs_attach (pfs_rootfs_of (file->root), file);
}

static void
let_go_file (PfsFile *file)
{
  if (!file->root)
    return;
  pfs_rootfs_detach (pfs_rootfs_of (file->root), file);
  pfs_node_unref (file->root);
}

void
pfs_name_free (gpointer data)
{
  PfsName *name = data;

  pfs_node_unref (name->parent);
  g_free (name->name);
  g_free (name);
}

/* What the kernel may forget: files and directories of peers, links, what is generated. Directories that are generated
 * are few. */
static bool
is_idle_locked (const PfsNode *node)
{
  bool generated = !node->ops->fs || (node->flags & PFS_ROOTNODE_TOP);

  return node->refs == 0 && node->tables != 0 && !(generated && node->ops->opendir);
}

/* What the kernel still knows of containers that have ended: it kept names that were in use. The container's own name
 * may be another one's by now. */
static bool
is_ended_locked (const PfsNode *node)
{
  PfsContainer *container = pfs_node_mount_container ((PfsNode *) node);

  return container && pfs_container_ended (container) && node->ops != &pfs_peer_ops;
}

static GPtrArray *
names_of (PfsTree *tree, guint max, bool (*wanted_locked) (const PfsNode *node))
{
  GPtrArray *names = g_ptr_array_new_with_free_func (pfs_name_free);
  GHashTableIter iter;
  gpointer key;

  g_mutex_lock (&tree->lock);
  g_hash_table_iter_init (&iter, tree->by_number);
  while (names->len < max && g_hash_table_iter_next (&iter, &key, NULL)) {
    PfsNode *node = key;

    if (!wanted_locked (node))
      continue;
    PfsName *name = g_new (PfsName, 1);
    name->parent = pfs_node_ref_locked (node->parent);
    name->name = g_strdup (node->name);
    g_ptr_array_add (names, name);
  }
  g_mutex_unlock (&tree->lock);
  return names;
}

GPtrArray *
pfs_tree_idle_names (PfsTree *tree, guint max)
{
  return names_of (tree, max, is_idle_locked);
}

GPtrArray *
pfs_tree_ended_names (PfsTree *tree, guint max)
{
  return names_of (tree, max, is_ended_locked);
}

/* An O_PATH descriptor of a pipe that nothing else has. It can neither be read nor written. A thread that looked at the
 * old descriptor just before, and changes its owner or mode, changes nothing that exists. */
static int
nothing_open (int self_fds)
{
  char number[PFS_FD_NAME_MAX];
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) < 0)
    return -1;
  int fd = openat (self_fds, pfs_fd_name (ends[0], number), O_PATH | O_CLOEXEC);
  close (ends[0]);
  close (ends[1]);
  return fd;
}

static void
roots_attach (PfsTree *tree)
{
  PfsRoots *roots = tree->roots = g_new0 (PfsRoots, 1);

  roots->self_fds = open ("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  roots->nothing = nothing_open (roots->self_fds);
  roots->all = g_ptr_array_new ();
  tree->by_inode = g_hash_table_new (pfs_rootnode_hash, pfs_rootnode_equal);
}

static void
roots_detach (PfsTree *tree)
{
  PfsRoots *roots = tree->roots;

  pfs_held_drop_dirs (tree);
  g_hash_table_unref (tree->by_inode);
  g_ptr_array_unref (roots->all);
  if (roots->self_fds >= 0)
    close (roots->self_fds);
  if (roots->nothing >= 0)
    close (roots->nothing);
  g_free (roots);
}

void
pfs_tree_set_own_device (PfsTree *tree, dev_t own)
{
  tree->roots->own_device = own;
}

static const PfsNodeOps rootfs_ops = {
  .gated = true,
  .attr_life = PFS_ATTR_BRIEF,
  .size = sizeof (PfsRootNode),
  .finalize = rootnode_finalize,
  .getattr = pfs_rootfs_getattr,
  .lookup = pfs_rootfs_lookup,
  .readlink = pfs_rootfs_readlink,
  .open = pfs_rootfs_open,
  .opendir = pfs_rootfs_opendir,
  .close = pfs_rootfs_close,
  .fs = true,
};

const PfsRootKind pfs_root_kind = {
  .attach = roots_attach,
  .detach = roots_detach,
  .new = rootfs_node_new,
  .hold = hold_file,
  .let_go = let_go_file,
};
