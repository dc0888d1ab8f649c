/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#define PRIVATE_CG(id) "0::/../cri-containerd-" id ".scope\n"

static void
put_link (Fixture *f, const char *name, const char *target)
{
  g_autofree char *path = g_build_filename (f->dir, name, NULL);
  g_autofree char *dir = g_path_get_dirname (path);

  assert_return_code (g_mkdir_with_parents (dir, 0755), errno);
  assert_return_code (symlink (target, path), errno);
}

/* What a runtime looks like before it has become the container, and after. */
static void
runtimes_are_no_peers_yet (void **state)
{
  static const char *const comms[] = { "runc:[2:INIT]", "runc:[1:CHILD]", "runc", "crun", "conmon", "conmonrs",
                                       "youki:[2:INIT]" };
  Fixture *f = *state;

  for (gsize i = 0; i < G_N_ELEMENTS (comms); i++)
    fixture_process (f, 10 + (pid_t) i, comms[i], 30 + i, CG (ID_A), NODE_ROOT);
  fixture_open (f, NULL);
  assert_listing (f->table, "");
  fixture_process (f, 10, "nginx", 30, CG (ID_A), ROOT ("40"));
  assert_listing (f->table, "aaaaaaaaaaaa:10");
  g_autoptr (PfsContainer) c = fixture_find (f->table, "aaaaaaaaaaaa");
  g_autoptr (GArray) pids = pfs_container_pids (c);
  assert_int_equal (pids->len, 1);
}

/* Seen while it still was the runtime, by name; the name alone must not stay wrong when the main process ends. */
static void
runtime_never_follows_as_main (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 7, "nginx", 20, CG (ID_A), ROOT ("40"));
  fixture_process (f, 8, "runc:[2:INIT]", 30, CG (ID_A), NODE_ROOT);
  fixture_open (f, NULL);
  assert_listing (f->table, "aaaaaaaaaaaa:7");
  fixture_kill (f, 7);
  assert_listing (f->table, "");
}

/* Under hostPID the node's own processes tell what the node's root is. */
static void
node_root_is_never_a_peers (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 1, "systemd", 1, "0::/init.scope\n", NODE_ROOT);
  fixture_process (f, 50, "helper", 90, CG (ID_A), NODE_ROOT);
  fixture_open (f, NULL);
  assert_listing (f->table, "");
  fixture_process (f, 51, "app", 95, CG (ID_A), ROOT ("40"));
  assert_listing (f->table, "aaaaaaaaaaaa:51");
  fixture_kill (f, 51);
  assert_listing (f->table, "");
}

/* A tool of the node that has entered a container's root does not make that root the node's. */
static void
visitor_from_the_node (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 1, "systemd", 1, "0::/init.scope\n", NODE_ROOT);
  fixture_process (f, 30, "nsenter", 40, "0::/user.slice\n", ROOT ("40"));
  fixture_process (f, 51, "app", 95, CG (ID_A), ROOT ("40"));
  fixture_open (f, NULL);
  assert_listing (f->table, "aaaaaaaaaaaa:51");
}

static void
private_cgroup_namespace (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 1, "pause", 1, PRIVATE_CG (ID_A), ROOT ("40"));
  fixture_process (f, 7, "nginx", 20, PRIVATE_CG (ID_B), ROOT ("41") KUBELET ("nginx", "0123abcd"));
  fixture_process (f, 20, "sh", 30, "0::/\n", ROOT ("42") KUBELET ("shell", "fedc0123"));
  fixture_process (f, 21, "peerfs", 31, "0::/\n", ROOT ("42") KUBELET ("shell", "fedc0123"));
  fixture_process (f, 22, "jail", 32, "0::/\n", "");
  put_link (f, "self", "21");
  put_link (f, "21/ns/cgroup", "cgroup:[4026533000]");
  put_link (f, "21/ns/mnt", "mnt:[4026533001]");
  put_link (f, "22/ns/mnt", "mnt:[4026533001]");
  fixture_open (f, NULL);
  assert_listing (f->table, "nginx:7 shell:20");
  g_autoptr (PfsContainer) c = fixture_find (f->table, "shell");
  assert_string_equal (pfs_container_id (c), UID_1 "/shell/fedc0123");
  assert_string_equal (pfs_container_pod_uid (c), UID_1);
  assert_string_equal (pfs_container_runtime (c), "unknown");
  g_autoptr (GArray) pids = pfs_container_pids (c);
  assert_int_equal (pids->len, 3);
}

static void
own_container_without_any_name (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 1, "init", 1, "0::/\n", ROOT ("40"));
  fixture_process (f, 21, "peerfs", 31, "0::/\n", ROOT ("40"));
  fixture_process (f, 30, "other", 32, "0::/\n", ROOT ("41"));
  put_link (f, "self", "21");
  put_link (f, "21/ns/cgroup", "cgroup:[4026533000]");
  fixture_open (f, NULL);
  assert_listing (f->table, "self:1");
}

static void
node_is_no_container (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 1, "init", 1, "0::/\n", NODE_ROOT);
  fixture_process (f, 21, "peerfs", 31, "0::/user.slice\n", NODE_ROOT);
  put_link (f, "self", "21");
  put_link (f, "21/ns/cgroup", "cgroup:[4026531835]");
  fixture_open (f, NULL);
  assert_listing (f->table, "");
}

/* A process of a known container that shows no id at first is no container of its own. */
static void
kubelet_mount_of_a_known_container (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 7, "nginx", 20, CG (ID_A), ROOT ("41") KUBELET ("nginx", "0123abcd"));
  fixture_open (f, NULL);
  assert_listing (f->table, "nginx:7");
  fixture_process (f, 9, "late", 25, "0::/\n", ROOT ("41") KUBELET ("nginx", "0123abcd"));
  assert_listing (f->table, "nginx:7");
  g_autoptr (PfsContainer) c = fixture_find (f->table, "nginx");
  g_autoptr (GArray) pids = pfs_container_pids (c);
  assert_int_equal (pids->len, 2);
}

static void
broken_processes_are_skipped (void **state)
{
  Fixture *f = *state;

  fixture_put (f, 3, "stat", "");
  fixture_put (f, 4, "cgroup", CG (ID_A));
  fixture_state (f, 5, "x", 10, 'S');
  fixture_process (f, 6, "garbage", 20, CG (ID_B), "\n\n \n - \n1 2 3");
  fixture_process (f, 7, "nginx", 21, CG (ID_B), ROOT ("41"));
  fixture_open (f, NULL);
  assert_listing (f->table, "bbbbbbbbbbbb:7");
}

#define CASE(name) cmocka_unit_test_setup_teardown (name, fixture_setup, fixture_teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    CASE (runtimes_are_no_peers_yet),
    CASE (runtime_never_follows_as_main),
    CASE (node_root_is_never_a_peers),
    CASE (visitor_from_the_node),
    CASE (private_cgroup_namespace),
    CASE (own_container_without_any_name),
    CASE (node_is_no_container),
    CASE (kubelet_mount_of_a_known_container),
    CASE (broken_processes_are_skipped),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
