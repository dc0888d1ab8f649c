/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The main process of an instance: the earliest-started live one that has the container's own root.
 *
 * Only here is a process's root trusted, so only here is it examined: while a runtime prepares a container, a process in
 * its cgroup may still have the node's root. It is refused under a runtime's name; with the root of the node's own
 * processes; and while its executable is on no mount of its own mount namespace, which means that it was started outside
 * and has not finished exec(2) into the container. */
#include "table_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "procfile.h"

#define CMDLINE_MAX 256

static bool
has_mount (const char *content, gsize len, guint64 id)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content, len);
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line))
    if (line.id == id)
      return true;
  return false;
}

static bool
exe_is_runtime (int dir)
{
  g_autofree char *exe = NULL;

  if (pfs_readlink_at (dir, "exe", &exe) < 0)
    return false;
  const char *base = strrchr (exe, '/');
  return g_str_has_prefix (exe, "/memfd:runc") || g_str_has_prefix (exe, "/memfd:crun") ||
         pfs_name_is_runtime (base ? base + 1 : exe);
}

/* Where the executable cannot be looked at, its name alone has to tell. Being on no mount of its own counts for a while
 * only: programs do run from memfds and from mounts that were taken away. It may lie on a mount that does not answer:
 * only what the kernel knows already is asked for. */
static bool
has_finished_exec (PfsTable *table, int dir, const PfsStat *stat, const char *content, gsize len)
{
  struct statx stx;

  return !pfs_table_is_young (table, stat->start_time, PFS_EXEC_SECONDS) ||
         statx (dir, "exe", AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) < 0 || !(stx.stx_mask & STATX_MNT_ID) ||
         has_mount (content, len, stx.stx_mnt_id);
}

static bool
is_catatonit (int dir)
{
  static const char argument[] = "-P";
  g_autoptr (GBytes) bytes = NULL;
  gsize len;

  if (pfs_read_prefix_at (dir, "cmdline", CMDLINE_MAX, &bytes) < 0)
    return false;
  const char *args = g_bytes_get_data (bytes, &len);
  const char *end = args ? memchr (args, '\0', len) : NULL;
  if (!end || !g_str_has_suffix (args, "catatonit"))
    return false;
  end++;
  return (gsize) (args + len - end) >= sizeof argument && memcmp (end, argument, sizeof argument) == 0;
}

static PfsRank
examine (PfsTable *table, PfsContainer *c, int dir, const PfsStat *stat)
{
  g_autoptr (GBytes) mountinfo = pfs_read_mountinfo (dir);
  g_autofree char *root_key = NULL;
  PfsKubeletMount kubelet;
  unsigned long mount_id;
  gsize len;

  if (!mountinfo)
    return PFS_RANK_UNKNOWN;
  const char *content = g_bytes_get_data (mountinfo, &len);
  if (!content)
    content = "";
  bool has_root = pfs_mountinfo_root (content, len, &mount_id, &root_key);
  if (has_root && g_hash_table_contains (table->host_keys, root_key))
    return PFS_RANK_UNKNOWN;
  if (!has_finished_exec (table, dir, stat, content, len))
    return PFS_RANK_UNKNOWN;
  if (!has_root || (c->root_key && !g_str_equal (root_key, c->root_key)))
    return PFS_RANK_OTHER_ROOT;

  if (!c->root_key)
    c->root_key = g_steal_pointer (&root_key);
  if (!c->kubelet.name[0] && pfs_mountinfo_kubelet (content, len, c->pod_uid, &kubelet)) {
    c->kubelet = kubelet;
    if (!c->pod_uid[0] && c->main_rank == PFS_RANK_UNKNOWN) {
      g_free (c->pod_uid);
      c->pod_uid = g_strdup (kubelet.pod_uid);
    }
  }
  return PFS_RANK_OWN_ROOT;
}

/* A zombie, and a leader that has ended before its threads, has no root (ENOENT) and no memory. The link is the cheapest
 * to ask, where we may. */
static bool
is_alive (PfsTable *table, const PfsRecord *record)
{
  char name[32], buf[2];
  g_autoptr (GBytes) bytes = NULL;
  PfsStat stat;

  if (pfs_proc_is_live (table->proc)) {
    g_snprintf (name, sizeof name, "%d/root", record->pid);
    if (readlinkat (pfs_proc_fd (table->proc), name, buf, sizeof buf) > 0)
      return true;
    if (errno == ENOENT || errno == ESRCH)
      return false;
    g_snprintf (name, sizeof name, "%d/statm", record->pid);
    return pfs_read_prefix_at (pfs_proc_fd (table->proc), name, sizeof buf, &bytes) == 0 &&
           g_bytes_get_size (bytes) == 2 && memcmp (g_bytes_get_data (bytes, NULL), "0 ", 2) != 0;
  }
  pfs_autofd dir = pfs_proc_open_pid (table->proc, record->pid, O_PATH);
  return dir >= 0 && pfs_proc_stat_at (dir, &stat) == 0 && !pfs_stat_is_dead (&stat);
}

/* Kubernetes' pause, or podman's infra container. Its arguments are in its memory, and reading there may take as long as
 * the process likes (a mapping of a dead mount): only what calls itself so is asked. */
static bool
is_sandbox_process (PfsTable *table, const PfsRecord *record)
{
  PfsStat stat;

  pfs_autofd dir = pfs_proc_open_pid (table->proc, record->pid, O_PATH);
  return dir >= 0 && pfs_proc_stat_at (dir, &stat) == 0 &&
         (g_str_equal (stat.comm, "pause") || (g_str_equal (stat.comm, "catatonit") && is_catatonit (dir)));
}

/* Returns its rank as a main process, UNKNOWN where it can be none now. */
static PfsRank
rank_of (PfsTable *table, PfsContainer *c, PfsRecord *record)
{
  PfsStat stat;

  if (record->rank != PFS_RANK_UNKNOWN && !is_alive (table, record))
    return PFS_RANK_UNKNOWN;
  if (record->rank == PFS_RANK_OTHER_ROOT)
    return PFS_RANK_OTHER_ROOT;
  pfs_autofd dir = pfs_proc_open_pid (table->proc, record->pid, O_PATH);
  /* In this order: runc starts itself as /proc/self/exe and is called "exe" at first, with the node's root; from a memfd
   * after that, under its own name; what bears neither sign one after the other has become the container's program. */
  if (dir < 0 || exe_is_runtime (dir) || pfs_proc_stat_at (dir, &stat) < 0 || pfs_stat_is_dead (&stat) ||
      stat.start_time != record->start_time || pfs_name_is_runtime (stat.comm))
    return PFS_RANK_UNKNOWN;
  if (record->rank == PFS_RANK_UNKNOWN)
    record->rank = (guint8) examine (table, c, dir, &stat);
  return (PfsRank) record->rank;
}

static int
compare_age (gconstpointer a, gconstpointer b)
{
  const PfsRecord *x = *(PfsRecord *const *) a, *y = *(PfsRecord *const *) b;

  if (x->start_time != y->start_time)
    return x->start_time < y->start_time ? -1 : 1;
  return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static void
set_main (PfsTable *table, PfsContainer *c, const PfsRecord *record)
{
  g_autoptr (PfsPin) stale = NULL;

  if (c->main_pid == record->pid && c->main_start == record->start_time)
    return;
  pfs_watch_drop (table, c);
  c->main_is_sandbox = is_sandbox_process (table, record);
  pthread_mutex_lock (&table->lock);
  c->main_pid = record->pid;
  c->main_start = record->start_time;
  if (c->pin) {
    stale = g_steal_pointer (&c->pin);
    g_queue_remove (&table->pinned, c);
  }
  pthread_mutex_unlock (&table->lock);
}

static bool
main_lives (PfsTable *table, PfsContainer *c, const PfsRecord *record)
{
  if (c->main_watch >= 0 && !table->asks_each)
    return true;
  if (!is_alive (table, record))
    return false;
  pfs_watch_main (table, c);
  return true;
}

static bool
keeps_main (PfsTable *table, PfsContainer *c)
{
  if (c->main_rank != PFS_RANK_OWN_ROOT)
    return false;
  for (guint i = 0; i < c->members->len; i++) {
    const PfsRecord *record = &g_array_index (table->records, PfsRecord, g_array_index (c->members, guint, i));
    if (record->pid == c->main_pid)
      return record->start_time == c->main_start && main_lives (table, c, record);
  }
  return false;
}

bool
pfs_choose_main (PfsTable *table, PfsContainer *c)
{
  g_autoptr (GPtrArray) by_age = g_ptr_array_new ();
  const PfsRecord *best = NULL;
  PfsRank best_rank = PFS_RANK_UNKNOWN;

  if (keeps_main (table, c))
    return true;
  for (guint i = 0; i < c->members->len; i++)
    g_ptr_array_add (by_age, &g_array_index (table->records, PfsRecord, g_array_index (c->members, guint, i)));
  g_ptr_array_sort (by_age, compare_age);
  for (guint i = 0; i < by_age->len && best_rank != PFS_RANK_OWN_ROOT; i++) {
    PfsRecord *record = g_ptr_array_index (by_age, i);
    if (record->rank != PFS_RANK_UNKNOWN && record->rank <= best_rank)
      continue;
    PfsRank rank = rank_of (table, c, record);
    if (rank <= best_rank)
      continue;
    best = record;
    best_rank = rank;
  }
  c->main_rank = best_rank;
  if (!best)
    return false;
  set_main (table, c, best);
  return true;
}
