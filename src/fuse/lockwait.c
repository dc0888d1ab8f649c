/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lockwait.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>

#define WAITING_MAX 1024
#define INTERRUPT_TRIES 100u    /* milliseconds; whoever is not out by then waits for a mount that does not answer */

struct PfsLockWait {
  GMutex lock;
  GCond changed;
  GQueue waiters;               /* of Waiter: those in a system call */
};

typedef struct {
  PfsLockWait *wait;
  fuse_req_t req;
  PfsFile *file;                /* a reference */
  int fd;                       /* for a POSIX lock; -1: flock (op) of the file */
  struct flock lock;
  int op;
  GDestroyNotify unref;
  gpointer owner;
  pthread_t thread;
  bool done;                    /* guarded by wait->lock */
  gint interrupted;             /* atomic: the waiter asks in between its system calls */
  GList link;
} Waiter;

/* A signal with a handler interrupts the system call. */
static void
on_signal (int number)
{
  (void) number;
}

PfsLockWait *
pfs_lock_wait_new (void)
{
  struct sigaction action = { .sa_handler = on_signal };
  PfsLockWait *wait = g_new0 (PfsLockWait, 1);

  sigemptyset (&action.sa_mask);
  sigaction (SIGUSR1, &action, NULL);
  g_mutex_init (&wait->lock);
  g_cond_init (&wait->changed);
  g_queue_init (&wait->waiters);
  return wait;
}

/* Again and again until it is out: the first signal may come before it is in. An interrupt that came before anybody could
 * be told of it is told to the waiter itself (fuse_req_interrupt_func()), which then does not go in. */
static void
interrupt_locked (Waiter *waiter)
{
  g_atomic_int_set (&waiter->interrupted, 1);
  if (pthread_equal (waiter->thread, pthread_self ()))
    return;
  for (guint i = 0; i < INTERRUPT_TRIES && !waiter->done; i++) {
    pthread_kill (waiter->thread, SIGUSR1);
    g_cond_wait_until (&waiter->wait->changed, &waiter->wait->lock, g_get_monotonic_time () + 1000);
  }
}

static void
on_interrupt (fuse_req_t req, void *data)
{
  Waiter *waiter = data;

  (void) req;
  g_mutex_lock (&waiter->wait->lock);
  interrupt_locked (waiter);
  g_mutex_unlock (&waiter->wait->lock);
}

bool
pfs_lock_wait_end (PfsLockWait *wait)
{
  g_mutex_lock (&wait->lock);
  for (guint i = 0; i < INTERRUPT_TRIES && wait->waiters.head; i++) {
    for (GList *link = wait->waiters.head; link; link = link->next) {
      Waiter *waiter = link->data;

      g_atomic_int_set (&waiter->interrupted, 1);
      if (waiter->thread != 0 && !waiter->done) /* it has begun, and is still there */
        pthread_kill (waiter->thread, SIGUSR1);
    }
    g_cond_wait_until (&wait->changed, &wait->lock, g_get_monotonic_time () + 1000);
  }
  bool all = !wait->waiters.head;
  g_mutex_unlock (&wait->lock);
  return all;
}

void
pfs_lock_wait_free (PfsLockWait *wait)
{
  g_cond_clear (&wait->changed);
  g_mutex_clear (&wait->lock);
  g_free (wait);
}

static int
wait_here (Waiter *waiter)
{
  int r = -1;

  errno = EINTR;
  while (r < 0 && errno == EINTR && !g_atomic_int_get (&waiter->interrupted))
    r = waiter->fd >= 0 ? fcntl (waiter->fd, F_OFD_SETLKW, &waiter->lock) : flock (waiter->file->fd, waiter->op);
  return r < 0 ? -errno : 0;
}

static gpointer
waiter_main (gpointer data)
{
  Waiter *waiter = data;
  PfsLockWait *wait = waiter->wait;

  g_mutex_lock (&wait->lock);
  waiter->thread = pthread_self ();
  g_mutex_unlock (&wait->lock);
  fuse_req_interrupt_func (waiter->req, on_interrupt, waiter);
  int r = wait_here (waiter);
  r = r == 0 ? pfs_file_check (waiter->file) : pfs_file_error (waiter->file, r);

  g_mutex_lock (&wait->lock);
  waiter->done = true;
  g_cond_broadcast (&wait->changed);
  g_mutex_unlock (&wait->lock);
  fuse_req_interrupt_func (waiter->req, NULL, NULL);
  pfs_reply (waiter->req, r);
  if (waiter->owner)
    waiter->unref (waiter->owner);
  pfs_file_unref (waiter->file);
  g_mutex_lock (&wait->lock);
  g_queue_unlink (&wait->waiters, &waiter->link);
  g_cond_broadcast (&wait->changed);
  g_mutex_unlock (&wait->lock);
  g_free (waiter);
  return NULL;
}

static int
start (PfsLockWait *wait, Waiter values)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&wait->lock);
  Waiter *waiter = NULL;
  GThread *thread = NULL;

  if (wait->waiters.length < WAITING_MAX) {
    waiter = g_memdup2 (&values, sizeof values);
    waiter->wait = wait;
    waiter->link.data = waiter;
    pfs_file_ref (waiter->file);
    g_queue_push_tail_link (&wait->waiters, &waiter->link);
    thread = g_thread_try_new ("lock", waiter_main, waiter, NULL);
  }
  if (thread) {
    g_thread_unref (thread);
    return 1;
  }
  if (waiter) {
    g_queue_unlink (&wait->waiters, &waiter->link);
    pfs_file_unref (waiter->file);
    g_free (waiter);
  }
  if (values.owner)
    values.unref (values.owner);
  return -ENOLCK;
}

int
pfs_lock_wait_posix (PfsLockWait *wait, fuse_req_t req, PfsFile *file, int fd, const struct flock *lock,
                     GDestroyNotify unref, gpointer owner)
{
  return start (wait, (Waiter){ .req = req, .file = file, .fd = fd, .lock = *lock, .unref = unref, .owner = owner });
}

int
pfs_lock_wait_flock (PfsLockWait *wait, fuse_req_t req, PfsFile *file, int op)
{
  return start (wait, (Waiter){ .req = req, .file = file, .fd = -1, .op = op });
}
