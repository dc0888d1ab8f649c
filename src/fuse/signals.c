/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of the session by a signal. fuse_session_exit() makes the loop return; but it waits for its threads, and one
 * of them may wait for a dead mount below a peer. A pod that is deleted must end all the same. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "requests.h"
#include "private.h"

#define PATIENCE 2 /* seconds */

static const int ending[] = { SIGTERM, SIGINT, SIGHUP };

/* What handlers have to know. Written before they are set. */
static PfsSession *handled;

static void
on_ending (int signal)
{
  int saved = errno;

  (void) signal;
  alarm (PATIENCE);
  fuse_session_exit (handled->fuse);
  pfs_eventfd_raise (handled->jobs->ended);
  errno = saved;
}

static void
on_alarm (int signal)
{
  (void) signal;
  pfs_mountpoint_clear (handled);
  _exit (0);
}

/* A signal with a handler interrupts a system call: tend.c. */
static void
on_interrupt (int signal)
{
  (void) signal;
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
  handled = session;
  if (set (SIGALRM, on_alarm) < 0 || set (SIGUSR2, on_interrupt) < 0 || set (SIGPIPE, SIG_IGN) < 0)
    return -1;
  for (guint i = 0; i < G_N_ELEMENTS (ending); i++) {
    struct sigaction now;

    /* One that our parent had ignored (nohup) stays ignored. */
    if (sigaction (ending[i], NULL, &now) < 0 || (now.sa_handler != SIG_IGN && set (ending[i], on_ending) < 0))
      return -1;
  }
  return 0;
}

void
pfs_signals_remove (void)
{
  alarm (0);
  set (SIGALRM, SIG_DFL);
  for (guint i = 0; i < G_N_ELEMENTS (ending); i++)
    set (ending[i], SIG_DFL);
}
