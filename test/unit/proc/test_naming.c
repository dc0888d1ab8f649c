/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#define ID_A2 "aaaaaaaaaaaa9999999999999999999999999999999999999999999999999999"
#define ID_C "cccccccccccc3333333333333333333333333333333333333333333333333333"

static void
open_with (Fixture *f, const char *rule, bool sandbox)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  PfsTableOptions options = { .names = names, .sandbox = sandbox };

  if (rule)
    g_ptr_array_add (names, (gpointer) rule);
  fixture_open (f, &options);
}

static void
checks_name_rules (void **state)
{
  static const char *const good[] = { "a=b", "0123abcd=web", "my.lxc_1-x=name with space", "a=b=c", "a=..." };
  static const char *const bad[] = { "", "=", "a", "a=", "=b", "a/b=c", "a=b/c", "a=.", "a=..", "a b=c", "*=x" };
  (void) state;

  for (gsize i = 0; i < G_N_ELEMENTS (good); i++)
    assert_true (pfs_table_check_name (good[i]));
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    assert_false (pfs_table_check_name (bad[i]));
}

static void
falls_back_to_machine_and_id (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 3, "init", 10, "0::/lxc.payload.demo\n", ROOT ("40"));
  fixture_process (f, 4, "sh", 11, CG (ID_A), ROOT ("41"));
  fixture_process (f, 5, "sh", 12, CG (ID_B), ROOT ("42") KUBELET ("web-1", "0123abcd"));
  fixture_open (f, NULL);
  assert_listing (f->table, "aaaaaaaaaaaa:4 demo:3 web-1:5");
}

static void
rule_comes_first (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 4, "sh", 11, CG (ID_A), ROOT ("41") KUBELET ("web", "0123abcd"));
  fixture_process (f, 5, "sh", 12, CG (ID_B), ROOT ("42") KUBELET ("db", "0123abce"));
  open_with (f, "aaaa=front", false);
  assert_listing (f->table, "db:5 front:4");
}

static void
ambiguous_rule_is_an_error (void **state)
{
  Fixture *f = *state;
  GPtrArray *list = NULL;
  PfsContainer *c = NULL;
  g_autofree char *bad = NULL;

  fixture_process (f, 4, "sh", 11, CG (ID_A), ROOT ("41"));
  fixture_process (f, 5, "sh", 12, CG (ID_A2), ROOT ("42"));
  open_with (f, "aaaa=front", false);
  assert_int_equal (pfs_table_list (f->table, &list, &bad), -ENOTUNIQ);
  assert_string_equal (bad, "aaaa=front");
  assert_null (list);
  assert_int_equal (pfs_table_list (f->table, &list, NULL), -ENOTUNIQ);
  assert_int_equal (pfs_table_find (f->table, "front", &c), -ENOTUNIQ);
  fixture_kill (f, 5);
  assert_listing (f->table, "front:4");
}

static void
newest_has_the_name (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 4, "sh", 11, CG (ID_A), ROOT ("41") KUBELET ("web", "0123abcd"));
  fixture_process (f, 5, "sh", 12, CG (ID_B), ROOT ("42") KUBELET ("web", "0123abce"));
  fixture_process (f, 6, "sh", 13, CG (ID_A2), ROOT ("43") KUBELET ("web", "0123abcf"));
  fixture_open (f, NULL);
  assert_listing (f->table, "web:6 web~aaaaaaaaaaaa:4 web~bbbbbbbbbbbb:5");
  g_autoptr (PfsContainer) newest = fixture_find (f->table, "web");
  assert_string_equal (pfs_container_id (newest), ID_A2);
  fixture_kill (f, 6);
  assert_listing (f->table, "web:5 web~aaaaaaaaaaaa:4");
}

/* Both losers have the same first digits. */
static void
names_are_unique (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 4, "sh", 11, CG (ID_A), ROOT ("41") KUBELET ("web", "0123abcd"));
  fixture_process (f, 5, "sh", 12, CG (ID_A2), ROOT ("42") KUBELET ("web", "0123abce"));
  fixture_process (f, 6, "sh", 13, CG (ID_B), ROOT ("43") KUBELET ("web", "0123abcf"));
  fixture_open (f, NULL);
  assert_listing (f->table, "web:6 web~aaaaaaaaaaaa:5 web~aaaaaaaaaaaa1:4");
}

static void
sandbox_is_left_out (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 1, "pause", 1, CG (ID_A), ROOT ("40"));
  fixture_process (f, 2, "catatonit", 2, CG (ID_B), ROOT ("41"));
  g_autofree char *cmdline = g_strdup ("catatonit -P");
  g_autofree char *path = g_strdup_printf ("%s/2/cmdline", f->dir);
  cmdline[9] = '\0';
  assert_true (g_file_set_contents (path, cmdline, 13, NULL));
  fixture_open (f, NULL);
  assert_listing (f->table, "aaaaaaaaaaaa:1 bbbbbbbbbbbb:2");
  fixture_process (f, 5, "pause", 12, CG (ID_C), ROOT ("42") KUBELET ("app", "0123abce"));
  assert_listing (f->table, "app:5");
}

static void
sandbox_is_shown_on_demand (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 1, "pause", 1, CG (ID_A), ROOT ("40"));
  fixture_process (f, 5, "sh", 12, CG (ID_B), ROOT ("42") KUBELET ("app", "0123abce"));
  open_with (f, NULL, true);
  assert_listing (f->table, "app:5 pause:1");
}

#define CASE(name) cmocka_unit_test_setup_teardown (name, fixture_setup, fixture_teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (checks_name_rules),
    CASE (falls_back_to_machine_and_id),
    CASE (rule_comes_first),
    CASE (ambiguous_rule_is_an_error),
    CASE (newest_has_the_name),
    CASE (names_are_unique),
    CASE (sandbox_is_left_out),
    CASE (sandbox_is_shown_on_demand),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
