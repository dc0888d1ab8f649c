/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processes there are.
 *
 * procfs gives the directory of a process a new inode number whenever it makes one, and throws the old one away when
 * the process is reaped (fs/proc/base.c: proc_pid_make_inode(), proc_flush_pid(); fs/inode.c: get_next_ino()).
 * getdents64(2) tells it for free: a pid with the number it had is the process it was, and nothing is read about it.
 * The number may also change under memory pressure, so a new one means: compare the start time. */
#include "table_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/proc/procfile.h"

#define DENTS_SIZE 65536

typedef struct {
  guint64 ino;
  pid_t pid;
} Entry;

static int
compare_entries (gconstpointer a, gconstpointer b)
{
  const Entry *x = a, *y = b;

  return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static int
read_entries (PfsTable *table, GArray *entries)
{
  pfs_autofd dir = openat (pfs_proc_fd (table->proc), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autofree char *buf = g_malloc (DENTS_SIZE);
  bool sorted = true;
  pid_t last = 0;
  ssize_t n;

  if (dir < 0)
    return -errno;
  while ((n = getdents64 (dir, buf, DENTS_SIZE)) > 0)
    for (ssize_t at = 0; at < n;) {
      const struct dirent64 *d = (const struct dirent64 *) (const void *) (buf + at);
      Entry entry = { .ino = d->d_ino, .pid = pfs_pid_of_name (d->d_name) };
      at += d->d_reclen;
      if (entry.pid == 0)
        continue;
      sorted = sorted && entry.pid > last;
      last = entry.pid;
      g_array_append_val (entries, entry);
    }
  if (n < 0)
    return -errno;
  if (!sorted)
    g_array_sort (entries, compare_entries);
  return 0;
}

/* Returns 1, 0, or -errno where that cannot be told: to forget what is known of the process could end its container. */
static int
is_same_process (PfsTable *table, const PfsRecord *record, const Entry *entry)
{
  PfsStat stat;

  /* Numbers of other filesystems are used again. */
  if (record->ino == entry->ino && pfs_proc_is_live (table->proc))
    return 1;
  pfs_autofd dir = pfs_proc_open_pid (table->proc, entry->pid, O_PATH);
  int r = dir < 0 ? dir : pfs_proc_stat_at (dir, &stat);
  if (r < 0)
    return r == -ENOENT || r == -ESRCH || r == -EINVAL ? 0 : r;
  return stat.start_time == record->start_time;
}

/* Carries what is known over to the pids that are there now; both sides are in the order of pids. Returns 0 or -errno:
 * then nothing has changed. */
static int
merge_entries (PfsTable *table, const GArray *entries)
{
  const PfsRecord *known = (const PfsRecord *) table->records->data, *end = known + table->records->len;
  g_autoptr (GArray) records = g_array_sized_new (FALSE, FALSE, sizeof (PfsRecord), entries->len);

  for (guint i = 0; i < entries->len; i++) {
    const Entry *entry = &g_array_index (entries, Entry, i);
    PfsRecord record = { .pid = entry->pid };
    while (known < end && known->pid < entry->pid)
      known++;
    int same = known < end && known->pid == entry->pid ? is_same_process (table, known, entry) : 0;
    if (same < 0)
      return same;
    if (same)
      record = *known;
    record.ino = entry->ino;
    g_array_append_val (records, record);
  }
  g_array_unref (table->records);
  table->records = g_steal_pointer (&records);
  return 0;
}

int
pfs_records_read (PfsTable *table)
{
  g_autoptr (GArray) entries = g_array_sized_new (FALSE, FALSE, sizeof (Entry), table->records->len + 64);

  int r = read_entries (table, entries);
  return r < 0 ? r : merge_entries (table, entries);
}
