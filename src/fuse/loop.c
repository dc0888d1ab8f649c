/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads that take requests from the kernel and answer them. Whose turn that is: turns.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "turns.h"

#define LOOK_US 20              /* before a thread sleeps that waits for a request */

struct PfsLoop {
  struct fuse_session *fuse;
  PfsWorkers *workers;          /* what they are busy with */
  PfsTurns turns;
  int ended;                    /* eventfd, readable once the session has ended */
  gint error;                   /* -errno */
};

/* Sleeps until there may be a request. False where the thread has to end. */
static bool
await (PfsLoop *loop, guint *generation)
{
  struct pollfd fds[] = { { .fd = fuse_session_fd (loop->fuse), .events = POLLIN },
                          { .fd = loop->ended, .events = POLLIN },
                          { .fd = pfs_turn_renewed_fd (&loop->turns, *generation), .events = POLLIN } };

  if (poll (fds, G_N_ELEMENTS (fds), -1) < 0)
    return true;
  return !fds[2].revents || pfs_turn_pass (&loop->turns, generation) == PFS_TURN_WAIT;
}

/* The next request: its length; at the end of the session none, 0 or -errno; -ECHILD where the thread alone has to end:
 * then it waits no longer. */
static int
take (PfsLoop *loop, struct fuse_buf *buf, guint *in_vain, guint *generation)
{
  int r = fuse_session_receive_buf (loop->fuse, buf);

  while ((r == -EAGAIN || r == -EINTR) && !fuse_session_exited (loop->fuse)) {
    if (pfs_turn_look (&loop->turns, *in_vain)) {
      gint64 end = g_get_monotonic_time () + LOOK_US;
      do
        r = fuse_session_receive_buf (loop->fuse, buf);
      while (r == -EAGAIN && g_get_monotonic_time () < end);
    }
    if (r == -EAGAIN || r == -EINTR) {
      ++*in_vain;
      if (!await (loop, generation))
        return -ECHILD;
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
  if (error != 0 && error != -EAGAIN && error != -EINTR)
    g_atomic_int_set (&loop->error, error);
  fuse_session_exit (loop->fuse);
  pfs_eventfd_raise (loop->ended);
}

/* Until the session ends: 0 or -errno; until the thread does: -ECHILD. */
static int
serve_requests (PfsLoop *loop, PfsWorker *worker, struct fuse_buf *buf)
{
  guint generation = pfs_turn_born (&loop->turns);
  guint in_vain = 0;
  bool last;

  for (;;) {
    PfsTurn turn = pfs_turn_begin (&loop->turns, &generation);

    if (turn == PFS_TURN_PARK) {
      /* A mebibyte each, of which a large request may have used all. */
      g_clear_pointer (&buf->mem, free);
      pfs_read_buffer_drop ();
      turn = pfs_turn_park (&loop->turns, &generation);
    }
    if (turn == PFS_TURN_LEAVE)
      return -ECHILD;
    int r = take (loop, buf, &in_vain, &generation);
    if (r == -ECHILD)
      return r;
    guint busy = pfs_turn_end (&loop->turns, &last);
    if (r <= 0)
      return r;
    pfs_worker_process (worker, buf, busy, last);
  }
}

static gpointer
serve (gpointer data)
{
  PfsLoop *loop = data;
  PfsWorker *worker = pfs_worker_enter (loop->workers);
  struct fuse_buf buf = { 0 };

  int r = serve_requests (loop, worker, &buf);
  free (buf.mem);
  pfs_worker_leave (worker);
  if (r != -ECHILD)
    end (loop, r);
  pfs_turn_leave (&loop->turns);
  return NULL;
}

int
pfs_loop_run (PfsLoop *loop, bool *ret_idle)
{
  struct pollfd fds[] = { { .fd = loop->ended, .events = POLLIN }, { .fd = loop->workers->wake, .events = POLLIN } };
  int fd = fuse_session_fd (loop->fuse);

  if (fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK) < 0)
    return -errno;
  if (pfs_turns_start (&loop->turns) == 0)
    return -EAGAIN;
  while (!fuse_session_exited (loop->fuse))
    poll (fds, G_N_ELEMENTS (fds), pfs_stall_tend (loop->workers));
  *ret_idle = pfs_turns_stop (&loop->turns) && pfs_workers_idle (loop->workers);
  return g_atomic_int_get (&loop->error);
}

void
pfs_loop_renew (PfsLoop *loop)
{
  pfs_turns_renew (&loop->turns);
}

int
pfs_loop_ended_fd (const PfsLoop *loop)
{
  return loop->ended;
}

PfsLoop *
pfs_loop_new (PfsSession *session)
{
  int ended = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

  if (ended < 0)
    return NULL;
  PfsLoop *loop = g_new0 (PfsLoop, 1);
  loop->fuse = session->fuse;
  loop->ended = ended;
  if (!pfs_turns_init (&loop->turns, serve, loop)) {
    close (ended);
    g_free (loop);
    return NULL;
  }
  loop->workers = pfs_workers_new (session);
  if (!loop->workers) {
    pfs_turns_clear (&loop->turns);
    close (ended);
    g_free (loop);
    return NULL;
  }
  return loop;
}

void
pfs_loop_free (PfsLoop *loop)
{
  pfs_workers_free (loop->workers);
  pfs_turns_clear (&loop->turns);
  close (loop->ended);
  g_free (loop);
}
