/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "request.h"
#include "requests.h"

#define HERE_MAX 512u  /* requests that receiving threads do themselves */
#define QUEUE_MAX 256u /* requests for one mount */
#define LARGE_MAX 64u  /* requests for one mount, from which on no large one is queued */
#define LARGE 8192u    /* bytes */
#define STRANGER_MS 4  /* too short for a pid to be given out again: all others come before it, at least 300 */

/* --- what a request is about --- */

/* Where the bodies of requests name open files and a second node; 0: they name none. A file that is not given is 0. */
#define AT(type, member) (sizeof (struct fuse_in_header) + offsetof (struct fuse_##type##_in, member))
static const struct {
  guint8 file, node, other_file;
} named[] = {
  [FUSE_GETATTR] = { .file = AT (getattr, fh) },
  [FUSE_SETATTR] = { .file = AT (setattr, fh) },
  [FUSE_READ] = { .file = AT (read, fh) },
  [FUSE_WRITE] = { .file = AT (write, fh) },
  [FUSE_FLUSH] = { .file = AT (flush, fh) },
  [FUSE_FSYNC] = { .file = AT (fsync, fh) },
  [FUSE_FSYNCDIR] = { .file = AT (fsync, fh) },
  [FUSE_READDIR] = { .file = AT (read, fh) },
  [FUSE_READDIRPLUS] = { .file = AT (read, fh) },
  [FUSE_GETLK] = { .file = AT (lk, fh) },
  [FUSE_SETLK] = { .file = AT (lk, fh) },
  [FUSE_SETLKW] = { .file = AT (lk, fh) },
  [FUSE_FALLOCATE] = { .file = AT (fallocate, fh) },
  [FUSE_LSEEK] = { .file = AT (lseek, fh) },
  [FUSE_LINK] = { .node = AT (link, oldnodeid) },
  [FUSE_RENAME] = { .node = AT (rename, newdir) },
  [FUSE_RENAME2] = { .node = AT (rename2, newdir) },
  [FUSE_COPY_FILE_RANGE] = { AT (copy_file_range, fh_in), AT (copy_file_range, nodeid_out),
                             AT (copy_file_range, fh_out) },
};

static guint64
number_at (const struct fuse_in_header *in, guint8 offset)
{
  return offset ? *(const uint64_t *) ((const char *) in + offset) : 0;
}

/* The top is never forgotten. */
static void
hold_node (PfsTree *tree, PfsRequest *request, guint i, guint64 number)
{
  PfsNodeMount place;
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

/* What a request names is there: the kernel forgets no node and releases no file while it waits for an answer. */
static void
hold (PfsTree *tree, PfsRequest *request)
{
  const struct fuse_in_header *in = request->in;

  hold_node (tree, request, 0, in->nodeid);
  if (in->opcode >= G_N_ELEMENTS (named))
    return;
  hold_node (tree, request, 1, number_at (in, named[in->opcode].node));
  hold_file (request, 0, number_at (in, named[in->opcode].file));
  hold_file (request, 1, number_at (in, named[in->opcode].other_file));
}

/* A peer may lay another file system over our own mount: an overlay, by which we would ask ourselves, with our rights
 * in the place of the caller's, and wait for ourselves. */
static bool
is_our_own (const PfsJobs *jobs, const PfsRequest *request, PfsReceiver *receiver)
{
  uint32_t opcode = request->in->opcode;
  pid_t pid = (pid_t) request->in->pid;
  guint i = request->in->pid % PFS_STRANGERS;

  if (pid <= 0 || opcode == FUSE_FORGET || opcode == FUSE_INTERRUPT || pfs_request_lets_go (request))
    return false;
  if (receiver->strangers[i].pid == pid && request->since < receiver->strangers[i].until)
    return false;
  if (syscall (SYS_tgkill, jobs->session->pid, pid, 0) == 0)
    return true;
  receiver->strangers[i].pid = pid;
  receiver->strangers[i].until = request->since + STRANGER_MS;
  return false;
}

PfsRequest
pfs_dispatch_look (PfsJobs *jobs, PfsReceiver *receiver)
{
  const struct fuse_in_header *in = receiver->buf.mem;
  PfsRequest request = { .in = in, .since = pfs_now () };

  request.own = is_our_own (jobs, &request, receiver);
  if (in->nodeid != 0 && in->opcode != FUSE_FORGET && !request.own)
    hold (jobs->session->tree, &request);
  return request;
}

/* --- who does it --- */

typedef enum {
  HERE,
  JOB,
  REFUSE,
} Way;

/* However many wait, for a lease of the peer's or a slow disk, others have their threads: of those that receive, too, a
 * container may take half of what all others have left. A large request (a write) does not wait behind many, as it
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

/* `ls -l /peers` asks this about each container, and must wait for none. */
static bool
is_about_peer (const PfsRequest *request)
{
  uint32_t opcode = request->in->opcode;

  return request->place.is_peer && (opcode == FUSE_GETATTR || opcode == FUSE_GETXATTR || opcode == FUSE_LISTXATTR);
}

static Way
way_locked (PfsJobs *jobs, const PfsRequest *request)
{
  const PfsNodeMount *place = &request->place;
  PfsCount count = { 0 };

  if (!place->container || is_about_peer (request))
    return HERE;
  if (jobs->requests.length >= PFS_MOUNT_THREADS)
    count = pfs_requests_count_locked (jobs, place);
  if (!place->remote)
    return way_of_local (&count, request);
  if (pfs_request_lets_go (request))
    return JOB;
  if (count.stalled_on_mount >= PFS_MOUNT_THREADS || count.stalled_in_container >= PFS_JOBS_MAX / 3
      || count.on_mount >= QUEUE_MAX || count.in_container >= 2 * QUEUE_MAX)
    return REFUSE;
  return JOB;
}

static void
say_stalled (PfsJobs *jobs, const PfsNodeMount *place)
{
  g_mutex_lock (&jobs->lock);
  guint waiting = pfs_jobs_say_locked (jobs, place) ? pfs_requests_count_locked (jobs, place).in_container : 0;
  g_mutex_unlock (&jobs->lock);
  if (waiting == 0)
    return;
  g_autofree char *name = pfs_container_name (place->container);
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

/* A signal may come before its request is in the list. After EAGAIN the kernel sends it again. libfuse does neither. */
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
  pfs_request_process (jobs, request, buf);
  pfs_request_let_go (request);
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
  pfs_request_let_go (request);
  g_mutex_lock (&jobs->lock);
}

void
pfs_dispatch_locked (PfsJobs *jobs, PfsRequest *request, const struct fuse_buf *buf)
{
  if (request->in->opcode == FUSE_INTERRUPT) {
    interrupt_locked (jobs, request->in);
    return;
  }
  if (request->own) {
    refuse_locked (jobs, request, -EDEADLK);
    return;
  }
  Way way = way_locked (jobs, request);
  if (way == JOB && hand_over_locked (jobs, request))
    return;
  if (way == HERE || (way == JOB && (!request->place.remote || pfs_request_lets_go (request))))
    do_here_locked (jobs, request, buf);
  else
    refuse_locked (jobs, request, -EBUSY);
}
