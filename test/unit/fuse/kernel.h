/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session whose kernel is the test: requests go in, and answers come out, by a socket in the place of /dev/fuse. What
 * is asked of the file f of a container waits until the test lets it go on. */
#pragma once

#include "../root/roots.h"

#include <poll.h>
#include <sys/socket.h>

#include "../../../src/fuse/requests.h"

#define KERNEL_SECONDS 60 /* for what comes at once, on however busy a machine */

typedef struct {
  Roots *roots;
  PfsSession session;
  int fd;        /* the kernel's end */
  PfsNode *node; /* of f */
  GMutex lock;   /* guards what follows */
  GCond changed;
  guint busy, done; /* handlers that wait; that have answered */
  guint may;        /* how many may go on */
  PfsRetry retry;   /* what READLINK waits for */
  guint freed;      /* of those that have waited */
  GThread *loop;
  bool idle; /* of pfs_loop_run() */
} Kernel;

static inline void
kernel_enter (fuse_req_t req, fuse_ino_t ino)
{
  Kernel *kernel = G_STRUCT_MEMBER_P (fuse_req_userdata (req), -(glong) G_STRUCT_OFFSET (Kernel, session));

  g_mutex_lock (&kernel->lock);
  kernel->busy++;
  g_cond_broadcast (&kernel->changed);
  while (ino == kernel->node->number && kernel->may == 0)
    g_cond_wait (&kernel->changed, &kernel->lock);
  kernel->may -= ino == kernel->node->number;
  kernel->busy--;
  g_mutex_unlock (&kernel->lock);
  fuse_reply_err (req, ENOENT);
  g_mutex_lock (&kernel->lock);
  kernel->done++;
  g_cond_broadcast (&kernel->changed);
  g_mutex_unlock (&kernel->lock);
}

static inline void
kernel_getattr (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  (void) fi;
  kernel_enter (req, ino);
}

static inline void
kernel_flush (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  (void) ino, (void) fi;
  kernel_enter (req, 0);
}

static inline void
kernel_free (gpointer data)
{
  Kernel *kernel = data;

  g_mutex_lock (&kernel->lock);
  kernel->freed++;
  g_mutex_unlock (&kernel->lock);
}

static inline void
kernel_readlink (fuse_req_t req, fuse_ino_t ino)
{
  Kernel *kernel = G_STRUCT_MEMBER_P (fuse_req_userdata (req), -(glong) G_STRUCT_OFFSET (Kernel, session));

  (void) ino;
  g_mutex_lock (&kernel->lock);
  PfsRetry retry = kernel->retry;
  g_mutex_unlock (&kernel->lock);
  int r = pfs_request_retry (kernel->session.jobs, req, retry, kernel, kernel_free);
  if (r < 0)
    fuse_reply_err (req, -r);
}

/* Until so many handlers wait, or five seconds have passed: how many do. */
static inline guint
kernel_busy (Kernel *kernel, guint n)
{
  gint64 end = g_get_monotonic_time () + KERNEL_SECONDS * G_TIME_SPAN_SECOND;

  g_mutex_lock (&kernel->lock);
  while (kernel->busy != n && g_cond_wait_until (&kernel->changed, &kernel->lock, end))
    continue;
  guint busy = kernel->busy;
  g_mutex_unlock (&kernel->lock);
  return busy;
}

static inline void
kernel_let (Kernel *kernel, guint n)
{
  g_mutex_lock (&kernel->lock);
  kernel->may += n;
  g_cond_broadcast (&kernel->changed);
  g_mutex_unlock (&kernel->lock);
}

static inline void
kernel_send (Kernel *kernel, uint32_t opcode, uint64_t nodeid, uint64_t unique, const void *body, size_t size)
{
  char request[512] = { 0 };
  struct fuse_in_header in = {
    .len = (uint32_t) (sizeof in + size), .opcode = opcode, .nodeid = nodeid, .unique = unique
  };

  memcpy (request, &in, sizeof in);
  memcpy (request + sizeof in, body, size);
  assert_int_equal (write (kernel->fd, request, in.len), in.len);
}

static inline void
kernel_ask (Kernel *kernel, uint32_t opcode, uint64_t nodeid, uint64_t unique)
{
  static const char body[64];

  kernel_send (kernel, opcode, nodeid, unique, body, sizeof body);
}

static inline void
kernel_interrupt (Kernel *kernel, uint64_t unique)
{
  const struct fuse_interrupt_in body = { .unique = unique };

  kernel_send (kernel, FUSE_INTERRUPT, 0, unique | 1, &body, sizeof body);
}

/* The next answer: its error, and whose it is. 0: none. */
static inline int
kernel_answer (Kernel *kernel, uint64_t *ret_unique)
{
  struct pollfd fd = { .fd = kernel->fd, .events = POLLIN };
  char answer[512];
  struct fuse_out_header out = { .error = 0 };

  if (poll (&fd, 1, KERNEL_SECONDS * 1000) == 1 && read (kernel->fd, answer, sizeof answer) >= (ssize_t) sizeof out)
    memcpy (&out, answer, sizeof out);
  *ret_unique = out.unique;
  return out.error;
}

static inline void
assert_answer (Kernel *kernel, uint64_t unique, int error)
{
  uint64_t of;

  assert_int_equal (kernel_answer (kernel, &of), error);
  assert_int_equal (of, unique);
}

static inline gpointer
kernel_loop (gpointer data)
{
  Kernel *kernel = data;

  return GINT_TO_POINTER (pfs_loop_run (kernel->session.jobs, &kernel->idle));
}

static inline int
kernel_setup (void **state)
{
  static const struct fuse_lowlevel_ops ops = {
    .getattr = kernel_getattr,
    .flush = kernel_flush,
    .readlink = kernel_readlink,
  };
  const struct fuse_init_in init = { .major = FUSE_KERNEL_VERSION, .minor = 31 };
  struct fuse_args args = FUSE_ARGS_INIT (0, NULL);
  Kernel *kernel = g_new0 (Kernel, 1);
  void *roots;
  char path[32];
  int ends[2];

  assert_int_equal (roots_setup (&roots), 0);
  kernel->roots = roots;
  peer_file (roots, "f", "x");
  kernel->node = roots_get (roots, "f");
  pfs_node_remember (kernel->node);
  assert_return_code (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), errno);
  kernel->fd = ends[0];
  fuse_opt_add_arg (&args, "test");
  kernel->session.tree = kernel->roots->nodes.tree;
  kernel->session.fuse = fuse_session_new (&args, &ops, sizeof ops, &kernel->session);
  fuse_opt_free_args (&args);
  g_snprintf (path, sizeof path, "/dev/fd/%d", ends[1]);
  assert_int_equal (fuse_session_mount (kernel->session.fuse, path), 0);
  kernel->session.jobs = pfs_jobs_new (&kernel->session);
  assert_non_null (kernel->session.jobs);
  kernel->loop = g_thread_new ("loop", kernel_loop, kernel);
  /* A number that no test uses: the kernel gives none twice. */
  kernel_send (kernel, FUSE_INIT, 0, 1u << 20, &init, sizeof init);
  assert_answer (kernel, 1u << 20, 0);
  *state = kernel;
  return 0;
}

/* Ends the session: have all threads left in time? */
static inline bool
kernel_end (Kernel *kernel)
{
  fuse_session_exit (kernel->session.fuse);
  pfs_eventfd_raise (kernel->session.jobs->ended);
  g_thread_join (g_steal_pointer (&kernel->loop));
  return kernel->idle;
}

/* Have all threads left? On a busy machine they may take longer than the session waits for them. */
static inline bool
kernel_left (Kernel *kernel)
{
  PfsJobs *jobs = kernel->session.jobs;
  gint64 end = g_get_monotonic_time () + KERNEL_SECONDS * G_TIME_SPAN_SECOND;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&jobs->lock);

  while (jobs->threads > 0 && g_cond_wait_until (&jobs->left, &jobs->lock, end))
    continue;
  return jobs->threads == 0;
}

static inline int
kernel_teardown (void **state)
{
  Kernel *kernel = *state;
  void *roots = kernel->roots;

  kernel_let (kernel, 1000);
  if (kernel->loop)
    assert_true (kernel_end (kernel) || kernel_left (kernel));
  pfs_jobs_free (kernel->session.jobs);
  fuse_session_destroy (kernel->session.fuse);
  close (kernel->fd);
  pfs_node_forget (kernel->node, 1);
  pfs_node_unref (kernel->node);
  g_free (kernel);
  return roots_teardown (&roots);
}
