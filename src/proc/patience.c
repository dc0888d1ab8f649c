/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/proc/patience.h"

#include <errno.h>
#include <stdbool.h>

#include "peerfs/base/fd.h"

#define WAIT_US G_TIME_SPAN_SECOND
#define STRAYS_MAX 8 /* threads that nobody waits for any more */

struct PfsPatience {
  gint refs;
  GMutex lock;
  guint strays;
};

typedef struct {
  gint refs;             /* of who waits, and of the thread */
  PfsPatience *patience; /* a reference */
  PfsPatientRead read;
  int fd, other;
  GMutex lock; /* guards what follows */
  GCond changed;
  bool done, left;
  int result;
  GBytes *bytes;
} Task;

PfsPatience *
pfs_patience_new (void)
{
  PfsPatience *patience = g_new0 (PfsPatience, 1);

  patience->refs = 1;
  g_mutex_init (&patience->lock);
  return patience;
}

void
pfs_patience_unref (PfsPatience *patience)
{
  if (!g_atomic_int_dec_and_test (&patience->refs))
    return;
  g_mutex_clear (&patience->lock);
  g_free (patience);
}

static void
count_stray (PfsPatience *patience, int by)
{
  g_mutex_lock (&patience->lock);
  patience->strays += (guint) by;
  g_mutex_unlock (&patience->lock);
}

static void
task_unref (Task *task)
{
  if (!g_atomic_int_dec_and_test (&task->refs))
    return;
  pfs_fd_cleanup (&task->fd);
  pfs_fd_cleanup (&task->other);
  g_clear_pointer (&task->bytes, g_bytes_unref);
  pfs_patience_unref (task->patience);
  g_cond_clear (&task->changed);
  g_mutex_clear (&task->lock);
  g_free (task);
}

static gpointer
run (gpointer data)
{
  Task *task = data;
  GBytes *bytes = NULL;
  int r = task->read (task->fd, task->other, &bytes);

  g_mutex_lock (&task->lock);
  task->result = r;
  task->bytes = bytes;
  task->done = true;
  if (task->left)
    count_stray (task->patience, -1);
  g_cond_signal (&task->changed);
  g_mutex_unlock (&task->lock);
  task_unref (task);
  return NULL;
}

static int
wait_for (Task *task, GBytes **ret)
{
  gint64 end = g_get_monotonic_time () + WAIT_US;
  int r = -ETIMEDOUT;

  g_mutex_lock (&task->lock);
  while (!task->done && g_cond_wait_until (&task->changed, &task->lock, end))
    continue;
  if (task->done) {
    r = task->result;
    if (r == 0)
      *ret = g_steal_pointer (&task->bytes);
  } else {
    task->left = true;
    count_stray (task->patience, 1);
  }
  g_mutex_unlock (&task->lock);
  return r;
}

int
pfs_patience_read (PfsPatience *patience, PfsPatientRead read, int fd, int other, GBytes **ret)
{
  Task *task = g_new0 (Task, 1);

  *task = (Task){ .refs = 2, .patience = patience, .read = read, .fd = fd, .other = other };
  g_atomic_int_inc (&patience->refs);
  g_mutex_init (&task->lock);
  g_cond_init (&task->changed);
  g_mutex_lock (&patience->lock);
  bool fits = patience->strays < STRAYS_MAX;
  g_mutex_unlock (&patience->lock);
  GThread *thread = fits ? g_thread_try_new ("patience", run, task, NULL) : NULL;
  if (!thread) {
    task_unref (task);
    task_unref (task);
    return fits ? -EAGAIN : -ETIMEDOUT;
  }
  g_thread_unref (thread);
  int r = wait_for (task, ret);
  task_unref (task);
  return r;
}
