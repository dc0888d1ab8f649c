/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table's life, its answers, and the rule by which concurrent callers share scans. */
#include "state.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

PfsTable *
pfs_table_new (PfsProc *proc, const PfsTableOptions *options)
{
  PfsTable *table = g_new0 (PfsTable, 1);
  long hz = sysconf (_SC_CLK_TCK);

  table->users = 1;
  table->refs = 1;
  table->proc = pfs_proc_ref (proc);
  table->patience = pfs_patience_new ();
  if (options)
    table->options = *options;
  table->options.pod = g_strdup (table->options.pod);
  table->options.names = table->options.names ? g_ptr_array_ref (table->options.names) : g_ptr_array_new ();
  table->names_told = g_new0 (bool, table->options.names->len);
  g_mutex_init (&table->lock);
  g_cond_init (&table->scanned);
  g_queue_init (&table->pinned);
  table->listed = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_container_unref);
  table->pods = g_ptr_array_new ();
  table->pod_names = g_hash_table_new (g_str_hash, g_str_equal);
  table->processes = g_array_new (FALSE, FALSE, sizeof (PfsProcessInfo));
  table->instances = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) pfs_container_unref);
  table->ticks_per_second = hz > 0 ? (guint64) hz : 100;
  return table;
}

PfsTable *
pfs_table_ref (PfsTable *table)
{
  g_atomic_int_inc (&table->users);
  return table;
}

/* The table holds its containers and they hold its memory: with its last user it lets go of them. */
void
pfs_table_unref (PfsTable *table)
{
  g_autoptr (GPtrArray) processes = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_process_unref);

  if (!g_atomic_int_dec_and_test (&table->users))
    return;
  g_mutex_lock (&table->lock);
  while (table->scanning)
    g_cond_wait (&table->scanned, &table->lock);
  g_autoptr (GList) all = g_hash_table_get_values (table->instances);
  for (const GList *l = all; l; l = l->next) {
    PfsContainer *c = l->data;
    g_atomic_int_set (&c->ended, 1);
    if (c->process)
      g_ptr_array_add (processes, pfs_container_unpin (c));
  }
  GPtrArray *listed = g_steal_pointer (&table->listed);
  GHashTable *instances = g_steal_pointer (&table->instances);
  g_mutex_unlock (&table->lock);
  g_ptr_array_unref (listed);
  g_hash_table_unref (instances);
  pfs_table_memory_unref (table);
}

PfsProc *
pfs_table_proc (const PfsTable *table)
{
  return table->proc;
}

PfsScope
pfs_table_scope (const PfsTable *table)
{
  return table->options.scope;
}

bool
pfs_table_shows_node (PfsTable *table)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  return table->shows_node;
}

void
pfs_table_set_notice_func (PfsTable *table, PfsNoticeFunc func, gpointer data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  table->notice_func = func;
  table->notice_data = data;
}

/* Waits for a scan that begins after this call. Returns its result. */
static int
rescan (PfsTable *table)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  guint64 wanted = table->scans_begun + 1;
  while (table->scans_done < wanted && table->instances) {
    if (table->scanning) {
      g_cond_wait (&table->scanned, &table->lock);
      continue;
    }
    table->scanning = true;
    guint64 number = ++table->scans_begun;
    g_mutex_unlock (&table->lock);
    int r = pfs_table_scan (table);
    g_mutex_lock (&table->lock);
    table->scanning = false;
    table->scans_done = number;
    table->result = r;
    g_cond_broadcast (&table->scanned);
  }
  return table->instances ? table->result : -ESRCH;
}

/* Names are wanted, too. */
static int
rescan_with_pods (PfsTable *table)
{
  int r = rescan (table);

  return r == 0 && pfs_pods_learn (table) ? rescan (table) : r;
}

int
pfs_table_list (PfsTable *table, GPtrArray **ret)
{
  int r = rescan_with_pods (table);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  if (r == 0)
    *ret = g_ptr_array_ref (table->listed);
  return r;
}

/* A reference of the container of that name, or of one in that group; NULL if there is none. */
static PfsContainer *
lookup (PfsTable *table, bool group, const char *name)
{
  g_autofree char *wanted = group ? g_strconcat (name, "/", NULL) : g_strdup (name);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  for (guint i = 0; i < table->listed->len; i++) {
    PfsContainer *c = table->listed->pdata[i];
    if (group ? g_str_has_prefix (c->name, wanted) : g_str_equal (c->name, wanted))
      return pfs_container_ref (c);
  }
  return NULL;
}

static int
find (PfsTable *table, bool group, const char *name, PfsContainer **ret)
{
  g_autoptr (PfsContainer) c = lookup (table, group, name);
  g_autoptr (PfsProcess) process = NULL;

  if (!c || pfs_container_process (c, &process) < 0) {
    g_clear_pointer (&c, pfs_container_unref);
    int r = rescan_with_pods (table);
    if (r < 0)
      return r;
    c = lookup (table, group, name);
  }
  if (!c)
    return -ENOENT;
  *ret = g_steal_pointer (&c);
  return 0;
}

int
pfs_table_find (PfsTable *table, const char *name, PfsContainer **ret)
{
  return find (table, false, name, ret);
}

int
pfs_table_find_group (PfsTable *table, const char *path)
{
  g_autoptr (PfsContainer) c = NULL;

  return find (table, true, path, &c);
}

/* --- what a container is asked, if the answer takes a scan --- */

#define MAIN_TRIES 4

static int
main_error (PfsContainer *c)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&c->table->lock);

  return pfs_container_ended (c) ? -ESRCH : c->main_error;
}

int
pfs_container_main (PfsContainer *c, PfsProcess **ret)
{
  for (guint i = 0; i < MAIN_TRIES; i++) {
    int r = pfs_container_process (c, ret);
    if (r != -ESRCH)
      return r;
    if (pfs_container_ended (c))
      return -ESRCH;
    r = rescan (c->table);
    if (r < 0)
      return r;
    r = main_error (c);
    if (r < 0)
      return r;
  }
  return -EAGAIN;
}

int
pfs_container_pids_now (PfsContainer *c, GArray **ret)
{
  if (pfs_container_ended (c))
    return -ESRCH;
  int r = rescan (c->table);
  if (r < 0)
    return r;
  if (pfs_container_ended (c))
    return -ESRCH;
  *ret = pfs_container_pids (c);
  return 0;
}
