/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks on the peer's own files, so that its processes are excluded too. flock(2) belongs to an open file, as here. A
 * POSIX lock belongs to a process: each owner that the kernel names gets a descriptor of its own for a node, with open
 * file description locks (fcntl(2)) on it, which conflict with POSIX locks and with each other. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "private.h"
#include "ranges.h"

#define CLOSING_US 8000u /* the last of several pauses, each twice as long: 15 ms in all for the end of a close */

typedef struct {
  gint refs;
  PfsNode *node;                /* a reference */
  uint64_t id;
  GPtrArray *files;             /* the open files that it locked through: borrowed; guarded by the lock below, as is `busy` */
  bool busy;                    /* a thread has what follows to itself, to ask the peer's file without that lock */
  int fd;
  bool writable;
  pid_t pid;                    /* written with both: whoever is busy with it has the lock as well */
  GArray *held;                 /* of PfsRange; likewise */
} Owner;

/* A lock that somebody asks for, and may wait for. */
typedef struct {
  PfsLocks *locks;
  struct fuse_session *fuse;
  PfsFile *file;                /* borrowed: the request has it */
  bool posix;                   /* else flock (op) */
  uint64_t id;                  /* of the owner */
  struct flock lock;
  int op;
} Want;

struct PfsLocks {
  GMutex lock;                  /* never held while a peer's file is asked for anything */
  GCond idle;                   /* some owner is not busy any more */
  GHashTable *nodes;            /* PfsNode -> GPtrArray of Owner */
  gint n_nodes;                 /* how many: written with the lock, atomic */
  GPtrArray *wants;             /* of Want, for POSIX locks: those that wait, borrowed */
  PfsJobs *jobs;
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
  g_array_unref (owner->held);
  g_free (owner);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Owner, owner_unref)

PfsLocks *
pfs_locks_new (PfsSession *session)
{
  PfsLocks *locks = g_new0 (PfsLocks, 1);

  g_mutex_init (&locks->lock);
  g_cond_init (&locks->idle);
  locks->nodes = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_ptr_array_unref);
  locks->wants = g_ptr_array_new ();
  locks->jobs = session->jobs;
  return locks;
}

void
pfs_locks_free (PfsLocks *locks)
{
  g_ptr_array_unref (locks->wants);
  g_hash_table_unref (locks->nodes);
  g_cond_clear (&locks->idle);
  g_mutex_clear (&locks->lock);
  g_free (locks);
}

/* Nearly always there are none at all, which takes no lock of ours to know. */
static bool
are_none (const PfsLocks *locks)
{
  return g_atomic_int_get (&locks->n_nodes) == 0;
}

static void
count_locked (PfsLocks *locks)
{
  g_atomic_int_set (&locks->n_nodes, (gint) g_hash_table_size (locks->nodes));
}

bool
pfs_locks_any (PfsLocks *locks, PfsNode *node)
{
  if (are_none (locks))
    return false;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);

  return g_hash_table_contains (locks->nodes, node);
}

/* --- owners --- */

static Owner *
find_locked (PfsLocks *locks, PfsNode *node, uint64_t id)
{
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, node);

  for (guint i = 0; owners && i < owners->len; i++)
    if (((Owner *) owners->pdata[i])->id == id)
      return owners->pdata[i];
  return NULL;
}

static Owner *
owner_new_locked (PfsLocks *locks, PfsNode *node, uint64_t id)
{
  Owner *owner = g_new0 (Owner, 1);
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, node);

  *owner = (Owner){ .refs = 1, .node = pfs_node_ref (node), .id = id, .fd = -1 };
  owner->files = g_ptr_array_new ();
  owner->held = pfs_ranges_new ();
  if (!owners) {
    owners = g_ptr_array_new_with_free_func (owner_unref);
    g_hash_table_insert (locks->nodes, node, owners);
    count_locked (locks);
  }
  g_ptr_array_add (owners, owner);
  return owner;
}

/* Whoever waits here waits for an answer about the same file, on the same mount. Takes a reference. */
static Owner *
enter_locked (PfsLocks *locks, Owner *owner)
{
  g_atomic_int_inc (&owner->refs);
  while (owner->busy)
    g_cond_wait (&locks->idle, &locks->lock);
  owner->busy = true;
  return owner;
}

/* done: what the kernel has done for it meanwhile; NULL: nothing. */
static void
owner_leave (PfsLocks *locks, Owner *owner, const struct flock *done)
{
  g_mutex_lock (&locks->lock);
  if (done)
    pfs_ranges_set (owner->held, done);
  if (done && done->l_type != F_UNLCK)
    owner->pid = done->l_pid;
  owner->busy = false;
  g_cond_broadcast (&locks->idle);
  g_mutex_unlock (&locks->lock);
  owner_unref (owner);
}

/* The owner of that number, to be left again; NULL if it has no lock and wants none. */
static Owner *
owner_enter (PfsLocks *locks, PfsFile *file, uint64_t id, bool wants_lock)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);
  Owner *owner = find_locked (locks, file->node, id);

  if (!owner && wants_lock)
    owner = owner_new_locked (locks, file->node, id);
  if (!owner)
    return NULL;
  if (wants_lock && !g_ptr_array_find (owner->files, file, NULL))
    g_ptr_array_add (owner->files, file);
  return enter_locked (locks, owner);
}

/* A write lock takes a descriptor that can write, a read lock one that can read. Without need none is opened for
 * writing: that would copy the file up. */
static int
reopen (const PfsFile *file, bool write)
{
  char path[32];
  int fd;

  g_snprintf (path, sizeof path, "/proc/self/fd/%d", file->fd);
  fd = open (path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (fd < 0 && write)
    fd = open (path, (file->flags & O_ACCMODE) | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

/* The owner's descriptor, good for what the file is open for. The locks of an old one, all for reading, are set again on
 * the new one before it is closed. */
static int
owner_open (Owner *owner, const PfsFile *file)
{
  bool write = (file->flags & O_ACCMODE) != O_RDONLY;

  if (owner->fd >= 0 && (owner->writable || !write))
    return 0;
  int fd = reopen (file, write);
  if (fd < 0)
    return fd;
  for (guint i = 0; i < owner->held->len; i++) {
    struct flock lock = pfs_range_lock (&g_array_index (owner->held, PfsRange, i));
    fcntl (fd, F_OFD_SETLK, &lock);
  }
  pfs_fd_cleanup (&owner->fd);
  owner->fd = fd;
  owner->writable = write;
  return 0;
}

/* Drops all locks of an owner, or (id 0) of those that locked through the file. */
static void
drop (PfsLocks *locks, const PfsFile *file, uint64_t id)
{
  struct flock everything = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

  if (are_none (locks))
    return;
  g_autoptr (GPtrArray) dropped = g_ptr_array_new_with_free_func (owner_unref);

  g_mutex_lock (&locks->lock);
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, file->node);
  for (guint i = owners ? owners->len : 0; i > 0; i--) {
    Owner *owner = owners->pdata[i - 1];

    if (id != 0 ? owner->id == id : g_ptr_array_find (owner->files, file, NULL))
      g_ptr_array_add (dropped, g_ptr_array_steal_index_fast (owners, i - 1));
  }
  if (owners && owners->len == 0) {
    g_hash_table_remove (locks->nodes, file->node);
    count_locked (locks);
  }
  for (guint i = 0; i < dropped->len; i++)
    enter_locked (locks, dropped->pdata[i]);
  g_mutex_unlock (&locks->lock);

  for (guint i = 0; i < dropped->len; i++) {
    Owner *owner = dropped->pdata[i];
    if (owner->fd >= 0)
      fcntl (owner->fd, F_OFD_SETLK, &everything);
    owner_leave (locks, owner, NULL);
  }
  if (dropped->len > 0)
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

static int
set_posix (const Want *want)
{
  struct flock lock = want->lock;
  Owner *owner = owner_enter (want->locks, want->file, want->id, lock.l_type != F_UNLCK);

  if (!owner)
    return 0;
  lock.l_pid = 0;
  int r = owner_open (owner, want->file);
  if (r == 0 && fcntl (owner->fd, F_OFD_SETLK, &lock) < 0)
    r = -errno;
  owner_leave (want->locks, owner, r == 0 ? &want->lock : NULL);
  return r;
}

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
  int r = want->posix ? set_posix (want) : flock (want->file->fd, want->op | LOCK_NB) < 0 ? -errno : 0;

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
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, want->file->node);

  for (guint i = 0; owners && i < owners->len; i++) {
    const Owner *owner = owners->pdata[i];

    if (owner->id == want->id || !pfs_ranges_conflict (owner->held, &want->lock))
      continue;
    if (owner->id == id)
      return true;
    if (!g_hash_table_add (seen, (gpointer) &owner->id))
      continue;
    for (guint j = 0; j < locks->wants->len; j++) {
      const Want *next = locks->wants->pdata[j];

      if (next->id == owner->id && leads_back_locked (locks, next, id, seen))
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
  g_autoptr (GHashTable) seen = g_hash_table_new (g_int64_hash, g_int64_equal);

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
  Want want = { .locks = session->locks, .fuse = session->fuse, .file = file, .posix = true, .id = fi->lock_owner, .lock = *lock };

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

/* The kernel names no process for a lock of a file description: it is one of ours, or an owner of such a lock. */
static pid_t
pid_of_another (PfsLocks *locks, PfsNode *node, uint64_t id, const struct flock *lock)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, node);
  struct flock whole = { .l_type = F_WRLCK, .l_start = lock->l_start, .l_len = lock->l_len };

  for (guint i = 0; owners && i < owners->len; i++) {
    const Owner *owner = owners->pdata[i];

    if (owner->id != id && pfs_ranges_conflict (owner->held, &whole))
      return owner->pid;
  }
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
    Owner *owner = owner_enter (locks, file, fi->lock_owner, false);

    lock->l_pid = 0;
    r = fcntl (owner && owner->fd >= 0 ? owner->fd : file->fd, F_OFD_GETLK, lock) < 0 ? pfs_file_error (file, -errno) : 0;
    if (owner)
      owner_leave (locks, owner, NULL);
  }
  if (r == 0 && lock->l_type != F_UNLCK && lock->l_pid < 0)
    lock->l_pid = pid_of_another (locks, file->node, fi->lock_owner, lock);
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
