/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table's life, its answers, and the rule by which concurrent callers share scans. */
#include "container.h"

#include <errno.h>
#include <unistd.h>

#include "naming.h"
#include "pods.h"
#include "processes.h"
#include "scan.h"
#include "state.h"

static void
add_rules (PfsTable *table, const GPtrArray *names)
{
  for (guint i = 0; names && i < names->len; i++) {
    g_autofree PfsNameRule *rule = g_new0 (PfsNameRule, 1);
    if (pfs_name_rule_parse (g_ptr_array_index (names, i), rule))
      g_ptr_array_add (table->rules, g_steal_pointer (&rule));
  }
}

static void
notice_free (gpointer data)
{
  PfsNotice *notice = data;

  g_free (notice->name);
  g_free (notice->id);
  g_free (notice->other);
  g_free (notice);
}

PfsTable *
pfs_table_new (PfsProc *proc, const PfsTableOptions *options)
{
  PfsTable *table = g_new0 (PfsTable, 1);
  long hz = sysconf (_SC_CLK_TCK);

  table->users = 1;
  table->refs = 1;
  table->proc = pfs_proc_ref (proc);
  table->patience = pfs_patience_new ();
  table->may_fork = options && options->may_fork;
  table->sandbox = options && options->sandbox;
  table->scope = options ? options->scope : PFS_SCOPE_OWN;
  table->pod = g_strdup (options ? options->pod : NULL);
  table->rules = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_name_rule_free);
  add_rules (table, options ? options->names : NULL);
  pthread_mutex_init (&table->lock, NULL);
  pthread_cond_init (&table->scanned, NULL);
  g_queue_init (&table->pinned);
  table->notices = g_ptr_array_new_with_free_func (notice_free);
  table->listed = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_container_unref);
  table->by_name = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  table->by_group = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
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
static void
dispose (PfsTable *table)
{
  g_autoptr (GPtrArray) processes = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_process_unref);
  GHashTableIter iter;
  gpointer value;

  pthread_mutex_lock (&table->lock);
  while (table->scanning)
    pthread_cond_wait (&table->scanned, &table->lock);
  g_hash_table_iter_init (&iter, table->instances);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    PfsProcess *process = pfs_container_end (value);
    if (process)
      g_ptr_array_add (processes, process);
  }
  GPtrArray *listed = g_steal_pointer (&table->listed);
  GHashTable *instances = g_steal_pointer (&table->instances);
  g_hash_table_remove_all (table->by_name);
  g_hash_table_remove_all (table->by_group);
  pthread_mutex_unlock (&table->lock);

  g_ptr_array_unref (listed);
  g_hash_table_unref (instances);
}

void
pfs_table_unref (PfsTable *table)
{
  if (!g_atomic_int_dec_and_test (&table->users))
    return;
  dispose (table);
  pfs_table_memory_unref (table);
}

bool
pfs_table_shows_node (PfsTable *table)
{
  pthread_mutex_lock (&table->lock);
  bool shows_node = table->shows_node;
  pthread_mutex_unlock (&table->lock);
  return shows_node;
}

void
pfs_table_set_notice_func (PfsTable *table, PfsNoticeFunc func, gpointer data)
{
  pthread_mutex_lock (&table->lock);
  table->notice_func = func;
  table->notice_data = data;
  pthread_mutex_unlock (&table->lock);
}

bool
pfs_table_check_name (const char *arg)
{
  g_autofree PfsNameRule *rule = g_new0 (PfsNameRule, 1);

  if (!pfs_name_rule_parse (arg, rule))
    return false;
  pfs_name_rule_free (g_steal_pointer (&rule));
  return true;
}

/* Waits for a scan that begins after this call. Returns its result. */
static int
rescan (PfsTable *table)
{
  pthread_mutex_lock (&table->lock);
  guint64 wanted = table->scans_begun + 1;
  while (table->scans_done < wanted && table->instances) {
    if (table->scanning) {
      pthread_cond_wait (&table->scanned, &table->lock);
      continue;
    }
    table->scanning = true;
    guint64 number = ++table->scans_begun;
    pthread_mutex_unlock (&table->lock);
    int r = pfs_table_scan (table);
    pthread_mutex_lock (&table->lock);
    table->scanning = false;
    table->scans_done = number;
    table->result = r;
    pthread_cond_broadcast (&table->scanned);
  }
  int result = table->instances ? table->result : -ESRCH;
  pthread_mutex_unlock (&table->lock);
  return result;
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

  pthread_mutex_lock (&table->lock);
  if (r == 0) {
    GPtrArray *list = g_ptr_array_new_full (table->listed->len, (GDestroyNotify) pfs_container_unref);
    for (guint i = 0; i < table->listed->len; i++)
      g_ptr_array_add (list, pfs_container_ref (g_ptr_array_index (table->listed, i)));
    *ret = list;
  }
  pthread_mutex_unlock (&table->lock);
  return r;
}

static PfsContainer *
lookup (PfsTable *table, bool group, const char *name)
{
  pthread_mutex_lock (&table->lock);
  PfsContainer *c = g_hash_table_lookup (group ? table->by_group : table->by_name, name);
  if (c)
    pfs_container_ref (c);
  pthread_mutex_unlock (&table->lock);
  return c;
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
  pthread_mutex_lock (&c->table->lock);
  int r = pfs_container_ended (c) ? -ESRCH : c->main_error;
  pthread_mutex_unlock (&c->table->lock);
  return r;
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
