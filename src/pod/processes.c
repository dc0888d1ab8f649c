/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Carries over, from one scan to the next, what is known of each process. */
#include "processes.h"

#include <errno.h>
#include <fcntl.h>

#include "peerfs/base/fd.h"
#include "peerfs/proc/pids.h"
#include "peerfs/proc/procfile.h"
#include "state.h"

/* Returns 1, 0, or -errno if that cannot be told: to forget what is known of the process could end its container. */
static int
is_same_process (PfsTable *table, const PfsProcessInfo *info, const PfsPidEntry *entry)
{
  PfsStat stat;

  /* Numbers of other filesystems are used again. */
  if (info->ino == entry->ino && pfs_proc_is_live (table->proc))
    return 1;
  pfs_autofd dir = pfs_proc_open_pid (table->proc, entry->pid, O_PATH);
  int r = dir < 0 ? dir : pfs_proc_stat_at (dir, &stat);
  if (r < 0)
    return r == -ENOENT || r == -ESRCH || r == -EINVAL ? 0 : r;
  return stat.start_time == info->start_time;
}

/* Carries what is known over to the pids that are there now; both sides are in the order of pids. Returns 0 or -errno:
 * then nothing has changed. */
static int
merge_entries (PfsTable *table, const GArray *entries)
{
  const PfsProcessInfo *known = (const PfsProcessInfo *) table->processes->data, *end = known + table->processes->len;
  g_autoptr (GArray) processes = g_array_sized_new (FALSE, FALSE, sizeof (PfsProcessInfo), entries->len);

  for (guint i = 0; i < entries->len; i++) {
    const PfsPidEntry *entry = &g_array_index (entries, PfsPidEntry, i);
    PfsProcessInfo info = { .pid = entry->pid };
    while (known < end && known->pid < entry->pid)
      known++;
    int same = known < end && known->pid == entry->pid ? is_same_process (table, known, entry) : 0;
    if (same < 0)
      return same;
    if (same)
      info = *known;
    info.ino = entry->ino;
    g_array_append_val (processes, info);
  }
  g_array_unref (table->processes);
  table->processes = g_steal_pointer (&processes);
  return 0;
}

int
pfs_processes_read (PfsTable *table)
{
  g_autoptr (GArray) entries = g_array_sized_new (FALSE, FALSE, sizeof (PfsPidEntry), table->processes->len + 64);

  int r = pfs_proc_list_pids (table->proc, entries);
  return r < 0 ? r : merge_entries (table, entries);
}
