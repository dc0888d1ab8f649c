/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

#include "identity.h"

void
pfs_table_memory_ref (PfsTable *table)
{
  g_atomic_int_inc (&table->refs);
}

void
pfs_table_memory_unref (PfsTable *table)
{
  if (!g_atomic_int_dec_and_test (&table->refs))
    return;
  pfs_self_clear (&table->self);
  g_array_unref (table->processes);
  g_hash_table_unref (table->by_name);
  g_hash_table_unref (table->by_group);
  g_ptr_array_unref (table->pods);
  g_hash_table_unref (table->pod_names);
  g_free (table->pod);
  g_free (table->node_root);
  g_ptr_array_unref (table->rules);
  g_ptr_array_unref (table->notices);
  pthread_mutex_destroy (&table->lock);
  pthread_cond_destroy (&table->scanned);
  pfs_patience_unref (table->patience);
  pfs_proc_unref (table->proc);
  g_free (table);
}

bool
pfs_table_is_young (const PfsTable *table, guint64 start_time, guint seconds)
{
  return table->now > 0 && start_time + seconds * table->ticks_per_second > table->now;
}

PfsProc *
pfs_table_proc (const PfsTable *table)
{
  return table->proc;
}

PfsScope
pfs_table_scope (const PfsTable *table)
{
  return table->scope;
}
