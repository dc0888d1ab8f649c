/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of requests under way, and answers in the place of a thread that waits for what may never come.
 *
 * Such a thread is lost for as long as that lasts: below FUSE the kernel lets only a process that dies go
 * (fs/fuse/dev.c, request_wait_answer), on NFS likewise. So its caller is answered as soon as he is killed; or after a
 * while, if others wait for him in the kernel, who cannot be killed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "jobs.h"
#include "peerfs/base/read.h"

#define STALLED_MS 1000 /* whoever has waited for so long may do so for ever */
#define TEND_MS 100
#define GRACE_MS 200      /* for the thread to answer by itself */
#define LOCKED_MS 10000   /* for how long a directory may be locked */
#define STATUS_MAX 16384  /* of /proc/<pid>/status */
#define WAITING_MAX 1024u /* for locks */
#define SOON_MS 1         /* until the second try; the longer somebody waits, the longer he waits for the next */
#define LATE_MS 50

gint64
pfs_now (void)
{
  return g_get_monotonic_time () / 1000;
}

static GPrivate mine_key; /* of PfsRequest */

void
pfs_request_set_mine (PfsRequest *request)
{
  g_private_set (&mine_key, request);
}

PfsNode *
pfs_request_held_node (uint64_t number)
{
  const PfsRequest *mine = g_private_get (&mine_key);

  for (guint i = 0; mine && i < G_N_ELEMENTS (mine->nodes); i++)
    if (mine->nodes[i] && mine->nodes[i]->number == number)
      return mine->nodes[i];
  return NULL;
}

/* Those for which the kernel locks a directory: others who want to look there cannot even be killed. */
static bool
locks_directory (const PfsRequest *request)
{
  static const uint8_t opcodes[] = {
    FUSE_LOOKUP,  FUSE_READDIR, FUSE_READDIRPLUS, FUSE_CREATE, FUSE_MKNOD,  FUSE_MKDIR,
    FUSE_SYMLINK, FUSE_LINK,    FUSE_UNLINK,      FUSE_RMDIR,  FUSE_RENAME, FUSE_RENAME2,
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
  g_queue_push_tail_link (&jobs->requests, &request->link);
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

    count.here += request->here;
    count.here_of_container += request->here && same;
    count.in_container += same;
    count.on_mount += same_mount;
    count.stalled_in_container += stalled && same;
    count.stalled_on_mount += stalled && same_mount;
  }
  return count;
}

/* Of one that waits there are two for a moment. */
static bool
mark_locked (const GQueue *queue, guint64 unique, gint64 now)
{
  bool found = false;

  for (GList *link = queue->head; link; link = link->next) {
    PfsRequest *request = link->data;

    if (!request->in || request->in->unique != unique)
      continue;
    request->interrupted = now;
    found = true;
  }
  return found;
}

bool
pfs_request_interrupt_locked (PfsJobs *jobs, guint64 unique)
{
  gint64 now = pfs_now ();
  bool under_way = mark_locked (&jobs->requests, unique, now), waits = mark_locked (&jobs->later, unique, now);

  if (under_way || waits)
    tend_from_locked (jobs, now);
  return under_way || waits;
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
static bool
is_dying (pid_t caller)
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
 * waiting, as he would for the peer's file itself, unless its server lets him go, or he waits for the end of a lease:
 * the signal is for that. It is sent again and again, as the first one may come before the system call. */
static int
verdict_locked (PfsJobs *jobs, PfsRequest *request, gint64 now)
{
  if (locks_directory (request) && now - request->since >= LOCKED_MS)
    return -ETIMEDOUT;
  if (request->interrupted == 0)
    return 0;
  if (request->retry && !request->running)
    return -EINTR;
  bool dying = is_dying ((pid_t) request->in->pid);
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

/* When to look again. */
static gint64
tend_one_locked (PfsJobs *jobs, PfsRequest *request, gint64 now)
{
  if (!request->in || request->answered)
    return G_MAXINT64;
  int r = verdict_locked (jobs, request, now);
  if (r < 0)
    answer_locked (jobs, request, r);
  else if (request->interrupted)
    return now + TEND_MS;
  else if (locks_directory (request))
    return request->since + LOCKED_MS;
  return G_MAXINT64;
}

/* Those that need not wait any longer become jobs. */
static gint64
tend_later_locked (PfsJobs *jobs, PfsRequest *request, gint64 now)
{
  tend_one_locked (jobs, request, now);
  if (!request->answered && request->due > now)
    return request->due;
  g_queue_unlink (&jobs->later, &request->link);
  request->since = now;
  if (pfs_jobs_push_locked (jobs, request))
    return G_MAXINT64;
  g_queue_push_tail_link (&jobs->later, &request->link);
  return now + LATE_MS;
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
  for (GList *link = jobs->later.head, *after; link; link = after) {
    after = link->next;
    gint64 when = tend_later_locked (jobs, link->data, now);
    next = MIN (next, when);
  }
  jobs->tend_at = next;
  return next == G_MAXINT64 ? -1 : (int) MAX (next - now, 1);
}

/* --- those that have to wait for a lock --- */

void
pfs_request_later_locked (PfsJobs *jobs, PfsRequest *request)
{
  gint64 now = pfs_now ();

  request->running = false;
  request->link.data = request;
  request->due = now + CLAMP ((now - request->asked) / 8, SOON_MS, LATE_MS);
  g_queue_push_tail_link (&jobs->later, &request->link);
  if (jobs->stopping)
    pfs_requests_end_locked (jobs);
  else
    tend_from_locked (jobs, request->interrupted ? now : request->due);
}

void
pfs_requests_end_locked (PfsJobs *jobs)
{
  for (GList *link = jobs->later.head, *after; link; link = after) {
    PfsRequest *request = link->data;

    after = link->next;
    request->answered = true;
    request->since = pfs_now ();
    g_queue_unlink (&jobs->later, link);
    if (!pfs_jobs_push_locked (jobs, request))
      g_queue_push_tail_link (&jobs->later, link);
  }
}

/* A container's callers may take half of what others have left. */
static bool
may_wait_locked (const GQueue *queue, const PfsContainer *container, guint *left)
{
  for (GList *link = queue->head; link; link = link->next) {
    const PfsRequest *request = link->data;
    guint takes = !request->retry ? 0 : pfs_node_place_container (request->nodes[0]) == container ? 2 : 1;

    if (takes >= *left)
      return false;
    *left -= takes;
  }
  return true;
}

int
pfs_request_retry (PfsJobs *jobs, fuse_req_t req, PfsRetry retry, gpointer data, GDestroyNotify free_data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);
  PfsRequest *mine = g_private_get (&mine_key);
  const PfsContainer *container = mine->place.container;
  PfsPlace anywhere = { .mount = &jobs->later };
  guint left = WAITING_MAX;

  if (jobs->stopping || !may_wait_locked (&jobs->later, container, &left)
      || !may_wait_locked (&jobs->requests, container, &left))
    return -ENOLCK;
  PfsRequest *request = g_new0 (PfsRequest, 1);
  *request = (PfsRequest){ .in = g_memdup2 (mine->in, sizeof *mine->in),
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

  for (GList *link = jobs->later.head; link; link = link->next)
    ((PfsRequest *) link->data)->due = 0;
  if (jobs->later.head)
    tend_from_locked (jobs, 0);
}
