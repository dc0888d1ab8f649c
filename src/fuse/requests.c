/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of requests under way, and answers in the place of a thread that waits for what may never come.
 *
 * Such a thread is lost for as long as that lasts: below FUSE the kernel lets only a process that dies go (fs/fuse/dev.c,
 * request_wait_answer), on NFS likewise. So its caller is answered as soon as he is killed; or after a while, if others
 * wait for him in the kernel, who cannot be killed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jobs.h"
#include "peerfs/base/read.h"

#define STALLED_MS 1000         /* whoever has waited for so long may do so for ever */
#define TEND_MS 100
#define GRACE_MS 200            /* for the thread to answer by itself */
#define LOCKED_MS 10000         /* for how long a directory may be locked */
#define STATUS_MAX 16384        /* of /proc/<pid>/status */

gint64
pfs_now (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000) + now.tv_nsec / 1000000;
}

/* Those for which the kernel locks a directory: others who want to look there cannot even be killed. */
static bool
locks_directory (const PfsRequest *request)
{
  static const uint8_t opcodes[] = {
    FUSE_LOOKUP, FUSE_READDIR, FUSE_READDIRPLUS, FUSE_CREATE, FUSE_MKNOD, FUSE_MKDIR, FUSE_SYMLINK, FUSE_LINK,
    FUSE_UNLINK, FUSE_RMDIR, FUSE_RENAME, FUSE_RENAME2,
  };

  return request->in && request->place.remote && request->in->opcode <= UINT8_MAX
         && memchr (opcodes, (int) request->in->opcode, sizeof opcodes);
}

static void
tend_from_locked (PfsJobs *jobs, gint64 when)
{
  if (when >= jobs->tend_at)
    return;
  jobs->tend_at = when;
  pfs_eventfd_raise (jobs->wake);
}

void
pfs_request_add_locked (PfsJobs *jobs, PfsRequest *request)
{
  request->link.data = request;
  request->since = pfs_now ();
  g_queue_push_tail_link (&jobs->requests, &request->link);
  for (guint i = jobs->early->len; request->in && i > 0; i--)
    if (g_array_index (jobs->early, PfsEarly, i - 1).unique == request->in->unique) {
      request->interrupted = request->since;
      g_array_remove_index_fast (jobs->early, i - 1);
    }
  if (locks_directory (request))
    tend_from_locked (jobs, request->since + LOCKED_MS);
}

PfsCount
pfs_requests_count_locked (PfsJobs *jobs, const PfsPlace *place)
{
  gint64 now = pfs_now ();
  PfsCount count = { 0 };

  for (GList *link = jobs->requests.head; link; link = link->next) {
    const PfsRequest *request = link->data;
    bool same = request->place.container == place->container;
    bool same_mount = same && request->place.mount == place->mount;
    bool stalled = now - request->since >= STALLED_MS;

    count.in_container += same;
    count.on_mount += same_mount;
    count.stalled_in_container += stalled && same;
    count.stalled_on_mount += stalled && same_mount;
  }
  return count;
}

bool
pfs_request_interrupt (PfsJobs *jobs, guint64 unique)
{
  PfsEarly early = { unique, pfs_now () };
  PfsRequest *found = NULL;

  g_mutex_lock (&jobs->lock);
  for (GList *link = jobs->requests.head; link && !found; link = link->next) {
    PfsRequest *request = link->data;

    if (request->in && request->in->unique == unique)
      found = request;
  }
  if (found)
    found->interrupted = early.since;
  else
    g_array_append_val (jobs->early, early);
  bool known_to_libfuse = !found || found->running;
  tend_from_locked (jobs, early.since);
  g_mutex_unlock (&jobs->lock);
  return known_to_libfuse;
}

void
pfs_request_refuse (PfsJobs *jobs, guint64 unique, int r)
{
  struct fuse_out_header out = { .len = sizeof out, .error = r, .unique = unique };

  /* ENOENT: it was answered meanwhile. */
  if (write (fuse_session_fd (jobs->session->fuse), &out, sizeof out) < 0)
    return;
}

/* Whoever dies has SIGKILL pending, whichever signal it was that kills him (kernel/signal.c, complete_signal). */
bool
pfs_is_dying (pid_t caller)
{
  g_autoptr (GBytes) content = NULL;
  char path[48];

  g_snprintf (path, sizeof path, "/proc/%d/status", (int) caller);
  if (caller <= 0 || pfs_read_prefix_at (AT_FDCWD, path, STATUS_MAX, &content) < 0)
    return false;
  g_autofree char *text = g_strndup (g_bytes_get_data (content, NULL), g_bytes_get_size (content));
  const char *pending = strstr (text, "\nSigPnd:\t");
  return pending && (strtoull (pending + strlen ("\nSigPnd:\t"), NULL, 16) & (1u << (SIGKILL - 1)));
}

/* Has somebody waited so long on the same mount that it seems dead? */
static bool
is_dead_locked (PfsJobs *jobs, const PfsRequest *request)
{
  return request->place.mount && pfs_requests_count_locked (jobs, &request->place).stalled_on_mount > 0;
}

/* What the request shall be answered with in the place of its thread; 0: nothing yet. A caller who does not die goes on
 * waiting, as he would for the peer's file itself, unless its server lets him go, or he waits for the end of a lease: the
 * signal is for that. It is sent again and again, as the first one may come before the system call. */
static int
verdict_locked (PfsJobs *jobs, PfsRequest *request, gint64 now)
{
  if (locks_directory (request) && now - request->since >= LOCKED_MS)
    return -ETIMEDOUT;
  if (request->interrupted == 0)
    return 0;
  bool dying = pfs_is_dying ((pid_t) request->in->pid);
  if (request->running && (dying || request->place.remote || request->in->opcode == FUSE_OPEN))
    pthread_kill (request->thread, SIGUSR1);
  if (!dying || (request->running && now - request->interrupted < GRACE_MS && !is_dead_locked (jobs, request)))
    return 0;
  return -EINTR;
}

/* The request keeps its references until its thread is done with it, or passes over it as it is answered. */
static void
answer_locked (PfsJobs *jobs, PfsRequest *request, int r)
{
  request->answered = true;
  pfs_request_refuse (jobs, request->in->unique, r);
}

int
pfs_jobs_tend (PfsJobs *jobs)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);
  gint64 now = pfs_now (), next = G_MAXINT64;

  if (jobs->tend_at > now)
    return jobs->tend_at == G_MAXINT64 ? -1 : (int) (jobs->tend_at - now);
  for (GList *link = jobs->requests.head, *after; link; link = after) {
    PfsRequest *request = link->data;

    after = link->next;
    if (!request->in || request->answered)
      continue;
    int r = verdict_locked (jobs, request, now);
    if (r < 0)
      answer_locked (jobs, request, r);
    else if (request->interrupted)
      next = MIN (next, now + TEND_MS);
    else if (locks_directory (request))
      next = MIN (next, request->since + LOCKED_MS);
  }
  for (guint i = jobs->early->len; i > 0; i--)
    if (now - g_array_index (jobs->early, PfsEarly, i - 1).since >= STALLED_MS)
      g_array_remove_index_fast (jobs->early, i - 1);
    else
      next = MIN (next, now + TEND_MS);
  jobs->tend_at = next;
  return next == G_MAXINT64 ? -1 : (int) MAX (next - now, 1);
}
