/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests about locks. flock(2) belongs to an open file, as here; a POSIX lock belongs to a process: owners.c. */
#include "locks.h"

#include <errno.h>
#include <sys/file.h>
#include <unistd.h>

#include "requests.h"
#include "request.h"

#define CLOSING_US 8000u /* the last of several pauses, each twice as long: 15 ms in all for the end of a close */

static void
drop (PfsSession *session, const PfsFile *file, uint64_t id)
{
  if (pfs_locks_drop (session->locks, file, id))
    pfs_requests_poke (session->jobs);
}

void
pfs_locks_release (PfsSession *session, const PfsFile *file)
{
  drop (session, file, 0);
}

/* Some filesystems, of networks and in user space, tell a writer only at its close that what it wrote got lost. */
static int
close_below (const PfsFile *file)
{
  if ((file->flags & O_ACCMODE) == O_RDONLY || !pfs_node_mount (file->node).remote)
    return 0;
  int copy = fcntl (file->fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 || close (copy) < 0 ? pfs_file_error (file, -errno) : 0;
}

void
pfs_op_flush (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  PfsFile *file = pfs_request_file (fi);

  (void) ino;
  if (file->fd >= 0 && fi->lock_owner != 0)
    drop (pfs_request_session (req), file, fi->lock_owner);
  pfs_reply (req, file->fd < 0 ? 0 : close_below (file));
}

static int
check_lockable (const PfsFile *file)
{
  return file->node->ops->fs ? pfs_file_check (file) : -ENOLCK;
}

/* --- asking for locks --- */

/* A lock that a request asks for, and may wait for. */
typedef struct {
  PfsSession *session;
  PfsFile *file; /* borrowed: the request has it */
  bool posix;    /* else flock (op) */
  int op;
  PfsLockWait wait; /* only if posix */
} Want;

static int
want_try (gpointer data)
{
  const Want *want = data;
  const PfsLockWait *wait = &want->wait;
  int r;

  if (want->posix)
    r = pfs_locks_set (want->session->locks, want->file, wait->id, &wait->lock);
  else
    r = flock (want->file->fd, want->op | LOCK_NB) < 0 ? -errno : 0;
  if (r == -EACCES || r == -EAGAIN)
    return -EAGAIN;
  /* With a lock, a caller goes by what others have written under theirs: by sizes, too, which the kernel may remember.
   */
  if (r == 0 && !(want->posix && wait->lock.l_type == F_UNLCK))
    fuse_lowlevel_notify_inval_inode (want->session->fuse, want->file->node->number, -1, 0);
  return r < 0 ? pfs_file_error (want->file, r) : pfs_file_check (want->file);
}

static void
want_free (gpointer data)
{
  Want *want = data;

  pfs_locks_wait_end (want->session->locks, &want->wait);
  g_free (want);
}

/* 0: the request will be answered later. */
static int
wait_for (fuse_req_t req, const Want *want)
{
  Want *waiting = g_memdup2 (want, sizeof *want);
  int r = want->posix ? pfs_locks_wait (want->session->locks, &waiting->wait) : 0;

  if (r == 0)
    r = pfs_request_retry (want->session->jobs, req, want_try, waiting, want_free);
  if (r < 0)
    want_free (waiting);
  return r;
}

static void
ask (fuse_req_t req, Want *want, bool sleep)
{
  int r = check_lockable (want->file);

  if (r == 0)
    r = want_try (want);
  /* close(2) does not wait for RELEASE, so a flock may outlive it by some ms. */
  for (guint us = 1000; r == -EAGAIN && !want->posix && !sleep && us <= CLOSING_US; us *= 2) {
    g_usleep (us);
    r = want_try (want);
  }
  if (r == -EAGAIN && sleep) {
    r = wait_for (req, want);
    if (r == 0)
      return;
  }
  if (r == 0)
    pfs_requests_poke (want->session->jobs);
  pfs_reply (req, r);
}

void
pfs_op_setlk (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock, int sleep)
{
  PfsFile *file = pfs_request_file (fi);
  Want want = { .session = pfs_request_session (req), .file = file, .posix = true };

  (void) ino;
  want.wait = (PfsLockWait) { .id = fi->lock_owner, .node = file->node, .lock = *lock };
  ask (req, &want, sleep);
}

void
pfs_op_flock (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
  Want want = { .session = pfs_request_session (req), .file = pfs_request_file (fi), .op = op };

  (void) ino;
  ask (req, &want, !(op & LOCK_NB));
}

void
pfs_op_getlk (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
  PfsFile *file = pfs_request_file (fi);

  (void) ino;
  int r = check_lockable (file);
  if (r == 0)
    r = pfs_file_error (file, pfs_locks_get (pfs_request_session (req)->locks, file, fi->lock_owner, lock));
  if (r < 0)
    pfs_reply (req, r);
  else
    fuse_reply_lock (req, lock);
}
