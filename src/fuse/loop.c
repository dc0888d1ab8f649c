/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads. Each does the jobs that there are, receives requests, or sleeps.
 *
 * Nearly all clients wait for each answer before they ask on. One thread serves them fastest, if it looks again for a
 * moment before it sleeps: to wake it takes longer than most answers. Every further thread that waited would be woken
 * in its place. So one receives at a time. The main thread looks now and then whether any thread was waiting for a
 * request. If none was, because all are at work, it calls one more. While there is nothing to do, all of them sleep. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "requests.h"

#define IDLE_MAX 6u                          /* threads that sleep; more of them leave */
#define PATIENCE_US (G_TIME_SPAN_SECOND / 2) /* at the end, for those that are busy */
#define LOOK_US 20                           /* before a thread sleeps that waits for a request */
#define IN_VAIN_MAX 4u                       /* such looks without one, one after the other */
#define IN_VAIN_SKIP 16u                     /* of so many sleeps, one begins with a look from then on */
#define TICK_MS 2                            /* between two looks of the main thread */
#define CALM_TICKS 50u                       /* after which fewer threads may wait */

/* False: the thread is not needed any more. */
static bool
idle_locked (PfsJobs *jobs, struct fuse_buf *buf)
{
  if (jobs->idle >= IDLE_MAX)
    return false;
  jobs->idle++;
  g_mutex_unlock (&jobs->lock);
  /* PFS_IO_MAX each, if a large request has used all. */
  g_clear_pointer (&buf->mem, free);
  pfs_read_buffer_drop ();
  g_mutex_lock (&jobs->lock);
  while (jobs->called == 0 && !jobs->stopping)
    g_cond_wait (&jobs->call, &jobs->lock);
  jobs->idle--;
  if (jobs->called > 0)
    jobs->called--;
  return true;
}

/* A look costs time of a core, which the client may need. It stops if it leads to nothing, and is tried at times. */
static bool
is_worth_look (const PfsJobs *jobs, guint in_vain)
{
  return jobs->cpus > 1 && (in_vain < IN_VAIN_MAX || in_vain % IN_VAIN_SKIP == 0);
}

/* The next request: its length; at the end of the session none, 0 or -errno. *ret_drained: there was none at first.
 * Alone, it looks again for a moment before it sleeps. */
static int
take (PfsJobs *jobs, PfsReceiver *receiver, bool alone, bool *ret_drained)
{
  struct fuse_session *fuse = jobs->session->fuse;
  struct pollfd fds[] = { { .fd = fuse_session_fd (fuse), .events = POLLIN }, { .fd = jobs->ended, .events = POLLIN } };
  gint64 end = 0;
  int r = fuse_session_receive_buf (fuse, &receiver->buf);

  *ret_drained = r == -EAGAIN;
  while ((r == -EAGAIN || r == -EINTR) && !fuse_session_exited (fuse)) {
    gint64 now = g_get_monotonic_time ();

    if (end == 0 && alone && is_worth_look (jobs, receiver->in_vain))
      end = now + LOOK_US;
    if (now >= end) {
      receiver->in_vain += alone;
      poll (fds, G_N_ELEMENTS (fds), -1);
      end = 0;
    }
    r = fuse_session_receive_buf (fuse, &receiver->buf);
  }
  if (end != 0)
    receiver->in_vain = 0;
  return r;
}

static void
receive_locked (PfsJobs *jobs, PfsReceiver *receiver)
{
  bool alone = ++jobs->receiving == 1 && jobs->receiving_max == 1, drained;

  g_mutex_unlock (&jobs->lock);
  int r = take (jobs, receiver, alone, &drained);
  if (r > 0) {
    PfsRequest *request = pfs_dispatch_look (jobs, receiver);

    g_mutex_lock (&jobs->lock);
    jobs->receiving--;
    jobs->taken++;
    jobs->drained += drained;
    if (jobs->asleep)
      pfs_eventfd_raise (jobs->wake);
    jobs->asleep = false;
    if (request)
      pfs_dispatch_locked (jobs, request);
    return;
  }
  fuse_session_exit (jobs->session->fuse);
  pfs_eventfd_raise (jobs->ended);
  g_mutex_lock (&jobs->lock);
  jobs->receiving--;
  jobs->stopping = true;
  if (r < 0 && r != -EAGAIN && r != -EINTR)
    jobs->error = r;
}

static gpointer
work (gpointer data)
{
  PfsJobs *jobs = data;
  PfsReceiver receiver = { 0 };
  bool stay = true;

  g_mutex_lock (&jobs->lock);
  while (stay) {
    if (pfs_jobs_do_locked (jobs))
      continue;
    if (jobs->stopping)
      stay = false;
    else if (jobs->receiving < jobs->receiving_max)
      receive_locked (jobs, &receiver);
    else
      stay = idle_locked (jobs, &receiver.buf);
  }
  free (receiver.buf.mem);
  jobs->threads--;
  g_cond_signal (&jobs->left);
  g_mutex_unlock (&jobs->lock);
  return NULL;
}

/* One more is needed if something was done since the last look, or no thread is left to do it, and none was out of work
 * meanwhile. */
static void
look_after_locked (PfsJobs *jobs)
{
  if (jobs->drained == 0 && (jobs->taken > 0 || jobs->receiving == 0)) {
    jobs->receiving_max = MIN (jobs->receiving_max + 1, MAX (jobs->cpus, 1));
    pfs_thread_call_locked (jobs);
  } else if (++jobs->calm >= CALM_TICKS && jobs->receiving_max > 1) {
    jobs->receiving_max--;
    jobs->calm = 0;
  }
  jobs->asleep = jobs->taken == 0 && jobs->receiving > 0;
  if (jobs->asleep)
    jobs->receiving_max = 1;
  jobs->taken = jobs->drained = 0;
}

/* True: all threads have left. One that waits for a peer may never leave. What is tried again is so a last time. */
static bool
stop (PfsJobs *jobs)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE_US;

  g_mutex_lock (&jobs->lock);
  jobs->stopping = true;
  g_cond_broadcast (&jobs->call);
  g_mutex_unlock (&jobs->lock);
  pfs_requests_poke (jobs);
  pfs_requests_tend (jobs);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);
  while (jobs->threads > 0 && g_cond_wait_until (&jobs->left, &jobs->lock, deadline))
    continue;
  return jobs->threads == 0;
}

/* Sleeps until the next look: at requests, or at callers that wait in vain. */
static void
tick (PfsJobs *jobs, bool asleep)
{
  struct pollfd fds[] = { { .fd = jobs->ended, .events = POLLIN }, { .fd = jobs->wake, .events = POLLIN } };
  int tend_ms = pfs_requests_tend (jobs);

  if (poll (fds, G_N_ELEMENTS (fds), asleep || (tend_ms >= 0 && tend_ms < TICK_MS) ? tend_ms : TICK_MS) > 0)
    pfs_eventfd_clear (jobs->wake);
}

int
pfs_loop_run (PfsJobs *jobs, bool *ret_idle)
{
  int fd = fuse_session_fd (jobs->session->fuse);

  if (fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK) < 0)
    return -errno;
  g_mutex_lock (&jobs->lock);
  bool started = pfs_thread_call_locked (jobs);
  g_mutex_unlock (&jobs->lock);
  if (!started)
    return -EAGAIN;
  for (bool asleep = false; !fuse_session_exited (jobs->session->fuse);) {
    tick (jobs, asleep);
    g_mutex_lock (&jobs->lock);
    /* What has just woken it has had no time yet. */
    if (!asleep)
      look_after_locked (jobs);
    asleep = jobs->asleep;
    g_mutex_unlock (&jobs->lock);
  }
  *ret_idle = stop (jobs);
  return jobs->error;
}

PfsJobs *
pfs_jobs_new (PfsSession *session)
{
  PfsJobs *jobs = g_new0 (PfsJobs, 1);

  *jobs = (PfsJobs) { .session = session, .cpus = g_get_num_processors (), .receiving_max = 1, .tend_at = G_MAXINT64 };
  jobs->thread_main = work;
  g_mutex_init (&jobs->lock);
  g_cond_init (&jobs->call);
  g_cond_init (&jobs->left);
  g_queue_init (&jobs->requests);
  jobs->pools = g_ptr_array_new_with_free_func (g_free);
  jobs->ended = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  jobs->wake = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (jobs->ended < 0 || jobs->wake < 0)
    g_clear_pointer (&jobs, pfs_jobs_free);
  return jobs;
}

void
pfs_jobs_free (PfsJobs *jobs)
{
  g_ptr_array_unref (jobs->pools);
  g_cond_clear (&jobs->left);
  g_cond_clear (&jobs->call);
  g_mutex_clear (&jobs->lock);
  pfs_fd_cleanup (&jobs->wake);
  pfs_fd_cleanup (&jobs->ended);
  g_free (jobs);
}
