/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel.h"

static gint tries, enough;

/* 0 once it was tried often enough. */
static int
try_often (gpointer data)
{
  (void) data;
  return g_atomic_int_add (&tries, 1) + 1 >= g_atomic_int_get (&enough) ? 0 : -EAGAIN;
}

static int
setup (void **state)
{
  int r = kernel_setup (state);
  Kernel *kernel = *state;

  g_mutex_lock (&kernel->lock);
  kernel->retry = try_often;
  g_mutex_unlock (&kernel->lock);
  g_atomic_int_set (&tries, 0);
  g_atomic_int_set (&enough, G_MAXINT);
  return r;
}

static guint
waiting_now (Kernel *kernel)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&kernel->session.jobs->lock);
  guint n = 0;

  for (GList *link = kernel->session.jobs->requests.head; link; link = link->next)
    n += ((PfsRequest *) link->data)->state == PFS_LATER;
  return n;
}

static void
until_waiting (Kernel *kernel, guint n)
{
  guint now = waiting_now (kernel);

  /* One that is tried at this moment does not wait: to look again may find another number. */
  for (guint i = 0; i < 100 * KERNEL_SECONDS && now != n; i++, now = waiting_now (kernel))
    g_usleep (10000);
  assert_int_equal (now, n);
}

static void
test_retry (void **state)
{
  Kernel *kernel = *state;

  g_atomic_int_set (&enough, 5);
  kernel_ask (kernel, FUSE_READLINK, kernel->node->number, 2);
  assert_answer (kernel, 2, 0);
  assert_int_equal (g_atomic_int_get (&tries), 5);
  assert_true (kernel_end (kernel) || kernel_left (kernel));
  assert_int_equal (kernel->freed, 1);
}

/* Who pokes need not wait for the next try. */
static void
test_poke (void **state)
{
  Kernel *kernel = *state;

  kernel_ask (kernel, FUSE_READLINK, kernel->node->number, 2);
  until_waiting (kernel, 1);
  g_mutex_lock (&kernel->session.jobs->lock);
  for (GList *link = kernel->session.jobs->requests.head; link; link = link->next)
    ((PfsRequest *) link->data)->due = G_MAXINT64;
  g_mutex_unlock (&kernel->session.jobs->lock);
  g_atomic_int_set (&enough, 0);
  pfs_requests_poke (kernel->session.jobs);
  assert_answer (kernel, 2, 0);
}

static void
test_signal_ends_waiting (void **state)
{
  Kernel *kernel = *state;

  for (guint i = 0; i < 200; i++) {
    uint64_t unique = 2 + 2 * i;

    kernel_ask (kernel, FUSE_READLINK, kernel->node->number, unique);
    if (i % 2)
      until_waiting (kernel, 1);
    kernel_interrupt (kernel, unique);
    for (;;) {
      uint64_t of;
      int error = kernel_answer (kernel, &of);

      if (of == unique) {
        assert_int_equal (error, -EINTR);
        break;
      }
      /* It came before its request was known: as the kernel does, again. */
      assert_int_equal (of, unique | 1);
      assert_int_equal (error, -EAGAIN);
      kernel_interrupt (kernel, unique);
    }
    until_waiting (kernel, 0);
    /* The one that cleans up answers as well; the kernel would not know the number any more. */
    assert_answer (kernel, unique, -EINTR);
  }
}

static void
test_signal_for_nobody (void **state)
{
  Kernel *kernel = *state;

  kernel_interrupt (kernel, 76);
  assert_answer (kernel, 77, -EAGAIN);
}

/* A container's callers may take half of what others have left. */
static void
test_too_many_wait (void **state)
{
  Kernel *kernel = *state;

  for (guint i = 1; i <= 512; i++) {
    kernel_ask (kernel, FUSE_READLINK, kernel->node->number, 2 * i);
    if (i % 64 == 0)
      g_usleep (1000);
  }
  kernel_ask (kernel, FUSE_READLINK, kernel->node->number, 5000);
  uint64_t of;
  assert_int_equal (kernel_answer (kernel, &of), -ENOLCK);
}

static void
test_end_beside_waiting (void **state)
{
  Kernel *kernel = *state;

  kernel_ask (kernel, FUSE_READLINK, kernel->node->number, 2);
  until_waiting (kernel, 1);
  assert_true (kernel_end (kernel) || kernel_left (kernel));
  assert_int_equal (kernel->session.jobs->requests.length, 0);
}

static void
test_count (void **state)
{
  Kernel *kernel = *state;
  PfsJobs *jobs = kernel->session.jobs;
  char one, two;
  PfsNodeMount here = { .container = (gpointer) &one, .mount = &one },
               there = { .container = (gpointer) &one, .mount = &two };
  PfsNodeMount other = { .container = (gpointer) &two, .mount = &one };
  PfsNodeMount places[] = { here, here, there, other };
  PfsRequest *requests[G_N_ELEMENTS (places)];

  g_mutex_lock (&jobs->lock);
  guint pools = jobs->pools->len;
  for (guint i = 0; i < G_N_ELEMENTS (places); i++) {
    requests[i] = g_new0 (PfsRequest, 1);
    *requests[i] = (PfsRequest) { .place = places[i], .state = PFS_NEW, .since = pfs_now () };
    pfs_request_enter_locked (jobs, requests[i]);
    assert_true (pfs_request_push_locked (jobs, requests[i]));
  }
  requests[0]->since -= 2000;
  requests[2]->since -= 2000;
  const PfsPool *mount = requests[0]->mount, *container = requests[0]->container;
  guint on_mount = pfs_pool_busy (mount), in_container = pfs_pool_busy (container);
  guint stalled_on_mount = pfs_pool_stalled_locked (jobs, mount);
  guint stalled_in_container = pfs_pool_stalled_locked (jobs, container);
  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    pfs_request_over_locked (jobs, requests[i]);
  assert_int_equal (jobs->pools->len, pools);
  g_mutex_unlock (&jobs->lock);
  assert_int_equal (on_mount, 2);
  assert_int_equal (in_container, 3);
  assert_int_equal (stalled_on_mount, 1);
  assert_int_equal (stalled_in_container, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, kernel_teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_retry),
    TEST (test_poke),
    TEST (test_signal_ends_waiting),
    TEST (test_signal_for_nobody),
    TEST (test_too_many_wait),
    TEST (test_end_beside_waiting),
    TEST (test_count),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
