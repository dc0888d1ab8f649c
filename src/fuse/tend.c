/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A thread that waits for what may never come is lost for as long as that lasts. Below FUSE and NFS, the kernel lets
 * only a dying process go (fs/fuse/dev.c, request_wait_answer). So a caller is answered as soon as it is killed. It is
 * answered after a while in any case, if others wait for it in the kernel, where they cannot be killed. */
#include <errno.h>
#include <signal.h>

#include "peerfs/proc/proc.h"
#include "requests.h"

#define TEND_MS 100
#define GRACE_MS 200      /* for the thread to answer by itself */
#define WAITING_MAX 1024u /* for locks */
#define AGAIN_MS 50       /* until the next try to have one tried again, if no thread was to be had */

/* A request that is to be tried again is in the list twice for a moment. */
bool
pfs_request_interrupt_locked (PfsJobs *jobs, guint64 unique)
{
  gint64 now = pfs_now ();
  bool found = false;

  for (GList *link = jobs->requests.head; link; link = link->next) {
    PfsRequest *request = link->data;

    if (!request->in || request->in->unique != unique)
      continue;
    request->interrupted = now;
    found = true;
  }
  if (found)
    pfs_requests_tend_from_locked (jobs, now);
  return found;
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

/* Has another request waited so long on the same mount that it seems dead? */
static bool
is_dead_locked (PfsJobs *jobs, const PfsRequest *request)
{
  return request->place.mount && pfs_requests_count_locked (jobs, &request->place).stalled_on_mount > 0;
}

/* The answer to give before the thread does; 0: none yet. A caller that does not die goes on waiting, as it would for
 * the peer's file itself. But the file's server may let it go, and so does a lease: the signal is for that. It is sent
 * again and again, as the first one may come before the system call. */
static int
verdict_locked (PfsJobs *jobs, PfsRequest *request, gint64 now)
{
  if (pfs_request_locks_directory (request) && now - request->since >= PFS_LOCKED_MS)
    return -ETIMEDOUT;
  if (request->interrupted == 0)
    return 0;
  if (request->retry && !request->running)
    return -EINTR;
  bool dying = is_dying (jobs, (pid_t) request->in->pid);
  if (request->running && (dying || request->place.remote || request->in->opcode == FUSE_OPEN))
    pthread_kill (request->thread, SIGUSR2);
  if (!dying || (request->running && now - request->interrupted < GRACE_MS && !is_dead_locked (jobs, request)))
    return 0;
  return -EINTR;
}

/* The request keeps its references until its thread is done with it. */
static void
answer_locked (PfsJobs *jobs, PfsRequest *request, gint64 now)
{
  int r = !request->in || request->answered ? 0 : verdict_locked (jobs, request, now);

  if (r == 0)
    return;
  request->answered = true;
  pfs_request_refuse (jobs, request->in->unique, r);
}

/* When to look again. Those that need not wait any longer become jobs. */
static gint64
tend_one_locked (PfsJobs *jobs, PfsRequest *request, gint64 now)
{
  answer_locked (jobs, request, now);
  if (request->later && (request->answered || request->due <= now) && !pfs_jobs_push_locked (jobs, request))
    return now + AGAIN_MS;
  if (request->later)
    return request->due;
  if (!request->in || request->answered)
    return G_MAXINT64;
  if (request->interrupted)
    return now + TEND_MS;
  return pfs_request_locks_directory (request) ? request->since + PFS_LOCKED_MS : G_MAXINT64;
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

/* --- requests that wait for a lock --- */

void
pfs_requests_end_locked (PfsJobs *jobs)
{
  for (GList *link = jobs->requests.head; link; link = link->next) {
    PfsRequest *request = link->data;

    if (!request->later)
      continue;
    request->answered = true;
    (void) pfs_jobs_push_locked (jobs, request);
  }
}

/* One container's callers may take half of what all others have left. */
static bool
may_wait_locked (PfsJobs *jobs, const PfsContainer *container)
{
  guint taken = 0;

  for (GList *link = jobs->requests.head; link; link = link->next) {
    const PfsRequest *request = link->data;

    taken += !request->retry ? 0 : pfs_node_mount_container (request->nodes[0]) == container ? 2 : 1;
  }
  return taken < WAITING_MAX;
}

int
pfs_request_retry (PfsJobs *jobs, fuse_req_t req, PfsRetry retry, gpointer data, GDestroyNotify free_data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);
  PfsRequest *mine = pfs_request_mine ();
  PfsNodeMount anywhere = { .mount = &jobs->requests };

  if (jobs->stopping || !may_wait_locked (jobs, mine->place.container))
    return -ENOLCK;
  PfsRequest *request = g_new0 (PfsRequest, 1);
  *request = (PfsRequest) { .in = g_memdup2 (mine->in, sizeof *mine->in),
                            .retry = retry,
                            .free_data = free_data,
                            .data = data,
                            .req = req,
                            .place = mine->place.remote ? mine->place : anywhere,
                            .interrupted = mine->interrupted,
                            .asked = pfs_now () };
  /* It takes over what the first one holds. */
  for (guint i = 0; i < G_N_ELEMENTS (request->nodes); i++) {
    request->nodes[i] = g_steal_pointer (&mine->nodes[i]);
    request->files[i] = g_steal_pointer (&mine->files[i]);
  }
  pfs_request_later_locked (jobs, request);
  return 0;
}

void
pfs_requests_poke (PfsJobs *jobs)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);

  for (GList *link = jobs->requests.head; link; link = link->next) {
    PfsRequest *request = link->data;

    if (!request->later)
      continue;
    request->due = 0;
    pfs_requests_tend_from_locked (jobs, 0);
  }
}
