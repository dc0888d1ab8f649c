/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"

typedef struct {
  char *dir;
  int fd;
} Fixture;

static int
set_up (void **state)
{
  Fixture *f = g_new0 (Fixture, 1);

  f->dir = g_dir_make_tmp ("peerfs-read-XXXXXX", NULL);
  assert_non_null (f->dir);
  f->fd = open (f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true (f->fd >= 0);
  *state = f;
  return 0;
}

static int
tear_down (void **state)
{
  Fixture *f = *state;

  unlinkat (f->fd, "f", 0);
  close (f->fd);
  assert_int_equal (g_rmdir (f->dir), 0);
  g_free (f->dir);
  g_free (f);
  return 0;
}

static char *
write_file (Fixture *f, size_t len)
{
  g_autofree char *path = g_build_filename (f->dir, "f", NULL);
  char *content = g_malloc (len + 1);

  for (size_t i = 0; i < len; i++)
    content[i] = (char) (i * 7 + i / 251);
  content[len] = '\0';
  assert_true (g_file_set_contents (path, content, (gssize) len, NULL));
  return content;
}

static void
test_sizes (void **state)
{
  Fixture *f = *state;
  const size_t sizes[] = { 0, 1, 4095, 16383, 16384, 16385, 32768, 100000, 1 << 20 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    size_t len = sizes[i];
    g_autofree char *content = write_file (f, len);
    g_autoptr (GBytes) exact = NULL;
    g_autoptr (GBytes) roomy = NULL;
    g_autoptr (GBytes) prefix = NULL;

    assert_int_equal (pfs_read_at (f->fd, "f", len, &exact), 0);
    assert_int_equal (g_bytes_get_size (exact), len);
    if (len > 0)
      assert_memory_equal (g_bytes_get_data (exact, NULL), content, len);

    assert_int_equal (pfs_read_at (f->fd, "f", SIZE_MAX, &roomy), 0);
    assert_true (g_bytes_equal (exact, roomy));

    assert_int_equal (pfs_read_prefix_at (f->fd, "f", len / 2, &prefix), 0);
    assert_int_equal (g_bytes_get_size (prefix), len / 2);
    if (len / 2 > 0)
      assert_memory_equal (g_bytes_get_data (prefix, NULL), content, len / 2);
  }
}

static void
test_too_big (void **state)
{
  Fixture *f = *state;
  g_autofree char *content = write_file (f, 20000);
  GBytes *bytes = (GBytes *) f;

  assert_non_null (content);
  assert_int_equal (pfs_read_at (f->fd, "f", 19999, &bytes), -EFBIG);
  assert_int_equal (pfs_read_at (f->fd, "f", 0, &bytes), -EFBIG);
  assert_ptr_equal (bytes, f);
}

static void
test_refused (void **state)
{
  Fixture *f = *state;
  GBytes *bytes = (GBytes *) f;
  char *target = (char *) f;

  assert_int_equal (pfs_read_at (f->fd, "none", 10, &bytes), -ENOENT);
  assert_int_equal (pfs_read_at (f->fd, ".", 10, &bytes), -EISDIR);
  assert_int_equal (symlinkat ("/proc/self/stat", f->fd, "f"), 0);
  assert_int_equal (pfs_read_at (f->fd, "f", 10, &bytes), -ELOOP);
  assert_ptr_equal (bytes, f);
  assert_int_equal (pfs_readlink_at (f->fd, "none", &target), -ENOENT);
  assert_int_equal (pfs_readlink_at (f->fd, ".", &target), -EINVAL);
  assert_ptr_equal (target, f);
}

/* A FIFO without a writer must not hang us. */
static void
test_fifo (void **state)
{
  Fixture *f = *state;
  g_autoptr (GBytes) bytes = NULL;

  assert_int_equal (mkfifoat (f->fd, "f", 0600), 0);
  assert_int_equal (pfs_read_at (f->fd, "f", 10, &bytes), 0);
  assert_int_equal (g_bytes_get_size (bytes), 0);
}

static void
test_proc (void **state G_GNUC_UNUSED)
{
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GBytes) endless = NULL;
  pfs_autofd proc = open ("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
  pfs_autofd dev = open ("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);

  assert_int_equal (pfs_read_at (proc, "stat", 4096, &bytes), 0);
  assert_true (g_bytes_get_size (bytes) > 20);
  assert_int_equal (pfs_read_prefix_at (dev, "zero", 100000, &endless), 0);
  assert_int_equal (g_bytes_get_size (endless), 100000);
}

static void
test_readlink (void **state)
{
  Fixture *f = *state;
  g_autofree char *long_target = g_strnfill (PATH_MAX - 1, 'x');
  g_autofree char *target = NULL, *again = NULL;
  pfs_autofd link = -1;

  assert_int_equal (symlinkat (long_target, f->fd, "f"), 0);
  assert_int_equal (pfs_readlink_at (f->fd, "f", &target), 0);
  assert_string_equal (target, long_target);

  link = openat (f->fd, "f", O_PATH | O_NOFOLLOW | O_CLOEXEC);
  assert_true (link >= 0);
  assert_int_equal (pfs_readlink_at (link, "", &again), 0);
  assert_string_equal (again, long_target);
}

typedef struct {
  guint lines, most;
  size_t bytes;
  bool right;
} Lines;

/* The n-th line is n % 300 times the same letter. */
static bool
count_line (const char *line, size_t len, gpointer data)
{
  Lines *lines = data;

  lines->right = lines->right && len == lines->lines % 300 && (len == 0 || (line[0] == 'x' && line[len - 1] == 'x'));
  lines->bytes += len + 1;
  return ++lines->lines < lines->most;
}

static Lines
read_lines (Fixture *f, size_t max, guint most, int expected)
{
  Lines lines = { .most = most, .right = true };

  assert_int_equal (pfs_read_lines_at (f->fd, "f", max, count_line, &lines), expected);
  assert_true (lines.right);
  return lines;
}

static void
test_lines (void **state)
{
  Fixture *f = *state;
  g_autofree char *path = g_build_filename (f->dir, "f", NULL);
  g_autoptr (GString) content = g_string_new (NULL);
  Lines none = { .most = 10 };

  for (guint i = 0; i < 2000; i++) {
    g_string_set_size (content, content->len + i % 300);
    memset (content->str + content->len - i % 300, 'x', i % 300);
    g_string_append_c (content, '\n');
  }
  assert_true (g_file_set_contents (path, content->str, (gssize) content->len - 1, NULL));
  assert_int_equal (read_lines (f, SIZE_MAX, 9999, 0).lines, 2000);
  assert_int_equal (read_lines (f, SIZE_MAX, 1234, 0).lines, 1234);
  assert_int_equal (read_lines (f, content->len + 1, 9999, 0).bytes, content->len);
  /* Half of a line is none. */
  Lines cut = read_lines (f, 100000, 9999, -EFBIG);
  assert_true (cut.bytes <= 100000 && cut.bytes > 100000 - 300);

  memset (content->str, 'x', content->len);
  assert_true (g_file_set_contents (path, content->str, (gssize) content->len, NULL));
  assert_int_equal (pfs_read_lines_at (f->fd, "f", SIZE_MAX, count_line, &none), -EFBIG);
  assert_int_equal (none.lines, 0);
  assert_int_equal (pfs_read_lines_at (f->fd, "missing", SIZE_MAX, count_line, &none), -ENOENT);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_lines, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_sizes, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_too_big, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_fifo, set_up, tear_down),
    cmocka_unit_test (test_proc),
    cmocka_unit_test_setup_teardown (test_readlink, set_up, tear_down),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
