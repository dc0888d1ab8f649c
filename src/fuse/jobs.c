/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who does what a request asks for. */
#include "jobs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#define THREADS_MAX 512u        /* of all mounts */
#define IDLE_MAX 4u             /* threads that are kept */
#define IDLE_US (5 * G_TIME_SPAN_SECOND)
#define QUEUE_MAX 256u          /* requests for one mount */
#define LARGE_MAX 64u           /* requests for one mount, from which on no large one is queued */
#define COPY_MAX 8192           /* bytes: a larger request takes the whole buffer along, a mebibyte */
#define PATIENCE_US (G_TIME_SPAN_SECOND / 2)    /* at the end, for those who are busy */
#define SAY_AGAIN_MS 60000

typedef struct {
  PfsPlace place;
  guint running;                /* its threads */
  GQueue waiting;               /* of PfsRequest */
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
  case FUSE_READ: case FUSE_WRITE: case FUSE_FLUSH: case FUSE_FSYNC: case FUSE_FSYNCDIR: case FUSE_READDIR:
  case FUSE_READDIRPLUS: case FUSE_GETLK: case FUSE_SETLK: case FUSE_SETLKW: case FUSE_FALLOCATE: case FUSE_LSEEK:
    files[0] = *(const uint64_t *) body;
    break;
  case FUSE_LINK: case FUSE_RENAME: case FUSE_RENAME2:
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

/* --- the threads of mounts --- */

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

/* A container may take half of what all others have left of the threads, so that there is always something left for the
 * next one. */
static bool
may_run_locked (PfsJobs *jobs, const Pool *pool)
{
  guint all = 0, mine = 0;

  for (guint i = 0; i < jobs->pools->len; i++) {
    const Pool *other = jobs->pools->pdata[i];

    all += other->running;
    mine += other->place.container == pool->place.container ? other->running : 0;
  }
  return pool->waiting.length > 0 && pool->running < PFS_MOUNT_THREADS && 2 * mine + all < THREADS_MAX;
}

static Pool *
next_pool_locked (PfsJobs *jobs)
{
  for (guint i = 0; i < jobs->pools->len; i++)
    if (may_run_locked (jobs, jobs->pools->pdata[i]))
      return jobs->pools->pdata[i];
  return NULL;
}

/* Tells libfuse of a signal that came while the request waited for its turn: whoever is to wait for a lock must not. */
static void
tell_interrupted (PfsJobs *jobs, guint64 unique)
{
  struct {
    struct fuse_in_header in;
    struct fuse_interrupt_in body;
  } interrupt = {
    { .len = sizeof interrupt, .opcode = FUSE_INTERRUPT, .unique = unique | 1 }, /* as the kernel numbers it */
    { .unique = unique },
  };
  struct fuse_buf buf = { .mem = &interrupt, .size = sizeof interrupt };

  fuse_session_process_buf (jobs->session->fuse, &buf);
}

static void
do_one_locked (PfsJobs *jobs, Pool *pool)
{
  PfsRequest *request = g_queue_pop_head_link (&pool->waiting)->data;
  bool answered = request->answered, interrupted = request->interrupted != 0;

  request->running = true;
  request->thread = pthread_self ();
  pool->running++;
  g_mutex_unlock (&jobs->lock);
  if (!request->in) {
    request->func (request->data);
  } else if (!answered) {
    struct fuse_buf buf = { .mem = (void *) request->in, .size = request->in->len };
    if (interrupted)
      tell_interrupted (jobs, request->in->unique);
    fuse_session_process_buf (jobs->session->fuse, &buf);
  }
  g_mutex_lock (&jobs->lock);
  g_queue_unlink (&jobs->requests, &request->link);
  g_mutex_unlock (&jobs->lock);
  let_go (request);
  g_free ((void *) request->in);
  g_free (request);
  g_mutex_lock (&jobs->lock);
  if (--pool->running == 0 && pool->waiting.length == 0)
    g_ptr_array_remove_fast (jobs->pools, pool);
}

/* False: the thread is not needed any more. */
static bool
stay_idle_locked (PfsJobs *jobs)
{
  gint64 end = g_get_monotonic_time () + IDLE_US;
  bool in_time = jobs->idle < IDLE_MAX;

  if (in_time) {
    g_mutex_unlock (&jobs->lock);
    pfs_read_buffer_drop ();
    g_mutex_lock (&jobs->lock);
  }
  jobs->idle++;
  while (in_time && jobs->called == 0 && !jobs->stopping)
    in_time = g_cond_wait_until (&jobs->call, &jobs->lock, end);
  jobs->idle--;
  bool called = jobs->called > 0;
  jobs->called -= called;
  return called;
}

static gpointer
work (gpointer data)
{
  PfsJobs *jobs = data;

  g_mutex_lock (&jobs->lock);
  do {
    for (Pool *pool = next_pool_locked (jobs); pool; pool = next_pool_locked (jobs))
      do_one_locked (jobs, pool);
  } while (stay_idle_locked (jobs));
  jobs->threads--;
  g_cond_signal (&jobs->left);
  g_mutex_unlock (&jobs->lock);
  return NULL;
}

/* False: nobody would ever do it, for no thread is to be had. */
static bool
push_locked (PfsJobs *jobs, PfsRequest *request)
{
  Pool *pool = pool_of_locked (jobs, &request->place);
  GThread *thread = NULL;

  request->waiting.data = request;
  g_queue_push_tail_link (&pool->waiting, &request->waiting);
  if (jobs->idle > jobs->called) {
    jobs->called++;
    g_cond_signal (&jobs->call);
  } else if (!may_run_locked (jobs, pool)) {
    /* One of its threads takes it, or one of its container's. */
  } else if ((thread = g_thread_try_new ("job", work, jobs, NULL))) {
    jobs->threads++;
    g_thread_unref (thread);
  } else if (pool->running == 0) {
    g_queue_unlink (&pool->waiting, &request->waiting);
    if (pool->waiting.length == 0)
      g_ptr_array_remove_fast (jobs->pools, pool);
    return false;
  }
  pfs_request_add_locked (jobs, request);
  return true;
}

void
pfs_jobs_run (PfsJobs *jobs, PfsNode *node, void (*func) (gpointer data), gpointer data)
{
  PfsPlace place = pfs_node_place (node);
  bool pushed = false;

  if (place.remote && !jobs->stopping) {
    PfsRequest *request = g_new0 (PfsRequest, 1);

    *request = (PfsRequest){ .func = func, .data = data, .place = place };
    g_mutex_lock (&jobs->lock);
    pushed = push_locked (jobs, request);
    g_mutex_unlock (&jobs->lock);
    if (!pushed)
      g_free (request);
  }
  if (!pushed)
    func (data);
}

/* --- every request --- */

typedef enum {
  HERE,
  JOB,
  REFUSE,
} Way;

/* Whatever only lets go of something is never refused. */
static bool
is_let_go (const PfsRequest *request)
{
  uint32_t opcode = request->in->opcode;

  return opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR || opcode == FUSE_FLUSH;
}

static bool
is_large (const PfsRequest *request)
{
  return request->in->len > COPY_MAX;
}

static Way
way_locked (PfsJobs *jobs, const PfsRequest *request)
{
  const PfsPlace *place = &request->place;
  PfsCount count = { 0 };

  if (jobs->requests.length >= PFS_MOUNT_THREADS)
    count = pfs_requests_count_locked (jobs, place);
  if (!place->container)
    return HERE;
  /* Nobody is turned away: but however many wait, for a lease of the peer's or a slow disk, others have their threads. A
   * large request (a write, which waits for no lease) does not wait behind so many, for it takes a mebibyte along. */
  if (!place->remote)
    return count.on_mount < PFS_MOUNT_THREADS || (is_large (request) && count.on_mount >= LARGE_MAX) ? HERE : JOB;
  if (is_let_go (request))
    return JOB;
  if (count.stalled_on_mount >= PFS_MOUNT_THREADS || count.stalled_in_container >= THREADS_MAX / 3
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

/* True: a thread of the mount does the request, of which it has a copy, or the buffer. */
static bool
hand_over (PfsJobs *jobs, const PfsRequest *request, struct fuse_buf *buf)
{
  PfsRequest *job = g_memdup2 (request, sizeof *request);
  bool large = is_large (request);

  job->in = large ? buf->mem : g_memdup2 (request->in, request->in->len);
  g_mutex_lock (&jobs->lock);
  bool pushed = push_locked (jobs, job);
  g_mutex_unlock (&jobs->lock);
  if (pushed && large)
    buf->mem = NULL;
  if (!pushed) {
    if (!large)
      g_free ((void *) job->in);
    g_free (job);
  }
  return pushed;
}

static void
begin_here_locked (PfsJobs *jobs, PfsRequest *request)
{
  request->running = true;
  request->thread = pthread_self ();
  pfs_request_add_locked (jobs, request);
}

static void
do_here (PfsJobs *jobs, PfsRequest *request, struct fuse_buf *buf)
{
  fuse_session_process_buf (jobs->session->fuse, buf);
  g_mutex_lock (&jobs->lock);
  g_queue_unlink (&jobs->requests, &request->link);
  g_mutex_unlock (&jobs->lock);
}

void
pfs_jobs_dispatch (PfsJobs *jobs, struct fuse_buf *buf)
{
  PfsRequest request = { .in = buf->mem };
  Way way;

  if (request.in->opcode == FUSE_INTERRUPT
      && !pfs_request_interrupt (jobs, ((const struct fuse_interrupt_in *) (request.in + 1))->unique))
    return;
  if (request.in->nodeid == 0 || request.in->opcode == FUSE_FORGET) {
    fuse_session_process_buf (jobs->session->fuse, buf);
    return;
  }
  hold (jobs->session->tree, &request);
  g_mutex_lock (&jobs->lock);
  way = way_locked (jobs, &request);
  if (way == HERE)
    begin_here_locked (jobs, &request);
  g_mutex_unlock (&jobs->lock);
  if (way == REFUSE)
    say_stalled (jobs, &request.place);
  if (way == JOB && hand_over (jobs, &request, buf))
    return;
  if (way == JOB && (!request.place.remote || is_let_go (&request))) {
    way = HERE;
    g_mutex_lock (&jobs->lock);
    begin_here_locked (jobs, &request);
    g_mutex_unlock (&jobs->lock);
  }
  if (way == HERE)
    do_here (jobs, &request, buf);
  else
    pfs_request_refuse (jobs, request.in->unique, -EBUSY);
  let_go (&request);
}

/* --- all of them --- */

/* A signal with a handler interrupts a system call. */
static void
on_signal (int number)
{
  (void) number;
}

PfsJobs *
pfs_jobs_new (PfsSession *session, int wake)
{
  struct sigaction action = { .sa_handler = on_signal };
  PfsJobs *jobs = g_new0 (PfsJobs, 1);

  sigemptyset (&action.sa_mask);
  sigaction (SIGUSR1, &action, NULL);
  *jobs = (PfsJobs){ .session = session, .wake = wake, .tend_at = G_MAXINT64 };
  g_mutex_init (&jobs->lock);
  g_cond_init (&jobs->call);
  g_cond_init (&jobs->left);
  g_queue_init (&jobs->requests);
  jobs->pools = g_ptr_array_new_with_free_func (g_free);
  jobs->early = g_array_new (FALSE, FALSE, sizeof (PfsEarly));
  return jobs;
}

bool
pfs_jobs_stop (PfsJobs *jobs)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE_US;

  g_mutex_lock (&jobs->lock);
  jobs->stopping = true;
  g_cond_broadcast (&jobs->call);
  while (jobs->threads > 0 && g_cond_wait_until (&jobs->left, &jobs->lock, deadline))
    continue;
  bool all = jobs->threads == 0;
  g_mutex_unlock (&jobs->lock);
  return all;
}

void
pfs_jobs_free (PfsJobs *jobs)
{
  g_ptr_array_unref (jobs->pools);
  g_array_unref (jobs->early);
  g_cond_clear (&jobs->left);
  g_cond_clear (&jobs->call);
  g_mutex_clear (&jobs->lock);
  g_free (jobs);
}
