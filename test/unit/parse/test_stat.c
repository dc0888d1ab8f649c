/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "peerfs/parse/stat.h"

#define TAIL " 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 "
#define AFTER " 8192 100 18446744073709551615 0\n"

static int
parse (const char *text, PfsStat *ret)
{
  return pfs_stat_parse (text, strlen (text), ret);
}

static void
test_plain (void **state G_GNUC_UNUSED)
{
  PfsStat stat;

  assert_int_equal (parse ("7 (nginx) S" TAIL "123456789" AFTER, &stat), 0);
  assert_int_equal (stat.pid, 7);
  assert_string_equal (stat.comm, "nginx");
  assert_int_equal (stat.state, 'S');
  assert_int_equal (stat.start_time, 123456789);

  assert_int_equal (stat.pending, 0);

  assert_int_equal (parse ("7 (x) S" TAIL "5 1 2 3 4 5 6 7 8 256 0 0\n", &stat), 0);
  assert_int_equal (stat.pending, 256);
  assert_int_equal (parse ("7 (x) S" TAIL "5 1 2 3 4 5 6 7 8 x 0 0\n", &stat), -EINVAL);

  assert_int_equal (parse ("7 (x) Z" TAIL "18446744073709551615", &stat), 0);
  assert_int_equal (stat.state, 'Z');
  assert_true (stat.start_time == UINT64_MAX);
}

static void
test_hostile_comm (void **state G_GNUC_UNUSED)
{
  PfsStat stat;

  assert_int_equal (parse ("7 (a) R 99 (b) S" TAIL "5" AFTER, &stat), 0);
  assert_string_equal (stat.comm, "a) R 99 (b");
  assert_int_equal (parse ("7 (\n)) S" TAIL "5" AFTER, &stat), 0);
  assert_string_equal (stat.comm, "\n)");
  assert_int_equal (parse ("7 () S" TAIL "5" AFTER, &stat), 0);
  assert_string_equal (stat.comm, "");
  assert_int_equal (parse ("7 (a\\n) S" TAIL "5" AFTER, &stat), 0);
  assert_string_equal (stat.comm, "a\\n");
}

static void
test_comm_length (void **state G_GNUC_UNUSED)
{
  g_autofree char *name = g_strnfill (65, 'k');
  g_autofree char *longer = g_strdup_printf ("7 (%s) S" TAIL "5" AFTER, name);
  g_autofree char *fits = g_strdup_printf ("7 (%s) S" TAIL "5" AFTER, name + 1);
  PfsStat stat;

  assert_int_equal (parse (longer, &stat), -EINVAL);
  assert_int_equal (parse (fits, &stat), 0);
  assert_string_equal (stat.comm, name + 1);
}

static void
test_malformed (void **state G_GNUC_UNUSED)
{
  const char *bad[] = {
    "",
    "7",
    "7 (",
    "7 (x",
    "7 (x)",
    "7 (x) ",
    "7 (x) S",
    "7 (x) S 1",
    "(x) S" TAIL "5",
    " (x) S" TAIL "5",
    "0 (x) S" TAIL "5",
    "-7 (x) S" TAIL "5",
    "7x (x) S" TAIL "5",
    "7(x) S" TAIL "5",
    "2147483648 (x) S" TAIL "5",
    "7 (x)S" TAIL "5",
    "7 (x) SS" TAIL "5",
    "7 (x) 1" TAIL "5",
    "7 )x( S" TAIL "5",
    "7 (x) S" TAIL "-5",
    "7 (x) S" TAIL "18446744073709551616",
    "7 (x) S" TAIL "",
    "7 (x) S" TAIL "5x",
  };
  PfsStat stat, before;

  memset (&stat, 0x5a, sizeof stat);
  before = stat;
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    if (parse (bad[i], &stat) != -EINVAL)
      fail_msg ("accepted: %s", bad[i]);
    assert_memory_equal (&stat, &before, sizeof stat);
  }
  assert_int_equal (pfs_stat_parse ("7 (a\0b) S" TAIL "5", sizeof "7 (a\0b) S" TAIL "5" - 1, &stat), -EINVAL);
  assert_int_equal (pfs_stat_parse (NULL, 0, &stat), -EINVAL);
}

/* The kernel is the oracle: our own files, with a name made to mislead. */
static void
test_own (void **state G_GNUC_UNUSED)
{
  const char name[] = ") Z\n(\\n 9 9";
  g_autofree char *content = NULL, *status_content = NULL;
  g_auto (PfsStatus) status = { 0 };
  gid_t groups[256];
  gsize len;
  PfsStat stat;
  int n;

  assert_int_equal (prctl (PR_SET_NAME, name), 0);
  assert_true (g_file_get_contents ("/proc/self/stat", &content, &len, NULL));
  assert_int_equal (pfs_stat_parse (content, len, &stat), 0);
  assert_int_equal (stat.pid, getpid ());
  assert_int_equal (stat.state, 'R');
  assert_string_equal (stat.comm, name);
  assert_true (stat.start_time > 0);

  assert_true (g_file_get_contents ("/proc/self/status", &status_content, &len, NULL));
  assert_int_equal (pfs_status_parse (status_content, len, &status), 0);
  assert_int_equal (status.uid, getuid ());
  assert_int_equal (status.euid, geteuid ());
  assert_int_equal (status.egid, getegid ());
  n = getgroups (G_N_ELEMENTS (groups), groups);
  assert_int_equal (status.n_groups, n);
  for (int i = 0; i < n; i++)
    assert_int_equal (status.groups[i], groups[i]);
}

static void
test_status (void **state G_GNUC_UNUSED)
{
  const char text[] = "Name:\tx\nUid:\t1\t2\t3\t4294967295\nGid:\t5\t6\t7\t8\nFDSize:\t64\nGroups:\t0 10 4294967295 \n"
                      "CapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000080000\n"
                      "CapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\n";
  g_auto (PfsStatus) status = { 0 };

  assert_int_equal (pfs_status_parse (text, sizeof text - 1, &status), 0);
  assert_int_equal (status.uid, 1);
  assert_int_equal (status.euid, 2);
  assert_int_equal (status.suid, 3);
  assert_int_equal (status.gid, 5);
  assert_int_equal (status.egid, 6);
  assert_int_equal (status.sgid, 7);
  assert_int_equal (status.n_groups, 3);
  assert_int_equal (status.groups[1], 10);
  assert_true (status.groups[2] == UINT32_MAX);
  assert_true (status.cap_prm == 0x1ffffffffff);
  assert_true (status.cap_bnd == 0xa80425fb);
  assert_true (status.no_new_privs);
}

static void
test_status_malformed (void **state G_GNUC_UNUSED)
{
  const char *bad[] = {
    "",
    "Uid:\t1\t2\t3\t4\n",
    "Gid:\t1\t2\t3\t4\n",
    "Uid:\t1\t2\t3\nGid:\t1\t2\t3\t4\n",
    "Uid:\t1\t2\t3\t4\t5\nGid:\t1\t2\t3\t4\n",
    "Uid:\t1\t2\t3\t4294967296\nGid:\t1\t2\t3\t4\n",
    "Uid:\t1\t2\t3\t-4\nGid:\t1\t2\t3\t4\n",
    "Uid:\t1\t2\t3\t4\nGid:\t1\t2\t3\t4\nGroups:\t1 x\n",
    "Uid:\t1\t2\t3\t4\nGid:\t1\t2\t3\t4\nCapPrm:\tg\n",
    "Uid:\t1\t2\t3\t4\nGid:\t1\t2\t3\t4\nCapPrm:\t10000000000000000\n",
    "Name:\tUid:\t1\t2\t3\t4\nGid:\t1\t2\t3\t4\n",
  };
  PfsStatus status, before;

  memset (&status, 0x5a, sizeof status);
  before = status;
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    if (pfs_status_parse (bad[i], strlen (bad[i]), &status) != -EINVAL)
      fail_msg ("accepted: %s", bad[i]);
    assert_memory_equal (&status, &before, sizeof status);
  }
}

static void
test_status_groups (void **state G_GNUC_UNUSED)
{
  g_autoptr (GString) text = g_string_new ("Uid:\t1\t2\t3\t4\nGid:\t1\t2\t3\t4\nGroups:\t");
  g_auto (PfsStatus) status = { 0 };
  PfsStatus untouched = { 0 };

  for (guint i = 0; i < 65536; i++)
    g_string_append_printf (text, "%u ", i);
  assert_true (text->len < PFS_STATUS_MAX);
  assert_int_equal (pfs_status_parse (text->str, text->len, &status), 0);
  assert_int_equal (status.n_groups, 65536);
  assert_int_equal (status.groups[65535], 65535);
  g_string_append (text, "1");
  assert_int_equal (pfs_status_parse (text->str, text->len, &untouched), -EINVAL);

  pfs_status_clear (&status);
  assert_null (status.groups);
  assert_int_equal (status.n_groups, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_plain),
    cmocka_unit_test (test_hostile_comm),
    cmocka_unit_test (test_comm_length),
    cmocka_unit_test (test_malformed),
    cmocka_unit_test (test_own),
    cmocka_unit_test (test_status),
    cmocka_unit_test (test_status_malformed),
    cmocka_unit_test (test_status_groups),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
