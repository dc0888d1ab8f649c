/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is held of a container: the process whose root is in use, and what is open: files below root/, and those of
 * maps/. Nothing of it is held once it has ended. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "rootfs_private.h"

/* The file's descriptor becomes one of nothing, so that readers under way end with an error and it is not mistaken for
 * another file. That closes what it was, for which a mount may have to be asked. */
static void
close_in_place (gpointer data)
{
  g_autoptr (PfsFile) file = data;

  dup3 (file->node->tree->roots->nothing, file->fd, O_CLOEXEC);
}

/* That descriptor of nothing is at hand also if no other is to be had. */
static void
end (PfsRootfs *rootfs)
{
  PfsTree *tree = rootfs->tree;
  g_autoptr (GPtrArray) files = g_ptr_array_new ();

  g_mutex_lock (&rootfs->lock);
  rootfs->ended = true;
  for (GList *link = rootfs->files.head; link && tree->roots->nothing >= 0; link = link->next)
    if (pfs_file_ref_unless_dying (link->data))
      g_ptr_array_add (files, link->data);
  g_autoptr (PfsProcess) pin = g_steal_pointer (&rootfs->pin);
  pfs_mount_table_drop_locked (rootfs);
  g_mutex_unlock (&rootfs->lock);
  for (guint i = 0; i < files->len; i++) {
    PfsFile *file = files->pdata[i];

    if (tree->roots->run_func)
      tree->roots->run_func (file->node, close_in_place, file, tree->roots->run_data);
    else
      close_in_place (file);
  }
  pfs_fd_cache_drop_container (tree->roots->fds, rootfs->container);
}

/* Whoever lets go of what is held sleeps while there is nothing to let go of. */
void
pfs_rootfs_tell_held (PfsTree *tree)
{
  if (tree->roots->held_func)
    tree->roots->held_func (tree->roots->held_data);
}

int
pfs_rootfs_live_pin (PfsRootfs *rootfs, PfsProcess **ret)
{
  g_autoptr (PfsProcess) pin = NULL;
  bool fresh = false;

  g_mutex_lock (&rootfs->lock);
  bool ended = rootfs->ended;
  if (rootfs->pin)
    pin = pfs_process_ref (rootfs->pin);
  g_mutex_unlock (&rootfs->lock);
  if (ended)
    return -ESTALE;
  if (pin && pfs_process_alive (pin)) {
    *ret = g_steal_pointer (&pin);
    return 0;
  }

  if (pin)
    pfs_fd_cache_drop_container (rootfs->tree->roots->fds, rootfs->container);
  g_clear_pointer (&pin, pfs_process_unref);
  int r = pfs_container_main (rootfs->container, &pin);
  if (r == -ESRCH) {
    end (rootfs);
    return -ESTALE;
  }
  if (r < 0)
    return r;
  g_mutex_lock (&rootfs->lock);
  if (rootfs->pin != pin) {
    pfs_mount_table_drop_locked (rootfs);
    g_clear_pointer (&rootfs->pin, pfs_process_unref);
    rootfs->pin = pfs_process_ref (pin);
    fresh = true;
  }
  g_mutex_unlock (&rootfs->lock);
  if (fresh)
    pfs_rootfs_tell_held (rootfs->tree);
  *ret = g_steal_pointer (&pin);
  return 0;
}

int
pfs_rootfs_check (PfsRootfs *rootfs)
{
  g_autoptr (PfsProcess) pin = NULL;

  int r = pfs_rootfs_live_pin (rootfs, &pin);
  return r == -ESTALE ? -EIO : r;
}

void
pfs_rootfs_detach (PfsRootfs *rootfs, PfsFile *file)
{
  g_mutex_lock (&rootfs->lock);
  if (file->link.prev || file->link.next || rootfs->files.head == &file->link)
    g_queue_unlink (&rootfs->files, &file->link);
  g_mutex_unlock (&rootfs->lock);
}

int
pfs_rootfs_attach (PfsRootfs *rootfs, PfsFile *file)
{
  file->link.data = file;
  g_mutex_lock (&rootfs->lock);
  bool ended = rootfs->ended;
  bool watched = rootfs->pin != NULL;
  if (!ended)
    g_queue_push_tail_link (&rootfs->files, &file->link);
  g_mutex_unlock (&rootfs->lock);
  if (ended)
    return -EIO;
  int r = watched ? 0 : pfs_rootfs_check (rootfs);
  if (r < 0)
    pfs_rootfs_detach (rootfs, file);
  return r;
}

/* On a descriptor that appends, pwrite(2) appends wherever it is told to write: pages of a shared mapping would end up
 * behind the file. O_APPEND is needed to open a file that is append-only (chattr(1)); that one keeps it. */
static void
write_anywhere (int fd)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags & O_APPEND)
    fcntl (fd, F_SETFL, flags & ~O_APPEND);
}

int
pfs_rootfs_file_new (PfsNode *node, int fd, int flags, guint file_flags, PfsFile **ret)
{
  PfsFile *file = pfs_file_new (node, fd, NULL, NULL);

  file->flags = flags;
  file->file_flags |= file_flags;
  if (flags & O_APPEND)
    write_anywhere (fd);
  int r = pfs_rootfs_attach (pfs_rootfs_of (node), file);
  if (r < 0) {
    pfs_file_unref (file);
    return r;
  }
  pfs_tree_lock (node->tree);
  pfs_rootnode (node)->open = g_list_prepend (pfs_rootnode (node)->open, file);
  pfs_tree_unlock (node->tree);
  *ret = file;
  return 0;
}

void
pfs_rootfs_close (PfsFile *file)
{
  pfs_tree_lock (file->node->tree);
  pfs_rootnode (file->node)->open = g_list_remove (pfs_rootnode (file->node)->open, file);
  pfs_tree_unlock (file->node->tree);
  pfs_rootfs_detach (pfs_rootfs_of (file->node), file);
}

int
pfs_file_check (const PfsFile *file)
{
  PfsNode *node = file->root ? file->root : file->node;

  return node->ops->fs ? pfs_rootfs_check (pfs_rootfs_of (node)) : 0;
}

int
pfs_file_error (const PfsFile *file, int r)
{
  int check = r == -EBADF ? pfs_file_check (file) : 0;

  return check < 0 ? check : r;
}

/* --- for the thread that lets go of it --- */

void
pfs_tree_set_run_func (PfsTree *tree, PfsRunFunc func, gpointer data)
{
  tree->roots->run_func = func;
  tree->roots->run_data = data;
}

void
pfs_tree_set_held_func (PfsTree *tree, PfsHeldFunc func, gpointer data)
{
  tree->roots->held_func = func;
  tree->roots->held_data = data;
  pfs_table_set_pinned_func (tree->table, func, data);
}

/* All filesystems in use, each with a reference to its top node, which keeps it. A node that nobody knows any more is
 * on its way out. */
static GPtrArray *
rootfs_tops (PfsTree *tree)
{
  GPtrArray *tops = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_node_unref);

  g_mutex_lock (&tree->roots->lock);
  for (guint i = 0; i < tree->roots->all->len; i++) {
    PfsNode *top = ((PfsRootfs *) tree->roots->all->pdata[i])->top;

    pfs_tree_lock (tree);
    if (top->refs > 0 || top->nlookup > 0)
      g_ptr_array_add (tops, pfs_node_ref_locked (top));
    pfs_tree_unlock (tree);
  }
  g_mutex_unlock (&tree->roots->lock);
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
  gint64 oldest = pfs_fd_cache_drop_idle (tree->roots->fds, G_MININT64);
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
    pfs_fd_cache_drop_container (rootfs->tree->roots->fds, rootfs->container);
    int r = pfs_container_main (rootfs->container, &next);
    if (r == -ESRCH) {
      end (rootfs);
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
      && (!alive || (rootfs->files.length == 0 && !pfs_fd_cache_has (rootfs->tree->roots->fds, rootfs->container)))) {
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
  pfs_fd_cache_drop_idle (tree->roots->fds, g_get_monotonic_time () - PFS_FD_IDLE);
  for (guint i = 0; i < tops->len; i++) {
    PfsRootfs *rootfs = pfs_rootfs_of (tops->pdata[i]);

    if (sweep_one (rootfs) && ended)
      ended (rootfs->container, data);
  }
}
