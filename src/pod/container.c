/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One container, and its main process, which is kept pinned between calls. */
#include "state.h"

#include <errno.h>

void
pfs_table_memory_unref (PfsTable *table)
{
  if (!g_atomic_int_dec_and_test (&table->refs))
    return;
  pfs_self_clear (&table->self);
  g_array_unref (table->processes);
  g_ptr_array_unref (table->pods);
  g_hash_table_unref (table->pod_names);
  g_free (table->options.pod);
  g_free (table->node_root);
  g_ptr_array_unref (table->options.names);
  g_free (table->names_told);
  g_mutex_clear (&table->lock);
  g_cond_clear (&table->scanned);
  pfs_patience_unref (table->patience);
  pfs_proc_unref (table->proc);
  g_free (table);
}

PfsContainer *
pfs_container_new (PfsTable *table, const PfsCgroup *cgroup, bool has_cgroup_id)
{
  PfsContainer *c = g_new0 (PfsContainer, 1);

  c->refs = 1;
  c->table = table;
  c->proc = table->proc;
  g_atomic_int_inc (&table->refs);
  c->serial = ++table->next_serial;
  c->cgroup = *cgroup;
  c->has_cgroup_id = has_cgroup_id;
  c->members = g_ptr_array_new ();
  c->pids = g_array_new (FALSE, FALSE, sizeof (pid_t));
  return c;
}

PfsContainer *
pfs_container_ref (PfsContainer *c)
{
  g_atomic_int_inc (&c->refs);
  return c;
}

void
pfs_container_unref (PfsContainer *c)
{
  if (!g_atomic_int_dec_and_test (&c->refs))
    return;
  PfsTable *table = c->table;
  g_free (c->place);
  g_free (c->root_key);
  g_free (c->next_name);
  g_free (c->name);
  g_ptr_array_unref (c->members);
  g_array_unref (c->pids);
  g_free (c);
  pfs_table_memory_unref (table);
}

PfsProcess *
pfs_container_unpin (PfsContainer *c)
{
  if (c->process)
    g_queue_remove (&c->table->pinned, c);
  return g_steal_pointer (&c->process);
}

char *
pfs_container_name (PfsContainer *c)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&c->table->lock);

  return g_strdup (c->name);
}

/* Keeps the process for the next caller, unless the scan has chosen another main process meanwhile. */
static void
cache_process (PfsContainer *c, PfsProcess *process, guint64 start)
{
  PfsTable *table = c->table;
  g_autoptr (PfsProcess) dropped = NULL;
  void (*func) (gpointer data) = NULL;

  g_mutex_lock (&table->lock);
  if (!pfs_container_ended (c) && !c->process && c->main_pid == process->pid && c->main_start == start) {
    if (g_queue_get_length (&table->pinned) >= PFS_PINS_MAX)
      dropped = pfs_container_unpin (g_queue_peek_tail (&table->pinned));
    c->process = pfs_process_ref (process);
    g_queue_push_head (&table->pinned, c);
    func = table->pinned_func;
  }
  gpointer data = table->pinned_data;
  g_mutex_unlock (&table->lock);
  if (func)
    func (data);
}

int
pfs_container_process (PfsContainer *c, PfsProcess **ret)
{
  PfsTable *table = c->table;
  g_autoptr (PfsProcess) process = NULL;

  g_mutex_lock (&table->lock);
  bool ended = pfs_container_ended (c);
  pid_t pid = c->main_pid;
  guint64 start = c->main_start;
  if (c->process && !ended) {
    process = pfs_process_ref (c->process);
    g_queue_remove (&table->pinned, c);
    g_queue_push_head (&table->pinned, c);
  }
  g_mutex_unlock (&table->lock);
  if (ended || pid == 0)
    return -ESRCH;

  if (!process) {
    int r = pfs_process_open (table->proc, pid, start, &process);
    if (r < 0)
      return r;
    cache_process (c, process, start);
  } else if (!pfs_process_alive (process)) {
    return -ESRCH;
  }
  *ret = g_steal_pointer (&process);
  return 0;
}

pid_t
pfs_container_pid (PfsContainer *c)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&c->table->lock);

  return c->main_pid;
}

GArray *
pfs_container_pids (PfsContainer *c)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&c->table->lock);

  return g_array_ref (c->pids);
}

bool
pfs_container_ended (PfsContainer *c)
{
  return g_atomic_int_get (&c->ended) != 0;
}

/* --- the main processes that are kept pinned: the janitor waits for their ends, so that nothing is held after them ---
 */

void
pfs_table_set_pinned_func (PfsTable *table, void (*func) (gpointer data), gpointer data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  table->pinned_func = func;
  table->pinned_data = data;
}

guint64
pfs_table_n_ended (PfsTable *table)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  return table->n_ended;
}

GPtrArray *
pfs_table_pinned (PfsTable *table)
{
  GPtrArray *processes = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_process_unref);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  for (GList *link = table->pinned.head; link; link = link->next)
    g_ptr_array_add (processes, pfs_process_ref (((PfsContainer *) link->data)->process));
  return processes;
}

/* To be dropped without the lock; NULL if the table does not keep it any more. */
static PfsProcess *
unpin_process (PfsTable *table, const PfsProcess *process)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  GList *link = table->pinned.head;
  while (link && ((PfsContainer *) link->data)->process != process)
    link = link->next;
  return link ? pfs_container_unpin (link->data) : NULL;
}

void
pfs_table_drop_dead (PfsTable *table)
{
  g_autoptr (GPtrArray) processes = pfs_table_pinned (table);

  for (guint i = 0; i < processes->len; i++) {
    g_autoptr (PfsProcess) dropped = NULL;

    if (!pfs_process_alive (processes->pdata[i]))
      dropped = unpin_process (table, processes->pdata[i]);
  }
}
