/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The requests under way: the list of them, and how those that are jobs get done. */
#include <errno.h>

#include "requests.h"

#define THREADS_MAX 1024u /* half of them may have jobs */
#define WAITING_MAX 1024u /* requests that are tried again */
#define SOON_MS 1         /* until the second try; the longer one waits, the longer it waits for the next try */
#define LATE_MS 50

static GPrivate mine_key; /* of PfsRequest: what the thread answers */

/* --- the list --- */

void
pfs_request_enter_locked (PfsJobs *jobs, PfsRequest *request)
{
  pfs_pools_enter_locked (jobs, request);
  request->link.data = request;
  if (request->lets_go)
    g_queue_push_head_link (&jobs->requests, &request->link);
  else
    g_queue_push_tail_link (&jobs->requests, &request->link);
  if (request->locks_directory)
    pfs_requests_tend_from_locked (jobs, request->since + PFS_LOCKED_MS);
}

void
pfs_request_over_locked (PfsJobs *jobs, PfsRequest *request)
{
  pfs_request_set_state_locked (jobs, request, PFS_NEW);
  request->container->retried -= request->retry != NULL;
  jobs->all.retried -= request->retry != NULL;
  pfs_pools_leave_locked (jobs, request);
  g_queue_unlink (&jobs->requests, &request->link);
  if (request->copied)
    g_free ((void *) request->in);
  g_free (request);
}

/* Drops what it keeps. That may wait for a mount. */
static void
let_go (PfsRequest *request)
{
  for (guint i = 0; i < G_N_ELEMENTS (request->nodes); i++) {
    g_clear_pointer (&request->files[i], pfs_file_unref);
    if (request->nodes[i])
      pfs_node_forget (request->nodes[i], 1);
  }
}

void
pfs_requests_tend_from_locked (PfsJobs *jobs, gint64 when)
{
  if (when >= jobs->tend_at)
    return;
  jobs->tend_at = when;
  pfs_eventfd_raise (jobs->wake);
}

/* --- jobs --- */

bool
pfs_thread_call_locked (PfsJobs *jobs)
{
  GThread *thread = NULL;

  if (jobs->idle > jobs->called) {
    jobs->called++;
    g_cond_signal (&jobs->call);
    return true;
  }
  if (jobs->threads < THREADS_MAX)
    thread = g_thread_try_new ("request", jobs->thread_main, jobs, NULL);
  if (!thread)
    return false;
  jobs->threads++;
  g_thread_unref (thread);
  return true;
}

/* Where requests of local mounts wait to be tried again: one thread of each container is enough for them. */
static gconstpointer
retry_mount (const PfsJobs *jobs)
{
  return &jobs->requests;
}

static guint
threads_max (const PfsJobs *jobs, const PfsPool *mount)
{
  return mount->mount == retry_mount (jobs) ? 1 : PFS_MOUNT_THREADS;
}

/* A container may take half of the threads that all others have left, so the next one always finds some. */
static bool
may_run_locked (const PfsJobs *jobs, const PfsPool *mount)
{
  return mount->container_pool && mount->n[PFS_WAITING] > 0 && mount->n[PFS_RUNNING] < threads_max (jobs, mount)
         && 2 * mount->container_pool->n[PFS_RUNNING] + jobs->all.n[PFS_RUNNING] < PFS_JOBS_MAX;
}

bool
pfs_request_push_locked (PfsJobs *jobs, PfsRequest *request)
{
  const guint *n = request->mount->n;
  PfsState before = request->state;

  request->since = pfs_now ();
  pfs_request_set_state_locked (jobs, request, PFS_WAITING);
  /* Else a thread that is busy, or on its way, takes it next. */
  bool call = may_run_locked (jobs, request->mount)
              && n[PFS_RUNNING] + n[PFS_WAITING] <= threads_max (jobs, request->mount);
  if (!call || pfs_thread_call_locked (jobs) || n[PFS_RUNNING] > 0)
    return true;
  pfs_request_set_state_locked (jobs, request, before);
  return false;
}

/* r_vain: 0, or to do nothing, and answer so. False: it is to be tried again. */
static bool
run (PfsJobs *jobs, PfsRequest *request, int r_vain)
{
  const struct fuse_buf buf = { .mem = (void *) request->in, .size = request->in ? request->in->len : 0 };

  if (request->work) {
    request->work (request->data);
  } else if (request->retry) {
    int r = r_vain < 0 ? r_vain : request->retry (request->data);
    if (r == -EAGAIN)
      return false;
    fuse_reply_err (request->req, pfs_error_to_tell (r));
    request->free_data (request->data);
  } else if (r_vain == 0) {
    g_private_set (&mine_key, request);
    fuse_session_process_buf (jobs->session->fuse, &buf);
    g_private_set (&mine_key, NULL);
    if (request->retry)
      return false;
  }
  let_go (request);
  return true;
}

/* Of the request itself only the header is needed any more. */
static void
later_locked (PfsJobs *jobs, PfsRequest *request)
{
  gint64 now = pfs_now ();

  if (!request->copied)
    request->in = g_memdup2 (request->in, sizeof *request->in);
  request->copied = true;
  request->due = now + CLAMP ((now - request->asked) / 8, SOON_MS, LATE_MS);
  pfs_request_set_state_locked (jobs, request, PFS_LATER);
  pfs_requests_tend_from_locked (jobs, request->interrupted ? now : request->due);
}

void
pfs_request_run_locked (PfsJobs *jobs, PfsRequest *request, PfsState state)
{
  bool over;

  request->thread = pthread_self ();
  pfs_request_set_state_locked (jobs, request, state);
  do {
    /* At the end not EINTR: without a signal, the caller would get ERESTARTSYS of the kernel. */
    int r_vain = request->answered ? -EINTR : request->retry && jobs->stopping ? -ECONNABORTED : 0;

    g_mutex_unlock (&jobs->lock);
    over = run (jobs, request, r_vain);
    g_mutex_lock (&jobs->lock);
  } while (!over && jobs->stopping);
  if (over)
    pfs_request_over_locked (jobs, request);
  else
    later_locked (jobs, request);
}

/* The first that waits for a thread there. */
static PfsRequest *
next_locked (PfsJobs *jobs, const PfsPool *mount)
{
  for (GList *link = jobs->requests.head; link; link = link->next) {
    PfsRequest *request = link->data;

    if (request->mount == mount && request->state == PFS_WAITING)
      return request;
  }
  return NULL;
}

/* One thread takes no job. It receives requests even if no other thread is to be had. This comes before each request
 * that is received: it must not take longer the more of them wait. */
bool
pfs_jobs_do_locked (PfsJobs *jobs)
{
  bool may = jobs->all.n[PFS_WAITING] > 0 && (jobs->all.n[PFS_RUNNING] + 1 < jobs->threads || jobs->stopping);

  for (guint i = 0; may && i < jobs->pools->len; i++)
    if (may_run_locked (jobs, jobs->pools->pdata[i])) {
      pfs_request_run_locked (jobs, next_locked (jobs, jobs->pools->pdata[i]), PFS_RUNNING);
      return true;
    }
  return false;
}

/* --- work of our own --- */

bool
pfs_jobs_start (PfsJobs *jobs, PfsNodeMount place, void (*func) (gpointer data), gpointer data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);
  PfsRequest *request = g_new0 (PfsRequest, 1);

  *request = (PfsRequest) { .work = func, .data = data, .place = place };
  pfs_request_enter_locked (jobs, request);
  bool first = place.container || request->mount->refs == 1;
  if (first && !jobs->stopping && pfs_request_push_locked (jobs, request))
    return true;
  pfs_request_over_locked (jobs, request);
  return false;
}

void
pfs_jobs_run (PfsNode *node, void (*func) (gpointer data), gpointer data, gpointer jobs)
{
  PfsNodeMount place = pfs_node_mount (node);

  if (!place.remote || !pfs_jobs_start (jobs, place, func, data))
    func (data);
}

/* --- the request that the calling thread answers --- */

PfsNode *
pfs_request_held_node (uint64_t number)
{
  const PfsRequest *mine = g_private_get (&mine_key);

  for (guint i = 0; mine && i < G_N_ELEMENTS (mine->nodes); i++)
    if (mine->nodes[i] && mine->nodes[i]->number == number)
      return mine->nodes[i];
  return NULL;
}

/* One container's callers may take half of what all others have left. */
int
pfs_request_retry (PfsJobs *jobs, fuse_req_t req, PfsRetry retry, gpointer data, GDestroyNotify free_data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);
  PfsRequest *mine = g_private_get (&mine_key);
  PfsState state = mine->state;

  if (jobs->stopping || mine->container->retried + jobs->all.retried >= WAITING_MAX)
    return -ENOLCK;
  pfs_request_set_state_locked (jobs, mine, PFS_NEW);
  pfs_pools_leave_locked (jobs, mine);
  if (!mine->place.remote)
    mine->place.mount = retry_mount (jobs);
  pfs_pools_enter_locked (jobs, mine);
  pfs_request_set_state_locked (jobs, mine, state);
  mine->container->retried++;
  jobs->all.retried++;
  mine->retry = retry;
  mine->free_data = free_data;
  mine->data = data;
  mine->req = req;
  mine->asked = pfs_now ();
  return 0;
}

void
pfs_requests_poke (PfsJobs *jobs)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);

  for (GList *link = jobs->all.n[PFS_LATER] > 0 ? jobs->requests.head : NULL; link; link = link->next) {
    PfsRequest *request = link->data;

    request->due = 0;
    if (request->state == PFS_LATER)
      pfs_requests_tend_from_locked (jobs, 0);
  }
}
