/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads that take requests from the kernel.
 *
 * A client that waits for each answer before it asks on (nearly all do) is served fastest by one thread that looks again
 * for a moment before it sleeps: to be woken costs it more than most answers, and every further thread that waited as
 * well would be woken in its place. So one waits at a time, and the others are parked. The main thread looks now and then
 * whether anybody was waiting for a request at all. If nobody was, because all are at work, it calls one more. While there
 * is nothing to do, all of them sleep. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "jobs.h"

#define THREADS_MAX 512u
#define PARKED_MAX 6u           /* more of them are not needed any more */
#define PATIENCE_MS 500         /* at the end, for those who are busy */
#define LOOK_US 20              /* before a thread sleeps that waits for a request */
#define IN_VAIN_MAX 4u          /* looks without a request, one after the other; from then on one of IN_VAIN_SKIP */
#define IN_VAIN_SKIP 16u
#define TICK_MS 2               /* between two looks of the main thread */
#define CALM_TICKS 50u          /* after which fewer threads may wait */

struct PfsLoop {
  PfsSession *session;
  int ended;                    /* eventfd, readable once the session has ended */
  int wake;                     /* eventfd, on which the main thread sleeps */
  guint cpus;
  GMutex lock;                  /* guards what follows */
  GCond call, left;             /* on the first sleep those that are parked */
  int error;                    /* -errno */
  guint threads, parked, called;
  guint waiting, waiting_max;   /* threads that wait for a request */
  guint calm;                   /* ticks */
  guint64 taken, seen_taken;    /* requests, and how many there were at the last look */
  guint64 drained, seen_drained;        /* how often a thread found none */
  bool asleep, woken, stopping; /* the main thread sleeps for good; it was woken by a request */
};

static gpointer receive (gpointer data);

static void
call_one_locked (PfsLoop *loop)
{
  GThread *thread;

  if (loop->parked > loop->called) {
    loop->called++;
    g_cond_signal (&loop->call);
  } else if (loop->threads < THREADS_MAX && (thread = g_thread_try_new ("request", receive, loop, NULL))) {
    loop->threads++;
    g_thread_unref (thread);
  }
}

/* False: the thread is not needed any more. */
static bool
park (PfsLoop *loop, struct fuse_buf *buf)
{
  /* A mebibyte each, of which a large request may have used all. */
  g_clear_pointer (&buf->mem, free);
  pfs_read_buffer_drop ();
  g_mutex_lock (&loop->lock);
  bool stay = loop->parked < PARKED_MAX;
  if (stay) {
    loop->parked++;
    while (loop->called == 0 && !loop->stopping)
      g_cond_wait (&loop->call, &loop->lock);
    loop->parked--;
    stay = loop->called > 0;
  }
  if (stay) {
    loop->called--;
    loop->waiting++;
  }
  g_mutex_unlock (&loop->lock);
  return stay;
}

static bool
begin_turn (PfsLoop *loop, struct fuse_buf *buf)
{
  g_mutex_lock (&loop->lock);
  bool wait = loop->waiting < loop->waiting_max;
  loop->waiting += wait;
  g_mutex_unlock (&loop->lock);
  return wait || park (loop, buf);
}

static void
end_turn (PfsLoop *loop)
{
  g_mutex_lock (&loop->lock);
  loop->waiting--;
  loop->taken++;
  bool wake = loop->asleep;
  loop->woken = loop->woken || wake;
  loop->asleep = false;
  g_mutex_unlock (&loop->lock);
  if (wake)
    pfs_eventfd_raise (loop->wake);
}

/* Looking again costs time of a core: it stops where it leads to nothing, and is tried again now and then. */
static bool
is_worth_a_look (PfsLoop *loop, guint in_vain)
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
  struct fuse_session *fuse = loop->session->fuse;
  struct pollfd fds[] = { { .fd = fuse_session_fd (fuse), .events = POLLIN }, { .fd = loop->ended, .events = POLLIN } };
  int r = fuse_session_receive_buf (fuse, buf);

  while ((r == -EAGAIN || r == -EINTR) && !fuse_session_exited (fuse)) {
    if (is_worth_a_look (loop, *in_vain)) {
      gint64 end = g_get_monotonic_time () + LOOK_US;
      do
        r = fuse_session_receive_buf (fuse, buf);
      while (r == -EAGAIN && g_get_monotonic_time () < end);
    }
    if (r == -EAGAIN || r == -EINTR) {
      ++*in_vain;
      poll (fds, G_N_ELEMENTS (fds), -1);
      r = fuse_session_receive_buf (fuse, buf);
    } else {
      *in_vain = 0;
    }
  }
  return r;
}

static gpointer
receive (gpointer data)
{
  PfsLoop *loop = data;
  struct fuse_buf buf = { 0 };
  guint in_vain = 0;
  int r = 1;

  while (r > 0 && begin_turn (loop, &buf)) {
    r = take (loop, &buf, &in_vain);
    end_turn (loop);
    if (r > 0)
      pfs_jobs_dispatch (loop->session->jobs, &buf);
  }
  free (buf.mem);
  if (r <= 0)
    fuse_session_exit (loop->session->fuse), pfs_eventfd_raise (loop->ended);
  g_mutex_lock (&loop->lock);
  if (r < 0 && r != -EAGAIN && r != -EINTR)
    loop->error = r;
  loop->threads--;
  g_cond_signal (&loop->left);
  g_mutex_unlock (&loop->lock);
  return NULL;
}

/* One more is needed if no thread has found nothing to do since the last look, and something was done meanwhile, or
 * nobody is left to do it. Returns milliseconds until the next look; -1: until a request comes. */
static int
look_after (PfsLoop *loop)
{
  g_mutex_lock (&loop->lock);
  bool taken = loop->taken != loop->seen_taken;
  if (!loop->woken && loop->drained == loop->seen_drained && (taken || loop->waiting == 0)) {
    loop->waiting_max = MIN (loop->waiting_max + 1, MAX (loop->cpus, 1));
    call_one_locked (loop);
  } else if (++loop->calm >= CALM_TICKS && loop->waiting_max > 1) {
    loop->waiting_max--;
    loop->calm = 0;
  }
  loop->seen_taken = loop->taken;
  loop->seen_drained = loop->drained;
  loop->asleep = !loop->woken && !taken && loop->waiting > 0;
  loop->woken = false;
  if (loop->asleep)
    loop->waiting_max = 1;
  int ms = loop->asleep ? -1 : TICK_MS;
  g_mutex_unlock (&loop->lock);
  return ms;
}

/* True: all threads have left. Whoever waits for a peer may never leave. */
static bool
stop (PfsLoop *loop)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE_MS * G_TIME_SPAN_MILLISECOND;

  g_mutex_lock (&loop->lock);
  loop->stopping = true;
  g_cond_broadcast (&loop->call);
  while (loop->threads > 0 && g_cond_wait_until (&loop->left, &loop->lock, deadline))
    continue;
  bool all = loop->threads == 0;
  g_mutex_unlock (&loop->lock);
  return all;
}

int
pfs_loop_run (PfsLoop *loop, bool *ret_idle)
{
  struct pollfd fds[] = { { .fd = loop->ended, .events = POLLIN }, { .fd = loop->wake, .events = POLLIN } };
  int fd = fuse_session_fd (loop->session->fuse);

  if (fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK) < 0)
    return -errno;
  g_mutex_lock (&loop->lock);
  call_one_locked (loop);
  bool started = loop->threads > 0;
  g_mutex_unlock (&loop->lock);
  if (!started)
    return -EAGAIN;
  while (!fuse_session_exited (loop->session->fuse)) {
    int look_ms = look_after (loop), tend_ms = pfs_jobs_tend (loop->session->jobs);

    poll (fds, G_N_ELEMENTS (fds), look_ms < 0 || (tend_ms >= 0 && tend_ms < look_ms) ? tend_ms : look_ms);
    pfs_eventfd_clear (loop->wake);
  }
  *ret_idle = stop (loop);
  return loop->error;
}

int
pfs_loop_ended_fd (const PfsLoop *loop)
{
  return loop->ended;
}

PfsLoop *
pfs_loop_new (PfsSession *session)
{
  PfsLoop *loop = g_new0 (PfsLoop, 1);

  *loop = (PfsLoop){ .session = session, .cpus = g_get_num_processors (), .waiting_max = 1 };
  g_mutex_init (&loop->lock);
  g_cond_init (&loop->call);
  g_cond_init (&loop->left);
  loop->ended = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  loop->wake = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (loop->ended < 0 || loop->wake < 0) {
    pfs_loop_free (loop);
    return NULL;
  }
  session->jobs = pfs_jobs_new (session, loop->wake);
  return loop;
}

void
pfs_loop_free (PfsLoop *loop)
{
  g_clear_pointer (&loop->session->jobs, pfs_jobs_free);
  g_cond_clear (&loop->left);
  g_cond_clear (&loop->call);
  g_mutex_clear (&loop->lock);
  pfs_fd_cleanup (&loop->wake);
  pfs_fd_cleanup (&loop->ended);
  g_free (loop);
}
