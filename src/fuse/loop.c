/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads that take requests from the kernel and answer them.
 *
 * A client that waits for each answer before it asks on (nearly all do) is served fastest by one thread that looks again
 * for a moment before it sleeps: to be woken costs it more than most answers, and every further thread that waited as
 * well would be woken in its place. So one waits at a time. The others are parked, and one of those, the deputy, looks
 * now and then whether anybody was waiting for a request at all: where nobody was, because all threads are at work or
 * stuck in a dead mount of some peer, it goes and waits, too, and another one is the deputy. While there is nothing to
 * do, all of them sleep. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "workers.h"

#define PARKED_MAX 6u            /* more of them are not needed any more */
#define PATIENCE_MS 500          /* at the end, for those who are busy */
#define LOOK_US 20              /* before a thread sleeps that waits for a request */
#define IN_VAIN_MAX 4u          /* looks without a request, one after the other; from then on one of IN_VAIN_SKIP */
#define IN_VAIN_SKIP 16u
#define TICK_US 2000            /* between the looks of the deputy */
#define CALM_TICKS 50u          /* after which fewer threads may wait */

struct PfsLoop {
  struct fuse_session *fuse;
  PfsWorkers *workers;          /* what they are busy with */
  int ended;                    /* eventfd, readable once the session has ended */
  guint cpus;
  int error;                    /* -errno, guarded by lock like the rest */
  GMutex lock;
  GCond tick, call;             /* the deputy sleeps on the first, the rest of the parked on the second */
  GCond left;
  guint threads;
  bool exhausted;               /* the last attempt to have one more failed */
  bool stopping, deputy, asleep;        /* is there a deputy, and does it sleep for good? */
  guint waiting, waiting_max;   /* threads that wait for a request */
  guint parked;
  guint retiring;               /* of the parked, how many shall end */
  guint64 taken;                /* requests */
  guint64 drained;              /* how often a thread found none */
};

/* What the deputy saw at its last look. */
typedef struct {
  guint64 taken, drained;
  guint calm;
} Look;

static gpointer serve (gpointer data);

static void
add_thread_locked (PfsLoop *loop)
{
  GThread *thread = loop->threads < PFS_WORKERS_MAX ? g_thread_try_new ("request", serve, loop, NULL) : NULL;

  loop->exhausted = !thread;
  if (!thread)
    return;
  loop->threads++;
  g_thread_unref (thread);
}

/* Only while somebody is parked: all who wait may get a request each that is stuck. */
static bool
wait_began (PfsLoop *loop)
{
  g_mutex_lock (&loop->lock);
  bool may = loop->waiting < loop->waiting_max && loop->parked > 0;
  if (may)
    loop->waiting++;
  g_mutex_unlock (&loop->lock);
  return may;
}

/* How many threads are busy now. *ret_last: and there is nobody else to take a request, nor will there be. */
static guint
wait_ended (PfsLoop *loop, bool *ret_last)
{
  g_mutex_lock (&loop->lock);
  loop->waiting--;
  loop->taken++;
  guint busy = loop->threads - loop->waiting - loop->parked;
  *ret_last = loop->exhausted && loop->waiting == 0 && loop->parked == 0;
  if (loop->asleep)
    g_cond_signal (&loop->tick);
  g_mutex_unlock (&loop->lock);
  return busy;
}

/* Sleeps until the next look: a tick, counted from the next request where there is none. */
static void
sleep_locked (PfsLoop *loop, Look *look)
{
  while (loop->waiting > 0 && loop->taken == look->taken && !loop->stopping) {
    loop->waiting_max = 1;
    loop->asleep = true;
    g_cond_wait (&loop->tick, &loop->lock);
    loop->asleep = false;
  }
  look->taken = loop->taken;
  look->drained = loop->drained;
  if (!loop->stopping)
    g_cond_wait_until (&loop->tick, &loop->lock, g_get_monotonic_time () + TICK_US);
}

/* Is there work enough for one more? There is where no thread has found nothing to do since the last look, and something
 * was done meanwhile, or nobody is left to do it. */
static bool
needs_more_locked (PfsLoop *loop, Look *look)
{
  if (loop->drained == look->drained && (loop->taken != look->taken || loop->waiting == 0)) {
    loop->waiting_max = MIN (loop->waiting_max + 1, MAX (loop->cpus, 1));
    return true;
  }
  if (++look->calm >= CALM_TICKS && loop->waiting_max > 1) {
    loop->waiting_max--;
    look->calm = 0;
  }
  return false;
}

/* Until there is no deputy. False where the thread shall end rather than wait: the deputy stays. */
static bool
await_call_locked (PfsLoop *loop)
{
  while (loop->deputy && !loop->stopping) {
    if (loop->retiring > 0) {
      loop->retiring--;
      return false;
    }
    g_cond_wait (&loop->call, &loop->lock);
  }
  return true;
}

/* Returns when the thread is needed, and waits for a request from then on; false at the end, or where enough others are
 * parked. */
static bool
park (PfsLoop *loop)
{
  Look look = { 0 };

  g_mutex_lock (&loop->lock);
  if (loop->parked >= PARKED_MAX) {
    g_mutex_unlock (&loop->lock);
    return false;
  }
  loop->parked++;
  if (!await_call_locked (loop)) {
    loop->parked--;
    g_mutex_unlock (&loop->lock);
    return false;
  }
  loop->deputy = true;
  look.taken = loop->taken - 1; /* it looks at least once */
  do
    sleep_locked (loop, &look);
  while (!loop->stopping && !needs_more_locked (loop, &look));
  loop->deputy = false;
  loop->parked--;
  loop->waiting++;
  if (loop->parked > 0)
    g_cond_signal (&loop->call);
  else if (!loop->stopping)
    add_thread_locked (loop);
  bool going_on = !loop->stopping;
  g_mutex_unlock (&loop->lock);
  return going_on;
}

/* Looking costs time of a core: it stops where it leads to nothing, and is tried again now and then. */
static bool
is_worth_looking (PfsLoop *loop, guint in_vain)
{
  g_mutex_lock (&loop->lock);
  bool worth = loop->cpus > 1 && loop->waiting == 1 && (in_vain < IN_VAIN_MAX || in_vain % IN_VAIN_SKIP == 0);
  loop->drained++;
  g_mutex_unlock (&loop->lock);
  return worth;
}

/* The next request: its length; at the end of the session none, 0 or -errno. */
static int
take (PfsLoop *loop, struct fuse_buf *buf, guint *in_vain)
{
  struct pollfd fds[] = { { .fd = fuse_session_fd (loop->fuse), .events = POLLIN },
                          { .fd = loop->ended, .events = POLLIN } };
  int r = fuse_session_receive_buf (loop->fuse, buf);

  while ((r == -EAGAIN || r == -EINTR) && !fuse_session_exited (loop->fuse)) {
    if (is_worth_looking (loop, *in_vain)) {
      gint64 end = g_get_monotonic_time () + LOOK_US;
      do
        r = fuse_session_receive_buf (loop->fuse, buf);
      while (r == -EAGAIN && g_get_monotonic_time () < end);
    }
    if (r == -EAGAIN) {
      ++*in_vain;
      poll (fds, G_N_ELEMENTS (fds), -1);
      r = fuse_session_receive_buf (loop->fuse, buf);
    } else {
      *in_vain = 0;
    }
  }
  return r;
}

static void
end (PfsLoop *loop, int error)
{
  g_mutex_lock (&loop->lock);
  if (error != 0 && error != -EAGAIN && error != -EINTR)
    loop->error = error;
  g_mutex_unlock (&loop->lock);
  fuse_session_exit (loop->fuse);
  pfs_eventfd_raise (loop->ended);
}

static gpointer
serve (gpointer data)
{
  PfsLoop *loop = data;
  PfsWorker *worker = pfs_worker_enter (loop->workers);
  struct fuse_buf buf = { 0 };
  guint in_vain = 0;
  bool last;
  int r = 1;

  while (r > 0) {
    if (!wait_began (loop)) {
      /* A mebibyte, of which a large request may have used all. */
      g_clear_pointer (&buf.mem, free);
      if (!park (loop))
        break;
    }
    r = take (loop, &buf, &in_vain);
    guint busy = wait_ended (loop, &last);
    if (r > 0)
      pfs_worker_process (worker, &buf, busy, last);
  }
  free (buf.mem);
  pfs_worker_leave (worker);
  if (r <= 0)
    end (loop, r);
  g_mutex_lock (&loop->lock);
  loop->threads--;
  g_cond_signal (&loop->left);
  g_mutex_unlock (&loop->lock);
  return NULL;
}

/* None is added any more: only who is parked adds one, and sees the end first. Whoever waits for a dead mount may never
 * leave. */
static bool
stop_threads (PfsLoop *loop)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE_MS * G_TIME_SPAN_MILLISECOND;

  g_mutex_lock (&loop->lock);
  loop->stopping = true;
  g_cond_broadcast (&loop->tick);
  g_cond_broadcast (&loop->call);
  while (loop->threads > 0 && g_cond_wait_until (&loop->left, &loop->lock, deadline))
    continue;
  bool all = loop->threads == 0;
  g_mutex_unlock (&loop->lock);
  return all && pfs_workers_idle (loop->workers);
}

int
pfs_loop_run (PfsLoop *loop, bool *ret_idle)
{
  struct pollfd fds[] = { { .fd = loop->ended, .events = POLLIN }, { .fd = loop->workers->wake, .events = POLLIN } };
  int fd = fuse_session_fd (loop->fuse);

  if (fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK) < 0)
    return -errno;
  g_mutex_lock (&loop->lock);
  add_thread_locked (loop);
  add_thread_locked (loop);
  guint n = loop->threads;
  g_mutex_unlock (&loop->lock);
  if (n == 0)
    return -EAGAIN;
  while (!fuse_session_exited (loop->fuse))
    poll (fds, G_N_ELEMENTS (fds), pfs_stall_tend (loop->workers));
  *ret_idle = stop_threads (loop);
  return loop->error;
}

void
pfs_loop_retire_parked (PfsLoop *loop)
{
  g_mutex_lock (&loop->lock);
  loop->retiring = loop->parked > 1 ? loop->parked - 1 : 0;
  g_cond_broadcast (&loop->call);
  g_mutex_unlock (&loop->lock);
}

int
pfs_loop_ended_fd (const PfsLoop *loop)
{
  return loop->ended;
}

PfsLoop *
pfs_loop_new (struct fuse_session *fuse)
{
  int ended = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

  if (ended < 0)
    return NULL;
  PfsWorkers *workers = pfs_workers_new (fuse);
  if (!workers) {
    close (ended);
    return NULL;
  }
  PfsLoop *loop = g_new0 (PfsLoop, 1);
  loop->fuse = fuse;
  loop->workers = workers;
  loop->ended = ended;
  loop->cpus = g_get_num_processors ();
  loop->waiting_max = 1;
  g_mutex_init (&loop->lock);
  g_cond_init (&loop->tick);
  g_cond_init (&loop->call);
  g_cond_init (&loop->left);
  return loop;
}

void
pfs_loop_free (PfsLoop *loop)
{
  pfs_workers_free (loop->workers);
  g_cond_clear (&loop->tick);
  g_cond_clear (&loop->call);
  g_cond_clear (&loop->left);
  g_mutex_clear (&loop->lock);
  close (loop->ended);
  g_free (loop);
}
