/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ThreadSanitizer and the kernel. A node or a file goes from one thread to another by way of the kernel: one request's
 * reply names it, a later request brings it. ThreadSanitizer sees neither; these wrappers of our own functions (see
 * glib.c) tell it just the order that is there:
 *   - what was done to a node or file before the kernel was given it comes before every request about it;
 *   - what requests about it did until their replies comes before its end, FORGET or RELEASE.
 * Two requests about one thing are in no order, be there seconds between them. In libfuse there are locks that would
 * order them all the same (it takes one at each begin and end of a request): they are ignored. */
/* clang-format off: CMake reads the lines that begin with WRAP. */
#include <sanitizer/tsan_interface.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../src/fuse/private.h"
#include "peerfs/tree/kinds.h"
#include "wrap.h"

const char *__tsan_default_options (void);
const char *__tsan_default_suppressions (void);

/* Without io_sync=0 every read() of anything is ordered after every write(). Threads that have ended are not joined
 * when the daemon gives up waiting for one that hangs. */
__attribute__ ((visibility ("default"))) const char *
__tsan_default_options (void)
{
  return "io_sync=0:history_size=4:report_thread_leaks=0";
}

/* What libfuse calls; not what it calls back. */
__attribute__ ((visibility ("default"))) const char *
__tsan_default_suppressions (void)
{
  return "called_from_lib:libfuse3.so\n";
}

/* Stands for INIT, whose answer comes before all other requests: the end of op_init(). */
static char begun;

WRAP (const char *, fuse_pkgversion, void)
{
  __tsan_release (&begun);
  return __real_fuse_pkgversion ();
}

/* What the thread's request is about. copy_file_range has two nodes and two files. */
static __thread const char *touched[4];
static __thread guint n_touched;

/* Two things happen to an object: it is given to the kernel (its own address), it is done with (the next one). */
static void
touch (const void *object)
{
  __tsan_acquire (&begun);
  if (!object)
    return;
  __tsan_acquire ((char *) object);
  if (n_touched < G_N_ELEMENTS (touched))
    touched[n_touched++] = object;
}

static void
end (const void *object)
{
  __tsan_acquire ((char *) object + 8);
  for (guint i = 0; i < n_touched; i++)
    if (touched[i] == object)
      touched[i--] = touched[--n_touched];
}

static void
answer (void)
{
  while (n_touched > 0)
    __tsan_release ((char *) touched[--n_touched] + 8);
}

WRAP (PfsNode *, pfs_request_node, fuse_req_t req, fuse_ino_t ino)
{
  PfsNode *node = __real_pfs_request_node (req, ino);

  touch (ino == FUSE_ROOT_ID ? NULL : node);
  return node;
}

/* Looked at before libfuse has the request, which may be refused then. */
WRAP (PfsNodeMount, pfs_node_mount, PfsNode *node)
{
  __tsan_acquire (&begun);
  __tsan_acquire (node);
  PfsNodeMount place = __real_pfs_node_mount (node);
  __tsan_release ((char *) node + 8);
  return place;
}

WRAP (PfsFile *, pfs_request_file, const struct fuse_file_info *fi)
{
  PfsFile *file = __real_pfs_request_file (fi);

  touch (file);
  return file;
}

WRAP (void, pfs_node_remember, PfsNode *node)
{
  __real_pfs_node_remember (node);
  __tsan_release (node);
}

WRAP (int, pfs_session_add_file, PfsSession *session, PfsFile *file)
{
  int r = __real_pfs_session_add_file (session, file);

  if (r == 0)
    __tsan_release (file);
  return r;
}

WRAP (void, pfs_node_forget, PfsNode *node, uint64_t n)
{
  end (node);
  __real_pfs_node_forget (node, n);
}

WRAP (void, pfs_session_drop_file, PfsSession *session, PfsFile *file)
{
  end (file);
  __real_pfs_session_drop_file (session, file);
}

/* A reply that says nothing of what it names, whatever its parameters. */
#define ANSWER(name, ...) \
  { \
    answer (); \
    return __real_##name (__VA_ARGS__); \
  }

WRAP (void, fuse_reply_none, fuse_req_t req) ANSWER (fuse_reply_none, req)
WRAP (int, fuse_reply_err, fuse_req_t req, int error) ANSWER (fuse_reply_err, req, error)
WRAP (int, fuse_reply_entry, fuse_req_t req, const struct fuse_entry_param *entry)
  ANSWER (fuse_reply_entry, req, entry)
WRAP (int, fuse_reply_create, fuse_req_t req, const struct fuse_entry_param *entry, const struct fuse_file_info *fi)
  ANSWER (fuse_reply_create, req, entry, fi)
WRAP (int, fuse_reply_attr, fuse_req_t req, const struct stat *attr, double timeout)
  ANSWER (fuse_reply_attr, req, attr, timeout)
WRAP (int, fuse_reply_readlink, fuse_req_t req, const char *target)
  ANSWER (fuse_reply_readlink, req, target)
WRAP (int, fuse_reply_open, fuse_req_t req, const struct fuse_file_info *fi)
  ANSWER (fuse_reply_open, req, fi)
WRAP (int, fuse_reply_write, fuse_req_t req, size_t count)
  ANSWER (fuse_reply_write, req, count)
WRAP (int, fuse_reply_buf, fuse_req_t req, const char *buffer, size_t size)
  ANSWER (fuse_reply_buf, req, buffer, size)
WRAP (int, fuse_reply_data, fuse_req_t req, struct fuse_bufvec *data, enum fuse_buf_copy_flags flags)
  ANSWER (fuse_reply_data, req, data, flags)
WRAP (int, fuse_reply_statfs, fuse_req_t req, const struct statvfs *st)
  ANSWER (fuse_reply_statfs, req, st)
WRAP (int, fuse_reply_xattr, fuse_req_t req, size_t count)
  ANSWER (fuse_reply_xattr, req, count)
WRAP (int, fuse_reply_lock, fuse_req_t req, const struct flock *lock)
  ANSWER (fuse_reply_lock, req, lock)
WRAP (int, fuse_reply_lseek, fuse_req_t req, off_t off)
  ANSWER (fuse_reply_lseek, req, off)

/* Unseen, as libfuse's own close() of that descriptor is: else its next user would seem to race with us. */
WRAP (int, dup3, int from, int to, int flags)
{
  return (int) syscall (SYS_dup3, from, to, flags);
}
