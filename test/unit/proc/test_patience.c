/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/proc/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define LOST_OF_ONE 2 /* as many as are left alone */
#define LOST_MAX 64

typedef struct {
  gint refs;
  int ends[2];
  gint steps;
  char byte;
} Work;

static Work *
work_new (void)
{
  Work *work = g_new0 (Work, 1);

  work->refs = 2;
  assert_return_code (pipe2 (work->ends, O_CLOEXEC), errno);
  return work;
}

static void
work_unref (gpointer data)
{
  Work *work = data;

  if (!g_atomic_int_dec_and_test (&work->refs))
    return;
  close (work->ends[0]);
  if (work->ends[1] >= 0)
    close (work->ends[1]);
  g_free (work);
}

/* Lets a thread that has not come back do so. */
static void
work_release (Work *work)
{
  close (work->ends[1]);
  work->ends[1] = -1;
  work_unref (work);
}

/* Until a byte comes, or the other end is closed. */
static int
read_byte (gpointer data)
{
  Work *work = data;

  return read (work->ends[0], &work->byte, 1) == 1 ? 0 : -EIO;
}

/* Takes longer than anybody waits, but shows that it goes on. */
static int
take_steps (gpointer data)
{
  Work *work = data;

  for (guint i = 0; i < 6; i++) {
    g_usleep (250000);
    g_atomic_int_inc (&work->steps);
  }
  return 6;
}

static int
run (PfsPatience *patience, uint64_t peer, Work *work)
{
  return pfs_patience_run (patience, peer, read_byte, work, work_unref, NULL);
}

static void
test_answers (void **state)
{
  PfsPatience *patience = pfs_patience_new ();
  Work *work = work_new ();

  (void) state;
  assert_int_equal (write (work->ends[1], "x", 1), 1);
  assert_int_equal (run (patience, 1, work), 0);
  assert_int_equal (work->byte, 'x');
  assert_int_equal (work->refs, 1);
  work_unref (work);
  pfs_patience_unref (patience);
}

static void
test_error (void **state)
{
  PfsPatience *patience = pfs_patience_new ();
  Work *work = work_new ();

  (void) state;
  close (work->ends[1]);
  work->ends[1] = -1;
  assert_int_equal (run (patience, 1, work), -EIO);
  work_unref (work);
  pfs_patience_unref (patience);
}

static void
test_progress (void **state)
{
  PfsPatience *patience = pfs_patience_new ();
  Work *work = work_new ();

  (void) state;
  assert_int_equal (pfs_patience_run (patience, 1, take_steps, work, work_unref, &work->steps), 6);
  work_unref (work);
  pfs_patience_unref (patience);
}

/* Until a peer may be begun with again. */
static void
wait_until_left (PfsPatience *patience, uint64_t peer)
{
  int r = -EBUSY;

  for (guint i = 0; i < 1000 && r == -EBUSY; i++) {
    Work *work = work_new ();
    assert_int_equal (write (work->ends[1], "x", 1), 1);
    r = run (patience, peer, work);
    work_unref (work);
    if (r == -EBUSY)
      g_usleep (10000);
  }
  assert_int_equal (r, 0);
}

/* What does not come back is left alone, up to so many threads of a peer; then nothing is begun for that peer, and what
 * was given is dropped. Another peer is begun with all the same. Once they come back it goes on. */
static void
test_lost (void **state)
{
  PfsPatience *patience = pfs_patience_new ();
  Work *works[LOST_OF_ONE], *more = work_new ();

  (void) state;
  for (guint i = 0; i < LOST_OF_ONE; i++) {
    works[i] = work_new ();
    assert_int_equal (run (patience, 1, works[i]), -ETIMEDOUT);
    assert_int_equal (works[i]->refs, 2);
  }
  assert_int_equal (write (more->ends[1], "x", 1), 1);
  assert_int_equal (run (patience, 1, more), -EBUSY);
  assert_int_equal (more->refs, 1);
  more->refs = 2;
  assert_int_equal (run (patience, 2, more), 0);
  work_unref (more);

  work_release (works[0]);
  wait_until_left (patience, 1);
  work_release (works[1]);
  pfs_patience_unref (patience); /* the last of them frees it */
}

typedef struct {
  PfsPatience *patience;
  uint64_t peer;
  Work *work;
} Lost;

static gpointer
lose (gpointer data)
{
  Lost *lost = data;

  assert_int_equal (run (lost->patience, lost->peer, lost->work), -ETIMEDOUT);
  return NULL;
}

/* Of all peers together there are not more than so many. */
static void
test_lost_of_all (void **state)
{
  PfsPatience *patience = pfs_patience_new ();
  GThread *threads[LOST_MAX];
  Lost lost[LOST_MAX];
  Work *work = work_new ();

  (void) state;
  for (guint i = 0; i < LOST_MAX; i++) {
    lost[i] = (Lost) { patience, i / LOST_OF_ONE, work_new () };
    threads[i] = g_thread_new ("lost", lose, &lost[i]);
  }
  for (guint i = 0; i < LOST_MAX; i++)
    g_thread_join (threads[i]);
  assert_int_equal (run (patience, LOST_MAX, work), -EBUSY);
  work_unref (work);
  for (guint i = 0; i < LOST_MAX; i++)
    work_release (lost[i].work);
  wait_until_left (patience, LOST_MAX);
  pfs_patience_unref (patience);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_answers), cmocka_unit_test (test_error),       cmocka_unit_test (test_progress),
    cmocka_unit_test (test_lost),    cmocka_unit_test (test_lost_of_all),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
