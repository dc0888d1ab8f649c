/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locks.h"

#include <errno.h>

#include "ranges.h"
#include "request.h"

typedef struct {
  gint refs; /* the table's, and of each thread that has entered it */
  PfsSession *session;
  uint64_t id;
  GPtrArray *files; /* the open files that it locked through: borrowed; guarded by the lock of all, as is `busy` */
  bool busy;        /* one thread has what follows to itself, to ask the peer's file without that lock */
  PfsFile *own;     /* NULL, or that with its locks; counted as one of the container's callers' */
  pid_t pid;        /* read with the lock, written if busy and with it */
  GArray *held;     /* of PfsRange; likewise */
} Owner;

struct PfsLocks {
  PfsSession *session;
  GMutex lock;       /* never held while a peer's file is asked for anything */
  GCond idle;        /* some owner is not busy any more */
  GHashTable *nodes; /* PfsNode -> GPtrArray of Owner */
  gint n_nodes;      /* how many: written with the lock, atomic */
  GPtrArray *waits;  /* of PfsLockWait, borrowed */
};

static void
owner_unref (gpointer data)
{
  Owner *owner = data;

  if (!g_atomic_int_dec_and_test (&owner->refs))
    return;
  if (owner->own)
    pfs_session_drop_file (owner->session, owner->own);
  g_ptr_array_unref (owner->files);
  g_array_unref (owner->held);
  g_free (owner);
}

PfsLocks *
pfs_locks_new (PfsSession *session)
{
  PfsLocks *locks = g_new0 (PfsLocks, 1);

  locks->session = session;
  g_mutex_init (&locks->lock);
  g_cond_init (&locks->idle);
  locks->nodes = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_ptr_array_unref);
  locks->waits = g_ptr_array_new ();
  return locks;
}

void
pfs_locks_free (PfsLocks *locks)
{
  g_ptr_array_unref (locks->waits);
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

bool
pfs_locks_any (PfsLocks *locks, PfsNode *node)
{
  if (are_none (locks))
    return false;
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

static Owner *
owner_new_locked (PfsLocks *locks, PfsNode *node, uint64_t id)
{
  Owner *owner = g_new0 (Owner, 1);
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, node);

  *owner = (Owner) { .refs = 1, .session = locks->session, .id = id };
  owner->files = g_ptr_array_new ();
  owner->held = pfs_ranges_new ();
  if (!owners) {
    owners = g_ptr_array_new_with_free_func (owner_unref);
    g_hash_table_insert (locks->nodes, node, owners);
    g_atomic_int_inc (&locks->n_nodes);
  }
  g_ptr_array_add (owners, owner);
  return owner;
}

/* The owner of that number, to be left again; NULL if it has no lock and wants none. To wait for another thread here is
 * to wait for an answer about the same file, on the same mount. */
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

/* The locks of its file, all for reading, on another one. */
static int
copy_locks (const Owner *owner, const PfsFile *own)
{
  for (guint i = 0; i < owner->held->len; i++) {
    struct flock lock = pfs_range_lock (&g_array_index (owner->held, PfsRange, i));

    if (fcntl (own->fd, F_OFD_SETLK, &lock) < 0)
      return -ENOLCK;
  }
  return 0;
}

/* The owner's file, good for a lock of that type. It can write if the other one can: only then, as on overlayfs that
 * copies the file up. One that cannot is replaced for a write lock alone, as that may fail. */
static int
owner_open (Owner *owner, const PfsFile *file, short type)
{
  bool write = (file->flags & O_ACCMODE) != O_RDONLY;
  PfsFile *old = owner->own, *own;

  if (old && (type != F_WRLCK || (old->flags & O_ACCMODE) != O_RDONLY))
    return 0;
  if (pfs_session_may_open (owner->session, file->node) < 0)
    return -ENOLCK;
  int r = pfs_file_reopen (file, write ? O_RDWR : O_RDONLY, &own);
  if (r < 0 && write)
    r = pfs_file_reopen (file, file->flags & O_ACCMODE, &own);
  if (r < 0)
    return r;
  r = copy_locks (owner, own);
  if (r < 0) {
    pfs_file_unref (own);
    return r;
  }
  (void) pfs_session_add_file (owner->session, own); /* it keeps no memory: it fits */
  owner->own = own;
  if (old)
    pfs_session_drop_file (owner->session, old);
  return 0;
}

/* The locks end when the owner's file is closed: at once, or by a thread that is busy with it. */
bool
pfs_locks_drop (PfsLocks *locks, const PfsFile *file, uint64_t id)
{
  if (are_none (locks))
    return false;
  g_autoptr (GPtrArray) dropped = g_ptr_array_new_with_free_func (owner_unref);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, file->node);

  for (guint i = owners ? owners->len : 0; i > 0; i--) {
    Owner *owner = owners->pdata[i - 1];

    if (id != 0 ? owner->id == id : g_ptr_array_find (owner->files, file, NULL))
      g_ptr_array_add (dropped, g_ptr_array_steal_index_fast (owners, i - 1));
  }
  if (owners && owners->len == 0) {
    g_hash_table_remove (locks->nodes, file->node);
    g_atomic_int_add (&locks->n_nodes, -1);
  }
  return dropped->len > 0;
}

int
pfs_locks_set (PfsLocks *locks, PfsFile *file, uint64_t id, const struct flock *lock)
{
  struct flock asked = *lock;
  Owner *owner = owner_enter (locks, file, id, lock->l_type != F_UNLCK);

  if (!owner)
    return 0;
  asked.l_pid = 0;
  /* Without a file of its own it has no locks. */
  int r = lock->l_type == F_UNLCK ? 0 : owner_open (owner, file, lock->l_type);
  if (r == 0 && owner->own && fcntl (owner->own->fd, F_OFD_SETLK, &asked) < 0)
    r = -errno;
  owner_leave (locks, owner, r == 0 ? lock : NULL);
  return r;
}

/* --- who is in the way --- */

/* The next of the owners that hold what conflicts with that lock of another; NULL: there is none. *at begins with 0. */
static Owner *
next_in_way_locked (PfsLocks *locks, const PfsLockWait *wait, guint *at)
{
  GPtrArray *owners = g_hash_table_lookup (locks->nodes, wait->node);

  while (owners && *at < owners->len) {
    Owner *owner = owners->pdata[(*at)++];

    if (owner->id != wait->id && pfs_ranges_conflict (owner->held, &wait->lock))
      return owner;
  }
  return NULL;
}

static struct flock
overlap (const struct flock *a, const struct flock *b)
{
  gint64 a_end = a->l_len ? a->l_start + a->l_len : G_MAXINT64, b_end = b->l_len ? b->l_start + b->l_len : G_MAXINT64;
  gint64 start = MAX (a->l_start, b->l_start), end = MIN (a_end, b_end);

  return (struct flock) { .l_type = F_WRLCK, .l_start = start, .l_len = end == G_MAXINT64 ? 0 : end - start };
}

int
pfs_locks_get (PfsLocks *locks, PfsFile *file, uint64_t id, struct flock *lock)
{
  Owner *owner = owner_enter (locks, file, id, false);
  const struct flock asked = *lock;
  guint at = 0;

  lock->l_pid = 0;
  int r = fcntl (owner && owner->own ? owner->own->fd : file->fd, F_OFD_GETLK, lock) < 0 ? -errno : 0;
  if (owner)
    owner_leave (locks, owner, NULL);
  if (r < 0 || lock->l_type == F_UNLCK || lock->l_pid >= 0)
    return r;
  /* The kernel names no process for a lock of a file description: it is one of ours, or the peer has such a lock. What
   * it found may have several holders, and some of them nothing of what was asked for. */
  const PfsLockWait both = { id, file->node, overlap (&asked, lock) };
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);
  const Owner *holder = next_in_way_locked (locks, &both, &at);
  lock->l_pid = holder ? holder->pid : 0;
  return 0;
}

/* Does an owner in the way of that wait wait itself, or by others, for the owner of that number? seen: those that do
 * not. */
static bool
leads_back_locked (PfsLocks *locks, const PfsLockWait *wait, uint64_t id, GHashTable *seen)
{
  const Owner *owner;
  guint at = 0;

  while ((owner = next_in_way_locked (locks, wait, &at))) {
    if (owner->id == id)
      return true;
    if (!g_hash_table_add (seen, (gpointer) (uintptr_t) owner->id))
      continue;
    for (guint i = 0; i < locks->waits->len; i++) {
      const PfsLockWait *next = locks->waits->pdata[i];

      if (next->id == owner->id && leads_back_locked (locks, next, id, seen))
        return true;
    }
  }
  return false;
}

int
pfs_locks_wait (PfsLocks *locks, const PfsLockWait *wait)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);

  if (leads_back_locked (locks, wait, wait->id, seen))
    return -EDEADLK;
  g_ptr_array_add (locks->waits, (gpointer) wait);
  return 0;
}

void
pfs_locks_wait_end (PfsLocks *locks, const PfsLockWait *wait)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&locks->lock);

  g_ptr_array_remove_fast (locks->waits, (gpointer) wait);
}
