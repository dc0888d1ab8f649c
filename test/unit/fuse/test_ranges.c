/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ranges against a map of bytes, and at the ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "../../../src/fuse/ranges.h"

#define BYTES 40

static void
set (GArray *ranges, short type, off_t start, off_t length)
{
  struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };

  pfs_ranges_set (ranges, &lock);
}

static bool
conflicts (GArray *ranges, short type, off_t start, off_t length)
{
  struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };

  return pfs_ranges_conflict (ranges, &lock);
}

static void
test_random (void **state)
{
  static const short types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
  g_autoptr (GArray) ranges = pfs_ranges_new ();
  short map[BYTES];

  (void) state;
  for (gint i = 0; i < BYTES; i++)
    map[i] = F_UNLCK;
  for (guint round = 0; round < 20000; round++) {
    short type = types[g_random_int_range (0, 3)];
    gint start = g_random_int_range (0, BYTES), length = g_random_int_range (1, BYTES - start + 1);
    guint pieces = 0;

    set (ranges, type, start, length);
    for (gint i = start; i < start + length; i++)
      map[i] = type;
    for (gint i = 0; i < BYTES; i++) {
      pieces += map[i] != F_UNLCK && (i == 0 || map[i - 1] != map[i]);
      assert_int_equal (conflicts (ranges, F_WRLCK, i, 1), map[i] != F_UNLCK);
      assert_int_equal (conflicts (ranges, F_RDLCK, i, 1), map[i] == F_WRLCK);
    }
    assert_int_equal (ranges->len, pieces);
  }
}

static void
test_ends (void **state)
{
  g_autoptr (GArray) ranges = pfs_ranges_new ();

  (void) state;
  set (ranges, F_WRLCK, 10, 0);
  assert_true (conflicts (ranges, F_RDLCK, G_MAXINT64, 1));
  assert_false (conflicts (ranges, F_RDLCK, 0, 10));
  set (ranges, F_UNLCK, 20, 5);
  assert_int_equal (ranges->len, 2);
  assert_false (conflicts (ranges, F_WRLCK, 20, 5));
  assert_true (conflicts (ranges, F_WRLCK, 20, 6));
  struct flock whole = pfs_range_lock (&(PfsRange) { 0, G_MAXINT64, F_RDLCK });
  assert_int_equal (whole.l_len, 0);
  set (ranges, F_UNLCK, 0, 0);
  assert_int_equal (ranges->len, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_random), cmocka_unit_test (test_ends) };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
