/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who does what a request asks for. */
#include "jobs.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#define JOBS_MAX 512u  /* of all mounts, at once */
#define HERE_MAX 512u  /* requests that are done by the thread that received them */
#define QUEUE_MAX 256u /* requests for one mount */
#define LARGE_MAX 64u  /* requests for one mount, from which on no large one is queued */
#define LARGE 8192u    /* bytes */
#define SAY_AGAIN_MS 60000
#define STRANGER_MS                                                                                                    \
  4 /* too short for a number to be given out again: for that all the others have to be, at least 300 */

typedef struct {
  PfsPlace place;
  guint running;
  GQueue waiting; /* of PfsRequest */
} Pool;

/* --- what a request is about --- */

/* The top is never forgotten. */
static void
hold_node (PfsTree *tree, PfsRequest *request, guint i, guint64 number)
{
  PfsPlace place;
  PfsNode *node = number == 0 || number == FUSE_ROOT_ID ? NULL : pfs_tree_remember_node (tree, number, &place);

  if (!node)
    return;
  if (!request->place.remote)
    request->place = place;
  request->nodes[i] = node;
}

static void
hold_file (PfsRequest *request, guint i, guint64 number)
{
  struct fuse_file_info fi = { .fh = number };

  request->files[i] = number ? pfs_file_ref (pfs_request_file (&fi)) : NULL;
}

/* The kernel lets go of nothing that it still waits for an answer about: what it names is there. */
static void
hold (PfsTree *tree, PfsRequest *request)
{
  const struct fuse_in_header *in = request->in;
  const void *body = in + 1;
  const struct fuse_copy_file_range_in *copy = body;
  uint64_t other = 0, files[2] = { 0 };

  switch (in->opcode) {
  case FUSE_GETATTR:
    if (((const struct fuse_getattr_in *) body)->getattr_flags & FUSE_GETATTR_FH)
      files[0] = ((const struct fuse_getattr_in *) body)->fh;
    break;
  case FUSE_SETATTR:
    if (((const struct fuse_setattr_in *) body)->valid & FATTR_FH)
      files[0] = ((const struct fuse_setattr_in *) body)->fh;
    break;
  case FUSE_READ:
  case FUSE_WRITE:
  case FUSE_FLUSH:
  case FUSE_FSYNC:
  case FUSE_FSYNCDIR:
  case FUSE_READDIR:
  case FUSE_READDIRPLUS:
  case FUSE_GETLK:
  case FUSE_SETLK:
  case FUSE_SETLKW:
  case FUSE_FALLOCATE:
  case FUSE_LSEEK:
    files[0] = *(const uint64_t *) body;
    break;
  case FUSE_LINK:
  case FUSE_RENAME:
  case FUSE_RENAME2:
    other = *(const uint64_t *) body;
    break;
  case FUSE_COPY_FILE_RANGE:
    files[0] = copy->fh_in, other = copy->nodeid_out, files[1] = copy->fh_out;
    break;
  default:
    break;
  }
  hold_node (tree, request, 0, in->nodeid);
  hold_node (tree, request, 1, other);
  hold_file (request, 0, files[0]);
  hold_file (request, 1, files[1]);
}

static void
let_go (PfsRequest *request)
{
  for (guint i = 0; i < 2; i++) {
    g_clear_pointer (&request->files[i], pfs_file_unref);
    if (request->nodes[i])
      pfs_node_forget (request->nodes[i], 1);
  }
}

/* --- the jobs of mounts --- */

/* Whatever only lets go of something is never refused, and is done first. */
static bool
is_let_go (const PfsRequest *request)
{
  uint32_t opcode = request->in ? request->in->opcode : 0;

  return opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR || opcode == FUSE_FLUSH;
}

static Pool *
pool_of_locked (PfsJobs *jobs, const PfsPlace *place)
{
  for (guint i = 0; i < jobs->pools->len; i++) {
    Pool *pool = jobs->pools->pdata[i];

    if (pool->place.container == place->container && pool->place.mount == place->mount)
      return pool;
  }
  Pool *pool = g_new0 (Pool, 1);
  pool->place = *place;
  g_ptr_array_add (jobs->pools, pool);
  return pool;
}

static void
pool_drop_empty_locked (PfsJobs *jobs, Pool *pool)
{
  if (pool->running == 0 && pool->waiting.length == 0)
    g_ptr_array_remove_fast (jobs->pools, pool);
}

/* A container may take half of what all others have left of the threads, so that there is always something left for the
 * next one. One thread is enough for locks that nobody waits for. */
static bool
may_run_locked (PfsJobs *jobs, const Pool *pool)
{
  guint mine = 0, max = pool->place.mount == &jobs->later ? 1 : PFS_MOUNT_THREADS;

  for (guint i = 0; i < jobs->pools->len; i++) {
    const Pool *other = jobs->pools->pdata[i];

    mine += other->place.container == pool->place.container ? other->running : 0;
  }
  return pool->waiting.length > 0 && pool->running < max && 2 * mine + jobs->running < JOBS_MAX;
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
    pfs_reply (request->req, r);
    request->free_data (request->data);
  } else if (!answered) {
    fuse_session_process_buf (jobs->session->fuse, &buf);
  }
  let_go (request);
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
  pfs_request_set_mine (request);
  bool done = run (jobs, request, answered);
  pfs_request_set_mine (NULL);
  g_mutex_lock (&jobs->lock);
  g_queue_unlink (&jobs->requests, &request->link);
  pool->running--;
  jobs->running--;
  if (done) {
    g_free ((void *) request->in);
    g_free (request);
  } else {
    pfs_request_later_locked (jobs, request);
  }
  pool_drop_empty_locked (jobs, pool);
}

/* One thread has no job, to receive requests even if no other thread is to be had. */
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

bool
pfs_jobs_push_locked (PfsJobs *jobs, PfsRequest *request)
{
  Pool *pool = pool_of_locked (jobs, &request->place);

  request->waiting.data = request;
  if (is_let_go (request))
    g_queue_push_head_link (&pool->waiting, &request->waiting);
  else
    g_queue_push_tail_link (&pool->waiting, &request->waiting);
  /* If it may not run yet, or enough threads are on their way, one of them takes it next. */
  bool call = may_run_locked (jobs, pool) && pool->running + pool->waiting.length <= PFS_MOUNT_THREADS;
  if (call && !pfs_loop_call_locked (jobs) && pool->running == 0) {
    g_queue_unlink (&pool->waiting, &request->waiting);
    pool_drop_empty_locked (jobs, pool);
    return false;
  }
  pfs_request_add_locked (jobs, request);
  return true;
}

static bool
start_locked (PfsJobs *jobs, const PfsPlace *place, void (*func) (gpointer data), gpointer data)
{
  PfsRequest *request = g_new0 (PfsRequest, 1);

  *request = (PfsRequest){ .work = func, .data = data, .place = *place, .since = pfs_now () };
  if (!jobs->stopping && pfs_jobs_push_locked (jobs, request))
    return true;
  g_free (request);
  return false;
}

void
pfs_jobs_start (PfsJobs *jobs, void (*func) (gpointer data), gpointer data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);
  PfsPlace place = { .mount = (gpointer) func };

  if (pfs_requests_count_locked (jobs, &place).on_mount == 0)
    start_locked (jobs, &place, func, data);
}

void
pfs_jobs_run (PfsJobs *jobs, PfsNode *node, void (*func) (gpointer data), gpointer data)
{
  PfsPlace place = pfs_node_place (node);

  g_mutex_lock (&jobs->lock);
  bool started = place.remote && start_locked (jobs, &place, func, data);
  g_mutex_unlock (&jobs->lock);
  if (!started)
    func (data);
}

/* --- every request --- */

typedef enum {
  HERE,
  JOB,
  REFUSE,
} Way;

/* However many wait, for a lease of the peer's or a slow disk, others have their threads: of those that receive, too, a
 * container may take half of what all others have left. A large request (a write) does not wait behind many, for it
 * takes a mebibyte along: it is the only one that is ever turned away. */
static Way
way_of_local (const PfsCount *count, const PfsRequest *request)
{
  bool fits = 2 * count->here_of_container + count->here < HERE_MAX;

  if (fits && count->on_mount < PFS_MOUNT_THREADS)
    return HERE;
  if (request->in->len <= LARGE || count->on_mount < LARGE_MAX)
    return JOB;
  return fits ? HERE : REFUSE;
}

/* What `ls -l /peers` asks about each container: it waits for none of them, nor for their callers. */
static bool
is_about_peer (const PfsRequest *request)
{
  uint32_t opcode = request->in->opcode;

  return request->place.is_peer && (opcode == FUSE_GETATTR || opcode == FUSE_GETXATTR || opcode == FUSE_LISTXATTR);
}

static Way
way_locked (PfsJobs *jobs, const PfsRequest *request)
{
  const PfsPlace *place = &request->place;
  PfsCount count = { 0 };

  if (jobs->requests.length >= PFS_MOUNT_THREADS)
    count = pfs_requests_count_locked (jobs, place);
  if (!place->container || is_about_peer (request))
    return HERE;
  if (!place->remote)
    return way_of_local (&count, request);
  if (is_let_go (request))
    return JOB;
  if (count.stalled_on_mount >= PFS_MOUNT_THREADS || count.stalled_in_container >= JOBS_MAX / 3
      || count.on_mount >= QUEUE_MAX || count.in_container >= 2 * QUEUE_MAX)
    return REFUSE;
  return JOB;
}

static void
say_stalled (PfsJobs *jobs, const PfsPlace *place)
{
  g_autofree char *name = pfs_container_name (place->container);
  guint64 serial = pfs_container_serial (place->container);
  gint64 now = pfs_now ();

  g_mutex_lock (&jobs->lock);
  bool say = jobs->said != serial || now - jobs->said_at >= SAY_AGAIN_MS;
  if (say)
    jobs->said = serial, jobs->said_at = now;
  guint waiting = pfs_requests_count_locked (jobs, place).in_container;
  g_mutex_unlock (&jobs->lock);
  if (say)
    fuse_log (FUSE_LOG_WARNING, "event=stalled name=%s waiting=%u\n", name, waiting);
}

/* True: a job does the request, of which it has a copy. */
static bool
hand_over_locked (PfsJobs *jobs, const PfsRequest *request)
{
  g_mutex_unlock (&jobs->lock);
  PfsRequest *job = g_memdup2 (request, sizeof *request);
  job->in = g_memdup2 (request->in, request->in->len);
  g_mutex_lock (&jobs->lock);
  if (pfs_jobs_push_locked (jobs, job))
    return true;
  g_free ((void *) job->in);
  g_free (job);
  return false;
}

/* A signal may come before its request is in the list; then the kernel sends it again. libfuse knows of neither. */
static void
interrupt_locked (PfsJobs *jobs, const struct fuse_in_header *in)
{
  const struct fuse_interrupt_in *body = (const void *) (in + 1);

  if (pfs_request_interrupt_locked (jobs, body->unique))
    return;
  g_mutex_unlock (&jobs->lock);
  g_thread_yield ();
  pfs_request_refuse (jobs, in->unique, -EAGAIN);
  g_mutex_lock (&jobs->lock);
}

static void
do_here_locked (PfsJobs *jobs, PfsRequest *request, const struct fuse_buf *buf)
{
  request->running = request->here = true;
  request->thread = pthread_self ();
  pfs_request_add_locked (jobs, request);
  g_mutex_unlock (&jobs->lock);
  pfs_request_set_mine (request);
  fuse_session_process_buf (jobs->session->fuse, buf);
  pfs_request_set_mine (NULL);
  let_go (request);
  g_mutex_lock (&jobs->lock);
  g_queue_unlink (&jobs->requests, &request->link);
}

static void
refuse_locked (PfsJobs *jobs, PfsRequest *request, int r)
{
  g_mutex_unlock (&jobs->lock);
  if (r == -EBUSY)
    say_stalled (jobs, &request->place);
  pfs_request_refuse (jobs, request->in->unique, r);
  let_go (request);
  g_mutex_lock (&jobs->lock);
}

/* A peer may lay another file system over our own mount: an overlay, by which we would ask ourselves, with our rights
 * in the place of the caller's, and wait for ourselves. */
static bool
is_our_own (const PfsJobs *jobs, const PfsRequest *request, PfsStranger *strangers)
{
  uint32_t opcode = request->in->opcode;
  pid_t pid = (pid_t) request->in->pid;
  PfsStranger *stranger = &strangers[request->in->pid % PFS_STRANGERS];

  if (pid <= 0 || opcode == FUSE_FORGET || opcode == FUSE_INTERRUPT || is_let_go (request))
    return false;
  if (stranger->pid == pid && request->since < stranger->until)
    return false;
  if (syscall (SYS_tgkill, jobs->session->pid, pid, 0) == 0)
    return true;
  *stranger = (PfsStranger){ .pid = pid, .until = request->since + STRANGER_MS };
  return false;
}

void
pfs_jobs_dispatch_locked (PfsJobs *jobs, const struct fuse_buf *buf, bool drained, PfsStranger *strangers)
{
  PfsRequest request = { .in = buf->mem, .since = pfs_now () };
  bool own = is_our_own (jobs, &request, strangers);

  if (request.in->nodeid != 0 && request.in->opcode != FUSE_FORGET && !own)
    hold (jobs->session->tree, &request);
  g_mutex_lock (&jobs->lock);
  pfs_loop_took_locked (jobs, drained);
  if (request.in->opcode == FUSE_INTERRUPT) {
    interrupt_locked (jobs, request.in);
    return;
  }
  if (own) {
    refuse_locked (jobs, &request, -EDEADLK);
    return;
  }
  Way way = way_locked (jobs, &request);
  if (way == JOB && hand_over_locked (jobs, &request))
    return;
  if (way == HERE || (way == JOB && (!request.place.remote || is_let_go (&request))))
    do_here_locked (jobs, &request, buf);
  else
    refuse_locked (jobs, &request, -EBUSY);
}
