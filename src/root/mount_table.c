/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mounts before Linux 6.8, which gives the number of a mount that is gone to the next one, and its device with it. So
 * there a mount is known again only while nothing is mounted or unmounted, or if its line of mountinfo still says the
 * same. The kernel tells of changes to who polls an open mountinfo (proc_pid_mounts(5)): once, and before a number is
 * free. */
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "peerfs/base/read.h"
#include "peerfs/parse/mountinfo.h"
#include "rootfs_private.h"

static bool
table_changed (int table)
{
  struct pollfd p = { .fd = table, .events = POLLPRI };

  return poll (&p, 1, 0) != 0;
}

/* An open mountinfo holds the mount namespace: it goes with the pin, of a process that has it as well. */
guint64
pfs_mount_table_changes (PfsRootfs *rootfs)
{
  g_mutex_lock (&rootfs->lock);
  bool changed = rootfs->mount_table < 0 || table_changed (rootfs->mount_table);
  if (rootfs->mount_table < 0 && rootfs->pin)
    rootfs->mount_table = openat (pfs_process_fd (rootfs->pin), "mountinfo", O_RDONLY | O_CLOEXEC);
  rootfs->mount_changes += changed;
  guint64 changes = rootfs->mount_changes;
  g_mutex_unlock (&rootfs->lock);
  return changes;
}

static gpointer
close_table (gpointer table)
{
  close (GPOINTER_TO_INT (table));
  return NULL;
}

/* Who closes the last descriptor that holds a mount namespace unmounts what is in it, and may have to wait for that. */
void
pfs_mount_table_drop_locked (PfsRootfs *rootfs)
{
  if (rootfs->mount_table < 0)
    return;
  GThread *thread = g_thread_try_new ("unmounts", close_table, GINT_TO_POINTER (rootfs->mount_table), NULL);
  if (thread)
    g_thread_unref (thread);
  else
    close (rootfs->mount_table);
  rootfs->mount_table = -1;
}

/* What tells a mount from the one before it: not its options, which may change. */
static char *
key_of (const PfsMountLine *line)
{
  return g_strdup_printf ("%lu %u:%u %s\n%s\n%s %s", line->parent_id, line->major, line->minor, line->root,
                          line->mount_point, line->fstype, line->source);
}

char *
pfs_mount_table_line (const char *mountinfo, gsize len, uint64_t id)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (mountinfo, len);
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line))
    if (line.id == id)
      return key_of (&line);
  return NULL;
}

/* The keys of all mounts, by their numbers. */
static GHashTable *
all_keys (GBytes *mountinfo)
{
  GHashTable *keys = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  PfsMountLine line;
  gsize len = 0;
  const char *text = mountinfo ? g_bytes_get_data (mountinfo, &len) : "";
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (text, len);

  while (pfs_mount_iter_next (iter, &line))
    g_hash_table_insert (keys, (gpointer) line.id, key_of (&line));
  return keys;
}

/* The table of mounts is a set: its values are the mounts too. */
static gboolean
has_changed (gpointer key, gpointer value, gpointer keys)
{
  const PfsMount *mount = value;
  const char *now = g_hash_table_lookup (keys, (gpointer) (uintptr_t) mount->id);

  (void) key;
  return !now || g_strcmp0 (mount->line, now) != 0;
}

int
pfs_rootfs_mountinfo (PfsRootfs *rootfs, GBytes **ret)
{
  g_autoptr (PfsProcess) pin = NULL;

  g_mutex_lock (&rootfs->lock);
  if (rootfs->pin)
    pin = pfs_process_ref (rootfs->pin);
  g_mutex_unlock (&rootfs->lock);
  int r = pin ? 0 : pfs_container_main (rootfs->container, &pin);
  return r < 0 ? r : pfs_read_prefix_at (pfs_process_fd (pin), "mountinfo", PFS_MOUNTINFO_MAX, ret);
}

void
pfs_mount_table_check (PfsRootfs *rootfs, guint64 changes)
{
  g_autoptr (GBytes) mountinfo = NULL;

  g_mutex_lock (&rootfs->mounts_lock);
  bool checked = rootfs->mounts_checked == changes;
  g_mutex_unlock (&rootfs->mounts_lock);
  if (checked)
    return;
  (void) pfs_rootfs_mountinfo (rootfs, &mountinfo);
  g_autoptr (GHashTable) keys = all_keys (mountinfo);
  g_mutex_lock (&rootfs->mounts_lock);
  g_hash_table_foreach_remove (rootfs->mounts, has_changed, keys);
  rootfs->mounts_checked = changes;
  g_mutex_unlock (&rootfs->mounts_lock);
}
