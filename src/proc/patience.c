/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/proc/patience.h"

#include <errno.h>
#include <stdbool.h>

#define WAIT_US G_TIME_SPAN_SECOND
#define LOST_OF_ONE 2 /* threads of one peer that nobody waits for any more */
#define LOST_MAX 64   /* and of all peers */

struct PfsPatience {
  gint refs;
  GMutex lock;
  GCond changed;
  GArray *lost; /* of uint64_t: the peer of each such thread */
};

typedef struct {
  gint refs;             /* of the thread that waits, and of the one that works */
  PfsPatience *patience; /* a reference */
  uint64_t peer;
  PfsPatientFunc func;
  gpointer data;
  GDestroyNotify unref;
  bool done, is_lost; /* guarded by the lock of patience, as is: */
  int result;
} Task;

PfsPatience *
pfs_patience_new (void)
{
  PfsPatience *patience = g_new0 (PfsPatience, 1);

  patience->refs = 1;
  g_mutex_init (&patience->lock);
  g_cond_init (&patience->changed);
  patience->lost = g_array_new (FALSE, FALSE, sizeof (uint64_t));
  return patience;
}

void
pfs_patience_unref (PfsPatience *patience)
{
  if (!g_atomic_int_dec_and_test (&patience->refs))
    return;
  g_array_unref (patience->lost);
  g_cond_clear (&patience->changed);
  g_mutex_clear (&patience->lock);
  g_free (patience);
}

static void
task_unref (Task *task)
{
  if (!g_atomic_int_dec_and_test (&task->refs))
    return;
  pfs_patience_unref (task->patience);
  g_free (task);
}

static bool
is_left (PfsPatience *patience, uint64_t peer)
{
  guint of_peer = 0;

  g_mutex_lock (&patience->lock);
  for (guint i = 0; i < patience->lost->len; i++)
    of_peer += g_array_index (patience->lost, uint64_t, i) == peer;
  bool left = of_peer < LOST_OF_ONE && patience->lost->len < LOST_MAX;
  g_mutex_unlock (&patience->lock);
  return left;
}

static void
found_locked (PfsPatience *patience, uint64_t peer)
{
  guint i = 0;

  while (g_array_index (patience->lost, uint64_t, i) != peer)
    i++;
  g_array_remove_index_fast (patience->lost, i);
}

static gpointer
work (gpointer data)
{
  Task *task = data;
  PfsPatience *patience = task->patience;
  int r = task->func (task->data);

  task->unref (task->data);
  g_mutex_lock (&patience->lock);
  task->result = r;
  task->done = true;
  if (task->is_lost)
    found_locked (patience, task->peer);
  g_cond_broadcast (&patience->changed);
  g_mutex_unlock (&patience->lock);
  task_unref (task);
  return NULL;
}

static int
wait_for (Task *task, const gint *progress)
{
  PfsPatience *patience = task->patience;
  gint seen;

  g_mutex_lock (&patience->lock);
  do {
    gint64 end = g_get_monotonic_time () + WAIT_US;
    seen = progress ? g_atomic_int_get (progress) : 0;
    while (!task->done && g_cond_wait_until (&patience->changed, &patience->lock, end))
      continue;
  } while (!task->done && progress && g_atomic_int_get (progress) != seen);
  int r = task->done ? task->result : -ETIMEDOUT;
  if (!task->done) {
    task->is_lost = true;
    g_array_append_val (patience->lost, task->peer);
  }
  g_mutex_unlock (&patience->lock);
  return r;
}

int
pfs_patience_run (PfsPatience *patience, uint64_t peer, PfsPatientFunc func, gpointer data, GDestroyNotify unref,
                  const gint *progress)
{
  bool left = is_left (patience, peer);
  Task *task = g_new0 (Task, 1);

  *task = (Task) { .refs = 2, .patience = patience, .peer = peer, .func = func, .data = data, .unref = unref };
  g_atomic_int_inc (&patience->refs);
  GThread *thread = left ? g_thread_try_new ("patience", work, task, NULL) : NULL;
  if (!thread) {
    unref (data);
    task_unref (task);
    task_unref (task);
    return left ? -EAGAIN : -EBUSY;
  }
  g_thread_unref (thread);
  int r = wait_for (task, progress);
  task_unref (task);
  return r;
}
