/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is held of a container: the process whose root is in use, what is open (open_files.c), and descriptors of
 * directories. These are few, and closed soon after their last use: an open descriptor keeps a peer's mount busy.
 * Nothing of a container is held once it has ended. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "rootfs_private.h"

#define LIVES_US 200 /* after which a process is asked again if it lives */

/* --- directories: what is taken out under the lock is closed without it --- */

static void
dir_fd_clear (gpointer data)
{
  PfsDirFd *dir = data;

  close (dir->fd);
  pfs_mount_unref (dir->mount);
}

void
pfs_dir_fd_unref (PfsDirFd *dir)
{
  g_atomic_rc_box_release_full (dir, dir_fd_clear);
}

static void
held_dir_clear (gpointer data)
{
  PfsHeldDir *held = data;

  g_clear_pointer (&held->dir, pfs_dir_fd_unref);
  g_clear_pointer (&held->node, pfs_node_unref);
}

static GArray *
taken_new (void)
{
  GArray *taken = g_array_new (FALSE, FALSE, sizeof (PfsHeldDir));

  g_array_set_clear_func (taken, held_dir_clear);
  return taken;
}

/* Takes out those of that container (NULL: of all) that were last used at or before `until`. Returns when the oldest
 * one left was used (G_MAXINT64: none is left). */
static gint64
take_dirs_locked (PfsTree *tree, const PfsRootfs *rootfs, gint64 until, GArray *taken)
{
  gint64 oldest = G_MAXINT64;

  for (guint i = 0; i < PFS_HELD_DIRS; i++) {
    PfsHeldDir *held = &tree->roots->dirs[i];

    if (!held->node || (rootfs && held->dir->mount->rootfs != rootfs))
      continue;
    if (held->used > until) {
      oldest = MIN (oldest, held->used);
      continue;
    }
    g_array_append_val (taken, *held);
    *held = (PfsHeldDir) { .node = NULL };
  }
  return oldest;
}

void
pfs_held_drop_dirs (PfsTree *tree)
{
  g_autoptr (GArray) taken = taken_new ();

  g_mutex_lock (&tree->lock);
  take_dirs_locked (tree, NULL, G_MAXINT64, taken);
  g_mutex_unlock (&tree->lock);
}

PfsDirFd *
pfs_held_dir_locked (PfsNode *node)
{
  PfsHeldDir *dirs = node->tree->roots->dirs;

  for (guint i = 0; i < PFS_HELD_DIRS; i++)
    if (dirs[i].node == node) {
      dirs[i].used = g_get_monotonic_time ();
      return g_atomic_rc_box_acquire (dirs[i].dir);
    }
  return NULL;
}

/* Wakes the thread that lets go of what is held: it sleeps while there is nothing. */
static void
tell_held (PfsTree *tree)
{
  if (tree->roots->held_func)
    tree->roots->held_func (tree->roots->held_data);
}

PfsDirFd *
pfs_held_dir_new (PfsNode *node, const PfsProcess *process, int fd, PfsMount *mount)
{
  PfsTree *tree = node->tree;
  PfsDirFd *dir = g_atomic_rc_box_new (PfsDirFd);
  g_autoptr (GArray) taken = taken_new ();
  bool first = true;

  *dir = (PfsDirFd) { .fd = fd, .mount = pfs_mount_ref (mount) };
  g_mutex_lock (&tree->lock);
  /* Else that process has ended, or nothing was held any more, while the descriptor was on its way here. */
  if (mount->rootfs->process == process) {
    PfsHeldDir *oldest = tree->roots->dirs;
    for (guint i = 0; i < PFS_HELD_DIRS; i++) {
      PfsHeldDir *held = &tree->roots->dirs[i];

      first = first && !held->node;
      if (held->used < oldest->used)
        oldest = held;
    }
    g_array_append_val (taken, *oldest);
    *oldest = (PfsHeldDir) { pfs_node_ref_locked (node), g_atomic_rc_box_acquire (dir), g_get_monotonic_time () };
  } else {
    first = false;
  }
  g_mutex_unlock (&tree->lock);
  if (first)
    tell_held (tree);
  return dir;
}

/* --- the process --- */

static void
rootfs_clear (gpointer data)
{
  PfsRootfs *rootfs = data;

  pfs_mount_table_close_locked (rootfs);
  g_clear_pointer (&rootfs->process, pfs_process_unref);
  g_hash_table_unref (rootfs->mounts);
  pfs_container_unref (rootfs->container);
}

void
pfs_rootfs_unref (PfsRootfs *rootfs)
{
  g_atomic_rc_box_release_full (rootfs, rootfs_clear);
}

/* What was opened through the old one is not used again. */
static void
use_process_locked (PfsRootfs *rootfs, PfsProcess *process, GArray *taken)
{
  take_dirs_locked (rootfs->tree, rootfs, G_MAXINT64, taken);
  pfs_mount_table_close_locked (rootfs);
  g_clear_pointer (&rootfs->process, pfs_process_unref);
  rootfs->process = process ? pfs_process_ref (process) : NULL;
}

/* The file's descriptor becomes one of nothing, so that readers under way end with an error and it is not mistaken for
 * another file. That closes what it was, for which a mount may have to be asked. */
static void
close_in_place (gpointer data)
{
  g_autoptr (PfsFile) file = data;

  dup3 (file->node->tree->roots->nothing, file->fd, O_CLOEXEC);
}

static void
end (PfsRootfs *rootfs)
{
  const PfsRoots *roots = rootfs->tree->roots;
  g_autoptr (GPtrArray) files = g_ptr_array_new ();
  g_autoptr (GArray) taken = taken_new ();

  g_mutex_lock (&rootfs->tree->lock);
  rootfs->ended = true;
  use_process_locked (rootfs, NULL, taken);
  for (GList *link = rootfs->files.head; link; link = link->next)
    if (pfs_file_ref_unless_dying (link->data))
      g_ptr_array_add (files, link->data);
  g_mutex_unlock (&rootfs->tree->lock);
  for (guint i = 0; i < files->len; i++) {
    PfsFile *file = files->pdata[i];

    if (roots->run_func)
      roots->run_func (file->node, close_in_place, file, roots->run_data);
    else
      close_in_place (file);
  }
}

static int
next_process (PfsRootfs *rootfs, PfsProcess **ret)
{
  g_autoptr (GArray) taken = taken_new ();
  g_autoptr (PfsProcess) process = NULL;

  int r = pfs_container_main (rootfs->container, &process);
  if (r == -ESRCH) {
    end (rootfs);
    return -ESTALE;
  }
  if (r < 0)
    return r;
  g_mutex_lock (&rootfs->tree->lock);
  bool ended = rootfs->ended;
  bool fresh = !ended && rootfs->process != process;
  if (fresh)
    use_process_locked (rootfs, process, taken);
  g_mutex_unlock (&rootfs->tree->lock);
  if (ended)
    return -ESTALE;
  if (fresh)
    tell_held (rootfs->tree);
  *ret = g_steal_pointer (&process);
  return 0;
}

/* Does the process live? Names may be cached: so a walk asks once for some lookups, not for each. */
static bool
lives (PfsRootfs *rootfs, const PfsProcess *process, gint64 asked_at)
{
  gint64 now = g_get_monotonic_time ();

  if ((double) (now - asked_at) < MIN (LIVES_US, rootfs->tree->options.entry_timeout * G_USEC_PER_SEC))
    return true;
  if (!pfs_process_alive (process))
    return false;
  g_mutex_lock (&rootfs->tree->lock);
  rootfs->lived_at = now;
  g_mutex_unlock (&rootfs->tree->lock);
  return true;
}

int
pfs_rootfs_process (PfsRootfs *rootfs, PfsProcess **ret)
{
  g_autoptr (PfsProcess) process = NULL;

  g_mutex_lock (&rootfs->tree->lock);
  bool ended = rootfs->ended;
  gint64 asked_at = rootfs->lived_at;
  if (rootfs->process)
    process = pfs_process_ref (rootfs->process);
  g_mutex_unlock (&rootfs->tree->lock);
  if (ended)
    return -ESTALE;
  if (!process || !lives (rootfs, process, asked_at))
    return next_process (rootfs, ret);
  *ret = g_steal_pointer (&process);
  return 0;
}

int
pfs_rootfs_check (PfsRootfs *rootfs)
{
  g_autoptr (PfsProcess) process = NULL;

  int r = pfs_rootfs_process (rootfs, &process);
  return r == -ESTALE ? -EIO : r;
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

GPtrArray *
pfs_tree_held (PfsTree *tree, gint64 *ret_deadline)
{
  GPtrArray *processes = pfs_table_pinned (tree->table);

  g_mutex_lock (&tree->lock);
  for (guint i = 0; i < tree->roots->all->len; i++) {
    PfsProcess *process = ((PfsRootfs *) tree->roots->all->pdata[i])->process;

    if (process)
      g_ptr_array_add (processes, pfs_process_ref (process));
  }
  gint64 oldest = take_dirs_locked (tree, NULL, G_MININT64, NULL);
  g_mutex_unlock (&tree->lock);
  *ret_deadline = oldest == G_MAXINT64 ? G_MAXINT64 : oldest + PFS_HELD_IDLE;
  return processes;
}

#define RETRY_USEC (20 * G_TIME_SPAN_MILLISECOND)

/* True if the container was found to have ended. If that cannot be told now, the process stays, so that the next sweep
 * asks again, which comes at once. */
static bool
sweep_one (PfsRootfs *rootfs)
{
  g_autoptr (GArray) taken = taken_new ();
  g_autoptr (PfsProcess) process = NULL;

  int r = pfs_rootfs_process (rootfs, &process);
  if (r < 0 && r != -ESTALE)
    g_usleep (RETRY_USEC);
  if (r < 0)
    return r == -ESTALE;
  g_mutex_lock (&rootfs->tree->lock);
  gint64 oldest = take_dirs_locked (rootfs->tree, rootfs, g_get_monotonic_time () - PFS_HELD_IDLE, taken);
  if (oldest == G_MAXINT64 && rootfs->files.length == 0)
    use_process_locked (rootfs, NULL, taken);
  g_mutex_unlock (&rootfs->tree->lock);
  return false;
}

void
pfs_tree_sweep (PfsTree *tree, PfsEndedFunc ended, gpointer data)
{
  g_autoptr (GPtrArray) used = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_rootfs_unref);

  pfs_table_drop_dead (tree->table);
  g_mutex_lock (&tree->lock);
  for (guint i = 0; i < tree->roots->all->len; i++) {
    PfsRootfs *rootfs = tree->roots->all->pdata[i];

    if (rootfs->process)
      g_ptr_array_add (used, g_atomic_rc_box_acquire (rootfs));
  }
  g_mutex_unlock (&tree->lock);
  for (guint i = 0; i < used->len; i++) {
    PfsRootfs *rootfs = used->pdata[i];

    if (sweep_one (rootfs) && ended)
      ended (rootfs->container, data);
  }
}
