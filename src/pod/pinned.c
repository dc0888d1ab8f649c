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
  GPtrArray *pins = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_pin_unref);

  pthread_mutex_lock (&table->lock);
  for (GList *link = table->pinned.head; link; link = link->next)
    g_ptr_array_add (pins, pfs_pin_ref (((PfsContainer *) link->data)->pin));
  pthread_mutex_unlock (&table->lock);
  return pins;
}

/* The table's reference to the pin; to be dropped without the lock. */
static PfsPin *
take_locked (PfsTable *table, const PfsPin *pin)
{
  for (GList *link = table->pinned.head; link; link = link->next) {
    PfsContainer *c = link->data;

    if (c->pin != pin)
      continue;
    g_queue_delete_link (&table->pinned, link);
    return g_steal_pointer (&c->pin);
  }
  return NULL;
}

void
pfs_table_drop_dead (PfsTable *table)
{
  g_autoptr (GPtrArray) pins = pfs_table_pinned (table);

  for (guint i = 0; i < pins->len; i++) {
    g_autoptr (PfsPin) dropped = NULL;

    if (pfs_pin_alive (pins->pdata[i]))
      continue;
    pthread_mutex_lock (&table->lock);
    dropped = take_locked (table, pins->pdata[i]);
    pthread_mutex_unlock (&table->lock);
  }
}
