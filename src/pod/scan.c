/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One scan: from the processes there are to the containers that are listed. */
#include "state.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define SETTLE_SECONDS 10 /* a process joins its container's cgroup within this time */

static guint64
boot_ticks (const PfsTable *table)
{
  struct timespec now;

  if (!table->proc->live || clock_gettime (CLOCK_BOOTTIME, &now) < 0)
    return 0;
  return (guint64) now.tv_sec * table->ticks_per_second
         + (guint64) now.tv_nsec * table->ticks_per_second / G_GUINT64_CONSTANT (1000000000);
}

/* Returns 1, 0, or -errno if that cannot be told: to forget what is known of the process could end its container. */
static int
is_same_process (PfsTable *table, const PfsProcessInfo *info, const PfsPidEntry *entry)
{
  PfsStat stat;

  /* Numbers of other filesystems are used again. */
  if (info->ino == entry->ino && table->proc->live)
    return 1;
  int r = pfs_proc_stat_at (table->proc->fd, entry->pid, &stat);
  if (r < 0)
    return r == -ENOENT || r == -ESRCH || r == -EINVAL ? 0 : r;
  return stat.start_time == info->start_time;
}

/* Carries what is known over to the pids that are there now; both sides are in the order of pids. Returns 0 or -errno:
 * then nothing has changed. */
static int
read_processes (PfsTable *table)
{
  const PfsProcessInfo *known = (const PfsProcessInfo *) table->processes->data, *end = known + table->processes->len;
  g_autoptr (GArray) entries = g_array_sized_new (FALSE, FALSE, sizeof (PfsPidEntry), table->processes->len + 64);
  g_autoptr (GArray) processes = NULL;

  int r = pfs_proc_list_pids (table->proc, entries);
  if (r < 0)
    return r;
  processes = g_array_sized_new (FALSE, FALSE, sizeof (PfsProcessInfo), entries->len);
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

static void
collect_members (PfsTable *table)
{
  g_autoptr (GList) all = g_hash_table_get_values (table->instances);

  for (const GList *l = all; l; l = l->next)
    g_ptr_array_set_size (((PfsContainer *) l->data)->members, 0);
  for (guint i = 0; i < table->processes->len; i++) {
    PfsProcessInfo *info = &g_array_index (table->processes, PfsProcessInfo, i);
    if (info->container)
      g_ptr_array_add (info->container->members, info);
  }
}

/* Whatever still carries its id is looked at afresh, and makes another instance if it is alive. */
static void
end_instance (PfsTable *table, PfsContainer *c)
{
  for (guint i = 0; i < c->members->len; i++) {
    PfsProcessInfo *info = c->members->pdata[i];
    info->container = NULL;
    info->kind = PFS_KIND_PENDING;
    info->rank = PFS_RANK_UNKNOWN;
  }
  g_atomic_int_set (&c->ended, 1);
  g_mutex_lock (&table->lock);
  PfsProcess *process = pfs_container_unpin (c);
  table->n_ended++;
  void (*func) (gpointer data) = table->pinned_func;
  gpointer data = table->pinned_data;
  g_mutex_unlock (&table->lock);
  g_clear_pointer (&process, pfs_process_unref);
  if (func)
    func (data);
}

/* Before new processes are let in. An instance goes on only with processes that it had. Else a container restarted
 * under its old id (podman does so) would be taken for the one that ended. */
static void
end_instances (PfsTable *table)
{
  g_autoptr (GList) all = g_hash_table_get_values (table->instances);

  for (const GList *l = all; l; l = l->next) {
    PfsContainer *c = l->data;
    if (c->members->len > 0 && (pfs_choose_main (table, c) != -ESRCH || c->main_pid == 0))
      continue;
    end_instance (table, c);
    g_hash_table_remove (table->instances, c->cgroup.chain);
  }
}

/* Returns how many are left whose cgroup names no container. */
static guint
classify_all (PfsTable *table)
{
  guint n = 0;

  for (guint i = 0; i < table->processes->len; i++) {
    PfsProcessInfo *info = &g_array_index (table->processes, PfsProcessInfo, i);
    if (info->kind == PFS_KIND_PENDING
        || (info->kind == PFS_KIND_OUTSIDE && pfs_table_is_young (table, info->start_time, SETTLE_SECONDS)))
      pfs_classify (table, info);
    n += info->kind == PFS_KIND_WITHOUT_ID || info->kind == PFS_KIND_BESIDE;
  }
  return n;
}

static void
classify_rest (PfsTable *table)
{
  for (guint i = 0; i < table->processes->len; i++) {
    PfsProcessInfo *info = &g_array_index (table->processes, PfsProcessInfo, i);
    if (info->kind == PFS_KIND_WITHOUT_ID || info->kind == PFS_KIND_BESIDE)
      pfs_classify_without_id (table, info);
  }
}

/* What was taken for a container by its kubelet mount alone is none once that mount is known to be of one with an id.
 */
static void
end_doubles (PfsTable *table)
{
  g_autoptr (GList) all = g_hash_table_get_values (table->instances);

  for (const GList *l = all; l; l = l->next) {
    PfsContainer *c = l->data;
    if (c->has_cgroup_id || !c->kubelet.name[0] || !pfs_find_by_kubelet (table, &c->kubelet))
      continue;
    end_instance (table, c);
    g_hash_table_remove (table->instances, c->cgroup.chain);
  }
}

static int
compare_depth (gconstpointer a, gconstpointer b)
{
  const PfsContainer *x = *(PfsContainer *const *) a, *y = *(PfsContainer *const *) b;

  return x->cgroup.depth < y->cgroup.depth ? -1 : x->cgroup.depth > y->cgroup.depth;
}

/* After processes have joined. Main processes of all that have none yet, or one that a new process may be better than.
 * Outer containers come first: what their root is has to be known of those within. */
static void
choose_all (PfsTable *table)
{
  g_autoptr (GPtrArray) open = g_ptr_array_new ();

  collect_members (table);
  g_autoptr (GList) all = g_hash_table_get_values (table->instances);
  for (const GList *l = all; l; l = l->next)
    if (((PfsContainer *) l->data)->main_rank != PFS_RANK_OWN_ROOT)
      g_ptr_array_add (open, l->data);
  g_ptr_array_sort (open, compare_depth);
  for (guint i = 0; i < open->len; i++)
    pfs_choose_main (table, open->pdata[i]);
}

static GArray *
member_pids (const PfsContainer *c)
{
  GArray *pids = g_array_sized_new (FALSE, FALSE, sizeof (pid_t), c->members->len);

  for (guint i = 0; i < c->members->len; i++)
    g_array_append_val (pids, ((const PfsProcessInfo *) c->members->pdata[i])->pid);
  return pids;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(PfsContainer *const *) a)->next_name, (*(PfsContainer *const *) b)->next_name);
}

static GPtrArray *
list_by_name (const GPtrArray *live)
{
  GPtrArray *listed = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_container_unref);

  for (guint i = 0; i < live->len; i++)
    if (((PfsContainer *) live->pdata[i])->next_name)
      g_ptr_array_add (listed, pfs_container_ref (live->pdata[i]));
  g_ptr_array_sort (listed, compare_names);
  return listed;
}

static void
publish (PfsTable *table, GPtrArray *live)
{
  g_autoptr (GPtrArray) pods = pfs_pods_list (table, live);
  GPtrArray *listed = list_by_name (live), *listed_before;
  const PfsProcessInfo *first = table->processes->len > 0 ? &g_array_index (table->processes, PfsProcessInfo, 0) : NULL;

  g_mutex_lock (&table->lock);
  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = live->pdata[i];
    g_array_unref (c->pids);
    c->pids = member_pids (c);
    if (c->next_name && g_strcmp0 (c->name, c->next_name) != 0) {
      g_free (c->name);
      c->name = g_strdup (c->next_name);
    }
  }
  listed_before = table->listed;
  table->listed = listed;
  g_ptr_array_unref (table->pods);
  table->pods = g_steal_pointer (&pods);
  table->shows_node = first && first->pid == 1 && !first->container;
  g_mutex_unlock (&table->lock);
  /* Without the lock: the last reference to a container may go with it. */
  g_ptr_array_unref (listed_before);
}

int
pfs_table_scan (PfsTable *table)
{
  g_autoptr (GPtrArray) live = g_ptr_array_new ();

  table->now = boot_ticks (table);
  int r = pfs_self_read (table);
  if (r == 0)
    r = read_processes (table);
  if (r < 0)
    return r;
  collect_members (table);
  end_instances (table);
  guint rest = classify_all (table);
  choose_all (table);
  end_doubles (table);
  if (rest > 0) {
    classify_rest (table);
    choose_all (table);
  }

  g_autoptr (GList) all = g_hash_table_get_values (table->instances);
  for (const GList *l = all; l; l = l->next) {
    PfsContainer *c = l->data;
    if (c->main_pid > 0 && (c->main_rank != PFS_RANK_UNKNOWN || c->main_error != -ESRCH))
      g_ptr_array_add (live, c);
  }
  pfs_pods_place (table, live);
  pfs_assign_names (table, live);
  publish (table, live);
  return 0;
}
