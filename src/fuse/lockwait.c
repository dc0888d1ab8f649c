/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lockwait.h"

#include <errno.h>

#define WAITING_MAX 1024        /* of all containers */
#define SOON_US 1000            /* until the second try; the longer somebody waits, the longer he waits for the next */
#define LATE_US 50000
#define DYING_US 100000         /* between two looks at a caller whose try does not end */
#define PATIENCE_US 200000      /* at the end */

struct PfsLockWait {
  PfsSession *session;
  GThread *thread;              /* NULL: nobody has waited yet */
  GMutex lock;                  /* guards what follows */
  GCond changed;
  GQueue waiters;               /* of Waiter; added by all, removed by the thread */
  bool changed_meanwhile;       /* the thread has to look again */
  bool ending, ended;
};

typedef struct {
  PfsLockWait *wait;
  fuse_req_t req;               /* NULL: answered */
  pid_t caller;
  PfsFile *file;                /* a reference */
  PfsLockTry try;
  gpointer data;
  GDestroyNotify free_data;
  int r;                        /* what the last try gave */
  gint64 since, due;            /* monotonic time */
  bool trying, interrupted;
  GList link;
} Waiter;

static void
tell_locked (PfsLockWait *wait)
{
  wait->changed_meanwhile = true;
  g_cond_broadcast (&wait->changed);
}

static void
on_interrupt (fuse_req_t req, void *data)
{
  Waiter *waiter = data;

  (void) req;
  g_mutex_lock (&waiter->wait->lock);
  waiter->interrupted = true;
  tell_locked (waiter->wait);
  g_mutex_unlock (&waiter->wait->lock);
}

static void
answer (fuse_req_t req, int r)
{
  fuse_req_interrupt_func (req, NULL, NULL);
  pfs_reply (req, r);
}

static void
try_once (gpointer data)
{
  Waiter *waiter = data;
  PfsLockWait *wait = waiter->wait;
  int r = waiter->try (waiter->data);

  g_mutex_lock (&wait->lock);
  gint64 now = g_get_monotonic_time ();
  waiter->r = r;
  waiter->due = now + CLAMP ((now - waiter->since) / 8, SOON_US, LATE_US);
  waiter->trying = false;
  tell_locked (wait);
  g_mutex_unlock (&wait->lock);
}

/* Whoever cannot be told that he has a lock loses it with his descriptor: he has been killed. */
static void
finish_locked (PfsLockWait *wait, Waiter *waiter)
{
  g_queue_unlink (&wait->waiters, &waiter->link);
  g_mutex_unlock (&wait->lock);
  if (waiter->req)
    answer (waiter->req, waiter->r == -EAGAIN ? -EINTR : waiter->r);
  waiter->free_data (waiter->data);
  pfs_file_unref (waiter->file);
  g_free (waiter);
  g_mutex_lock (&wait->lock);
}

/* When to look again. */
static gint64
look_after_locked (PfsLockWait *wait, Waiter *waiter)
{
  gint64 now = g_get_monotonic_time ();

  if (!waiter->trying && (waiter->r != -EAGAIN || waiter->interrupted || wait->ending)) {
    finish_locked (wait, waiter);
    return G_MAXINT64;
  }
  if (!waiter->trying && waiter->due <= now) {
    waiter->trying = true;
    g_mutex_unlock (&wait->lock);
    pfs_jobs_run (wait->session->jobs, waiter->file->node, try_once, waiter);
    g_mutex_lock (&wait->lock);
    return now;
  }
  if (!waiter->trying)
    return waiter->due;
  if (!waiter->interrupted || !waiter->req)
    return G_MAXINT64;
  if (!pfs_is_dying (waiter->caller))
    return now + DYING_US;
  fuse_req_t req = g_steal_pointer (&waiter->req);
  g_mutex_unlock (&wait->lock);
  answer (req, -EINTR);
  g_mutex_lock (&wait->lock);
  return G_MAXINT64;
}

static gpointer
wait_main (gpointer data)
{
  PfsLockWait *wait = data;

  g_mutex_lock (&wait->lock);
  while (!wait->ending || wait->waiters.head) {
    gint64 next = G_MAXINT64;

    wait->changed_meanwhile = false;
    for (GList *link = wait->waiters.head, *after; link; link = after) {
      after = link->next;
      gint64 when = look_after_locked (wait, link->data);
      next = MIN (next, when);
    }
    if (wait->changed_meanwhile)
      continue;
    if (next == G_MAXINT64)
      g_cond_wait (&wait->changed, &wait->lock);
    else
      g_cond_wait_until (&wait->changed, &wait->lock, next);
  }
  wait->ended = true;
  g_cond_broadcast (&wait->changed);
  g_mutex_unlock (&wait->lock);
  return NULL;
}

/* A container's callers may take half of what others have left. */
static bool
may_wait_locked (PfsLockWait *wait, PfsNode *node)
{
  const PfsContainer *container = pfs_node_place_container (node);
  guint mine = 0;

  for (GList *link = wait->waiters.head; link; link = link->next)
    mine += pfs_node_place_container (((const Waiter *) link->data)->file->node) == container;
  return mine + wait->waiters.length < WAITING_MAX;
}

int
pfs_lock_wait (PfsLockWait *wait, fuse_req_t req, PfsFile *file, PfsLockTry try, gpointer data, GDestroyNotify free_data)
{
  Waiter *waiter = g_new0 (Waiter, 1);
  gint64 now = g_get_monotonic_time ();

  *waiter = (Waiter){ .wait = wait, .req = req, .caller = fuse_req_ctx (req)->pid, .file = pfs_file_ref (file),
                      .try = try, .data = data, .free_data = free_data, .r = -EAGAIN, .since = now,
                      .due = now + SOON_US, .trying = true };
  waiter->link.data = waiter;
  g_mutex_lock (&wait->lock);
  if (!wait->thread)
    wait->thread = g_thread_try_new ("locks", wait_main, wait, NULL);
  bool added = wait->thread && !wait->ending && may_wait_locked (wait, file->node);
  if (added)
    g_queue_push_tail_link (&wait->waiters, &waiter->link);
  g_mutex_unlock (&wait->lock);
  if (!added) {
    free_data (data);
    pfs_file_unref (file);
    g_free (waiter);
    return -ENOLCK;
  }
  /* Calls it here and now if the interrupt has come already. */
  fuse_req_interrupt_func (req, on_interrupt, waiter);
  g_mutex_lock (&wait->lock);
  waiter->trying = false;
  tell_locked (wait);
  g_mutex_unlock (&wait->lock);
  return 0;
}

void
pfs_lock_wait_poke (PfsLockWait *wait)
{
  g_mutex_lock (&wait->lock);
  for (GList *link = wait->waiters.head; link; link = link->next)
    ((Waiter *) link->data)->due = 0;
  if (wait->waiters.head)
    tell_locked (wait);
  g_mutex_unlock (&wait->lock);
}

bool
pfs_lock_wait_end (PfsLockWait *wait)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE_US;

  g_mutex_lock (&wait->lock);
  wait->ending = true;
  tell_locked (wait);
  while (wait->thread && !wait->ended && g_cond_wait_until (&wait->changed, &wait->lock, deadline))
    continue;
  bool all = !wait->thread || wait->ended;
  g_mutex_unlock (&wait->lock);
  if (all && wait->thread)
    g_thread_join (wait->thread);
  return all;
}

PfsLockWait *
pfs_lock_wait_new (PfsSession *session)
{
  PfsLockWait *wait = g_new0 (PfsLockWait, 1);

  wait->session = session;
  g_mutex_init (&wait->lock);
  g_cond_init (&wait->changed);
  g_queue_init (&wait->waiters);
  return wait;
}

void
pfs_lock_wait_free (PfsLockWait *wait)
{
  g_cond_clear (&wait->changed);
  g_mutex_clear (&wait->lock);
  g_free (wait);
}
