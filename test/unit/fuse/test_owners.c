/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../root/roots.h"

#include "../../../src/fuse/locks.h"

#define ONE 11u /* owners, as the kernel numbers them */
#define TWO 12u

typedef struct {
  Roots *roots;
  PfsSession session;
  PfsLocks *locks;
  PfsFile *file; /* f, open for both */
} Locking;

static int
setup (void **state)
{
  Locking *l = g_new0 (Locking, 1);
  void *roots;

  assert_int_equal (roots_setup (&roots), 0);
  l->roots = roots;
  peer_file (l->roots, "f", "content");
  l->session.tree = l->roots->nodes.tree;
  g_mutex_init (&l->session.lock);
  l->session.open_files = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  l->session.files = g_hash_table_new_full (NULL, NULL, (GDestroyNotify) pfs_file_unref, NULL);
  l->session.open_files_max = 1000;
  l->locks = pfs_locks_new (&l->session);
  l->file = roots_open (l->roots, "f", O_RDWR);
  *state = l;
  return 0;
}

/* No descriptor is counted any more. */
static int
teardown (void **state)
{
  Locking *l = *state;
  void *roots = l->roots;

  pfs_locks_free (l->locks);
  assert_int_equal (l->session.n_open_files, 0);
  pfs_file_unref (l->file);
  g_hash_table_unref (l->session.files);
  g_hash_table_unref (l->session.open_files);
  g_mutex_clear (&l->session.lock);
  g_free (l);
  return roots_teardown (&roots);
}

static struct flock
range (short type, off_t start, off_t len, pid_t pid)
{
  return (struct flock) { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len, .l_pid = pid };
}

static int
set (Locking *l, PfsFile *file, uint64_t id, short type, off_t start, off_t len)
{
  struct flock lock = range (type, start, len, (pid_t) id + 100);

  return pfs_locks_set (l->locks, file, id, &lock);
}

static void
test_conflict (void **state)
{
  Locking *l = *state;

  assert_false (pfs_locks_any (l->locks, l->file->node));
  assert_int_equal (set (l, l->file, ONE, F_WRLCK, 0, 10), 0);
  assert_true (pfs_locks_any (l->locks, l->file->node));
  assert_int_equal (set (l, l->file, TWO, F_RDLCK, 9, 1), -EAGAIN);
  assert_int_equal (set (l, l->file, TWO, F_WRLCK, 10, 1), 0);
  assert_int_equal (set (l, l->file, ONE, F_RDLCK, 0, 10), 0);
  assert_int_equal (set (l, l->file, TWO, F_RDLCK, 0, 10), 0);
  assert_int_equal (set (l, l->file, TWO, F_WRLCK, 0, 1), -EAGAIN);
}

/* It is the peer's own file that is locked: whoever locks it there sees it. */
static void
test_peer_sees (void **state)
{
  Locking *l = *state;
  pfs_autofd fd = openat (l->roots->fd, "f", O_RDWR | O_CLOEXEC);
  struct flock lock = range (F_WRLCK, 0, 0, 0);

  assert_int_equal (set (l, l->file, ONE, F_RDLCK, 2, 3), 0);
  assert_int_equal (fcntl (fd, F_OFD_SETLK, &lock), -1);
  assert_int_equal (errno, EAGAIN);
  assert_true (pfs_locks_drop (l->locks, l->file, ONE));
  assert_return_code (fcntl (fd, F_OFD_SETLK, &lock), errno);
  assert_int_equal (set (l, l->file, ONE, F_RDLCK, 2, 3), -EAGAIN);
}

static void
test_get (void **state)
{
  Locking *l = *state;
  struct flock own = range (F_WRLCK, 0, 0, 0), other = own, free = range (F_WRLCK, 100, 1, 0);

  assert_int_equal (set (l, l->file, ONE, F_WRLCK, 4, 4), 0);
  assert_int_equal (pfs_locks_get (l->locks, l->file, ONE, &own), 0);
  assert_int_equal (own.l_type, F_UNLCK);
  assert_int_equal (pfs_locks_get (l->locks, l->file, TWO, &other), 0);
  assert_int_equal (other.l_type, F_WRLCK);
  assert_int_equal (other.l_start, 4);
  assert_int_equal (other.l_len, 4);
  assert_int_equal (other.l_pid, ONE + 100);
  assert_int_equal (pfs_locks_get (l->locks, l->file, TWO, &free), 0);
  assert_int_equal (free.l_type, F_UNLCK);
}

/* Of several holders the one of that range is named, also after a partial unlock. */
static void
test_pid (void **state)
{
  Locking *l = *state;
  struct flock lock = range (F_WRLCK, 8, 1, 0);

  assert_int_equal (set (l, l->file, ONE, F_RDLCK, 0, 10), 0);
  assert_int_equal (set (l, l->file, TWO, F_RDLCK, 0, 10), 0);
  assert_int_equal (set (l, l->file, ONE, F_UNLCK, 5, 5), 0);
  assert_int_equal (pfs_locks_get (l->locks, l->file, 13, &lock), 0);
  assert_int_equal (lock.l_type, F_RDLCK);
  assert_int_equal (lock.l_pid, TWO + 100);
}

/* An owner that only reads takes no descriptor that can write; once it can, it keeps what it had. */
static void
test_upgrade (void **state)
{
  Locking *l = *state;
  g_autoptr (PfsFile) reading = roots_open (l->roots, "f", O_RDONLY);
  struct flock lock = range (F_WRLCK, 0, 1, 0);

  assert_int_equal (set (l, reading, ONE, F_RDLCK, 0, 5), 0);
  assert_int_equal (set (l, reading, ONE, F_WRLCK, 5, 5), -EBADF);
  assert_int_equal (set (l, l->file, ONE, F_WRLCK, 5, 5), 0);
  assert_int_equal (l->session.n_open_files, 1);
  assert_int_equal (pfs_locks_get (l->locks, l->file, TWO, &lock), 0);
  assert_int_equal (lock.l_type, F_RDLCK);
  assert_true (pfs_locks_drop (l->locks, reading, 0));
  pfs_locks_drop (l->locks, l->file, 0);
}

static void
test_drop (void **state)
{
  Locking *l = *state;
  g_autoptr (PfsFile) other = roots_open (l->roots, "f", O_RDWR);

  assert_false (pfs_locks_drop (l->locks, l->file, ONE));
  assert_int_equal (set (l, l->file, ONE, F_WRLCK, 0, 1), 0);
  assert_int_equal (set (l, other, TWO, F_WRLCK, 1, 1), 0);
  assert_int_equal (l->session.n_open_files, 2);
  assert_false (pfs_locks_drop (l->locks, l->file, 13));
  assert_true (pfs_locks_drop (l->locks, other, 0));
  assert_int_equal (set (l, l->file, 13, F_WRLCK, 0, 1), -EAGAIN);
  assert_int_equal (set (l, l->file, 13, F_WRLCK, 1, 1), 0);
  assert_true (pfs_locks_drop (l->locks, other, ONE));
  assert_true (pfs_locks_drop (l->locks, l->file, 13));
  assert_false (pfs_locks_any (l->locks, l->file->node));
  assert_int_equal (l->session.n_open_files, 0);
}

/* A wait is a deadlock if it leads back: an owner is in the way that waits for the first one. */
static void
test_deadlock (void **state)
{
  Locking *l = *state;
  PfsNode *node = l->file->node;
  const PfsLockWait one = { ONE, node, range (F_WRLCK, 5, 1, 0) }, two = { TWO, node, range (F_WRLCK, 0, 2, 0) },
                    shared = { TWO, node, range (F_RDLCK, 0, 2, 0) }, own = { TWO, node, range (F_WRLCK, 5, 1, 0) };

  assert_int_equal (set (l, l->file, ONE, F_RDLCK, 0, 1), 0);
  assert_int_equal (set (l, l->file, TWO, F_WRLCK, 5, 1), 0);
  assert_int_equal (pfs_locks_wait (l->locks, &one), 0);
  assert_int_equal (pfs_locks_wait (l->locks, &shared), 0);
  pfs_locks_wait_end (l->locks, &shared);
  assert_int_equal (pfs_locks_wait (l->locks, &own), 0);
  pfs_locks_wait_end (l->locks, &own);
  assert_int_equal (pfs_locks_wait (l->locks, &two), -EDEADLK);
  pfs_locks_wait_end (l->locks, &one);
  assert_int_equal (pfs_locks_wait (l->locks, &two), 0);
}

/* Without a descriptor there is no lock; to give one up takes none. */
static void
test_no_descriptor (void **state)
{
  Locking *l = *state;

  l->session.open_files_max = 0;
  assert_int_equal (set (l, l->file, ONE, F_WRLCK, 0, 1), -ENOLCK);
  assert_int_equal (set (l, l->file, TWO, F_UNLCK, 0, 1), 0);
  pfs_locks_drop (l->locks, l->file, 0);
  assert_false (pfs_locks_any (l->locks, l->file->node));
}

/* What locks keep open ends with the container, though callers have the file open still. */
static void
test_ended (void **state)
{
  Locking *l = *state;
  pfs_autofd fd = openat (l->roots->fd, "f", O_RDWR | O_CLOEXEC);
  struct flock lock = range (F_WRLCK, 0, 0, 0);

  assert_int_equal (set (l, l->file, ONE, F_WRLCK, 0, 1), 0);
  assert_int_equal (fcntl (fd, F_OFD_SETLK, &lock), -1);
  fixture_kill (l->roots->nodes.proc, 10);
  pfs_tree_sweep (l->roots->nodes.tree, NULL, NULL);
  assert_return_code (fcntl (fd, F_OFD_SETLK, &lock), errno);
  assert_true (pfs_locks_drop (l->locks, l->file, ONE));
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_conflict), TEST (test_peer_sees), TEST (test_get),           TEST (test_pid),   TEST (test_upgrade),
    TEST (test_drop),     TEST (test_deadlock),  TEST (test_no_descriptor), TEST (test_ended),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
