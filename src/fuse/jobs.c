/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The jobs of mounts that may not answer, and of ourselves. */
#include "jobs.h"

#include <unistd.h>

#include "requests.h"

#define THREADS_MAX 1024u /* half of them may have jobs */

/* The jobs of one mount. */
typedef struct {
  PfsNodeMount place;
  guint running;
  GQueue waiting; /* of PfsRequest */
  bool said;      /* that it is stalled */
} Pool;

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

/* NULL: the mount has no jobs. */
static Pool *
pool_of_locked (PfsJobs *jobs, const PfsNodeMount *place)
{
  for (guint i = 0; i < jobs->pools->len; i++) {
    Pool *pool = jobs->pools->pdata[i];

    if (pool->place.container == place->container && pool->place.mount == place->mount)
      return pool;
  }
  return NULL;
}

static Pool *
pool_make_locked (PfsJobs *jobs, const PfsNodeMount *place)
{
  Pool *pool = pool_of_locked (jobs, place);

  if (pool)
    return pool;
  pool = g_new0 (Pool, 1);
  pool->place = *place;
  g_ptr_array_add (jobs->pools, pool);
  return pool;
}

bool
pfs_jobs_say_locked (PfsJobs *jobs, const PfsNodeMount *place)
{
  Pool *pool = pool_of_locked (jobs, place);
  bool say = pool && !pool->said;

  if (say)
    pool->said = true;
  return say;
}

static void
pool_drop_empty_locked (PfsJobs *jobs, Pool *pool)
{
  if (pool->running == 0 && pool->waiting.length == 0)
    g_ptr_array_remove_fast (jobs->pools, pool);
}

/* A container may take half of the threads that all others have left, so the next one always finds some. One thread is
 * enough to retry locks. */
static bool
may_run_locked (PfsJobs *jobs, const Pool *pool)
{
  guint mine = 0, max = pool->place.mount == &jobs->requests ? 1 : PFS_MOUNT_THREADS;

  for (guint i = 0; i < jobs->pools->len; i++) {
    const Pool *other = jobs->pools->pdata[i];

    mine += other->place.container == pool->place.container ? other->running : 0;
  }
  return pool->waiting.length > 0 && pool->running < max && 2 * mine + jobs->running < PFS_JOBS_MAX;
}

bool
pfs_jobs_push_locked (PfsJobs *jobs, PfsRequest *request)
{
  Pool *pool = pool_make_locked (jobs, &request->place);

  request->waiting.data = request;
  if (pfs_request_lets_go (request))
    g_queue_push_head_link (&pool->waiting, &request->waiting);
  else
    g_queue_push_tail_link (&pool->waiting, &request->waiting);
  /* Else a thread that is busy, or on its way, takes it next. */
  bool call = may_run_locked (jobs, pool) && pool->running + pool->waiting.length <= PFS_MOUNT_THREADS;
  if (call && !pfs_thread_call_locked (jobs) && pool->running == 0) {
    g_queue_unlink (&pool->waiting, &request->waiting);
    pool_drop_empty_locked (jobs, pool);
    return false;
  }
  request->later = false;
  request->since = pfs_now ();
  pfs_request_add_locked (jobs, request);
  return true;
}

/* True: it is done. */
static bool
run (PfsJobs *jobs, PfsRequest *request, bool answered)
{
  struct fuse_buf buf = { .mem = (void *) request->in, .size = request->in ? request->in->len : 0 };

  if (request->work) {
    request->work (request->data);
  } else if (request->retry) {
    int r = answered ? -EINTR : request->retry (request->data);
    if (r == -EAGAIN)
      return false;
    fuse_reply_err (request->req, -r);
    request->free_data (request->data);
  } else if (!answered) {
    pfs_request_process (jobs, request, &buf);
  }
  pfs_request_let_go (request);
  return true;
}

static void
do_one_locked (PfsJobs *jobs, Pool *pool)
{
  PfsRequest *request = g_queue_pop_head_link (&pool->waiting)->data;
  bool answered = request->answered;

  request->running = true;
  request->thread = pthread_self ();
  pool->running++;
  jobs->running++;
  g_mutex_unlock (&jobs->lock);
  bool done = run (jobs, request, answered);
  g_mutex_lock (&jobs->lock);
  if (!done && jobs->stopping) {
    g_mutex_unlock (&jobs->lock);
    done = run (jobs, request, true);
    g_mutex_lock (&jobs->lock);
  }
  request->running = false;
  pool->running--;
  jobs->running--;
  pool_drop_empty_locked (jobs, pool);
  if (done) {
    g_queue_unlink (&jobs->requests, &request->link);
    g_free ((void *) request->in);
    g_free (request);
  } else {
    pfs_request_later_locked (jobs, request);
  }
}

/* One thread takes no job. It receives requests even if no other thread is to be had. */
bool
pfs_jobs_do_locked (PfsJobs *jobs)
{
  for (guint i = 0; i < jobs->pools->len && (jobs->running + 1 < jobs->threads || jobs->stopping); i++)
    if (may_run_locked (jobs, jobs->pools->pdata[i])) {
      do_one_locked (jobs, jobs->pools->pdata[i]);
      return true;
    }
  return false;
}

static bool
start_locked (PfsJobs *jobs, const PfsNodeMount *place, void (*func) (gpointer data), gpointer data)
{
  PfsRequest *request = g_new0 (PfsRequest, 1);

  *request = (PfsRequest) { .work = func, .data = data, .place = *place };
  if (!jobs->stopping && pfs_jobs_push_locked (jobs, request))
    return true;
  g_free (request);
  return false;
}

void
pfs_jobs_start (PfsJobs *jobs, void (*func) (gpointer data), gpointer data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);
  PfsNodeMount place = { .mount = (gpointer) func };

  if (pfs_requests_count_locked (jobs, &place).on_mount == 0)
    start_locked (jobs, &place, func, data);
}

void
pfs_jobs_run (PfsJobs *jobs, PfsNode *node, void (*func) (gpointer data), gpointer data)
{
  PfsNodeMount place = pfs_node_mount (node);

  g_mutex_lock (&jobs->lock);
  bool started = place.remote && start_locked (jobs, &place, func, data);
  g_mutex_unlock (&jobs->lock);
  if (!started)
    func (data);
}
