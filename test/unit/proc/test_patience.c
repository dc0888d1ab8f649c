/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/proc/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define STRAYS 8 /* as many as are left alone */

static bool
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0;
}

/* Until a byte comes, or the other end is closed. */
static int
read_byte (int fd, int other, GBytes **ret)
{
  char byte;

  (void) other;
  if (read (fd, &byte, 1) != 1)
    return -EIO;
  *ret = g_bytes_new (&byte, 1);
  return 0;
}

static void
test_answers (void **state)
{
  PfsPatience *patience = pfs_patience_new ();
  g_autoptr (GBytes) bytes = NULL;
  int ends[2], other = dup (0);

  (void) state;
  assert_return_code (pipe2 (ends, O_CLOEXEC), errno);
  assert_int_equal (write (ends[1], "x", 1), 1);
  assert_int_equal (pfs_patience_read (patience, read_byte, ends[0], other, &bytes), 0);
  assert_int_equal (g_bytes_get_size (bytes), 1);
  assert_memory_equal (g_bytes_get_data (bytes, NULL), "x", 1);
  assert_false (is_open (ends[0]) || is_open (other));
  close (ends[1]);
  pfs_patience_unref (patience);
}

static void
test_error (void **state)
{
  PfsPatience *patience = pfs_patience_new ();
  GBytes *untouched = (GBytes *) state;
  int ends[2];

  assert_return_code (pipe2 (ends, O_CLOEXEC), errno);
  close (ends[1]);
  assert_int_equal (pfs_patience_read (patience, read_byte, ends[0], -1, &untouched), -EIO);
  assert_ptr_equal (untouched, state);
  assert_false (is_open (ends[0]));
  pfs_patience_unref (patience);
}

static void
wait_until_left (PfsPatience *patience)
{
  for (guint i = 0; i < 1000 && !pfs_patience_is_left (patience); i++)
    g_usleep (10000);
  assert_true (pfs_patience_is_left (patience));
}

/* Who does not come back is left alone, up to so many; then nobody is begun with, and what was given is closed. Once
 * they come back it goes on. */
static void
test_strays (void **state)
{
  PfsPatience *patience = pfs_patience_new ();
  GBytes *bytes = (GBytes *) state;
  int ends[STRAYS + 1][2];

  for (guint i = 0; i <= STRAYS; i++)
    assert_return_code (pipe2 (ends[i], O_CLOEXEC), errno);
  for (guint i = 0; i < STRAYS; i++) {
    assert_true (pfs_patience_is_left (patience));
    assert_int_equal (pfs_patience_read (patience, read_byte, ends[i][0], -1, &bytes), -ETIMEDOUT);
    assert_true (is_open (ends[i][0]));
  }
  assert_false (pfs_patience_is_left (patience));
  assert_int_equal (write (ends[STRAYS][1], "x", 1), 1);
  assert_int_equal (pfs_patience_read (patience, read_byte, ends[STRAYS][0], -1, &bytes), -ETIMEDOUT);
  assert_false (is_open (ends[STRAYS][0]));
  assert_ptr_equal (bytes, state);

  close (ends[0][1]);
  wait_until_left (patience);
  assert_false (is_open (ends[0][0]));
  for (guint i = 1; i <= STRAYS; i++)
    close (ends[i][1]);
  pfs_patience_unref (patience); /* the last of them frees it */
}

static void
test_close (void **state)
{
  PfsPatience *patience = pfs_patience_new ();
  int fd = dup (0);

  (void) state;
  assert_int_equal (pfs_patience_close (patience, fd), 0);
  assert_false (is_open (fd));
  assert_true (pfs_patience_is_left (patience));
  pfs_patience_unref (patience);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_answers),
    cmocka_unit_test (test_error),
    cmocka_unit_test (test_strays),
    cmocka_unit_test (test_close),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
