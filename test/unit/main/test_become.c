/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <linux/capability.h>

#include "main/as.h"

#define BIT(capability) (UINT64_C (1) << (capability))
#define ALL ((UINT64_C (1) << 41) - 1)

static void
a_threat_is_what_it_may_get (void **state)
{
  (void) state;
  const PfsStatus user = { .cap_bnd = BIT (CAP_CHOWN) }, still = { .cap_bnd = BIT (CAP_CHOWN), .no_new_privs = true };
  const PfsStatus tracer = { .cap_prm = ALL, .cap_bnd = ALL }, privileged_user = { .cap_bnd = ALL };
  const PfsStatus strong = { .cap_prm = BIT (CAP_KILL), .cap_bnd = ALL & ~BIT (CAP_SYS_PTRACE) };
  assert_true (pfs_become_threat (&user) == BIT (CAP_CHOWN));
  assert_true (pfs_become_threat (&still) == 0);
  assert_true (pfs_become_threat (&tracer) == 0);
  assert_true (pfs_become_threat (&privileged_user) == 0);
  assert_true (pfs_become_threat (&strong) == (ALL & ~BIT (CAP_SYS_PTRACE)));
}

static void
a_guard_is_what_they_lack (void **state)
{
  (void) state;
  assert_int_equal (pfs_become_choose_guard (ALL, 0), CAP_NET_BROADCAST);
  assert_int_equal (pfs_become_choose_guard (ALL, BIT (CAP_NET_BROADCAST)), CAP_WAKE_ALARM);
  assert_int_equal (pfs_become_choose_guard (BIT (CAP_NET_BIND_SERVICE), 0), CAP_NET_BIND_SERVICE);
  assert_int_equal (pfs_become_choose_guard (BIT (CAP_NET_BIND_SERVICE), BIT (CAP_NET_BIND_SERVICE)), -1);
  assert_int_equal (pfs_become_choose_guard (BIT (CAP_SYS_ADMIN), 0), -1);
  assert_int_equal (pfs_become_choose_guard (0, 0), -1);
}

/* The home that content has for uid 5, or NULL. */
static char *
home_in (const char *content)
{
  g_autoptr (GBytes) bytes = g_bytes_new (content, strlen (content));
  g_auto (PfsPasswd) passwd = { 0 };
  return pfs_passwd_find (bytes, 5, &passwd) ? g_steal_pointer (&passwd.home) : NULL;
}

static void
a_line_of_passwd_is_plain_or_nothing (void **state)
{
  (void) state;
  static const char *const none[] = {
    "",           "\n",          "a:x:5:5::",        "a:x:05:5::/a:",    "a:x:50:5::/a:",   "a:x:5:5::a:",
    "a:x:5:5:::", ":x:5:5::/a:", "a:x:5:5::/a\033:", "a\033:x:5:5::/a:", "a:x:5:5::/\xff:",
  };
  for (size_t i = 0; i < G_N_ELEMENTS (none); i++)
    assert_null (home_in (none[i]));
  g_autofree char *home = home_in ("b:x:4:4::/b:\nshort:x:5\na:x:5:5:A. B.:/home/a:/bin/sh\nc:x:5:5::/c:");
  assert_string_equal (home, "/home/a");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_threat_is_what_it_may_get),
    cmocka_unit_test (a_guard_is_what_they_lack),
    cmocka_unit_test (a_line_of_passwd_is_plain_or_nothing),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
