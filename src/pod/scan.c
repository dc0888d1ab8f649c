/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One scan: from the processes there are to the containers that are listed. */
#include "scan.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "group.h"
#include "identity.h"
#include "main_process.h"
#include "naming.h"
#include "pods.h"

#define SETTLE_SECONDS 10 /* a process joins its container's cgroup within this time */

static guint64
boot_ticks (const PfsTable *table)
{
  struct timespec now;

  if (!pfs_proc_is_live (table->proc) || clock_gettime (CLOCK_BOOTTIME, &now) < 0)
    return 0;
  return (guint64) now.tv_sec * table->ticks_per_second
         + (guint64) now.tv_nsec * table->ticks_per_second / G_GUINT64_CONSTANT (1000000000);
}

static void
collect_members (PfsTable *table)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, table->instances);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    g_array_set_size (((PfsContainer *) value)->members, 0);
  for (guint i = 0; i < table->processes->len; i++) {
    PfsContainer *c = g_array_index (table->processes, PfsProcessInfo, i).container;
    if (c)
      g_array_append_val (c->members, i);
  }
}

/* Whatever still carries its id is looked at afresh, and makes another instance if it is alive. */
static void
end_instance (PfsTable *table, PfsContainer *c)
{
  for (guint i = 0; i < c->members->len; i++) {
    PfsProcessInfo *info = &g_array_index (table->processes, PfsProcessInfo, g_array_index (c->members, guint, i));
    info->container = NULL;
    info->kind = PFS_KIND_PENDING;
    info->rank = PFS_RANK_UNKNOWN;
  }
  pthread_mutex_lock (&table->lock);
  PfsProcess *process = pfs_container_end (c);
  table->n_ended++;
  void (*func) (gpointer data) = table->pinned_func;
  gpointer data = table->pinned_data;
  pthread_mutex_unlock (&table->lock);
  g_clear_pointer (&process, pfs_process_unref);
  if (func)
    func (data);
}

/* Before new processes are let in: an instance goes on only with processes that it had, or else a container restarted
 * under the id it had (podman does so) would be taken for the one that ended. */
static void
end_instances (PfsTable *table)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, table->instances);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    PfsContainer *c = value;
    if (c->members->len > 0 && (pfs_choose_main (table, c) != -ESRCH || c->main_pid == 0))
      continue;
    end_instance (table, c);
    g_hash_table_iter_remove (&iter);
  }
}

static bool
needs_look (const PfsTable *table, const PfsProcessInfo *info)
{
  switch ((PfsKind) info->kind) {
  case PFS_KIND_NEW:
  case PFS_KIND_PENDING:
  case PFS_KIND_WITHOUT_ID:
  case PFS_KIND_BESIDE:
    return true;
  case PFS_KIND_OUTSIDE:
    return pfs_table_is_young (table, info->start_time, SETTLE_SECONDS);
  case PFS_KIND_MEMBER:
    break;
  }
  return false;
}

/* Returns how many are left whose cgroup names no container. */
static guint
classify_all (PfsTable *table)
{
  guint n = 0;

  for (guint i = 0; i < table->processes->len; i++) {
    PfsProcessInfo *info = &g_array_index (table->processes, PfsProcessInfo, i);
    if (!needs_look (table, info))
      continue;
    pfs_classify (table, info);
    if (info->container)
      g_array_append_val (info->container->members, i);
    n += info->kind == PFS_KIND_WITHOUT_ID || info->kind == PFS_KIND_BESIDE;
  }
  return n;
}

static void
classify_rest (PfsTable *table)
{
  for (guint i = 0; i < table->processes->len; i++) {
    PfsProcessInfo *info = &g_array_index (table->processes, PfsProcessInfo, i);
    if (info->kind != PFS_KIND_WITHOUT_ID && info->kind != PFS_KIND_BESIDE)
      continue;
    pfs_classify_without_id (table, info);
    if (info->container)
      g_array_append_val (info->container->members, i);
  }
}

/* What was taken for a container by its kubelet mount alone is none once that mount is known to be of one with an id.
 */
static void
end_doubles (PfsTable *table)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, table->instances);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    PfsContainer *c = value;
    if (c->has_cgroup_id || !c->kubelet.name[0] || !pfs_find_by_kubelet (table, &c->kubelet))
      continue;
    end_instance (table, c);
    g_hash_table_iter_remove (&iter);
  }
}

static int
compare_depth (gconstpointer a, gconstpointer b)
{
  const PfsContainer *x = *(PfsContainer *const *) a, *y = *(PfsContainer *const *) b;

  return x->depth < y->depth ? -1 : x->depth > y->depth;
}

/* Main processes of all that have none yet, or one that a new process may be better than. Outer containers come first:
 * what their root is has to be known of those within. */
static void
choose_all (PfsTable *table)
{
  g_autoptr (GPtrArray) open = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, table->instances);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((PfsContainer *) value)->main_rank != PFS_RANK_OWN_ROOT)
      g_ptr_array_add (open, value);
  g_ptr_array_sort (open, compare_depth);
  for (guint i = 0; i < open->len; i++)
    pfs_choose_main (table, open->pdata[i]);
}

static int
compare_guints (gconstpointer a, gconstpointer b)
{
  guint x = *(const guint *) a, y = *(const guint *) b;

  return x < y ? -1 : x > y;
}

/* Only processes that have just joined are out of order. */
static void
sort_members (PfsContainer *c)
{
  for (guint i = 1; i < c->members->len; i++)
    if (g_array_index (c->members, guint, i - 1) > g_array_index (c->members, guint, i)) {
      g_array_sort (c->members, compare_guints);
      return;
    }
}

/* The pids for publishing: the array that others may hold if nothing has changed, else a new one. */
static GArray *
member_pids (PfsTable *table, PfsContainer *c)
{
  bool same = c->pids && c->pids->len == c->members->len;

  sort_members (c);
  for (guint i = 0; i < c->members->len && same; i++)
    same = g_array_index (c->pids, pid_t, i)
           == g_array_index (table->processes, PfsProcessInfo, g_array_index (c->members, guint, i)).pid;
  if (same)
    return g_array_ref (c->pids);
  GArray *pids = g_array_sized_new (FALSE, FALSE, sizeof (pid_t), c->members->len);
  for (guint i = 0; i < c->members->len; i++)
    g_array_append_val (pids,
                        g_array_index (table->processes, PfsProcessInfo, g_array_index (c->members, guint, i)).pid);
  return pids;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 ((*(PfsContainer *const *) a)->next_name, (*(PfsContainer *const *) b)->next_name);
}

/* By the name, and by what is before each '/' of it. */
static void
index_listed (const GPtrArray *listed, GHashTable *by_name, GHashTable *by_group)
{
  for (guint i = 0; i < listed->len; i++) {
    PfsContainer *c = g_ptr_array_index (listed, i);
    g_hash_table_insert (by_name, g_strdup (c->next_name), c);
    for (const char *slash = strchr (c->next_name, '/'); slash; slash = strchr (slash + 1, '/'))
      g_hash_table_insert (by_group, g_strndup (c->next_name, (gsize) (slash - c->next_name)), c);
  }
}

#define SWAP(a, b)                                                                                                     \
  do {                                                                                                                 \
    gpointer swapped_ = (a);                                                                                           \
    (a) = (b);                                                                                                         \
    (b) = swapped_;                                                                                                    \
  } while (0)

static void
publish (PfsTable *table, GPtrArray *live)
{
  g_autoptr (GPtrArray) listed = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_container_unref);
  g_autoptr (GHashTable) by_name = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) by_group = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GPtrArray) pids = g_ptr_array_new ();
  g_autoptr (GPtrArray) pods = pfs_pods_list (table, live);
  const PfsProcessInfo *first = table->processes->len > 0 ? &g_array_index (table->processes, PfsProcessInfo, 0) : NULL;

  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = g_ptr_array_index (live, i);
    g_ptr_array_add (pids, member_pids (table, c));
    if (c->next_name)
      g_ptr_array_add (listed, pfs_container_ref (c));
  }
  g_ptr_array_sort (listed, compare_names);
  index_listed (listed, by_name, by_group);

  pthread_mutex_lock (&table->lock);
  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = g_ptr_array_index (live, i);
    if (c->pids)
      g_array_unref (c->pids);
    c->pids = g_ptr_array_index (pids, i);
    if (c->next_name && g_strcmp0 (c->name, c->next_name) != 0) {
      g_free (c->name);
      c->name = g_strdup (c->next_name);
    }
  }
  /* What was there before goes after unlocking: the last reference to a container may go with it. */
  SWAP (table->listed, listed);
  SWAP (table->by_name, by_name);
  SWAP (table->by_group, by_group);
  SWAP (table->pods, pods);
  table->shows_node = first && first->pid == 1 && !first->container;
  pthread_mutex_unlock (&table->lock);
}

static void
tell_notices (PfsTable *table)
{
  pthread_mutex_lock (&table->lock);
  PfsNoticeFunc func = table->notice_func;
  gpointer data = table->notice_data;
  pthread_mutex_unlock (&table->lock);
  if (!func)
    return;
  for (guint i = 0; i < table->notices->len; i++)
    func (table->notices->pdata[i], data);
  g_ptr_array_set_size (table->notices, 0);
}

int
pfs_table_scan (PfsTable *table)
{
  g_autoptr (GPtrArray) live = g_ptr_array_new ();
  const PfsSelf *self;
  GHashTableIter iter;
  gpointer value;

  table->now = boot_ticks (table);
  int r = pfs_processes_read (table);
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

  g_hash_table_iter_init (&iter, table->instances);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    PfsContainer *c = value;
    if (c->main_pid > 0 && (c->main_rank != PFS_RANK_UNKNOWN || c->main_error != -ESRCH))
      g_ptr_array_add (live, c);
  }
  /* Whether a name is our own pod's needs to be known; without that, names stay. */
  r = pfs_self_get (table, &self);
  if (r < 0)
    return r;
  pfs_pods_place (table, live);
  pfs_assign_names (table, live);
  publish (table, live);
  tell_notices (table);
  return 0;
}
