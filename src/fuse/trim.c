/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A walk over a million files makes a million nodes, which the kernel forgets only when it is short of memory. Beyond a
 * bound it is asked to forget those that nobody uses. A thread of its own does that: the kernel takes the lock of the
 * directory, which a caller that waits for a dead mount may hold. */
#include <malloc.h>
#include <string.h>

#include "private.h"

#define NODES_MAX 400000u       /* about 50 MiB */
#define NODES_BATCH 4096u
#define FRUITLESS_MAX 100u      /* rounds after which all that is left is taken to be in use */
#define NODES_LOW (NODES_MAX - NODES_MAX / 8)
#define GIVE_BACK_MIN 8192      /* nodes whose memory is worth giving back: a MiB */

struct PfsTrimmer {
  PfsSession *session;
  GThread *thread;
  GMutex lock;
  GCond cond;
  bool poked, shrunk, stopping; /* guarded by lock */
  gint busy;
  gint high;                    /* nodes there were at most since memory was given back */
};

static gint
nodes (PfsTrimmer *trimmer)
{
  return (gint) MIN (pfs_tree_size (trimmer->session->tree), (size_t) G_MAXINT);
}

void
pfs_trimmer_poke (PfsTrimmer *trimmer)
{
  gint n = nodes (trimmer);

  if (n > g_atomic_int_get (&trimmer->high))
    g_atomic_int_set (&trimmer->high, n);
  if (g_atomic_int_get (&trimmer->busy) || n <= (gint) NODES_MAX)
    return;
  g_mutex_lock (&trimmer->lock);
  trimmer->poked = true;
  g_cond_signal (&trimmer->cond);
  g_mutex_unlock (&trimmer->lock);
}

/* The C library keeps what was freed, all over its arenas: half of the nodes have to go before it is asked for it. */
void
pfs_trimmer_forgot (PfsTrimmer *trimmer)
{
  gint high = g_atomic_int_get (&trimmer->high);
  gint n = nodes (trimmer);

  if (high < GIVE_BACK_MIN || n > high / 2 || !g_atomic_int_compare_and_exchange (&trimmer->high, high, n))
    return;
  g_mutex_lock (&trimmer->lock);
  trimmer->shrunk = true;
  g_cond_signal (&trimmer->cond);
  g_mutex_unlock (&trimmer->lock);
}

static bool
stopping (PfsTrimmer *trimmer)
{
  g_mutex_lock (&trimmer->lock);
  bool stop = trimmer->stopping;
  g_mutex_unlock (&trimmer->lock);
  return stop;
}

/* A name that is in use, or gone meanwhile, stays as it is; the kernel's answers come a moment later. */
static void
trim (PfsTrimmer *trimmer)
{
  PfsSession *session = trimmer->session;

  for (guint fruitless = 0; fruitless < FRUITLESS_MAX && !stopping (trimmer);) {
    size_t before = pfs_tree_size (session->tree);
    g_autoptr (GPtrArray) names = before > NODES_LOW ? pfs_tree_idle_names (session->tree, NODES_BATCH) : NULL;

    if (!names || names->len == 0)
      return;
    for (guint i = 0; i < names->len && !stopping (trimmer); i++) {
      const PfsName *name = names->pdata[i];
      fuse_lowlevel_notify_inval_entry (session->fuse, (uintptr_t) name->parent, name->name, strlen (name->name));
    }
    if (pfs_tree_size (session->tree) < before) {
      fruitless = 0;
    } else {
      fruitless++;
      g_usleep (1000);
    }
  }
}

static gpointer
trimmer_main (gpointer data)
{
  PfsTrimmer *trimmer = data;

  while (!stopping (trimmer)) {
    g_mutex_lock (&trimmer->lock);
    while (!trimmer->poked && !trimmer->shrunk && !trimmer->stopping)
      g_cond_wait (&trimmer->cond, &trimmer->lock);
    bool poked = trimmer->poked, shrunk = trimmer->shrunk;
    trimmer->poked = trimmer->shrunk = false;
    g_mutex_unlock (&trimmer->lock);
    if (shrunk)
      malloc_trim (0);
    g_atomic_int_set (&trimmer->busy, 1);
    if (poked)
      trim (trimmer);
    g_atomic_int_set (&trimmer->busy, 0);
  }
  return NULL;
}

PfsTrimmer *
pfs_trimmer_start (PfsSession *session)
{
  PfsTrimmer *trimmer = g_new0 (PfsTrimmer, 1);

  trimmer->session = session;
  g_mutex_init (&trimmer->lock);
  g_cond_init (&trimmer->cond);
  trimmer->thread = g_thread_new ("trim", trimmer_main, trimmer);
  return trimmer;
}

void
pfs_trimmer_stop (PfsTrimmer *trimmer)
{
  g_mutex_lock (&trimmer->lock);
  trimmer->stopping = true;
  g_cond_signal (&trimmer->cond);
  g_mutex_unlock (&trimmer->lock);
  g_thread_join (trimmer->thread);
  g_mutex_clear (&trimmer->lock);
  g_cond_clear (&trimmer->cond);
  g_free (trimmer);
}
