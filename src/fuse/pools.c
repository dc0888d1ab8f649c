/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many requests of a mount, of a container and in all are in which state. */
#include "requests.h"

#define STALLED_MS 1000 /* what has waited for so long may do so for ever */

static PfsPool *
pool_locked (PfsJobs *jobs, gconstpointer container, gconstpointer mount)
{
  for (guint i = 0; i < jobs->pools->len; i++) {
    PfsPool *pool = jobs->pools->pdata[i];

    if (pool->container == container && pool->mount == mount)
      return pool;
  }
  PfsPool *pool = g_new0 (PfsPool, 1);
  *pool = (PfsPool) { .container = container, .mount = mount };
  g_ptr_array_add (jobs->pools, pool);
  return pool;
}

void
pfs_pools_enter_locked (PfsJobs *jobs, PfsRequest *request)
{
  request->mount = pool_locked (jobs, request->place.container, request->place.mount);
  request->container = pool_locked (jobs, request->place.container, jobs);
  request->mount->container_pool = request->container;
  request->mount->refs++;
  request->container->refs++;
}

void
pfs_pools_leave_locked (PfsJobs *jobs, PfsRequest *request)
{
  if (--request->mount->refs == 0)
    g_ptr_array_remove_fast (jobs->pools, request->mount);
  if (--request->container->refs == 0)
    g_ptr_array_remove_fast (jobs->pools, request->container);
}

void
pfs_request_set_state_locked (PfsJobs *jobs, PfsRequest *request, PfsState state)
{
  PfsPool *const pools[] = { request->mount, request->container, &jobs->all };

  for (guint i = 0; i < G_N_ELEMENTS (pools); i++) {
    pools[i]->n[request->state]--;
    pools[i]->n[state]++;
  }
  request->state = state;
}

guint
pfs_pool_busy (const PfsPool *pool)
{
  return pool->n[PFS_WAITING] + pool->n[PFS_RUNNING] + pool->n[PFS_HERE];
}

guint
pfs_pool_stalled_locked (PfsJobs *jobs, const PfsPool *pool)
{
  gint64 since = pfs_now () - STALLED_MS;
  guint n = 0;

  for (GList *link = jobs->requests.head; link; link = link->next) {
    const PfsRequest *request = link->data;

    n += (request->mount == pool || request->container == pool) && request->state != PFS_LATER
         && request->since <= since;
  }
  return n;
}
