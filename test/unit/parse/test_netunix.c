/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/parse/netunix.h"

#define HEADING "Num       RefCount Protocol Flags    Type St Inode Path\n"
#define ROW(flags, type, inode, path) "0000000000000000: 00000002 00000000 " flags " " type " 01 " inode path "\n"

static GPtrArray *
parse (const char *text)
{
  return pfs_netunix_parse (text, strlen (text));
}

static void
test_plain (void **state G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) rows = parse (HEADING ROW ("00010000", "0001", "12345", " /run/a.sock")
                                      ROW ("00000000", "0002", "   12", " /dev/log")
                                      ROW ("00010000", "0005", "18446744073709551615", "  rel  ative ")
                                      ROW ("00000000", "0001", "12346", "")
                                      ROW ("00010000", "0001", "12347", " @abstract")
                                      ROW ("00010000", "0001", "12348", " "));
  const PfsUnixRow *row;

  assert_int_equal (rows->len, 3);
  row = rows->pdata[0];
  assert_int_equal (row->inode, 12345);
  assert_int_equal (row->type, SOCK_STREAM);
  assert_true (row->listening);
  assert_string_equal (row->path, "/run/a.sock");
  row = rows->pdata[1];
  assert_int_equal (row->inode, 12);
  assert_int_equal (row->type, SOCK_DGRAM);
  assert_false (row->listening);
  row = rows->pdata[2];
  assert_true (row->inode == UINT64_MAX);
  assert_int_equal (row->type, SOCK_SEQPACKET);
  assert_string_equal (row->path, " rel  ative ");
}

/* A newline in a path begins another row, as documented: a caller that believes it is wrong. */
static void
test_forged (void **state G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) rows = parse (ROW ("00010000", "0001", "1", " /a\n" ROW ("00010000", "0001", "2", " /victim")));

  assert_int_equal (rows->len, 2);
  assert_string_equal (((const PfsUnixRow *) rows->pdata[0])->path, "/a");
  assert_int_equal (((const PfsUnixRow *) rows->pdata[1])->inode, 2);
}

static void
test_malformed (void **state G_GNUC_UNUSED)
{
  const char *texts[] = {
    "", "\n\n", HEADING, "0000000000000000:", ROW ("0001000g", "0001", "1", " /a"),
    ROW ("100000000", "0001", "1", " /a"),
    ROW ("00010000", "10001", "1", " /a"), ROW ("00010000", "0003", "1", " /a"), ROW ("00010000", "0001", "0", " /a"),
    ROW ("00010000", "0001", "-1", " /a"), ROW ("00010000", "0001", "x", " /a"),
    ROW ("00010000", "0001", "18446744073709551616", " /a"), "/a\n", "0 00000002 00000000 00010000 0001 01 1 /a\n",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GPtrArray) rows = parse (texts[i]);

    if (rows->len != 0)
      fail_msg ("accepted: %s", texts[i]);
  }
}

/* The kernel is the oracle: a socket of our own. */
static void
test_own (void **state G_GNUC_UNUSED)
{
  g_autofree char *dir = g_dir_make_tmp ("peerfs-unix-XXXXXX", NULL);
  g_autofree char *path = g_strdup_printf ("%s/s ock", dir);
  g_autofree char *content = NULL;
  g_autoptr (GPtrArray) rows = NULL;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  pfs_autofd fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  guint found = 0;
  struct stat st;
  gsize len;

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  assert_int_equal (bind (fd, (struct sockaddr *) &address, sizeof address), 0);
  assert_int_equal (listen (fd, 1), 0);
  assert_int_equal (fstat (fd, &st), 0);

  assert_true (g_file_get_contents ("/proc/self/net/unix", &content, &len, NULL));
  rows = pfs_netunix_parse (content, len);
  for (guint i = 0; i < rows->len; i++) {
    const PfsUnixRow *row = rows->pdata[i];

    if (strcmp (row->path, path) != 0)
      continue;
    found++;
    assert_true (row->inode == st.st_ino);
    assert_int_equal (row->type, SOCK_SEQPACKET);
    assert_true (row->listening);
  }
  assert_int_equal (found, 1);
  unlink (path);
  assert_int_equal (g_rmdir (dir), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_plain),
    cmocka_unit_test (test_forged),
    cmocka_unit_test (test_malformed),
    cmocka_unit_test (test_own),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
