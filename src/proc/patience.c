/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/proc/patience.h"

#include <errno.h>

#include "peerfs/base/fd.h"

#define WAIT_US G_TIME_SPAN_SECOND
#define STRAYS_MAX 8 /* threads that nobody waits for any more */

struct PfsPatience {
  gint refs;
  GMutex lock;
  guint strays;
};

typedef struct {
  gint refs;             /* of the thread that waits, and of the one that reads */
  PfsPatience *patience; /* a reference */
  PfsPatientRead read;   /* NULL: it only closes */
  int fd, other;         /* closed by the thread: that may wait, too */
  GMutex lock;           /* guards what follows */
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
close_both (Task *task)
{
  pfs_fd_cleanup (&task->fd);
  pfs_fd_cleanup (&task->other);
  task->fd = task->other = -1;
}

static void
task_unref (Task *task)
{
  if (!g_atomic_int_dec_and_test (&task->refs))
    return;
  close_both (task);
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
  int r = task->read ? task->read (task->fd, task->other, &bytes) : 0;

  close_both (task);
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
    if (r == 0 && ret)
      *ret = g_steal_pointer (&task->bytes);
  } else {
    task->left = true;
    count_stray (task->patience, 1);
  }
  g_mutex_unlock (&task->lock);
  return r;
}

/* Without a thread, the task's descriptors are closed here. */
static int
run_apart (PfsPatience *patience, PfsPatientRead read, int fd, int other, GBytes **ret)
{
  Task *task = g_new0 (Task, 1);

  *task = (Task) { .refs = 2, .patience = patience, .read = read, .fd = fd, .other = other };
  g_atomic_int_inc (&patience->refs);
  g_mutex_init (&task->lock);
  g_cond_init (&task->changed);
  GThread *thread = g_thread_try_new ("patience", run, task, NULL);
  if (!thread) {
    task_unref (task);
    task_unref (task);
    return -EAGAIN;
  }
  g_thread_unref (thread);
  int r = wait_for (task, ret);
  task_unref (task);
  return r;
}

bool
pfs_patience_is_left (PfsPatience *patience)
{
  g_mutex_lock (&patience->lock);
  bool left = patience->strays < STRAYS_MAX;
  g_mutex_unlock (&patience->lock);
  return left;
}

int
pfs_patience_read (PfsPatience *patience, PfsPatientRead read, int fd, int other, GBytes **ret)
{
  if (pfs_patience_is_left (patience))
    return run_apart (patience, read, fd, other, ret);
  pfs_fd_cleanup (&fd);
  pfs_fd_cleanup (&other);
  return -ETIMEDOUT;
}

int
pfs_patience_close (PfsPatience *patience, int fd)
{
  return run_apart (patience, NULL, fd, -1, NULL);
}
