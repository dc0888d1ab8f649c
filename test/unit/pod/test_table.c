/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#define POD_OF_TWO(f)                                                                                                  \
  do {                                                                                                                 \
    fixture_process (f, 1, "pause", 10, CG (ID_A), ROOT ("40"));                                                       \
    fixture_process (f, 7, "nginx", 20, CG (ID_B), ROOT ("41") KUBELET ("nginx", "0123abcd"));                         \
    fixture_process (f, 8, "nginx", 21, CG (ID_B), ROOT ("41") KUBELET ("nginx", "0123abcd"));                         \
  } while (0)

static void
lists_containers (void **state)
{
  Fixture *f = *state;

  POD_OF_TWO (f);
  fixture_process (f, 90, "kthreadd", 5, "0::/\n", NODE_ROOT);
  fixture_open (f, NULL);
  assert_listing (f->table, "nginx:7");

  g_autoptr (PfsContainer) c = fixture_find (f->table, "nginx");
  assert_string_equal (c->cgroup.id, ID_B);
  assert_string_equal (c->cgroup.runtime, "containerd");
  assert_string_equal (c->cgroup.pod_uid, UID_1);
  assert_ptr_equal (c->proc, f->proc);
  g_autoptr (GArray) pids = pfs_container_pids (c);
  assert_int_equal (pids->len, 2);
  assert_int_equal (g_array_index (pids, pid_t, 0), 7);
  assert_int_equal (g_array_index (pids, pid_t, 1), 8);
  g_autoptr (PfsContainer) none = NULL;
  assert_int_equal (pfs_table_find (f->table, "redis", &none), -ENOENT);
}

static void
follows_the_main_process (void **state)
{
  Fixture *f = *state;
  g_autoptr (PfsProcess) pin = NULL;

  POD_OF_TWO (f);
  fixture_open (f, NULL);
  g_autoptr (PfsContainer) c = fixture_find (f->table, "nginx");
  assert_int_equal (pfs_container_main (c, &pin), 0);
  assert_int_equal (pin->pid, 7);
  g_clear_pointer (&pin, pfs_process_unref);

  fixture_kill (f, 7);
  assert_int_equal (pfs_container_main (c, &pin), 0);
  assert_int_equal (pin->pid, 8);
  assert_false (pfs_container_ended (c));
  g_clear_pointer (&pin, pfs_process_unref);

  fixture_kill (f, 8);
  assert_int_equal (pfs_container_main (c, &pin), -ESRCH);
  assert_true (pfs_container_ended (c));
  g_autoptr (GArray) pids = NULL;
  assert_int_equal (pfs_container_pids_now (c, &pids), -ESRCH);
  assert_listing (f->table, "aaaaaaaaaaaa:1");
}

static void
zombies_are_no_main (void **state)
{
  Fixture *f = *state;

  POD_OF_TWO (f);
  fixture_open (f, NULL);
  assert_listing (f->table, "nginx:7");
  fixture_state (f, 7, "nginx", 20, 'Z');
  assert_listing (f->table, "nginx:8");
  fixture_state (f, 8, "nginx", 21, 'Z');
  g_autoptr (PfsContainer) none = NULL;
  assert_int_equal (pfs_table_find (f->table, "nginx", &none), -ENOENT);
}

static void
restart_is_another_instance (void **state)
{
  Fixture *f = *state;
  g_autoptr (PfsProcess) pin = NULL;

  POD_OF_TWO (f);
  fixture_open (f, NULL);
  g_autoptr (PfsContainer) old = fixture_find (f->table, "nginx");
  fixture_kill (f, 7);
  fixture_kill (f, 8);
  fixture_process (f, 12, "nginx", 50, CG (ID_B), ROOT ("42") KUBELET ("nginx", "0123abce"));
  assert_listing (f->table, "nginx:12");
  g_autoptr (PfsContainer) new = fixture_find (f->table, "nginx");
  assert_ptr_not_equal (old, new);
  assert_true (old->serial != new->serial);
  assert_true (pfs_container_ended (old));
  assert_int_equal (pfs_container_main (old, &pin), -ESRCH);
  assert_string_equal (old->cgroup.id, ID_B);
}

/* The same id and the same pids, used again: only the start time differs. */
static void
reused_pid_is_another_process (void **state)
{
  Fixture *f = *state;

  POD_OF_TWO (f);
  fixture_kill (f, 8);
  fixture_open (f, NULL);
  g_autoptr (PfsContainer) old = fixture_find (f->table, "nginx");
  fixture_process (f, 7, "nginx", 60, CG (ID_B), ROOT ("42") KUBELET ("nginx", "0123abce"));
  assert_listing (f->table, "nginx:7");
  assert_true (pfs_container_ended (old));
  g_autoptr (PfsContainer) new = fixture_find (f->table, "nginx");
  assert_true (old->serial != new->serial);
}

static void
unreaped_zombie_does_not_carry_an_instance (void **state)
{
  Fixture *f = *state;

  POD_OF_TWO (f);
  fixture_kill (f, 8);
  fixture_open (f, NULL);
  g_autoptr (PfsContainer) old = fixture_find (f->table, "nginx");
  fixture_state (f, 7, "nginx", 20, 'Z');
  fixture_process (f, 12, "nginx", 50, CG (ID_B), ROOT ("42") KUBELET ("nginx", "0123abce"));
  assert_listing (f->table, "nginx:12");
  assert_true (pfs_container_ended (old));
}

static void
exec_and_exit_change_nothing (void **state)
{
  Fixture *f = *state;

  POD_OF_TWO (f);
  fixture_open (f, NULL);
  g_autoptr (PfsContainer) c = fixture_find (f->table, "nginx");
  fixture_put (f, 8, "cgroup", "0::/\n");
  fixture_put (f, 8, "mountinfo", "");
  assert_listing (f->table, "nginx:7");
  g_autoptr (GArray) pids = NULL;
  assert_int_equal (pfs_container_pids_now (c, &pids), 0);
  assert_int_equal (pids->len, 2);
}

/* The oldest is the container's first process, also where it has chrooted itself: the others know its name. One with
 * another root is main only if nothing better lives. */
static void
main_has_the_containers_root (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 5, "chrooted", 15, CG (ID_B), "");
  fixture_process (f, 7, "master", 20, CG (ID_B), ROOT ("41") KUBELET ("db", "0123abcd"));
  fixture_process (f, 8, "bwrap", 21, CG (ID_B), ROOT ("77"));
  fixture_process (f, 9, "exec'd", 30, CG (ID_B), ROOT ("41") KUBELET ("db", "0123abcd"));
  fixture_open (f, NULL);
  assert_listing (f->table, "db:5");
  fixture_kill (f, 5);
  assert_listing (f->table, "db:7");
  fixture_kill (f, 7);
  assert_listing (f->table, "db:9");
  fixture_kill (f, 9);
  assert_listing (f->table, "db:8");
  fixture_process (f, 11, "again", 40, CG (ID_B), ROOT ("41"));
  assert_listing (f->table, "db:11");
}

/* haproxy, vsftpd: the next `kubectl exec` is no main process, and the name stays. */
static void
chrooted_main_stays (void **state)
{
  Fixture *f = *state;
  g_autoptr (PfsProcess) pin = NULL;

  fixture_process (f, 5, "haproxy", 15, CG (ID_B), ROOT ("41") KUBELET ("lb", "0123abcd"));
  fixture_open (f, NULL);
  assert_listing (f->table, "lb:5");
  g_autoptr (PfsContainer) c = fixture_find (f->table, "lb");
  fixture_put (f, 5, "mountinfo", "");
  fixture_process (f, 9, "sh", 90, CG (ID_B), ROOT ("41") KUBELET ("lb", "0123abcd"));
  assert_listing (f->table, "lb:5");
  assert_int_equal (pfs_container_main (c, &pin), 0);
  assert_int_equal (pin->pid, 5);

  /* As somebody sees it who comes later. */
  g_autoptr (PfsTable) late = pfs_table_new (f->proc, NULL);
  assert_listing (late, "lb:5");
  fixture_kill (f, 9);
  assert_listing (late, "lb:5");
}

static void
containers_outlive_their_table (void **state)
{
  Fixture *f = *state;
  g_autoptr (PfsProcess) pin = NULL;

  POD_OF_TWO (f);
  fixture_open (f, NULL);
  g_autoptr (PfsContainer) c = fixture_find (f->table, "nginx");
  assert_int_equal (pfs_container_main (c, &pin), 0);
  g_clear_pointer (&f->table, pfs_table_unref);
  g_clear_pointer (&pin, pfs_process_unref);
  assert_true (pfs_container_ended (c));
  assert_int_equal (pfs_container_main (c, &pin), -ESRCH);
  g_autofree char *name = pfs_container_name (c);
  assert_string_equal (name, "nginx");
}

#define N_THREADS 8

static gpointer
hammer (gpointer data)
{
  PfsTable *table = data;

  for (int i = 0; i < 100; i++) {
    g_autoptr (GPtrArray) list = NULL;
    g_autoptr (PfsContainer) c = NULL;
    g_autoptr (PfsProcess) pin = NULL;
    g_autoptr (GArray) pids = NULL;
    if (pfs_table_list (table, &list) < 0)
      return GINT_TO_POINTER (1);
    if (pfs_table_find (table, "nginx", &c) == 0 && pfs_container_main (c, &pin) == 0)
      pids = pfs_container_pids (c);
  }
  return NULL;
}

static void
serves_many_threads (void **state)
{
  Fixture *f = *state;
  GThread *threads[N_THREADS];

  POD_OF_TWO (f);
  fixture_open (f, NULL);
  for (int i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("hammer", hammer, f->table);
  for (int i = 0; i < 20; i++) {
    fixture_process (f, 100 + i, "nginx", (guint64) (100 + i), CG (ID_B), ROOT ("41") KUBELET ("nginx", "0123abcd"));
    g_usleep (1000);
    fixture_kill (f, i ? 99 + i : 7);
  }
  for (int i = 0; i < N_THREADS; i++)
    assert_null (g_thread_join (threads[i]));
  fixture_kill (f, 8);
  assert_listing (f->table, "nginx:119");
}

#define CASE(name) cmocka_unit_test_setup_teardown (name, fixture_setup, fixture_teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    CASE (lists_containers),
    CASE (follows_the_main_process),
    CASE (zombies_are_no_main),
    CASE (restart_is_another_instance),
    CASE (reused_pid_is_another_process),
    CASE (unreaped_zombie_does_not_carry_an_instance),
    CASE (exec_and_exit_change_nothing),
    CASE (main_has_the_containers_root),
    CASE (chrooted_main_stays),
    CASE (containers_outlive_their_table),
    CASE (serves_many_threads),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
