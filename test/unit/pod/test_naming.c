/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#define ID_A2 "aaaaaaaaaaaa9999999999999999999999999999999999999999999999999999"
#define UID_2 "99999999-2222-3333-4444-555555555555"
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
collect_notice (const PfsNotice *notice, gpointer data)
{
  g_string_append_printf (data, "%d %s %.12s %.12s\n", notice->kind, notice->name, notice->id, notice->other);
}

/* Another container may start whose id begins likewise: that is no reason to lose all. */
static void
ambiguous_rule_counts_for_none (void **state)
{
  Fixture *f = *state;
  g_autoptr (GString) told = g_string_new (NULL);

  fixture_process (f, 4, "sh", 11, CG (ID_A), ROOT ("41"));
  open_with (f, "aaaa=front", false);
  assert_listing (f->table, "front:4");
  fixture_process (f, 5, "sh", 12, CG (ID_A2), ROOT ("42"));
  assert_listing (f->table, "aaaaaaaaaaaa:5 aaaaaaaaaaaa~aaaaaaaaaaaa:4");
  pfs_table_set_notice_func (f->table, collect_notice, told);
  assert_listing (f->table, "aaaaaaaaaaaa:5 aaaaaaaaaaaa~aaaaaaaaaaaa:4");
  assert_non_null (strstr (told->str, "1 aaaa=front aaaaaaaaaaaa aaaaaaaaaaaa\n"));
  g_string_truncate (told, 0);
  assert_listing (f->table, "aaaaaaaaaaaa:5 aaaaaaaaaaaa~aaaaaaaaaaaa:4");
  assert_string_equal (told->str, "");
  fixture_kill (f, 5);
  assert_listing (f->table, "front:4");
}

/* Who can make cgroups below its own can choose an id, but not one that is as far out. */
static void
nested_id_does_not_make_a_rule_ambiguous (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 4, "sh", 11, CG (ID_A), ROOT ("41"));
  fixture_process (f, 5, "sh", 12, CG (ID_B), ROOT ("42"));
  fixture_process (f, 6, "sh", 13, "0::/kubepods/cri-containerd-" ID_B ".scope/" ID_A2 "\n", ROOT ("43"));
  open_with (f, "aaaa=front", false);
  assert_listing (f->table, "aaaaaaaaaaaa:6 bbbbbbbbbbbb:5 front:4");
}

/* The kubelet's mounts of a pod are side by side. One that a container makes for itself is elsewhere, however new. */
static void
own_pod_has_the_name (void **state)
{
  static const char *const fakes[] = {
    "31 30 0:77 /pods/" UID_1 "/containers/web/deadbeef /dev/termination-log rw - overlay overlay rw\n",
    "31 30 254:0 /srv/pods/" UID_1 "/containers/web/deadbeef /dev/termination-log rw - ext4 /dev/vda rw\n",
    "31 30 254:0 /var/lib/kubelet/pods/" UID_2 "/containers/web/deadbeef /dev/termination-log rw - ext4 /dev/vda rw\n",
  };
  Fixture *f = *state;
  g_autoptr (GString) told = g_string_new (NULL);
  g_autofree char *self = g_build_filename (f->dir, "self", NULL);

  fixture_process (f, 3, "peerfs", 10, CG (ID_C), ROOT ("40") KUBELET ("shell", "0123abcc"));
  assert_return_code (symlink ("3", self), errno);
  fixture_process (f, 4, "sh", 11, CG (ID_A), ROOT ("41") KUBELET ("web", "0123abcd"));
  fixture_open (f, NULL);
  pfs_table_set_notice_func (f->table, collect_notice, told);
  for (gsize i = 0; i < G_N_ELEMENTS (fakes); i++) {
    g_autofree char *mounts = g_strconcat (ROOT ("42"), fakes[i], NULL);
    fixture_process (f, 5, "sh", 20 + i, CG (ID_B), mounts);
    assert_listing (f->table, "shell:3 web:4 web~bbbbbbbbbbbb:5");
    assert_string_equal (told->str, "0 web aaaaaaaaaaaa bbbbbbbbbbbb\n");
    assert_listing (f->table, "shell:3 web:4 web~bbbbbbbbbbbb:5");
    assert_string_equal (told->str, "0 web aaaaaaaaaaaa bbbbbbbbbbbb\n");
    g_string_truncate (told, 0);
    /* With its own mount still to be seen it is called by that. */
    g_autofree char *both = g_strconcat (ROOT ("42"), KUBELET ("evil", "0123abce"), fakes[i], NULL);
    fixture_process (f, 5, "sh", 30 + i, CG (ID_B), both);
    assert_listing (f->table, "evil:5 shell:3 web:4");
    fixture_kill (f, 5);
    assert_listing (f->table, "shell:3 web:4");
  }
}

/* A name that comes from the cgroup is not for a mount to take. */
static void
mount_takes_no_id (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 4, "sh", 11, CG (ID_A), ROOT ("41"));
  fixture_process (f, 5, "sh", 12, CG (ID_B), ROOT ("42") KUBELET ("aaaaaaaaaaaa", "0123abcd"));
  fixture_open (f, NULL);
  assert_listing (f->table, "aaaaaaaaaaaa:4 aaaaaaaaaaaa~bbbbbbbbbbbb:5");
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
  assert_string_equal (newest->cgroup.id, ID_A2);
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
  fixture_open (f, NULL);
  assert_listing (f->table, "aaaaaaaaaaaa:1 bbbbbbbbbbbb:2");
  fixture_process (f, 5, "pause", 12, CG (ID_C), ROOT ("42") KUBELET ("app", "0123abce"));
  assert_listing (f->table, "app:5");
  /* What catatonit has started is an application. */
  fixture_process (f, 6, "server", 13, CG (ID_B), ROOT ("41"));
  assert_listing (f->table, "app:5 bbbbbbbbbbbb:2");
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
    CASE (ambiguous_rule_counts_for_none),
    CASE (nested_id_does_not_make_a_rule_ambiguous),
    CASE (own_pod_has_the_name),
    CASE (mount_takes_no_id),
    CASE (newest_has_the_name),
    CASE (names_are_unique),
    CASE (sandbox_is_left_out),
    CASE (sandbox_is_shown_on_demand),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
