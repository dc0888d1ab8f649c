/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks on the peer's own files, so that its processes are excluded too. flock(2) belongs to an open file, as here. A
 * POSIX lock belongs to a process: each owner that the kernel names gets a descriptor of its own for a node, with open
 * file description locks (fcntl(2)) on it, which conflict with POSIX locks and with each other. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "lockwait.h"
#include "peerfs/base/fd.h"
#include "private.h"

#define CLOSING_US 8000u /* the last of several pauses, each twice as long: 15 ms in all for the end of a close */

/* What is remembered of an owner with a read-only descriptor, to be done again when it comes to write locks. */
#define LOG_MAX 1024

typedef struct {
  gint refs;
  PfsNode *node;                /* a reference */
  uint64_t id;
  int fd;
  bool writable;
  pid_t pid;
  GPtrArray *files;             /* the open files that it locked through: borrowed */
  GArray *log;                  /* of struct flock */
} Owner;

struct PfsLocks {
  GMutex lock;
  GHashTable *nodes;            /* PfsNode -> GPtrArray of Owner */
  PfsLockWait *waiting;
};

static void
owner_unref (gpointer data)
{
  Owner *owner = data;

  if (!g_atomic_int_dec_and_test (&owner->refs))
    return;
  pfs_fd_cleanup (&owner->fd);
  pfs_node_unref (owner->node);
  g_ptr_array_unref (owner->files);
  g_array_unref (owner->log);
  g_free (owner);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Owner, owner_unref)

PfsLocks *
pfs_locks_new (PfsSession *session)
{
  PfsLocks *locks = g_new0 (PfsLocks, 1);

  g_mutex_init (&locks->lock);
  locks->nodes = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_ptr_array_unref);
  locks->waiting = pfs_lock_wait_new (session);
  return locks;
}

bool
pfs_locks_end (PfsLocks *locks)
{
  return pfs_lock_wait_end (locks->waiting);
}

void
pfs_locks_free (PfsLocks *locks)
{
  pfs_lock_wait_free (locks->waiting);
  g_hash_table_unref (locks->nodes);
  g_mutex_clear (&locks->lock);
  g_free (locks);
}

bool
pfs_locks_any (PfsLocks *locks, PfsNode *node)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);

  return g_hash_table_contains (locks->nodes, node);
}

static Owner *
find_locked (PfsLocks *locks, PfsNode *node, uint64_t id)
{
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, node);

  for (guint i = 0; owners && i < owners->len; i++)
    if (((Owner *) owners->pdata[i])->id == id)
      return owners->pdata[i];
  return NULL;
}

/* A write lock takes a descriptor that can write, a read lock one that can read. Without need none is opened for
 * writing: that would copy the file up. */
static int
reopen (const PfsFile *file, bool write)
{
  char path[32];
  int fd;

  g_snprintf (path, sizeof path, "/proc/self/fd/%d", file->fd);
  fd = open (path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && write)
    fd = open (path, (file->flags & O_ACCMODE) | O_CLOEXEC | O_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

/* The owner's descriptor, good for what the file is open for. The read locks of an old one are set again on the new one
 * before it is closed. */
static int
owner_open (Owner *owner, const PfsFile *file)
{
  bool write = (file->flags & O_ACCMODE) != O_RDONLY;

  if (owner->fd >= 0 && (owner->writable || !write))
    return 0;
  int fd = reopen (file, write);
  if (fd < 0)
    return fd;
  for (guint i = 0; i < owner->log->len; i++) {
    struct flock lock = g_array_index (owner->log, struct flock, i);
    fcntl (fd, F_OFD_SETLK, &lock);
  }
  pfs_fd_cleanup (&owner->fd);
  owner->fd = fd;
  owner->writable = write;
  return 0;
}

static Owner *
owner_new_locked (PfsLocks *locks, PfsNode *node, uint64_t id)
{
  Owner *owner = g_new0 (Owner, 1);
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, node);

  *owner = (Owner){ .refs = 1, .node = pfs_node_ref (node), .id = id, .fd = -1 };
  owner->files = g_ptr_array_new ();
  owner->log = g_array_new (FALSE, FALSE, sizeof (struct flock));
  if (!owners) {
    owners = g_ptr_array_new_with_free_func (owner_unref);
    g_hash_table_insert (locks->nodes, node, owners);
  }
  g_ptr_array_add (owners, owner);
  return owner;
}

/* The owner of a request, as a reference; NULL where it has no lock and wants none. */
static int
owner_of (PfsLocks *locks, PfsFile *file, uint64_t id, const struct flock *lock, Owner **ret)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);
  Owner *owner = find_locked (locks, file->node, id);

  if (!owner && lock->l_type == F_UNLCK) {
    *ret = NULL;
    return 0;
  }
  if (!owner)
    owner = owner_new_locked (locks, file->node, id);
  int r = owner_open (owner, file);
  if (r < 0)
    return r;
  if (!g_ptr_array_find (owner->files, file, NULL))
    g_ptr_array_add (owner->files, file);
  owner->pid = lock->l_pid;
  if (!owner->writable && owner->log->len < LOG_MAX)
    g_array_append_val (owner->log, *lock);
  g_atomic_int_inc (&owner->refs);
  *ret = owner;
  return 0;
}

/* Drops all locks of an owner, or (id 0) of those that locked through the file. */
static void
drop (PfsLocks *locks, const PfsFile *file, uint64_t id)
{
  struct flock everything = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, file->node);

  for (guint i = owners ? owners->len : 0; i > 0; i--) {
    Owner *owner = owners->pdata[i - 1];

    if (id != 0 ? owner->id == id : g_ptr_array_find (owner->files, file, NULL)) {
      fcntl (owner->fd, F_OFD_SETLK, &everything);
      g_ptr_array_remove_index_fast (owners, i - 1);
    }
  }
  if (owners && owners->len == 0)
    g_hash_table_remove (locks->nodes, file->node);
  pfs_lock_wait_poke (locks->waiting);
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

/* Whoever waits, and for what. */
typedef struct {
  PfsFile *file;                /* borrowed: the waiter has it */
  Owner *owner;                 /* a reference; NULL: flock (op) */
  struct flock lock;
  int op;
} Want;

static void
want_free (gpointer data)
{
  Want *want = data;

  g_clear_pointer (&want->owner, owner_unref);
  g_free (want);
}

static int
want_try (gpointer data)
{
  Want *want = data;
  int r = want->owner ? fcntl (want->owner->fd, F_OFD_SETLK, &want->lock) : flock (want->file->fd, want->op | LOCK_NB);

  if (r < 0)
    return errno == EACCES || errno == EWOULDBLOCK ? -EAGAIN : pfs_file_error (want->file, -errno);
  return pfs_file_check (want->file);
}

static int
wait_for (PfsLocks *locks, fuse_req_t req, PfsFile *file, Want want)
{
  want.file = file;
  int r = pfs_lock_wait (locks->waiting, req, file, want_try, g_memdup2 (&want, sizeof want), want_free);
  return r == 0 ? 1 : r;
}

void
pfs_op_setlk (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock, int sleep)
{
  PfsLocks *locks = pfs_request_session (req)->locks;
  PfsFile *file = pfs_request_file (fi);
  g_autoptr (Owner) owner = NULL;

  (void) ino;
  int r = check_lockable (file);
  if (r == 0)
    r = owner_of (locks, file, fi->lock_owner, lock, &owner);
  lock->l_pid = 0;
  if (r == 0 && owner && fcntl (owner->fd, F_OFD_SETLK, lock) < 0)
    r = pfs_file_error (file, -errno);
  if ((r == -EAGAIN || r == -EACCES) && sleep)
    r = wait_for (locks, req, file, (Want){ .owner = g_steal_pointer (&owner), .lock = *lock });
  if (r == 0 && lock->l_type == F_UNLCK)
    pfs_lock_wait_poke (locks->waiting);
  if (r <= 0)
    pfs_reply (req, r);
}

/* The kernel names no process for a lock of a file description: it is one of ours, or an owner of such a lock. */
static pid_t
pid_of_another (PfsLocks *locks, PfsNode *node, uint64_t id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, node);

  for (guint i = 0; owners && i < owners->len; i++)
    if (((Owner *) owners->pdata[i])->id != id)
      return ((Owner *) owners->pdata[i])->pid;
  return 0;
}

void
pfs_op_getlk (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
  PfsLocks *locks = pfs_request_session (req)->locks;
  PfsFile *file = pfs_request_file (fi);

  (void) ino;
  int r = check_lockable (file);
  if (r == 0) {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);
    Owner *owner = find_locked (locks, file->node, fi->lock_owner);

    lock->l_pid = 0;
    r = fcntl (owner ? owner->fd : file->fd, F_OFD_GETLK, lock) < 0 ? pfs_file_error (file, -errno) : 0;
  }
  if (r == 0 && lock->l_type != F_UNLCK && lock->l_pid < 0)
    lock->l_pid = pid_of_another (locks, file->node, fi->lock_owner);
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

  (void) ino;
  int r = check_lockable (file);
  if (r == 0)
    r = pfs_file_error (file, flock_at_once (file->fd, op));
  if (r == -EWOULDBLOCK && !(op & LOCK_NB))
    r = wait_for (pfs_request_session (req)->locks, req, file, (Want){ .op = op });
  if (r == 0 && (op & LOCK_UN))
    pfs_lock_wait_poke (pfs_request_session (req)->locks->waiting);
  if (r <= 0)
    pfs_reply (req, r);
}
