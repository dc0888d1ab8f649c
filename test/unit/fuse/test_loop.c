/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel.h"

static guint
threads (Kernel *kernel)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&kernel->session.jobs->lock);

  return kernel->session.jobs->threads;
}

static void
test_one_after_the_other (void **state)
{
  Kernel *kernel = *state;

  for (guint i = 2; i <= 400; i += 2) {
    kernel_ask (kernel, FUSE_GETATTR, FUSE_ROOT_ID, i);
    assert_answer (kernel, i, -ENOENT);
  }
  assert_in_range (threads (kernel), 1, 8);
}

/* Nobody is left who receives, until the main thread sees it. */
static void
test_others_while_all_are_busy (void **state)
{
  Kernel *kernel = *state;

  for (guint i = 1; i <= 20; i++)
    kernel_ask (kernel, FUSE_GETATTR, kernel->node->number, 2 * i);
  assert_int_equal (kernel_busy (kernel, 20), 20);
  kernel_ask (kernel, FUSE_GETATTR, FUSE_ROOT_ID, 100);
  assert_answer (kernel, 100, -ENOENT);
}

static void
test_threads_of_a_burst_leave (void **state)
{
  Kernel *kernel = *state;
  uint64_t of;

  for (guint i = 1; i <= 30; i++)
    kernel_ask (kernel, FUSE_GETATTR, kernel->node->number, 2 * i);
  assert_int_equal (kernel_busy (kernel, 30), 30);
  kernel_let (kernel, 30);
  for (guint i = 1; i <= 30; i++)
    assert_int_equal (kernel_answer (kernel, &of), -ENOENT);
  for (guint i = 0; i < 100 * KERNEL_SECONDS && threads (kernel) > 8; i++)
    g_usleep (10000);
  assert_in_range (threads (kernel), 1, 8);
}

static void
test_end (void **state)
{
  assert_true (kernel_end (*state) || kernel_left (*state));
}

/* Whoever waits for what never comes does not keep the session from its end. */
static void
test_end_beside_one_that_is_stuck (void **state)
{
  Kernel *kernel = *state;

  kernel_ask (kernel, FUSE_GETATTR, kernel->node->number, 2);
  assert_int_equal (kernel_busy (kernel, 1), 1);
  assert_false (kernel_end (kernel));
  kernel_let (kernel, 1);
  assert_true (kernel_left (kernel));
}

static void
test_end_of_the_connection (void **state)
{
  Kernel *kernel = *state;

  shutdown (kernel->fd, SHUT_RDWR);
  assert_int_equal (GPOINTER_TO_INT (g_thread_join (g_steal_pointer (&kernel->loop))), -EIO);
  assert_true (kernel->idle || kernel_left (kernel));
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, kernel_setup, kernel_teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_one_after_the_other),          TEST (test_others_while_all_are_busy),
    TEST (test_threads_of_a_burst_leave),     TEST (test_end),
    TEST (test_end_beside_one_that_is_stuck), TEST (test_end_of_the_connection),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
