/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mounts that a peer's files lie on. A mount is known as long as something on it is.
 *
 * Before Linux 6.8 the number of a mount that is gone is given to the next one, and its device with it. There a mount
 * is known again only if its line of mountinfo still says the same. The kernel tells those who poll an open mountinfo
 * of a change (proc_pid_mounts(5)): once, and before a number is free. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "peerfs/base/statx.h"
#include "peerfs/parse/mountinfo.h"
#include "rootfs_private.h"

static guint
mount_hash (gconstpointer data)
{
  const PfsMount *mount = data;
  guint64 key = mount->id * 31 + mount->dev;

  return g_int64_hash (&key);
}

static gboolean
mount_equal (gconstpointer a, gconstpointer b)
{
  const PfsMount *x = a, *y = b;

  return x->id == y->id && x->dev == y->dev && g_strcmp0 (x->line, y->line) == 0;
}

GHashTable *
pfs_mounts_new (void)
{
  return g_hash_table_new (mount_hash, mount_equal);
}

PfsMount *
pfs_mount_ref (PfsMount *mount)
{
  g_atomic_int_inc (&mount->refs);
  return mount;
}

/* Nobody finds a mount in the table while its last reference goes. */
void
pfs_mount_unref (PfsMount *mount)
{
  PfsRootfs *rootfs = mount->rootfs;

  for (gint refs = g_atomic_int_get (&mount->refs); refs > 1; refs = g_atomic_int_get (&mount->refs))
    if (g_atomic_int_compare_and_exchange (&mount->refs, refs, refs - 1))
      return;
  g_mutex_lock (&rootfs->tree->lock);
  bool last = g_atomic_int_dec_and_test (&mount->refs);
  if (last)
    g_hash_table_remove (rootfs->mounts, mount);
  g_mutex_unlock (&rootfs->tree->lock);
  if (!last)
    return;
  g_free (mount->line);
  g_free (mount);
}

/* --- before Linux 6.8 --- */

static gpointer
close_table (gpointer table)
{
  close (GPOINTER_TO_INT (table));
  return NULL;
}

/* An open mountinfo holds the mount namespace. close(2) of the last descriptor that does so unmounts what is in it, and
 * may have to wait for that. */
void
pfs_mount_table_close_locked (PfsRootfs *rootfs)
{
  g_clear_pointer (&rootfs->lines, g_hash_table_unref);
  if (rootfs->mount_table < 0)
    return;
  GThread *thread = g_thread_try_new ("unmounts", close_table, GINT_TO_POINTER (rootfs->mount_table), NULL);
  if (thread)
    g_thread_unref (thread);
  else
    close (rootfs->mount_table);
  rootfs->mount_table = -1;
}

static bool
table_changed (int table)
{
  struct pollfd p = { .fd = table, .events = POLLPRI };

  return poll (&p, 1, 0) != 0;
}

/* How often the mounts were seen to have changed. It counts as a change if nobody has looked for a while. */
static guint64
changes_locked (PfsRootfs *rootfs)
{
  if (rootfs->mount_table < 0 || table_changed (rootfs->mount_table))
    rootfs->changes++;
  if (rootfs->mount_table < 0 && rootfs->process)
    rootfs->mount_table = openat (rootfs->process->fd, "mountinfo", O_RDONLY | O_CLOEXEC);
  return rootfs->changes;
}

/* What tells each mount from the one before it, by its number: not its options, which may change. */
static GHashTable *
read_lines (PfsRootfs *rootfs)
{
  GHashTable *lines = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  g_autoptr (GBytes) mountinfo = pfs_rootfs_mountinfo (rootfs);
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (mountinfo);
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line))
    g_hash_table_insert (lines, (gpointer) line.id,
                         g_strdup_printf ("%lu %u:%u %s\n%s\n%s %s", line.parent_id, line.major, line.minor, line.root,
                                          line.mount_point, line.fstype, line.source));
  return lines;
}

/* The line of that mount as of now (g_free). One that mountinfo does not name is another one after each change. */
static char *
line_of (PfsRootfs *rootfs, uint64_t id)
{
  g_autoptr (GHashTable) lines = NULL;

  g_mutex_lock (&rootfs->tree->lock);
  guint64 changes = changes_locked (rootfs);
  if (rootfs->lines && rootfs->lines_at == changes)
    lines = g_hash_table_ref (rootfs->lines);
  g_mutex_unlock (&rootfs->tree->lock);
  if (!lines) {
    lines = read_lines (rootfs);
    g_mutex_lock (&rootfs->tree->lock);
    g_clear_pointer (&rootfs->lines, g_hash_table_unref);
    rootfs->lines = g_hash_table_ref (lines);
    rootfs->lines_at = changes;
    g_mutex_unlock (&rootfs->tree->lock);
  }
  const char *line = g_hash_table_lookup (lines, (gpointer) (uintptr_t) id);
  return line ? g_strdup (line) : g_strdup_printf ("change %" G_GUINT64_FORMAT, changes);
}

/* --- finding a mount --- */

/* A reference to the one that is known; else NULL, or (with add) a new one with the key's flags. */
static PfsMount *
find_mount (PfsRootfs *rootfs, const PfsMount *key, bool add)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&rootfs->tree->lock);
  PfsMount *mount = g_hash_table_lookup (rootfs->mounts, key);

  if (mount) {
    pfs_mount_ref (mount);
  } else if (add) {
    mount = g_memdup2 (key, sizeof *key);
    mount->line = g_strdup (key->line);
    g_hash_table_add (rootfs->mounts, mount);
  }
  return mount;
}

static int
mount_get (PfsRootfs *rootfs, int fd, const char *name, const struct statx *st, PfsMount **ret)
{
  g_autofree char *line = st->stx_mask & STATX_MNT_ID_UNIQUE ? NULL : line_of (rootfs, st->stx_mnt_id);
  PfsMount key = {
    .refs = 1,
    .rootfs = rootfs,
    .id = st->stx_mnt_id,
    .dev = makedev (st->stx_dev_major, st->stx_dev_minor),
    .line = line,
  };

  *ret = find_mount (rootfs, &key, false);
  if (*ret)
    return 0;
  int r = pfs_rootfs_mount_kind (rootfs, fd, name, st, &key.flags);
  if (r == 0)
    *ret = find_mount (rootfs, &key, true);
  return r;
}

/* An overlay of one filesystem shows files on its own device and numbers directories for good; of several, it shows
 * each filesystem's files on a device of their own, and numbers directories as they come (kernel:
 * Documentation/filesystems/overlayfs.rst, "Inode properties"). Directories are seen before what is in them: until a
 * file has been, it may be either. */
static void
learn_numbers (PfsMount *mount, const struct statx *st)
{
  if ((mount->flags & PFS_MOUNT_OVERLAY) && !S_ISDIR (st->stx_mode) && !g_atomic_int_get (&mount->shows_files))
    g_atomic_int_set (&mount->shows_files, 1);
}

bool
pfs_mount_may_renumber (PfsMount *mount)
{
  return (mount->flags & PFS_MOUNT_OVERLAY) && !g_atomic_int_get (&mount->shows_files);
}

int
pfs_rootfs_statx (PfsRootfs *rootfs, int fd, const char *name, bool wait, PfsFound *ret)
{
  const unsigned int mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID | STATX_MNT_ID_UNIQUE;
  int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
  g_autoptr (PfsMount) mount = NULL;
  struct statx st;

  if (statx (fd, name, flags | AT_STATX_DONT_SYNC, mask, &st) < 0)
    return -errno;
  if (makedev (st.stx_dev_major, st.stx_dev_minor) == rootfs->tree->roots->own_device)
    return -EXDEV;
  int r = mount_get (rootfs, fd, name, &st, &mount);
  if (r < 0)
    return r;
  if (mount->flags & PFS_MOUNT_PROC)
    return -EXDEV;
  learn_numbers (mount, &st);
  if (wait && (mount->flags & PFS_MOUNT_REMOTE) && statx (fd, name, flags, mask, &st) < 0)
    return -errno;
  *ret = (PfsFound) { st, g_steal_pointer (&mount) };
  return 0;
}

bool
pfs_rootfs_owner_may (const PfsFound *found, mode_t right, const PfsCaller *who)
{
  return who->own_ids && (found->mount->flags & PFS_MOUNT_LOCAL) && found->st.stx_uid == who->uid
         && (found->st.stx_mode & right) == right;
}

/* A write takes setuid and setgid bits away without the kernel's knowing that the mode is another one. */
double
pfs_rootfs_attr_timeout (const PfsTree *tree, const PfsMount *mount, mode_t mode)
{
  bool cached = !(mount->flags & PFS_MOUNT_VOLATILE) && !(S_ISREG (mode) && (mode & (S_ISUID | S_ISGID)));

  return cached ? tree->options.attr_timeout : 0;
}
