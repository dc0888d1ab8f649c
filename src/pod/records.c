/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processes there are: reading /proc incrementally.
 *
 * As a whole: procfs gives the directory of a process a new inode number whenever it makes one, and throws the old one
 * away when the process is reaped (fs/proc/base.c: proc_pid_make_inode(), proc_flush_pid(); fs/inode.c:
 * get_next_ino()). getdents64(2) tells it for free: a pid with the number it had is the process it was, and nothing is
 * read about it. The number may also change under memory pressure, so that a new one means: compare the start time.
 *
 * Where there are thousands, that alone takes ten milliseconds. But pids are given in ascending order (kernel/pid.c:
 * alloc_pid()), and /proc/loadavg tells the last one (proc_loadavg(5)): for some seconds after /proc was read as a
 * whole only those given since are asked for, and some before them, whose processes may not have shown themselves yet.
 * Processes that ended meanwhile stay on record: whoever needs to know looks at the process itself. If all pids are
 * used up and start again within those seconds, that is not noticed until they are over (pid_max: proc_sys_kernel(5)).
 * Whoever restores processes under the pids that they had (CRIU) makes the order worth nothing: where reading as a
 * whole finds a process that would not have been found, it is relied upon no more. */
#include "table_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/proc/procfile.h"

#define DENTS_SIZE 65536
#define RECENT_SECONDS 10
#define UNSEEN_MAX 128    /* pids given to processes that do not show yet */
#define PIDS_PER_RECORD 4 /* to ask for one pid costs as much as to read so many entries */

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

/* How many records have that pid at most; the pids asked for are mostly the last. */
static guint
count_up_to (const PfsTable *table, pid_t pid)
{
  guint n = table->records->len;

  while (n > 0 && g_array_index (table->records, PfsRecord, n - 1).pid > pid)
    n--;
  return n;
}

/* Carries what is known over to the pids from first to last that are there now; both sides are in the order of pids.
 * Returns 0 or -errno: then nothing has changed. */
static int
merge_entries (PfsTable *table, const GArray *entries, pid_t first, pid_t last)
{
  guint begin = count_up_to (table, first - 1), end = count_up_to (table, last);
  g_autoptr (GArray) fresh = g_array_sized_new (FALSE, FALSE, sizeof (PfsRecord), entries->len);

  for (guint i = 0, o = begin; i < entries->len; i++) {
    const Entry *entry = &g_array_index (entries, Entry, i);
    PfsRecord record = { .pid = entry->pid };
    while (o < end && g_array_index (table->records, PfsRecord, o).pid < entry->pid)
      o++;
    const PfsRecord *known = o < end ? &g_array_index (table->records, PfsRecord, o) : NULL;
    int same = known && known->pid == entry->pid ? is_same_process (table, known, entry) : 0;
    if (same < 0)
      return same;
    if (same)
      record = *known;
    record.ino = entry->ino;
    g_array_append_val (fresh, record);
  }
  if (end > begin)
    g_array_remove_range (table->records, begin, end - begin);
  g_array_insert_vals (table->records, begin, fresh->data, fresh->len);
  return 0;
}

static bool
is_recent (const PfsTable *table)
{
  return table->whole_last_pid > 0 && g_get_monotonic_time () - table->whole_time < RECENT_SECONDS * G_USEC_PER_SEC;
}

/* Are all that are new since /proc was read as a whole among those that would have been asked for? */
static bool
are_in_order (const PfsTable *table)
{
  pid_t before = table->whole_last_pid;

  if (!is_recent (table))
    return true;
  pid_t last = pfs_proc_last_pid (table->proc);
  if (last < before)
    return true;
  for (guint i = 0; i < table->records->len; i++) {
    const PfsRecord *record = &g_array_index (table->records, PfsRecord, i);
    if (record->kind == PFS_KIND_NEW && (record->pid <= before - UNSEEN_MAX || record->pid > last))
      return false;
  }
  return true;
}

int
pfs_records_read (PfsTable *table)
{
  g_autoptr (GArray) entries = g_array_sized_new (FALSE, FALSE, sizeof (Entry), table->records->len + 64);
  gint64 now = g_get_monotonic_time ();
  pid_t begun = pfs_proc_last_pid (table->proc);
  int r = read_entries (table, entries);

  if (r == 0)
    r = merge_entries (table, entries, 1, G_MAXINT32);
  if (r < 0)
    return r;
  if (!are_in_order (table))
    table->out_of_order = true;
  table->whole_last_pid = begun;
  table->whole_time = now;
  table->wholes++;
  return 0;
}

/* 1 where the process is there, 0 where no process has that pid: it may be a thread's. Else -errno. */
static int
look_at (const PfsTable *table, pid_t pid, Entry *ret)
{
  pfs_autofd pidfd = (int) syscall (SYS_pidfd_open, pid, 0);
  char name[16];
  struct stat st;

  /* A thread: EINVAL, and ENOENT since Linux 6.15. */
  if (pidfd < 0)
    return errno == ESRCH || errno == EINVAL || errno == ENOENT ? 0 : -errno;
  g_snprintf (name, sizeof name, "%d", pid);
  if (fstatat (pfs_proc_fd (table->proc), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : -errno;
  *ret = (Entry){ .ino = st.st_ino, .pid = pid };
  return 1;
}

/* Adds what is there now of the pids from first to last. None that had been given when all was read is given again: a
 * process that is known under one of those need not be asked for. Returns 0 or -errno. */
static int
ask_for (PfsTable *table, pid_t first, pid_t last, GArray *entries)
{
  guint at = count_up_to (table, first - 1);

  for (pid_t pid = first; pid <= last; pid++) {
    const PfsRecord *record = at < table->records->len ? &g_array_index (table->records, PfsRecord, at) : NULL;
    bool is_known = record && record->pid == pid;
    Entry entry;

    at += is_known;
    if (is_known && pid <= table->whole_last_pid) {
      entry = (Entry){ .ino = record->ino, .pid = pid };
    } else {
      int r = look_at (table, pid, &entry);
      if (r < 0)
        return r;
      if (r == 0)
        continue;
    }
    g_array_append_val (entries, entry);
  }
  return 0;
}

bool
pfs_records_read_recent (PfsTable *table)
{
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (Entry));

  if (table->out_of_order || !is_recent (table))
    return false;
  pid_t last = pfs_proc_last_pid (table->proc);
  pid_t first = MAX (table->whole_last_pid - UNSEEN_MAX, 0) + 1;
  /* After the last number of all come the low ones again. */
  if (last < table->whole_last_pid || (guint) (last - first) * PIDS_PER_RECORD >= table->records->len)
    return false;
  return ask_for (table, first, last, entries) == 0 && merge_entries (table, entries, first, last) == 0;
}
