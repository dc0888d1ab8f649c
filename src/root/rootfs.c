/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* root/ as a kind of node, and what is held of containers. */
#include "peerfs/root/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "rootfs_private.h"

static PfsRootfs *
rootfs_new (PfsTree *tree, PfsContainer *container)
{
  PfsRootfs *rootfs = g_new0 (PfsRootfs, 1);

  rootfs->tree = tree;
  rootfs->container = pfs_container_ref (container);
  rootfs->mount_table = -1;
  g_mutex_init (&rootfs->lock);
  g_mutex_init (&rootfs->mounts_lock);
  rootfs->mounts = g_hash_table_new (pfs_mount_hash, pfs_mount_equal);
  rootfs->overlays = g_hash_table_new (g_int64_hash, g_int64_equal);
  rootfs->anchor = g_new0 (PfsMount, 1);
  rootfs->anchor->rootfs = rootfs;
  rootfs->anchor->refs = 1;
  g_queue_init (&rootfs->files);
  return rootfs;
}

static void
rootfs_free (PfsRootfs *rootfs)
{
  g_mutex_lock (&rootfs->tree->rootfs_lock);
  g_ptr_array_remove_fast (rootfs->tree->rootfses, rootfs);
  g_mutex_unlock (&rootfs->tree->rootfs_lock);
  pfs_mount_table_drop_locked (rootfs);
  g_clear_pointer (&rootfs->pin, pfs_process_unref);
  for (guint i = 0; i < PFS_RECENT_MOUNTS; i++)
    g_clear_pointer (&rootfs->recent[i], pfs_mount_unref);
  pfs_mount_unref (rootfs->anchor);
  g_hash_table_unref (rootfs->overlays);
  g_hash_table_unref (rootfs->mounts);
  g_mutex_clear (&rootfs->mounts_lock);
  pfs_container_unref (rootfs->container);
  g_mutex_clear (&rootfs->lock);
  g_free (rootfs);
}

static void
top_init (PfsNode *node, gpointer data)
{
  PfsRootfs **rootfs = data;

  pfs_rootnode (node)->rootfs = *rootfs;
  pfs_rootnode (node)->mount = pfs_mount_ref ((*rootfs)->anchor);
  node->flags |= PFS_ROOTNODE_TOP | (S_IFDIR >> 12);
  (*rootfs)->top = node;
  *rootfs = NULL;
}

PfsNode *
pfs_rootfs_new (PfsNode *peer, const char *name)
{
  PfsTree *tree = peer->tree;
  PfsRootfs *fresh = rootfs_new (tree, pfs_node_container (peer));
  PfsRootfs *unused = fresh;

  PfsNode *node = pfs_node_child (peer, name, &pfs_rootfs_ops, top_init, &unused);
  if (unused) {
    rootfs_free (unused);
    return node;
  }
  g_mutex_lock (&tree->rootfs_lock);
  g_ptr_array_add (tree->rootfses, fresh);
  g_mutex_unlock (&tree->rootfs_lock);
  return node;
}

static void
rootnode_finalize (PfsNode *node)
{
  pfs_mount_unref (pfs_rootnode (node)->mount);
  if (node->flags & PFS_ROOTNODE_TOP)
    rootfs_free (pfs_rootfs_of (node));
}

/* The file's descriptor becomes one of nothing, so that readers under way end with an error and it is not mistaken for
 * another file. That closes what it was, for which a mount may have to be asked. */
static void
close_in_place (gpointer data)
{
  g_autoptr (PfsFile) file = data;

  dup3 (file->node->tree->nothing, file->fd, O_CLOEXEC);
}

/* That descriptor of nothing is at hand also if no other is to be had. */
void
pfs_rootfs_end (PfsRootfs *rootfs)
{
  PfsTree *tree = rootfs->tree;
  g_autoptr (GPtrArray) files = g_ptr_array_new ();

  g_mutex_lock (&rootfs->lock);
  rootfs->ended = true;
  for (GList *link = rootfs->files.head; link && tree->nothing >= 0; link = link->next)
    if (pfs_file_ref_unless_dying (link->data))
      g_ptr_array_add (files, link->data);
  g_autoptr (PfsProcess) pin = g_steal_pointer (&rootfs->pin);
  pfs_mount_table_drop_locked (rootfs);
  g_mutex_unlock (&rootfs->lock);
  for (guint i = 0; i < files->len; i++) {
    PfsFile *file = files->pdata[i];

    if (tree->run_func)
      tree->run_func (file->node, close_in_place, file, tree->run_data);
    else
      close_in_place (file);
  }
  pfs_fd_cache_drop_container (tree->fds, rootfs->container);
}

void
pfs_tree_set_run_func (PfsTree *tree, PfsRunFunc func, gpointer data)
{
  tree->run_func = func;
  tree->run_data = data;
}

void
pfs_tree_set_held_func (PfsTree *tree, PfsHeldFunc func, gpointer data)
{
  tree->held_func = func;
  tree->held_data = data;
  pfs_table_set_pinned_func (tree->table, func, data);
}

/* All filesystems in use, each with a reference to its top node, which keeps it. A node that nobody knows any more is
 * on its way out. */
static GPtrArray *
rootfs_tops (PfsTree *tree)
{
  GPtrArray *tops = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_node_unref);

  g_mutex_lock (&tree->rootfs_lock);
  for (guint i = 0; i < tree->rootfses->len; i++) {
    PfsNode *top = ((PfsRootfs *) tree->rootfses->pdata[i])->top;

    pfs_tree_lock (tree);
    if (top->refs > 0 || top->nlookup > 0)
      g_ptr_array_add (tops, pfs_node_ref_locked (top));
    pfs_tree_unlock (tree);
  }
  g_mutex_unlock (&tree->rootfs_lock);
  return tops;
}

GPtrArray *
pfs_tree_held (PfsTree *tree, gint64 *ret_deadline)
{
  g_autoptr (GPtrArray) tops = rootfs_tops (tree);
  GPtrArray *pins = pfs_table_pinned (tree->table);

  for (guint i = 0; i < tops->len; i++) {
    PfsRootfs *rootfs = pfs_rootfs_of (tops->pdata[i]);

    g_mutex_lock (&rootfs->lock);
    if (rootfs->pin)
      g_ptr_array_add (pins, pfs_process_ref (rootfs->pin));
    g_mutex_unlock (&rootfs->lock);
  }
  gint64 oldest = pfs_fd_cache_drop_idle (tree->fds, G_MININT64);
  *ret_deadline = oldest == G_MAXINT64 ? G_MAXINT64 : oldest + PFS_FD_IDLE;
  return pins;
}

#define RETRY_USEC (20 * G_TIME_SPAN_MILLISECOND)

/* True where the container was found to have ended. */
static bool
sweep_one (PfsRootfs *rootfs)
{
  g_autoptr (PfsProcess) pin = NULL;
  g_autoptr (PfsProcess) next = NULL;

  g_mutex_lock (&rootfs->lock);
  if (rootfs->pin)
    pin = pfs_process_ref (rootfs->pin);
  g_mutex_unlock (&rootfs->lock);
  if (!pin)
    return false;
  bool alive = pfs_process_alive (pin);
  if (!alive) {
    pfs_fd_cache_drop_container (rootfs->tree->fds, rootfs->container);
    int r = pfs_container_main (rootfs->container, &next);
    if (r == -ESRCH) {
      pfs_rootfs_end (rootfs);
      return true;
    }
    /* Not known now. The pin stays, so that the next sweep asks again, which comes at once. */
    if (r < 0) {
      g_usleep (RETRY_USEC);
      return false;
    }
  }
  g_mutex_lock (&rootfs->lock);
  if (rootfs->pin == pin
      && (!alive || (rootfs->files.length == 0 && !pfs_fd_cache_has (rootfs->tree->fds, rootfs->container)))) {
    pfs_mount_table_drop_locked (rootfs);
    pfs_process_unref (rootfs->pin);
    rootfs->pin = rootfs->files.length > 0 ? g_steal_pointer (&next) : NULL;
  }
  g_mutex_unlock (&rootfs->lock);
  return false;
}

void
pfs_tree_sweep (PfsTree *tree, PfsEndedFunc ended, gpointer data)
{
  g_autoptr (GPtrArray) tops = rootfs_tops (tree);

  pfs_table_drop_dead (tree->table);
  pfs_fd_cache_drop_idle (tree->fds, g_get_monotonic_time () - PFS_FD_IDLE);
  for (guint i = 0; i < tops->len; i++) {
    PfsRootfs *rootfs = pfs_rootfs_of (tops->pdata[i]);

    if (sweep_one (rootfs) && ended)
      ended (rootfs->container, data);
  }
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
  bool generated = node->ops != &pfs_rootfs_ops || (node->flags & PFS_ROOTNODE_TOP);

  return node->refs == 0 && node->tables != 0 && !(generated && node->ops->opendir);
}

/* What the kernel still knows of containers that have ended: while somebody was busy below a name, it kept that. Their
 * own names may be another one's by now. */
static bool
is_ended_locked (const PfsNode *node)
{
  PfsContainer *container = pfs_node_place_container ((PfsNode *) node);

  return container && pfs_container_ended (container) && node->ops != &pfs_peer_ops;
}

static GPtrArray *
names_of (PfsTree *tree, guint max, bool (*wanted_locked) (const PfsNode *node))
{
  GPtrArray *names = g_ptr_array_new_with_free_func (pfs_name_free);
  GHashTableIter iter;
  gpointer key;

  pfs_tree_lock (tree);
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
  pfs_tree_unlock (tree);
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

static const PfsFsOps fs_ops = {
  .setattr = pfs_rootfs_setattr,
  .create = pfs_rootfs_create,
  .tmpfile = pfs_rootfs_tmpfile,
  .mknod = pfs_rootfs_mknod,
  .mkdir = pfs_rootfs_mkdir,
  .symlink = pfs_rootfs_symlink,
  .link = pfs_rootfs_link,
  .remove = pfs_rootfs_remove,
  .rename = pfs_rootfs_rename,
  .statfs = pfs_rootfs_statfs,
  .getxattr = pfs_rootfs_getxattr,
  .listxattr = pfs_rootfs_listxattr,
  .setxattr = pfs_rootfs_setxattr,
  .removexattr = pfs_rootfs_removexattr,
  .readdir = pfs_rootfs_readdir,
};

const PfsNodeOps pfs_rootfs_ops = {
  .kind = "root",
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
  .fs = &fs_ops,
};
