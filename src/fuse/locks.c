/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks on the peer's own files, so that its processes are excluded too. flock(2) belongs to an open file, as here. A
 * POSIX lock belongs to a process: owners.c. */
#include "locks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "owners.h"
#include "jobs.h"
#include "ops.h"
#include "request.h"
#include "private.h"

#define CLOSING_US 8000u /* the last of several pauses, each twice as long: 15 ms in all for the end of a close */

/* A lock that somebody asks for, and may wait for. */
typedef struct {
  PfsLocks *locks;
  struct fuse_session *fuse;
  PfsFile *file; /* borrowed: the request has it */
  bool posix;    /* else flock (op) */
  uint64_t id;   /* of the owner */
  struct flock lock;
  int op;
} Want;

struct PfsLocks {
  PfsOwners *owners;
  PfsJobs *jobs;
  GMutex lock;
  GPtrArray *wants; /* of Want, for POSIX locks: those that wait, borrowed; guarded by the lock */
};

PfsLocks *
pfs_locks_new (PfsSession *session)
{
  PfsLocks *locks = g_new0 (PfsLocks, 1);

  g_mutex_init (&locks->lock);
  locks->owners = pfs_owners_new (session);
  locks->wants = g_ptr_array_new ();
  locks->jobs = session->jobs;
  return locks;
}

void
pfs_locks_free (PfsLocks *locks)
{
  g_ptr_array_unref (locks->wants);
  pfs_owners_free (locks->owners);
  g_mutex_clear (&locks->lock);
  g_free (locks);
}

bool
pfs_locks_any (PfsLocks *locks, PfsNode *node)
{
  return pfs_owners_any (locks->owners, node);
}

static void
drop (PfsLocks *locks, const PfsFile *file, uint64_t id)
{
  if (pfs_owners_drop (locks->owners, file, id))
    pfs_requests_poke (locks->jobs);
}

void
pfs_locks_release (PfsLocks *locks, const PfsFile *file)
{
  drop (locks, file, 0);
}

/* Some filesystems, of networks and in user space, tell a writer only when he closes that what he wrote got lost. */
static int
close_below (const PfsFile *file)
{
  if ((file->flags & O_ACCMODE) == O_RDONLY || !pfs_node_place (file->node).remote)
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
    drop (pfs_request_session (req)->locks, file, fi->lock_owner);
  pfs_reply (req, file->fd < 0 ? 0 : close_below (file));
}

static int
check_lockable (const PfsFile *file)
{
  return file->fd < 0 ? -ENOLCK : pfs_file_check (file);
}

/* --- asking for locks --- */

/* Whoever gets a lock goes by what others have written under theirs: by sizes, too, which the kernel may remember. */
static void
forget_attributes (struct fuse_session *fuse, const PfsFile *file)
{
  fuse_lowlevel_notify_inval_inode (fuse, file->node->number, -1, 0);
}

static int
want_try (gpointer data)
{
  const Want *want = data;
  int r;

  if (want->posix)
    r = pfs_owners_set (want->locks->owners, want->file, want->id, &want->lock);
  else
    r = flock (want->file->fd, want->op | LOCK_NB) < 0 ? -errno : 0;

  if (r == -EACCES || r == -EAGAIN)
    return -EAGAIN;
  if (r == 0 && want->lock.l_type != F_UNLCK)
    forget_attributes (want->fuse, want->file);
  return r < 0 ? pfs_file_error (want->file, r) : pfs_file_check (want->file);
}

static void
want_free (gpointer data)
{
  Want *want = data;

  g_mutex_lock (&want->locks->lock);
  g_ptr_array_remove_fast (want->locks->wants, want);
  g_mutex_unlock (&want->locks->lock);
  g_free (want);
}

/* Does whoever is in the way wait for that owner, himself or by others? The kernel cannot tell: to it, we are all of
 * them. seen: owners that do not. */
static bool
leads_back_locked (PfsLocks *locks, const Want *want, uint64_t id, GHashTable *seen)
{
  g_autoptr (GArray) in_way = pfs_owners_in_way (locks->owners, want->file->node, want->id, &want->lock);

  for (guint i = 0; i < in_way->len; i++) {
    uint64_t owner = g_array_index (in_way, uint64_t, i);

    if (owner == id)
      return true;
    if (!g_hash_table_add (seen, g_memdup2 (&owner, sizeof owner)))
      continue;
    for (guint j = 0; j < locks->wants->len; j++) {
      const Want *next = locks->wants->pdata[j];

      if (next->id == owner && leads_back_locked (locks, next, id, seen))
        return true;
    }
  }
  return false;
}

/* 1: somebody else answers the request. */
static int
wait_for (fuse_req_t req, const Want *want)
{
  PfsLocks *locks = want->locks;
  Want *waiting = g_memdup2 (want, sizeof *want);
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);

  g_mutex_lock (&locks->lock);
  bool deadlock = want->posix && leads_back_locked (locks, want, want->id, seen);
  if (want->posix && !deadlock)
    g_ptr_array_add (locks->wants, waiting);
  g_mutex_unlock (&locks->lock);
  if (deadlock) {
    g_free (waiting);
    return -EDEADLK;
  }
  int r = pfs_request_retry (locks->jobs, req, want_try, waiting, want_free);
  if (r < 0)
    want_free (waiting);
  return r == 0 ? 1 : r;
}

void
pfs_op_setlk (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock, int sleep)
{
  PfsFile *file = pfs_request_file (fi);
  PfsSession *session = pfs_request_session (req);
  Want want = {
    .locks = session->locks, .fuse = session->fuse, .file = file, .posix = true, .id = fi->lock_owner, .lock = *lock
  };

  (void) ino;
  int r = check_lockable (file);
  if (r == 0)
    r = want_try (&want);
  if (r == -EAGAIN && sleep)
    r = wait_for (req, &want);
  if (r == 0)
    pfs_requests_poke (want.locks->jobs);
  if (r <= 0)
    pfs_reply (req, r);
}

void
pfs_op_getlk (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
  PfsLocks *locks = pfs_request_session (req)->locks;
  PfsFile *file = pfs_request_file (fi);

  (void) ino;
  int r = check_lockable (file);
  if (r == 0)
    r = pfs_file_error (file, pfs_owners_get (locks->owners, file, fi->lock_owner, lock));
  if (r < 0)
    pfs_reply (req, r);
  else
    fuse_reply_lock (req, lock);
}

/* Whoever has closed his descriptor is rid of his lock; but nobody waits for the request that says so, which another
 * thread may still be busy with when the next one comes, who must not be turned away. */
static int
flock_at_once (int fd, int op)
{
  for (guint us = 1000; flock (fd, op | LOCK_NB) < 0; us *= 2) {
    if (errno != EWOULDBLOCK || !(op & LOCK_NB) || us > CLOSING_US)
      return -errno;
    g_usleep (us);
  }
  return 0;
}

void
pfs_op_flock (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
  PfsFile *file = pfs_request_file (fi);
  PfsSession *session = pfs_request_session (req);
  Want want = { .locks = session->locks, .fuse = session->fuse, .file = file, .op = op };

  (void) ino;
  int r = check_lockable (file);
  if (r == 0)
    r = pfs_file_error (file, flock_at_once (file->fd, op));
  if (r == 0)
    forget_attributes (session->fuse, file);
  if (r == -EWOULDBLOCK && !(op & LOCK_NB))
    r = wait_for (req, &want);
  if (r == 0)
    pfs_requests_poke (want.locks->jobs);
  if (r <= 0)
    pfs_reply (req, r);
}
