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

/* Of each kind: where its body names open files and a second node; 0: it names none. A file that is not given is 0. And
 * what PfsRequest says of it. */
#define AT(type, member) (sizeof (struct fuse_in_header) + offsetof (struct fuse_##type##_in, member))
typedef struct {
  guint8 file, node, other_file;
  bool lets_go, locks_directory;
} Kind;
static const Kind kinds[] = {
  [FUSE_LOOKUP] = { .locks_directory = true },
  [FUSE_GETATTR] = { .file = AT (getattr, fh) },
  [FUSE_SETATTR] = { .file = AT (setattr, fh) },
  [FUSE_SYMLINK] = { .locks_directory = true },
  [FUSE_MKNOD] = { .locks_directory = true },
  [FUSE_MKDIR] = { .locks_directory = true },
  [FUSE_UNLINK] = { .locks_directory = true },
  [FUSE_RMDIR] = { .locks_directory = true },
  [FUSE_RENAME] = { .node = AT (rename, newdir), .locks_directory = true },
  [FUSE_LINK] = { .node = AT (link, oldnodeid), .locks_directory = true },
  [FUSE_READ] = { .file = AT (read, fh) },
  [FUSE_WRITE] = { .file = AT (write, fh) },
  [FUSE_RELEASE] = { .lets_go = true },
  [FUSE_FSYNC] = { .file = AT (fsync, fh) },
  [FUSE_FLUSH] = { .file = AT (flush, fh), .lets_go = true },
  [FUSE_READDIR] = { .file = AT (read, fh), .locks_directory = true },
  [FUSE_RELEASEDIR] = { .lets_go = true },
  [FUSE_FSYNCDIR] = { .file = AT (fsync, fh) },
  [FUSE_GETLK] = { .file = AT (lk, fh) },
  [FUSE_SETLK] = { .file = AT (lk, fh) },
  [FUSE_SETLKW] = { .file = AT (lk, fh) },
  [FUSE_CREATE] = { .locks_directory = true },
  [FUSE_FALLOCATE] = { .file = AT (fallocate, fh) },
  [FUSE_READDIRPLUS] = { .file = AT (read, fh), .locks_directory = true },
  [FUSE_RENAME2] = { .node = AT (rename2, newdir), .locks_directory = true },
  [FUSE_LSEEK] = { .file = AT (lseek, fh) },
  [FUSE_COPY_FILE_RANGE] = { AT (copy_file_range, fh_in), AT (copy_file_range, nodeid_out),
                             AT (copy_file_range, fh_out), false, false },
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
hold (PfsTree *tree, PfsRequest *request, const Kind *kind)
{
  const struct fuse_in_header *in = request->in;

  hold_node (tree, request, 0, in->nodeid);
  hold_node (tree, request, 1, number_at (in, kind->node));
  hold_file (request, 0, number_at (in, kind->file));
  hold_file (request, 1, number_at (in, kind->other_file));
}

/* A peer may lay another file system over our own mount: an overlay, by which we would ask ourselves, with our rights
 * in the place of the caller's, and wait for ourselves. */
static bool
is_our_own (const PfsJobs *jobs, const PfsRequest *request, PfsReceiver *receiver)
{
  pid_t pid = (pid_t) request->in->pid;
  guint i = request->in->pid % PFS_STRANGERS;

  if (pid <= 0 || request->in->opcode == FUSE_FORGET || request->lets_go)
    return false;
  if (receiver->strangers[i].pid == pid && request->since < receiver->strangers[i].until)
    return false;
  if (syscall (SYS_tgkill, jobs->session->pid, pid, 0) == 0)
    return true;
  receiver->strangers[i].pid = pid;
  receiver->strangers[i].until = request->since + STRANGER_MS;
  return false;
}

/* A signal may come before its request is in the list. After EAGAIN the kernel sends it again. libfuse does neither. */
static void
interrupt (PfsJobs *jobs, const struct fuse_in_header *in)
{
  const struct fuse_interrupt_in *body = (const void *) (in + 1);

  if (pfs_request_interrupt (jobs, body->unique))
    return;
  g_thread_yield ();
  pfs_request_refuse (jobs, in->unique, -EAGAIN);
}

PfsRequest *
pfs_dispatch_look (PfsJobs *jobs, PfsReceiver *receiver)
{
  static const Kind other;
  const struct fuse_in_header *in = receiver->buf.mem;
  const Kind *kind = in->opcode < G_N_ELEMENTS (kinds) ? &kinds[in->opcode] : &other;

  if (in->opcode == FUSE_INTERRUPT) {
    interrupt (jobs, in);
    return NULL;
  }
  g_autofree PfsRequest *request = g_new0 (PfsRequest, 1);
  *request = (PfsRequest) { .in = in, .since = pfs_now (), .lets_go = kind->lets_go };
  if (is_our_own (jobs, request, receiver)) {
    pfs_request_refuse (jobs, in->unique, -EDEADLK);
    return NULL;
  }
  if (in->nodeid != 0 && in->opcode != FUSE_FORGET)
    hold (jobs->session->tree, request, kind);
  request->locks_directory = kind->locks_directory && request->place.remote;
  return g_steal_pointer (&request);
}

/* --- who does it --- */

/* However many wait, for a lease of the peer's or a slow disk, others have their threads: of those that receive, too, a
 * container may take half of what all others have left. A large request (a write) does not wait behind many, as it
 * takes up to PFS_IO_MAX of memory along: it is the only one that is ever turned away. */
static PfsState
way_of_local (const PfsJobs *jobs, const PfsRequest *request)
{
  bool fits = 2 * request->container->n[PFS_HERE] + jobs->all.n[PFS_HERE] < HERE_MAX;
  guint on_mount = pfs_pool_busy (request->mount);

  if (fits && on_mount < PFS_MOUNT_THREADS)
    return PFS_HERE;
  if (request->in->len <= LARGE || on_mount < LARGE_MAX)
    return PFS_WAITING;
  return fits ? PFS_HERE : PFS_NEW;
}

/* Has it waited for so long, or so much of it, that no more is to wait? */
static bool
is_full_locked (PfsJobs *jobs, const PfsPool *pool, guint stalled_max, guint queue_max)
{
  guint busy = pfs_pool_busy (pool);

  return busy >= queue_max || (busy >= stalled_max && pfs_pool_stalled_locked (jobs, pool) >= stalled_max);
}

/* `ls -l /peers` asks this about each container, and must wait for none. */
static bool
is_about_peer (const PfsRequest *request)
{
  uint32_t opcode = request->in->opcode;

  return request->place.is_peer && (opcode == FUSE_GETATTR || opcode == FUSE_GETXATTR || opcode == FUSE_LISTXATTR);
}

/* The state to come; PFS_NEW: it is refused. */
static PfsState
way_locked (PfsJobs *jobs, const PfsRequest *request)
{
  if (!request->place.container || is_about_peer (request))
    return PFS_HERE;
  if (!request->place.remote)
    return way_of_local (jobs, request);
  if (request->lets_go)
    return PFS_WAITING;
  return is_full_locked (jobs, request->mount, PFS_MOUNT_THREADS, QUEUE_MAX)
                 || is_full_locked (jobs, request->container, PFS_JOBS_MAX / 3, 2 * QUEUE_MAX)
             ? PFS_NEW
             : PFS_WAITING;
}

/* Says once, as long as the mount has requests, that it is stalled. */
static void
refuse_locked (PfsJobs *jobs, PfsRequest *request)
{
  guint waiting = request->mount->said ? 0 : pfs_pool_busy (request->container);

  request->mount->said = true;
  request->answered = true;
  g_mutex_unlock (&jobs->lock);
  if (waiting > 0) {
    g_autofree char *name = pfs_container_name (request->place.container);
    fuse_log (FUSE_LOG_WARNING, "event=stalled name=%s waiting=%u\n", name, waiting);
  }
  pfs_request_refuse (jobs, request->in->unique, -EBUSY);
  g_mutex_lock (&jobs->lock);
}

/* The job has a copy of the request. */
static bool
hand_over_locked (PfsJobs *jobs, PfsRequest *request)
{
  g_mutex_unlock (&jobs->lock);
  gpointer copy = g_memdup2 (request->in, request->in->len);
  g_mutex_lock (&jobs->lock);
  request->in = copy;
  request->copied = true;
  return pfs_request_push_locked (jobs, request);
}

void
pfs_dispatch_locked (PfsJobs *jobs, PfsRequest *request)
{
  pfs_request_enter_locked (jobs, request);
  PfsState way = way_locked (jobs, request);

  if (way == PFS_WAITING && hand_over_locked (jobs, request))
    return;
  if (way == PFS_NEW || (way == PFS_WAITING && request->place.remote && !request->lets_go))
    refuse_locked (jobs, request);
  pfs_request_run_locked (jobs, request, PFS_HERE);
}
