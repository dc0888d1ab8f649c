/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glib/gstdio.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/name.h"

static void
assert_encodes (const char *bytes, gsize len, const char *expected)
{
  g_autofree char *name = pfs_name_encode (bytes, len);

  if (!expected) {
    assert_null (name);
    return;
  }
  assert_non_null (name);
  assert_string_equal (name, expected);
  assert_true (pfs_name_valid (name));
}

static void
test_valid (void **state G_GNUC_UNUSED)
{
  g_autofree char *longest = g_strnfill (NAME_MAX, 'a');
  g_autofree char *longer = g_strnfill (NAME_MAX + 1, 'a');

  assert_true (pfs_name_valid ("a"));
  assert_true (pfs_name_valid ("..."));
  assert_true (pfs_name_valid (".a"));
  assert_true (pfs_name_valid ("\n\xff "));
  assert_true (pfs_name_valid (longest));
  assert_false (pfs_name_valid (longer));
  assert_false (pfs_name_valid (""));
  assert_false (pfs_name_valid ("."));
  assert_false (pfs_name_valid (".."));
  assert_false (pfs_name_valid ("a/"));
  assert_false (pfs_name_valid ("/"));
}

static void
test_encode (void **state G_GNUC_UNUSED)
{
  assert_encodes ("PATH", 4, "PATH");
  assert_encodes ("50%", 3, "50%");
  assert_encodes ("a%2Fb", 5, "a%2Fb");
  assert_encodes ("...", 3, "...");
  assert_encodes ("a/b", 3, "a%2Fb");
  assert_encodes ("a/5%", 4, "a%2F5%25");
  assert_encodes ("a\0b", 3, "a%00b");
  assert_encodes (".", 1, "%2E");
  assert_encodes ("..", 2, "%2E%2E");
  assert_encodes ("./x", 3, ".%2Fx");
  assert_encodes ("", 0, "%");
  assert_encodes ("\xff\n", 2, "\xff\n");
}

static void
test_encode_length (void **state G_GNUC_UNUSED)
{
  g_autofree char *plain = g_strnfill (NAME_MAX + 1, 'a');
  g_autofree char *slashes = g_strnfill (NAME_MAX / 3 + 1, '/');
  g_autofree char *longest = NULL;

  assert_encodes (plain, NAME_MAX + 1, NULL);
  plain[0] = '/';
  assert_encodes (plain, NAME_MAX, NULL);
  assert_encodes (plain, NAME_MAX - 1, NULL);

  longest = pfs_name_encode (plain, NAME_MAX - 2);
  assert_int_equal (strlen (longest), NAME_MAX);
  assert_encodes (plain, NAME_MAX - 2, longest);
  assert_encodes (slashes, NAME_MAX / 3 + 1, NULL);
}

/* The kernel's opinion: whatever we call valid can be created as exactly that one entry. */
static void
test_kernel_agrees (void **state G_GNUC_UNUSED)
{
  g_autofree char *dir = g_dir_make_tmp ("peerfs-name-XXXXXX", NULL);
  const char *raw[] = { "", ".", "..", "/", "a/b", "../x", "\n", "%", "\xff", "x%/" };
  pfs_autofd dirfd = -1;

  assert_non_null (dir);
  dirfd = open (dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  assert_true (dirfd >= 0);
  for (guint i = 0; i < G_N_ELEMENTS (raw); i++) {
    g_autofree char *name = pfs_name_encode (raw[i], strlen (raw[i]));
    pfs_autofd fd = openat (dirfd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

    assert_true (fd >= 0);
    assert_int_equal (unlinkat (dirfd, name, 0), 0);
  }
  assert_int_equal (g_rmdir (dir), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_valid),
    cmocka_unit_test (test_encode),
    cmocka_unit_test (test_encode_length),
    cmocka_unit_test (test_kernel_agrees),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
