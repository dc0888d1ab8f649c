/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One scan: from the processes there are to the containers that are listed. */
#include "table_priv.h"

#include <errno.h>
#include <time.h>

bool
pfs_table_is_young (const PfsTable *table, guint64 start_time, guint seconds)
{
  return table->now > 0 && start_time + seconds * table->ticks_per_second > table->now;
}

static guint64
boot_ticks (const PfsTable *table)
{
  struct timespec now;

  if (!pfs_proc_is_live (table->proc) || clock_gettime (CLOCK_BOOTTIME, &now) < 0)
    return 0;
  return (guint64) now.tv_sec * table->ticks_per_second +
         (guint64) now.tv_nsec * table->ticks_per_second / G_GUINT64_CONSTANT (1000000000);
}

static void
collect_members (PfsTable *table)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, table->instances);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    g_array_set_size (((PfsContainer *) value)->members, 0);
  for (guint i = 0; i < table->records->len; i++) {
    PfsContainer *c = g_array_index (table->records, PfsRecord, i).container;
    if (c)
      g_array_append_val (c->members, i);
  }
}

/* Whatever still carries its id is looked at afresh, and makes another instance if it is alive. */
static void
end_instance (PfsTable *table, PfsContainer *c)
{
  for (guint i = 0; i < c->members->len; i++) {
    PfsRecord *record = &g_array_index (table->records, PfsRecord, g_array_index (c->members, guint, i));
    record->container = NULL;
    record->kind = PFS_KIND_PENDING;
    record->rank = PFS_RANK_UNKNOWN;
  }
  pfs_watch_drop (table, c);
  pthread_mutex_lock (&table->lock);
  PfsPin *pin = pfs_container_end (c);
  pthread_mutex_unlock (&table->lock);
  g_clear_pointer (&pin, pfs_pin_unref);
}

/* Before new processes are let in: an instance goes on only with processes that it had, or else a container restarted
 * under the id it had (podman does so) would be taken for the one that ended. How many have ended. */
static guint
end_instances (PfsTable *table)
{
  GHashTableIter iter;
  gpointer value;
  guint n = 0;

  g_hash_table_iter_init (&iter, table->instances);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    PfsContainer *c = value;
    if (c->members->len > 0 && (pfs_choose_main (table, c) != -ESRCH || c->main_pid == 0))
      continue;
    end_instance (table, c);
    g_hash_table_iter_remove (&iter);
    n++;
  }
  return n;
}

/* Where an instance has ended, its processes must not stay on record: they would be looked at by each scan. */
static int
update_records (PfsTable *table, bool exact)
{
  bool whole = exact || !pfs_records_read_recent (table);
  int r = whole ? pfs_records_read (table) : 0;

  if (r < 0)
    return r;
  pfs_watch_collect (table, exact);
  collect_members (table);
  return end_instances (table) > 0 && !whole ? update_records (table, true) : 0;
}

static bool
needs_look (const PfsTable *table, const PfsRecord *record)
{
  switch ((PfsKind) record->kind) {
  case PFS_KIND_NEW:
  case PFS_KIND_PENDING:
    return true;
  case PFS_KIND_OUTSIDE:
    return pfs_table_is_young (table, record->start_time, PFS_SETTLE_SECONDS);
  case PFS_KIND_MEMBER:
    break;
  }
  return false;
}

static void
classify_all (PfsTable *table)
{
  for (guint i = 0; i < table->records->len; i++) {
    PfsRecord *record = &g_array_index (table->records, PfsRecord, i);
    if (!needs_look (table, record))
      continue;
    pfs_classify (table, record);
    if (record->container)
      g_array_append_val (record->container->members, i);
  }
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

/* The pids for publishing: the array others may hold where nothing has changed, else a new one. */
static GArray *
member_pids (PfsTable *table, PfsContainer *c)
{
  bool same = c->pids && c->pids->len == c->members->len;

  sort_members (c);
  for (guint i = 0; i < c->members->len && same; i++)
    same = g_array_index (c->pids, pid_t, i) ==
           g_array_index (table->records, PfsRecord, g_array_index (c->members, guint, i)).pid;
  if (same)
    return g_array_ref (c->pids);
  GArray *pids = g_array_sized_new (FALSE, FALSE, sizeof (pid_t), c->members->len);
  for (guint i = 0; i < c->members->len; i++)
    g_array_append_val (pids, g_array_index (table->records, PfsRecord, g_array_index (c->members, guint, i)).pid);
  return pids;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 ((*(PfsContainer *const *) a)->next_name, (*(PfsContainer *const *) b)->next_name);
}

static void
publish (PfsTable *table, GPtrArray *live, const char *bad)
{
  g_autoptr (GPtrArray) listed = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_container_unref);
  g_autoptr (GHashTable) by_name = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GPtrArray) pids = g_ptr_array_new ();

  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = g_ptr_array_index (live, i);
    g_ptr_array_add (pids, member_pids (table, c));
    if (c->next_name)
      g_ptr_array_add (listed, pfs_container_ref (c));
  }
  g_ptr_array_sort (listed, compare_names);

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
  for (guint i = 0; i < listed->len && !bad; i++) {
    PfsContainer *c = g_ptr_array_index (listed, i);
    g_hash_table_insert (by_name, g_strdup (c->next_name), c);
  }
  GPtrArray *old_listed = table->listed;
  GHashTable *old_by_name = table->by_name;
  table->listed = g_steal_pointer (&listed);
  table->by_name = g_steal_pointer (&by_name);
  g_free (table->bad_rule);
  table->bad_rule = g_strdup (bad);
  pthread_mutex_unlock (&table->lock);

  /* After unlocking: the last reference to a container may go with it. */
  g_hash_table_unref (old_by_name);
  g_ptr_array_unref (old_listed);
}

int
pfs_table_scan (PfsTable *table, bool exact)
{
  g_autoptr (GPtrArray) live = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer value;

  table->now = boot_ticks (table);
  pfs_self_clear (&table->self);
  int r = update_records (table, exact);
  if (r < 0)
    return r;
  classify_all (table);

  g_hash_table_iter_init (&iter, table->instances);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    PfsContainer *c = value;
    /* One that went on has been looked at already, but a new process may be better than what it had to do with. */
    int found = c->main_rank == PFS_RANK_OWN_ROOT ? 0 : pfs_choose_main (table, c);
    if (found == 0 || (found != -ESRCH && c->main_pid > 0))
      g_ptr_array_add (live, c);
  }
  const char *bad = pfs_assign_names (table, live);
  publish (table, live, bad);
  return bad ? -ENOTUNIQ : 0;
}
