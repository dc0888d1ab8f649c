/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel.h"

static int
setup_remote (void **state)
{
  int r = kernel_setup (state);
  Kernel *kernel = *state;

  g_mutex_lock (&kernel->session.tree->lock);
  pfs_rootnode (kernel->node)->mount->flags |= PFS_MOUNT_REMOTE;
  g_mutex_unlock (&kernel->session.tree->lock);
  return r;
}

static void
ask_many (Kernel *kernel, uint64_t first, guint n)
{
  for (guint i = 0; i < n; i++)
    kernel_ask (kernel, FUSE_GETATTR, kernel->node->number, first + 2 * i);
}

static void
assert_answers (Kernel *kernel, guint n)
{
  uint64_t of;

  for (guint i = 0; i < n; i++)
    assert_int_equal (kernel_answer (kernel, &of), -ENOENT);
}

static guint
under_way (Kernel *kernel)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&kernel->session.jobs->lock);

  return kernel->session.jobs->requests.length;
}

static void
until_under_way (Kernel *kernel, guint n)
{
  for (guint i = 0; i < 100 * KERNEL_SECONDS && under_way (kernel) != n; i++)
    g_usleep (10000);
  assert_int_equal (under_way (kernel), n);
}

/* Of a mount that may not answer, so many wait at once, and others in a queue. */
static void
test_remote_mount_has_its_threads (void **state)
{
  Kernel *kernel = *state;

  ask_many (kernel, 2, PFS_MOUNT_THREADS + 8);
  until_under_way (kernel, PFS_MOUNT_THREADS + 8);
  assert_int_equal (kernel_busy (kernel, PFS_MOUNT_THREADS), PFS_MOUNT_THREADS);
  kernel_ask (kernel, FUSE_GETATTR, FUSE_ROOT_ID, 1000);
  assert_answer (kernel, 1000, -ENOENT);
  kernel_let (kernel, 1000);
  assert_answers (kernel, PFS_MOUNT_THREADS + 8);
  until_under_way (kernel, 0);
}

/* Once so many have waited for more than a second, one more is told so; not whoever lets go of something. */
static void
test_remote_mount_that_seems_dead (void **state)
{
  Kernel *kernel = *state;

  ask_many (kernel, 2, PFS_MOUNT_THREADS);
  assert_int_equal (kernel_busy (kernel, PFS_MOUNT_THREADS), PFS_MOUNT_THREADS);
  g_usleep (1100000);
  kernel_ask (kernel, FUSE_GETATTR, kernel->node->number, 1000);
  assert_answer (kernel, 1000, -EBUSY);
  kernel_ask (kernel, FUSE_FLUSH, kernel->node->number, 1002);
  until_under_way (kernel, PFS_MOUNT_THREADS + 1);
}

/* What is let go of comes before what waits. */
static void
test_let_go_first (void **state)
{
  Kernel *kernel = *state;
  uint64_t of;

  ask_many (kernel, 2, PFS_MOUNT_THREADS + 8);
  assert_int_equal (kernel_busy (kernel, PFS_MOUNT_THREADS), PFS_MOUNT_THREADS);
  kernel_ask (kernel, FUSE_FLUSH, kernel->node->number, 1000);
  until_under_way (kernel, PFS_MOUNT_THREADS + 9);
  kernel_let (kernel, 1);
  assert_int_equal (kernel_answer (kernel, &of), -ENOENT);
  assert_int_not_equal (of, 1000);
  assert_answer (kernel, 1000, -ENOENT);
}

/* On a local file system nobody is turned away. */
static void
test_local_mount_queues (void **state)
{
  Kernel *kernel = *state;
  guint busy = 2 * PFS_MOUNT_THREADS;

  ask_many (kernel, 2, busy + 40);
  until_under_way (kernel, busy + 40);
  assert_int_equal (kernel_busy (kernel, busy), busy);
  g_usleep (1100000);
  kernel_ask (kernel, FUSE_GETATTR, kernel->node->number, 1000);
  until_under_way (kernel, busy + 41);
  kernel_ask (kernel, FUSE_GETATTR, FUSE_ROOT_ID, 1002);
  assert_answer (kernel, 1002, -ENOENT);
  kernel_let (kernel, 1000);
  assert_answers (kernel, busy + 41);
  until_under_way (kernel, 0);
}

/* A request that is handed over keeps its node, whatever the kernel forgets. */
static void
test_nodes_are_kept (void **state)
{
  Kernel *kernel = *state;

  ask_many (kernel, 2, 1);
  assert_int_equal (kernel_busy (kernel, 1), 1);
  assert_int_equal (kernel->node->nlookup, 2);
  kernel_let (kernel, 1);
  assert_answers (kernel, 1);
  until_under_way (kernel, 0);
  assert_int_equal (kernel->node->nlookup, 1);
}

static void
count (gpointer data)
{
  g_atomic_int_inc ((gint *) data);
}

static void
test_own_work (void **state)
{
  Kernel *kernel = *state;
  gint n = 0;

  for (guint i = 0; i < 50; i++)
    pfs_jobs_run (kernel->node, count, &n, kernel->session.jobs);
  until_under_way (kernel, 0);
  assert_int_equal (g_atomic_int_get (&n), 50);
  assert_true (kernel_end (kernel) || kernel_left (kernel));
  pfs_jobs_run (kernel->node, count, &n, kernel->session.jobs);
  assert_int_equal (g_atomic_int_get (&n), 51);
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown (name, setup, kernel_teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_remote_mount_has_its_threads, setup_remote),
    TEST (test_remote_mount_that_seems_dead, setup_remote),
    TEST (test_let_go_first, setup_remote),
    TEST (test_local_mount_queues, kernel_setup),
    TEST (test_nodes_are_kept, setup_remote),
    TEST (test_own_work, setup_remote),
    TEST (test_own_work, kernel_setup),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
