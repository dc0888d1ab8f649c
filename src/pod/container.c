/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "container.h"

#include <errno.h>

#include "state.h"

PfsContainer *
pfs_container_new (PfsTable *table, const char *key, const char *id, const PfsCgroup *cgroup)
{
  PfsContainer *c = g_new0 (PfsContainer, 1);

  c->refs = 1;
  c->table = table;
  pfs_table_memory_ref (table);
  c->serial = ++table->next_serial;
  c->key = g_strdup (key);
  c->id = g_strdup (id);
  c->has_cgroup_id = cgroup->id[0];
  c->depth = cgroup->depth;
  c->runtime = g_strdup (cgroup->runtime[0] ? cgroup->runtime : "unknown");
  c->pod_uid = g_strdup (cgroup->pod_uid);
  c->machine = g_strdup (cgroup->machine);
  c->outer_pod = g_strdup (cgroup->outer_pod);
  c->beside_us = cgroup->beside_us;
  c->members = g_array_new (FALSE, FALSE, sizeof (guint));
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
  g_free (c->key);
  g_free (c->id);
  g_free (c->runtime);
  g_free (c->pod_uid);
  g_free (c->machine);
  g_free (c->outer_pod);
  g_free (c->place);
  g_free (c->root_key);
  g_free (c->next_name);
  g_free (c->name);
  g_array_unref (c->members);
  if (c->pids)
    g_array_unref (c->pids);
  g_free (c);
  pfs_table_memory_unref (table);
}

PfsProcess *
pfs_container_end (PfsContainer *c)
{
  g_atomic_int_set (&c->ended, 1);
  if (c->process)
    g_queue_remove (&c->table->pinned, c);
  return g_steal_pointer (&c->process);
}

const char *
pfs_container_id (const PfsContainer *c)
{
  return c->id;
}

const char *
pfs_container_runtime (const PfsContainer *c)
{
  return c->runtime;
}

const char *
pfs_container_pod_uid (const PfsContainer *c)
{
  return c->pod_uid;
}

guint64
pfs_container_serial (const PfsContainer *c)
{
  return c->serial;
}

PfsProc *
pfs_container_proc (const PfsContainer *c)
{
  return c->table->proc;
}

char *
pfs_container_name (PfsContainer *c)
{
  pthread_mutex_lock (&c->table->lock);
  char *name = g_strdup (c->name);
  pthread_mutex_unlock (&c->table->lock);
  return name;
}

/* Keeps the process for the next caller, unless the scan has chosen another main process meanwhile. */
static void
cache_process (PfsContainer *c, PfsProcess *process, guint64 start)
{
  PfsTable *table = c->table;
  PfsProcess *dropped = NULL;
  void (*func) (gpointer data) = NULL;

  pthread_mutex_lock (&table->lock);
  if (!pfs_container_ended (c) && !c->process && c->main_pid == pfs_process_pid (process) && c->main_start == start) {
    if (g_queue_get_length (&table->pinned) >= PFS_PINS_MAX) {
      PfsContainer *last = g_queue_pop_tail (&table->pinned);
      dropped = g_steal_pointer (&last->process);
    }
    c->process = pfs_process_ref (process);
    g_queue_push_head (&table->pinned, c);
    func = table->pinned_func;
  }
  gpointer data = table->pinned_data;
  pthread_mutex_unlock (&table->lock);
  g_clear_pointer (&dropped, pfs_process_unref);
  if (func)
    func (data);
}

int
pfs_container_process (PfsContainer *c, PfsProcess **ret)
{
  PfsTable *table = c->table;
  g_autoptr (PfsProcess) process = NULL;

  pthread_mutex_lock (&table->lock);
  bool ended = pfs_container_ended (c);
  pid_t pid = c->main_pid;
  guint64 start = c->main_start;
  if (c->process && !ended) {
    process = pfs_process_ref (c->process);
    g_queue_remove (&table->pinned, c);
    g_queue_push_head (&table->pinned, c);
  }
  pthread_mutex_unlock (&table->lock);
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
  pthread_mutex_lock (&c->table->lock);
  pid_t pid = c->main_pid;
  pthread_mutex_unlock (&c->table->lock);
  return pid;
}

GArray *
pfs_container_pids (PfsContainer *c)
{
  pthread_mutex_lock (&c->table->lock);
  GArray *pids = c->pids ? g_array_ref (c->pids) : g_array_new (FALSE, FALSE, sizeof (pid_t));
  pthread_mutex_unlock (&c->table->lock);
  return pids;
}

bool
pfs_container_ended (PfsContainer *c)
{
  return g_atomic_int_get (&c->ended) != 0;
}
