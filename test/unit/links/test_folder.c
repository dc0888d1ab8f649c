/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../../src/links/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int top;

static int
set_up (void **state)
{
  char path[] = "/tmp/peerfs-folder.XXXXXX";

  if (!mkdtemp (path))
    return -1;
  *state = strdup (path);
  top = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return top < 0;
}

static int
tear_down (void **state)
{
  int parent = open ("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int r = pfs_folder_remove (parent, strrchr (*state, '/') + 1);

  close (parent);
  close (top);
  free (*state);
  return r;
}

static void
assert_link (const char *name, const char *target)
{
  char text[256] = "";

  assert_true (readlinkat (top, name, text, sizeof text - 1) > 0);
  assert_string_equal (text, target);
}

static void
test_put (void **state)
{
  struct stat before, after;

  (void) state;
  assert_int_equal (pfs_folder_put_link (top, "root", "/proc/1/root"), 0);
  assert_int_equal (fstatat (top, "root", &before, AT_SYMLINK_NOFOLLOW), 0);
  assert_int_equal (pfs_folder_put_link (top, "root", "/proc/1/root"), 0);
  assert_int_equal (fstatat (top, "root", &after, AT_SYMLINK_NOFOLLOW), 0);
  assert_int_equal (before.st_ino, after.st_ino);
  /* A longer and a shorter target than the one that is there. */
  assert_int_equal (pfs_folder_put_link (top, "root", "/proc/12/root"), 0);
  assert_link ("root", "/proc/12/root");
  assert_int_equal (pfs_folder_put_link (top, "root", "/proc/1/roo"), 0);
  assert_link ("root", "/proc/1/roo");
  assert_int_equal (pfs_folder_put_text (top, "root", "text\n"), 0);
  assert_int_equal (fstatat (top, "root", &after, AT_SYMLINK_NOFOLLOW), 0);
  assert_true (S_ISREG (after.st_mode) && (after.st_mode & 0777) == 0444 && after.st_size == 5);
}

static void
test_put_below (void **state)
{
  g_autoptr (GString) deep = g_string_new ("d");

  (void) state;
  assert_int_equal (pfs_folder_put_link_below (top, "a/b/sock", "/x"), 0);
  assert_int_equal (pfs_folder_put_link_below (top, "a/b/other", "/y"), 0);
  assert_link ("a/b/sock", "/x");
  assert_link ("a/b/other", "/y");
  for (int i = 0; i < PFS_FOLDER_DEPTH_MAX; i++)
    g_string_append (deep, "/d");
  assert_int_equal (pfs_folder_put_link_below (top, deep->str, "/z"), -ENAMETOOLONG);
  assert_int_equal (pfs_folder_put_link (top, "link", "a"), 0);
  assert_true (pfs_folder_put_link_below (top, "link/sock", "/z") < 0);
}

static void
test_remove_below (void **state)
{
  struct stat st;

  (void) state;
  assert_int_equal (pfs_folder_put_link_below (top, "r/b/one", "/x"), 0);
  assert_int_equal (pfs_folder_put_link_below (top, "r/b/c/two", "/y"), 0);
  pfs_folder_remove_link_below (top, "r/b/c/two");
  assert_int_equal (fstatat (top, "r/b/c", &st, AT_SYMLINK_NOFOLLOW), -1);
  assert_link ("r/b/one", "/x");
  pfs_folder_remove_link_below (top, "r/none/one");
  assert_link ("r/b/one", "/x");
  pfs_folder_remove_link_below (top, "r/b/one");
  assert_int_equal (fstatat (top, "r", &st, AT_SYMLINK_NOFOLLOW), -1);
  /* No link is followed on the way. */
  assert_int_equal (pfs_folder_put_link_below (top, "r/one", "/x"), 0);
  assert_int_equal (pfs_folder_put_link (top, "to-r", "r"), 0);
  pfs_folder_remove_link_below (top, "to-r/one");
  assert_link ("r/one", "/x");
}

static void
test_remove_follows_nothing (void **state)
{
  struct stat st;
  int fd;

  (void) state;
  assert_int_equal (pfs_folder_put_link_below (top, "kept/file", "/x"), 0);
  assert_int_equal (pfs_folder_put_link_below (top, "gone/to-kept", "../kept"), 0);
  assert_int_equal (pfs_folder_remove (top, "gone"), 0);
  assert_int_equal (fstatat (top, "gone", &st, AT_SYMLINK_NOFOLLOW), -1);
  assert_link ("kept/file", "/x");
  assert_int_equal (pfs_folder_remove (top, "never there"), 0);
  assert_int_equal (pfs_folder_put_link (top, "dir", "kept"), 0);
  assert_true (pfs_folder_open (top, "dir", false, &fd) < 0);
}

static void
test_open_refuses_what_others_write (void **state)
{
  int fd = -1;

  (void) state;
  assert_int_equal (mkdirat (top, "open", 0777), 0);
  assert_int_equal (fchmodat (top, "open", 0777, 0), 0);
  assert_int_equal (pfs_folder_open (top, "open", false, &fd), -EPERM);
  assert_int_equal (fchmodat (top, "open", 0755, 0), 0);
  assert_int_equal (pfs_folder_open (top, "open", true, &fd), -EPERM);
  assert_int_equal (pfs_folder_open (top, "open", false, &fd), 0);
  close (fd);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_put, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_put_below, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_remove_below, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_remove_follows_nothing, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_open_refuses_what_others_write, set_up, tear_down),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
