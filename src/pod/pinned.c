/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The main processes that the table keeps pinned. The janitor waits for their ends, so that nothing is held after them.
 */
#include "container.h"

#include "state.h"

void
pfs_table_set_pinned_func (PfsTable *table, void (*func) (gpointer data), gpointer data)
{
  pthread_mutex_lock (&table->lock);
  table->pinned_func = func;
  table->pinned_data = data;
  pthread_mutex_unlock (&table->lock);
}

guint64
pfs_table_n_ended (PfsTable *table)
{
  pthread_mutex_lock (&table->lock);
  guint64 n = table->n_ended;
  pthread_mutex_unlock (&table->lock);
  return n;
}

GPtrArray *
pfs_table_pinned (PfsTable *table)
{
  GPtrArray *processes = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_process_unref);

  pthread_mutex_lock (&table->lock);
  for (GList *link = table->pinned.head; link; link = link->next)
    g_ptr_array_add (processes, pfs_process_ref (((PfsContainer *) link->data)->process));
  pthread_mutex_unlock (&table->lock);
  return processes;
}

/* The table's reference to the process; to be dropped without the lock. */
static PfsProcess *
take_locked (PfsTable *table, const PfsProcess *process)
{
  for (GList *link = table->pinned.head; link; link = link->next) {
    PfsContainer *c = link->data;

    if (c->process != process)
      continue;
    g_queue_delete_link (&table->pinned, link);
    return g_steal_pointer (&c->process);
  }
  return NULL;
}

void
pfs_table_drop_dead (PfsTable *table)
{
  g_autoptr (GPtrArray) processes = pfs_table_pinned (table);

  for (guint i = 0; i < processes->len; i++) {
    g_autoptr (PfsProcess) dropped = NULL;

    if (pfs_process_alive (processes->pdata[i]))
      continue;
    pthread_mutex_lock (&table->lock);
    dropped = take_locked (table, processes->pdata[i]);
    pthread_mutex_unlock (&table->lock);
  }
}
