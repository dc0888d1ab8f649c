/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "owners.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "ranges.h"
#include "request.h"

typedef struct {
  gint refs;
  PfsSession *session;
  PfsNode *node; /* a reference */
  uint64_t id;
  GPtrArray *files; /* the open files that it locked through: borrowed; guarded by the lock of all, as is `busy` */
  bool busy;        /* a thread has what follows to itself, to ask the peer's file without that lock */
  int fd;           /* -1, or counted as one of the container's callers' */
  bool writable;
  pid_t pid;    /* written with both: whoever is busy with it has the lock as well */
  GArray *held; /* of PfsRange; likewise */
} Owner;

struct PfsOwners {
  PfsSession *session;
  GMutex lock;       /* never held while a peer's file is asked for anything */
  GCond idle;        /* some owner is not busy any more */
  GHashTable *nodes; /* PfsNode -> GPtrArray of Owner */
  gint n_nodes;      /* how many: written with the lock, atomic */
};

static void
owner_unref (gpointer data)
{
  Owner *owner = data;

  if (!g_atomic_int_dec_and_test (&owner->refs))
    return;
  if (owner->fd >= 0)
    pfs_session_drop_descriptor (owner->session, pfs_node_place_container (owner->node));
  pfs_fd_cleanup (&owner->fd);
  pfs_node_unref (owner->node);
  g_ptr_array_unref (owner->files);
  g_array_unref (owner->held);
  g_free (owner);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Owner, owner_unref)

PfsOwners *
pfs_owners_new (PfsSession *session)
{
  PfsOwners *owners = g_new0 (PfsOwners, 1);

  owners->session = session;
  g_mutex_init (&owners->lock);
  g_cond_init (&owners->idle);
  owners->nodes = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_ptr_array_unref);
  return owners;
}

void
pfs_owners_free (PfsOwners *owners)
{
  g_hash_table_unref (owners->nodes);
  g_cond_clear (&owners->idle);
  g_mutex_clear (&owners->lock);
  g_free (owners);
}

/* Nearly always there are none at all, which takes no lock of ours to know. */
static bool
are_none (const PfsOwners *table)
{
  return g_atomic_int_get (&table->n_nodes) == 0;
}

static void
count_locked (PfsOwners *table)
{
  g_atomic_int_set (&table->n_nodes, (gint) g_hash_table_size (table->nodes));
}

bool
pfs_owners_any (PfsOwners *table, PfsNode *node)
{
  if (are_none (table))
    return false;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  return g_hash_table_contains (table->nodes, node);
}

static Owner *
find_locked (PfsOwners *table, PfsNode *node, uint64_t id)
{
  GPtrArray *owners = g_hash_table_lookup (table->nodes, node);

  for (guint i = 0; owners && i < owners->len; i++)
    if (((Owner *) owners->pdata[i])->id == id)
      return owners->pdata[i];
  return NULL;
}

static Owner *
owner_new_locked (PfsOwners *table, PfsNode *node, uint64_t id)
{
  Owner *owner = g_new0 (Owner, 1);
  GPtrArray *owners = g_hash_table_lookup (table->nodes, node);

  *owner = (Owner) { .refs = 1, .session = table->session, .node = pfs_node_ref (node), .id = id, .fd = -1 };
  owner->files = g_ptr_array_new ();
  owner->held = pfs_ranges_new ();
  if (!owners) {
    owners = g_ptr_array_new_with_free_func (owner_unref);
    g_hash_table_insert (table->nodes, node, owners);
    count_locked (table);
  }
  g_ptr_array_add (owners, owner);
  return owner;
}

/* Whoever waits here waits for an answer about the same file, on the same mount. Takes a reference. */
static Owner *
enter_locked (PfsOwners *table, Owner *owner)
{
  g_atomic_int_inc (&owner->refs);
  while (owner->busy)
    g_cond_wait (&table->idle, &table->lock);
  owner->busy = true;
  return owner;
}

/* done: what the kernel has done for it meanwhile; NULL: nothing. */
static void
owner_leave (PfsOwners *table, Owner *owner, const struct flock *done)
{
  g_mutex_lock (&table->lock);
  if (done)
    pfs_ranges_set (owner->held, done);
  if (done && done->l_type != F_UNLCK)
    owner->pid = done->l_pid;
  owner->busy = false;
  g_cond_broadcast (&table->idle);
  g_mutex_unlock (&table->lock);
  owner_unref (owner);
}

/* The owner of that number, to be left again; NULL if it has no lock and wants none. */
static Owner *
owner_enter (PfsOwners *table, PfsFile *file, uint64_t id, bool wants_lock)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);
  Owner *owner = find_locked (table, file->node, id);

  if (!owner && wants_lock)
    owner = owner_new_locked (table, file->node, id);
  if (!owner)
    return NULL;
  if (wants_lock && !g_ptr_array_find (owner->files, file, NULL))
    g_ptr_array_add (owner->files, file);
  return enter_locked (table, owner);
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

static int
reopen_counted (Owner *owner, const PfsFile *file, bool write)
{
  PfsContainer *container = pfs_node_place_container (owner->node);

  if (!pfs_session_add_descriptor (owner->session, container))
    return -ENOLCK;
  int fd = reopen (file, write);
  if (fd < 0 || owner->fd >= 0)
    pfs_session_drop_descriptor (owner->session, container);
  return fd;
}

/* The owner's descriptor, good for what the file is open for. The locks of an old one, all for reading, are set again
 * on the new one before it is closed. */
static int
owner_open (Owner *owner, const PfsFile *file)
{
  bool write = (file->flags & O_ACCMODE) != O_RDONLY;

  if (owner->fd >= 0 && (owner->writable || !write))
    return 0;
  int fd = reopen_counted (owner, file, write);
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

bool
pfs_owners_drop (PfsOwners *table, const PfsFile *file, uint64_t id)
{
  struct flock everything = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

  if (are_none (table))
    return false;
  g_autoptr (GPtrArray) dropped = g_ptr_array_new_with_free_func (owner_unref);

  g_mutex_lock (&table->lock);
  GPtrArray *owners = g_hash_table_lookup (table->nodes, file->node);
  for (guint i = owners ? owners->len : 0; i > 0; i--) {
    Owner *owner = owners->pdata[i - 1];

    if (id != 0 ? owner->id == id : g_ptr_array_find (owner->files, file, NULL))
      g_ptr_array_add (dropped, g_ptr_array_steal_index_fast (owners, i - 1));
  }
  if (owners && owners->len == 0) {
    g_hash_table_remove (table->nodes, file->node);
    count_locked (table);
  }
  for (guint i = 0; i < dropped->len; i++)
    enter_locked (table, dropped->pdata[i]);
  g_mutex_unlock (&table->lock);

  for (guint i = 0; i < dropped->len; i++) {
    Owner *owner = dropped->pdata[i];
    if (owner->fd >= 0)
      fcntl (owner->fd, F_OFD_SETLK, &everything);
    owner_leave (table, owner, NULL);
  }
  return dropped->len > 0;
}

int
pfs_owners_set (PfsOwners *table, PfsFile *file, uint64_t id, const struct flock *lock)
{
  struct flock asked = *lock;
  Owner *owner = owner_enter (table, file, id, lock->l_type != F_UNLCK);

  if (!owner)
    return 0;
  asked.l_pid = 0;
  int r = owner_open (owner, file);
  if (r == 0 && fcntl (owner->fd, F_OFD_SETLK, &asked) < 0)
    r = -errno;
  owner_leave (table, owner, r == 0 ? lock : NULL);
  return r;
}

static struct flock
overlap (const struct flock *a, const struct flock *b)
{
  gint64 a_end = a->l_len ? a->l_start + a->l_len : G_MAXINT64, b_end = b->l_len ? b->l_start + b->l_len : G_MAXINT64;
  gint64 start = MAX (a->l_start, b->l_start), end = MIN (a_end, b_end);

  return (struct flock) { .l_type = F_WRLCK, .l_start = start, .l_len = end == G_MAXINT64 ? 0 : end - start };
}

/* The kernel names no process for a lock of a file description: it is one of ours, or an owner of such a lock. Of what
 * it found there may be several holders, of whom some have nothing of what was asked for. */
static pid_t
pid_of_another (PfsOwners *table, PfsNode *node, uint64_t id, const struct flock *asked, const struct flock *found)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);
  GPtrArray *owners = g_hash_table_lookup (table->nodes, node);
  struct flock both = overlap (asked, found);

  for (guint i = 0; owners && i < owners->len; i++) {
    const Owner *owner = owners->pdata[i];

    if (owner->id != id && pfs_ranges_conflict (owner->held, &both))
      return owner->pid;
  }
  return 0;
}

int
pfs_owners_get (PfsOwners *table, PfsFile *file, uint64_t id, struct flock *lock)
{
  Owner *owner = owner_enter (table, file, id, false);
  struct flock asked = *lock;

  lock->l_pid = 0;
  int r = fcntl (owner && owner->fd >= 0 ? owner->fd : file->fd, F_OFD_GETLK, lock) < 0 ? -errno : 0;
  if (owner)
    owner_leave (table, owner, NULL);
  if (r == 0 && lock->l_type != F_UNLCK && lock->l_pid < 0)
    lock->l_pid = pid_of_another (table, file->node, id, &asked, lock);
  return r;
}

GArray *
pfs_owners_in_way (PfsOwners *table, PfsNode *node, uint64_t id, const struct flock *lock)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);
  GPtrArray *owners = g_hash_table_lookup (table->nodes, node);
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (uint64_t));

  for (guint i = 0; owners && i < owners->len; i++) {
    const Owner *owner = owners->pdata[i];

    if (owner->id != id && pfs_ranges_conflict (owner->held, lock))
      g_array_append_val (ids, owner->id);
  }
  return ids;
}
