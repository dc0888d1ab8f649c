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
#define GIVE_BACK_MIN 1024u      /* nodes whose memory is worth giving back: 128 KiB */
#define GIVE_BACK_US (G_USEC_PER_SEC / 4)       /* while the kernel goes on forgetting */
#define MMAP_MIN (128 * 1024)   /* bytes: from there on memory comes from the system alone, and goes back to it at once */

struct PfsTrimmer {
  PfsSession *session;
  GThread *thread;
  GMutex lock;                  /* guards what follows */
  GCond cond;
  guint forgotten;              /* nodes since memory was given back */
  bool poked, stopping;
};

void
pfs_trimmer_poke (PfsTrimmer *trimmer)
{
  if (pfs_tree_size (trimmer->session->tree) <= NODES_MAX)
    return;
  g_mutex_lock (&trimmer->lock);
  trimmer->poked = true;
  g_cond_signal (&trimmer->cond);
  g_mutex_unlock (&trimmer->lock);
}

void
pfs_trimmer_forgot (PfsTrimmer *trimmer, size_t n)
{
  g_mutex_lock (&trimmer->lock);
  guint before = trimmer->forgotten;
  trimmer->forgotten += (guint) n;
  if (before < GIVE_BACK_MIN && trimmer->forgotten >= GIVE_BACK_MIN)
    g_cond_signal (&trimmer->cond);
  g_mutex_unlock (&trimmer->lock);
}

/* A name that is in use, or gone meanwhile, stays as it is; the kernel's answers come a moment later. */
static void
trim (PfsSession *session)
{
  for (guint fruitless = 0; fruitless < FRUITLESS_MAX;) {
    size_t before = pfs_tree_size (session->tree);
    g_autoptr (GPtrArray) names = before > NODES_LOW ? pfs_tree_idle_names (session->tree, NODES_BATCH) : NULL;

    if (!names || names->len == 0)
      break;
    for (guint i = 0; i < names->len; i++) {
      const PfsName *name = names->pdata[i];

      if (fuse_session_exited (session->fuse))
        return;
      fuse_lowlevel_notify_inval_entry (session->fuse, name->parent->number, name->name, strlen (name->name));
    }
    if (pfs_tree_size (session->tree) < before) {
      fruitless = 0;
    } else {
      fruitless++;
      g_usleep (1000);
    }
  }
}

/* The C library keeps what was freed, wherever it lies, until it is asked for it. Forgetting comes in bursts of many
 * requests: what is left of one goes with the last look, when nothing was forgotten for a while. */
static void
give_back_locked (PfsTrimmer *trimmer)
{
  while (trimmer->forgotten > 0 && !trimmer->stopping) {
    gint64 next = g_get_monotonic_time () + GIVE_BACK_US;

    trimmer->forgotten = 0;
    g_mutex_unlock (&trimmer->lock);
    malloc_trim (0);
    g_mutex_lock (&trimmer->lock);
    while (!trimmer->stopping && g_cond_wait_until (&trimmer->cond, &trimmer->lock, next))
      continue;
  }
}

static gpointer
trimmer_main (gpointer data)
{
  PfsTrimmer *trimmer = data;

  g_mutex_lock (&trimmer->lock);
  while (!trimmer->stopping) {
    if (trimmer->poked) {
      trimmer->poked = false;
      g_mutex_unlock (&trimmer->lock);
      trim (trimmer->session);
      g_mutex_lock (&trimmer->lock);
    } else if (trimmer->forgotten >= GIVE_BACK_MIN) {
      give_back_locked (trimmer);
    } else {
      g_cond_wait (&trimmer->cond, &trimmer->lock);
    }
  }
  g_mutex_unlock (&trimmer->lock);
  return NULL;
}

PfsTrimmer *
pfs_trimmer_start (PfsSession *session)
{
  PfsTrimmer *trimmer = g_new0 (PfsTrimmer, 1);

  /* One heap: what several threads made is given back only where no other's is left in between. */
  mallopt (M_ARENA_MAX, 1);
  mallopt (M_MMAP_THRESHOLD, MMAP_MIN);
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
