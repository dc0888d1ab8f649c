/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of the session by a signal. libfuse's own handlers make its loop return; but it waits for its threads, and
 * one of them may wait for a dead mount below a peer. A pod that is deleted must end all the same. */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "jobs.h"
#include "mountpoint.h"
#include "private.h"

#define PATIENCE 2 /* seconds */

static const int ending[] = { SIGTERM, SIGINT, SIGHUP };

/* What handlers have to know. Written before they are set. */
static struct {
  void (*end_session) (int); /* libfuse's */
  PfsSession *session;
  int ended;
} handling;

static void
on_ending (int signal)
{
  int saved = errno;

  alarm (PATIENCE);
  handling.end_session (signal);
  pfs_eventfd_raise (handling.ended);
  errno = saved;
}

static void
on_alarm (int signal)
{
  (void) signal;
  pfs_mountpoint_clear (handling.session);
  _exit (0);
}

static int
set (int signal, void (*handler) (int))
{
  struct sigaction action = { .sa_handler = handler };

  sigemptyset (&action.sa_mask);
  return sigaction (signal, &action, NULL);
}

int
pfs_signals_set (PfsSession *session)
{
  struct sigaction theirs;

  if (fuse_set_signal_handlers (session->fuse) != 0 || sigaction (SIGTERM, NULL, &theirs) < 0)
    return -1;
  handling.session = session;
  handling.end_session = theirs.sa_handler;
  handling.ended = pfs_loop_ended_fd (session->jobs);
  if (set (SIGALRM, on_alarm) < 0)
    return -1;
  for (guint i = 0; i < G_N_ELEMENTS (ending); i++) {
    struct sigaction now;

    /* One that our parent had ignored (nohup) stays ignored. */
    if (sigaction (ending[i], NULL, &now) == 0 && now.sa_handler == theirs.sa_handler && set (ending[i], on_ending) < 0)
      return -1;
  }
  return 0;
}

void
pfs_signals_remove (PfsSession *session)
{
  alarm (0);
  set (SIGALRM, SIG_DFL);
  for (guint i = 0; i < G_N_ELEMENTS (ending); i++)
    set (ending[i], SIG_DFL);
  fuse_remove_signal_handlers (session->fuse);
}
