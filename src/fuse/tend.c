/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A thread that waits for what may never come is lost for as long as that lasts. Below FUSE and NFS, the kernel lets
 * only a dying process go (fs/fuse/dev.c, request_wait_answer). So a caller is answered as soon as it is killed. It is
 * answered after a while in any case, if others wait for it in the kernel, where they cannot be killed. */
#include <errno.h>
#include <signal.h>

#include "peerfs/proc/proc.h"
#include "requests.h"

#define TEND_MS 100
#define GRACE_MS 200 /* for the thread to answer by itself */
#define AGAIN_MS 50  /* until the next try to have one tried again, if no thread was to be had */

bool
pfs_request_interrupt (PfsJobs *jobs, guint64 unique)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);

  for (GList *link = jobs->requests.head; link; link = link->next) {
    PfsRequest *request = link->data;

    if (!request->in || request->in->unique != unique)
      continue;
    request->interrupted = pfs_now ();
    pfs_requests_tend_from_locked (jobs, request->interrupted);
    return true;
  }
  return false;
}

void
pfs_request_refuse (PfsJobs *jobs, guint64 unique, int r)
{
  struct fuse_out_header out = { .len = sizeof out, .error = r, .unique = unique };

  /* ENOENT: it was answered meanwhile. */
  if (write (fuse_session_fd (jobs->session->fuse), &out, sizeof out) < 0)
    return;
}

/* A dying process has SIGKILL pending, whichever signal kills it (kernel/signal.c, complete_signal). */
static bool
is_dying (const PfsJobs *jobs, pid_t caller)
{
  PfsStat stat;

  return caller > 0 && pfs_proc_stat_at (jobs->session->proc_fd, caller, &stat) == 0
         && (stat.pending & (1u << (SIGKILL - 1)));
}

/* Has a request waited so long on the same mount that it seems dead? */
static bool
is_dead_locked (PfsJobs *jobs, const PfsRequest *request)
{
  return request->place.mount && pfs_pool_stalled_locked (jobs, request->mount) > 0;
}

/* The answer to give before the thread does; 0: none yet. A caller that does not die goes on waiting, as it would for
 * the peer's file itself. But the file's server may let it go, and so does a lease: the signal is for that. It is sent
 * again and again, as the first one may come before the system call. */
static int
verdict_locked (PfsJobs *jobs, PfsRequest *request, gint64 now)
{
  bool busy = request->state == PFS_RUNNING || request->state == PFS_HERE;

  if (request->locks_directory && now - request->since >= PFS_LOCKED_MS)
    return -ETIMEDOUT;
  if (request->interrupted == 0)
    return 0;
  if (request->retry && !busy)
    return -EINTR;
  bool dying = is_dying (jobs, (pid_t) request->in->pid);
  if (busy && (dying || request->place.remote || request->in->opcode == FUSE_OPEN))
    pthread_kill (request->thread, SIGUSR2);
  if (!dying || (busy && now - request->interrupted < GRACE_MS && !is_dead_locked (jobs, request)))
    return 0;
  return -EINTR;
}

/* When to look again. A request keeps its references until its thread is done with it. Those that need not wait any
 * longer become jobs. */
static gint64
tend_one_locked (PfsJobs *jobs, PfsRequest *request, gint64 now)
{
  int r = !request->in || request->answered ? 0 : verdict_locked (jobs, request, now);

  if (r < 0) {
    request->answered = true;
    pfs_request_refuse (jobs, request->in->unique, r);
  }
  if (request->state == PFS_LATER) {
    if (!request->answered && request->due > now)
      return request->due;
    if (!pfs_request_push_locked (jobs, request))
      return now + AGAIN_MS;
  }
  if (!request->in || request->answered)
    return G_MAXINT64;
  if (request->interrupted)
    return now + TEND_MS;
  return request->locks_directory ? request->since + PFS_LOCKED_MS : G_MAXINT64;
}

int
pfs_requests_tend (PfsJobs *jobs)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);
  gint64 now = pfs_now (), next = G_MAXINT64;

  if (jobs->tend_at > now)
    return jobs->tend_at == G_MAXINT64 ? -1 : (int) (jobs->tend_at - now);
  for (GList *link = jobs->requests.head; link; link = link->next) {
    gint64 when = tend_one_locked (jobs, link->data, now);
    next = MIN (next, when);
  }
  jobs->tend_at = next;
  return next == G_MAXINT64 ? -1 : (int) MAX (next - now, 1);
}
