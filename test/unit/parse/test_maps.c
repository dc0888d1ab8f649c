/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/parse/maps.h"

#define TAIL " r--p 00000000 fe:00 "

static GPtrArray *
parse (const char *text)
{
  g_autoptr (PfsMappedFiles) files = pfs_mapped_files_new ();
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; lines[i]; i++)
    assert_true (pfs_mapped_files_add (files, lines[i], strlen (lines[i])));
  return pfs_mapped_files_steal (files);
}

static const PfsMapping *
at (GPtrArray *mappings, guint i)
{
  assert_true (i < mappings->len);
  return mappings->pdata[i];
}

static void
test_plain (void **state G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) m = parse ("55d0c0000000-55d0c0001000 r--p 00000000 fe:10 131 /usr/bin/x\n"
                                   "55d0c0001000-55d0c0002000 r-xp 00001000 fe:10 131                /usr/bin/x\n"
                                   "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
                                   "7f0000001000-7f0000002000 rw-p 00000000 00:00 0 [heap]\n"
                                   "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]");

  assert_int_equal (m->len, 1);
  assert_string_equal (at (m, 0)->path, "/usr/bin/x");
  assert_true (at (m, 0)->start == 0x55d0c0000000);
  assert_true (at (m, 0)->end == 0x55d0c0001000);
  assert_int_equal (at (m, 0)->major, 0xfe);
  assert_int_equal (at (m, 0)->minor, 0x10);
  assert_int_equal (at (m, 0)->inode, 131);
  assert_false (at (m, 0)->deleted);
}

static void
test_order (void **state G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) m = parse ("1000-2000" TAIL "7 /b\n2000-3000" TAIL "9 /a\n3000-4000" TAIL "5 /b\n"
                                   "4000-5000" TAIL "7 /b\n5000-6000 r--p 00000000 fe:01 7 /b\n");

  assert_int_equal (m->len, 4);
  assert_string_equal (at (m, 0)->path, "/a");
  assert_true (at (m, 1)->start == 0x1000);
  assert_true (at (m, 2)->start == 0x3000);
  assert_int_equal (at (m, 2)->inode, 5);
  assert_true (at (m, 3)->start == 0x5000);
  assert_int_equal (at (m, 3)->minor, 1);
}

static void
test_names (void **state G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) m = parse ("1000-2000" TAIL "1 /a b\n2000-3000" TAIL "2 /b\\012c\\134\n"
                                   "3000-4000" TAIL "3 /c (deleted)\n4000-5000" TAIL "4 /d (deleted) (deleted)\n"
                                   "5000-6000" TAIL "5 /e(deleted)\n6000-7000" TAIL "6 /memfd:real\n");

  assert_int_equal (m->len, 6);
  assert_string_equal (at (m, 0)->path, "/a b");
  assert_string_equal (at (m, 1)->path, "/b\nc\\134");
  assert_string_equal (at (m, 2)->path, "/c");
  assert_true (at (m, 2)->deleted);
  assert_string_equal (at (m, 3)->path, "/d (deleted)");
  assert_string_equal (at (m, 4)->path, "/e(deleted)");
  assert_false (at (m, 4)->deleted);
  assert_string_equal (at (m, 5)->path, "/memfd:real");
}

static void
test_no_files (void **state G_GNUC_UNUSED)
{
  const char *lines[] = {
    "",
    "\n\n",
    "1000-2000",
    "1000-2000" TAIL,
    "1000-2000" TAIL "1",
    "1000-2000" TAIL "1 ",
    "1000-2000" TAIL "1 /",
    "1000-2000" TAIL "0 /a",
    "1000-2000" TAIL "1 a",
    "1000-2000" TAIL "1 [heap]",
    "1000-2000" TAIL "1 anon_inode:[x]",
    "1000-2000" TAIL "1 /memfd:x (deleted)",
    "1000-2000" TAIL "1 /SYSV00000000 (deleted)",
    "1000-2000" TAIL "1 /dev/zero (deleted)",
    "1000-2000" TAIL "1 /dev/zero",
    "1000-2000" TAIL "1 /[aio] (deleted)",
    "1000-2000" TAIL "1 /anon_hugepage (deleted)",
    "1000-2000" TAIL "1 (deleted)",
    "1000-2000" TAIL "1  (deleted)",
    "2000-1000" TAIL "1 /a",
    "1000-1000" TAIL "1 /a",
    "1000" TAIL "1 /a",
    "x-y" TAIL "1 /a",
    "-" TAIL "1 /a",
    "1000-10000000000000000" TAIL "1 /a",
    "1000-2000" TAIL "-1 /a",
    "1000-2000" TAIL "18446744073709551616 /a",
    "1000-2000 r--p 0 fe 1 /a",
    "1000-2000 r--p 0 fe: 1 /a",
    "1000-2000 r--p 0 100000000:0 1 /a",
    "1000-2000 r-p 0 fe:0 1 /a",
    "1000-2000 r--p x fe:0 1 /a",
  };

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    g_autoptr (GPtrArray) m = parse (lines[i]);

    if (m->len != 0)
      fail_msg ("accepted: %s", lines[i]);
  }
  g_autoptr (PfsMappedFiles) files = pfs_mapped_files_new ();
  assert_true (pfs_mapped_files_add (files, "1000-2000" TAIL "1 /a\0b", sizeof ("1000-2000" TAIL "1 /a\0b") - 1));
  g_autoptr (GPtrArray) none = pfs_mapped_files_steal (files);
  assert_int_equal (none->len, 0);
}

/* How many files of paths of that length there are; the mapping after it is of a file that is there already. */
static guint
how_many (int length)
{
  g_autoptr (PfsMappedFiles) files = pfs_mapped_files_new ();
  char line[8192];
  guint n = 0;

  do
    n++;
  while (pfs_mapped_files_add (
      files, line, (size_t) g_snprintf (line, sizeof line, "%x000-%x001" TAIL "%u /%0*u", n, n, n, length - 1, n)));
  assert_false (pfs_mapped_files_add (files, "1000-2000" TAIL "1 /a", strlen ("1000-2000" TAIL "1 /a")));
  g_autoptr (GPtrArray) all = pfs_mapped_files_steal (files);
  assert_int_equal (all->len, n - 1);
  return n - 1;
}

static void
test_bounds (void **state G_GNUC_UNUSED)
{
  assert_int_equal (how_many (10), PFS_MAPS_FILES_MAX);
  assert_int_equal (how_many (4000), PFS_MAPS_PATHS_MAX / 4001);
}

/* The kernel is the oracle: a file of ours with a difficult name, before and after it is deleted. */
static void
test_own (void **state G_GNUC_UNUSED)
{
  g_autofree char *dir = g_dir_make_tmp ("peerfs-maps-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (dir, "a b\nc", NULL);
  pfs_autofd fd = open (path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  struct stat st;
  void *map;

  assert_true (fd >= 0);
  assert_int_equal (ftruncate (fd, 4096), 0);
  assert_int_equal (fstat (fd, &st), 0);
  map = mmap (NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
  assert_ptr_not_equal (map, MAP_FAILED);

  for (int deleted = 0; deleted < 2; deleted++) {
    g_autofree char *content = NULL;
    g_autoptr (GPtrArray) m = NULL;
    guint found = 0;

    assert_true (g_file_get_contents ("/proc/self/maps", &content, NULL, NULL));
    m = parse (content);
    for (guint i = 0; i < m->len; i++) {
      if (strcmp (at (m, i)->path, path) != 0)
        continue;
      found++;
      assert_true (at (m, i)->start == (uintptr_t) map);
      assert_true (at (m, i)->inode == st.st_ino);
      assert_int_equal (at (m, i)->deleted, deleted);
    }
    assert_int_equal (found, 1);
    unlink (path);
  }
  munmap (map, 4096);
  assert_int_equal (rmdir (dir), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_plain),    cmocka_unit_test (test_order),  cmocka_unit_test (test_names),
    cmocka_unit_test (test_no_files), cmocka_unit_test (test_bounds), cmocka_unit_test (test_own),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
