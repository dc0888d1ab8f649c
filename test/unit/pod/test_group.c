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
  static const char *const comms[] = { "runc:[2:INIT]", "runc:[1:CHILD]", "runc",          "crun",
                                       "conmon",        "conmonrs",       "youki:[2:INIT]" };
  Fixture *f = *state;

  fixture_process (f, 1, "systemd", 1, "0::/init.scope\n", NODE_ROOT);
  for (gsize i = 0; i < G_N_ELEMENTS (comms); i++)
    fixture_process (f, 10 + (pid_t) i, comms[i], 30 + i, CG (ID_A), NODE_ROOT);
  fixture_open (f, NULL);
  assert_listing (f->table, "");
  fixture_process (f, 10, "nginx", 30, CG (ID_A), ROOT ("40"));
  assert_listing (f->table, "aaaaaaaaaaaa:10");
}

/* A process chooses its name: prctl(PR_SET_NAME). */
static void
runtimes_name_hides_nobody (void **state)
{
  static const char *const comms[] = { "conmon", "runc:[2:INIT]", "crun", "containerd-shim", "youki" };
  Fixture *f = *state;

  fixture_process (f, 1, "pause", 1, PRIVATE_CG (ID_B), ROOT ("40"));
  fixture_process (f, 7, "conmon", 20, PRIVATE_CG (ID_A), ROOT ("41") KUBELET ("web", "0123abcd"));
  for (gsize i = 0; i < G_N_ELEMENTS (comms); i++)
    fixture_process (f, 10 + (pid_t) i, comms[i], 30 + i, PRIVATE_CG (ID_A), ROOT ("41"));
  fixture_open (f, NULL);
  assert_listing (f->table, "web:7");
  g_autoptr (PfsContainer) c = fixture_find (f->table, "web");
  g_autoptr (GArray) pids = pfs_container_pids (c);
  assert_int_equal (pids->len, 1 + G_N_ELEMENTS (comms));
  fixture_kill (f, 7);
  assert_listing (f->table, "web:10");
}

/* What it was when it was seen first must not stay when the main process ends. */
static void
runtime_never_follows_as_main (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 1, "systemd", 1, "0::/init.scope\n", NODE_ROOT);
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
  assert_string_equal (c->cgroup.id, UID_1 "/shell/fedc0123");
  assert_string_equal (c->cgroup.pod_uid, UID_1);
  assert_string_equal (c->cgroup.runtime, "unknown");
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

/* A container that makes <own>/<the other's id> is not the other: not now, and not when the other has ended. */
static void
takes_nobodys_place (void **state)
{
#define NESTED "0::/kubepods/besteffort/pod" UID_1 "/cri-containerd-" ID_B ".scope/docker/" ID_A "\n"
  Fixture *f = *state;

  fixture_process (f, 7, "victim", 20, CG (ID_A), ROOT ("40") KUBELET ("victim", "0123abcd"));
  fixture_process (f, 8, "attacker", 30, CG (ID_B), ROOT ("41") KUBELET ("attacker", "0123abce"));
  fixture_process (f, 9, "attacker", 31, NESTED, ROOT ("41") KUBELET ("victim", "0123abcd"));
  fixture_process (f, 10, "attacker", 32, NESTED, ROOT ("42") KUBELET ("victim", "0123abcf"));
  fixture_open (f, NULL);
  assert_listing (f->table, "attacker:8 victim:7 victim~aaaaaaaaaaaa:10");
  g_autoptr (PfsContainer) victim = fixture_find (f->table, "victim");
  g_autoptr (GArray) pids = pfs_container_pids (victim);
  assert_int_equal (pids->len, 1);
  fixture_kill (f, 7);
  assert_listing (f->table, "attacker:8 victim:10");
  assert_true (pfs_container_ended (victim));
  fixture_process (f, 12, "victim", 50, CG (ID_A), ROOT ("43") KUBELET ("victim", "0123abd0"));
  assert_listing (f->table, "attacker:8 victim:12 victim~aaaaaaaaaaaa:10");
  /* While the outer container's root is all that it has, it is being prepared. */
  fixture_kill (f, 10);
  assert_listing (f->table, "attacker:8 victim:12");
}

/* What our own container runs is within it, though a cgroup namespace hides that. */
static void
takes_nobodys_place_within_us (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 7, "victim", 20, PRIVATE_CG (ID_A), ROOT ("41") KUBELET ("victim", "0123abcd"));
  fixture_process (f, 21, "peerfs", 31, "0::/\n", ROOT ("42") KUBELET ("shell", "fedc0123"));
  fixture_process (f, 22, "guest", 32, "0::/docker/" ID_A "\n", ROOT ("43") KUBELET ("victim", "0123abcd"));
  put_link (f, "self", "21");
  fixture_open (f, NULL);
  assert_listing (f->table, "shell:21 victim:7 victim~aaaaaaaaaaaa:22");
}

/* nsenter from the node: it has the container's mounts, but no id. */
static void
visitor_takes_no_name (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 1, "systemd", 1, "0::/init.scope\n", NODE_ROOT);
  fixture_process (f, 5, "sleep", 90, "0::/user.slice\n", ROOT ("41") KUBELET ("nginx", "0123abcd"));
  fixture_process (f, 7, "nginx", 20, CG (ID_A), ROOT ("41") KUBELET ("nginx", "0123abcd"));
  fixture_open (f, NULL);
  assert_listing (f->table, "nginx:7");
  fixture_process (f, 9, "sleep", 95, "0::/user.slice\n", ROOT ("41") KUBELET ("nginx", "0123abcd"));
  assert_listing (f->table, "nginx:7");
  g_autoptr (PfsContainer) c = fixture_find (f->table, "nginx");
  g_autoptr (GArray) pids = pfs_container_pids (c);
  assert_int_equal (pids->len, 1);
  g_autoptr (PfsTable) late = pfs_table_new (f->proc, NULL);
  assert_listing (late, "nginx:7");
}

/* The same where our own cgroup namespace hides our id: what is outside of it is not of our container. */
static void
visitor_is_not_with_us (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 20, "sh", 30, "0::/\n", ROOT ("42") KUBELET ("shell", "fedc0123"));
  fixture_process (f, 21, "peerfs", 31, "0::/\n", ROOT ("42") KUBELET ("shell", "fedc0123"));
  fixture_process (f, 30, "nsenter", 40, "0::/../../user.slice\n", "");
  put_link (f, "self", "21");
  put_link (f, "21/ns/mnt", "mnt:[4026533001]");
  put_link (f, "30/ns/mnt", "mnt:[4026533001]");
  fixture_open (f, NULL);
  assert_listing (f->table, "shell:20");
  g_autoptr (PfsContainer) c = fixture_find (f->table, "shell");
  g_autoptr (GArray) pids = pfs_container_pids (c);
  assert_int_equal (pids->len, 2);
}

/* A process of a known container that shows no id at first is no container of its own, and of none until it does. */
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
  assert_int_equal (pids->len, 1);
}

/* Taken for a container by its kubelet mount, until that turns out to be of one with an id. */
static void
kubelet_mount_of_a_container_with_an_id (void **state)
{
  Fixture *f = *state;

  fixture_process (f, 9, "early", 15, "0::/\n", ROOT ("41") KUBELET ("nginx", "0123abcd"));
  fixture_open (f, NULL);
  assert_listing (f->table, "nginx:9");
  fixture_process (f, 10, "nginx", 20, CG (ID_A), ROOT ("41") KUBELET ("nginx", "0123abcd"));
  assert_listing (f->table, "nginx:10");
  assert_listing (f->table, "nginx:10");
}

static void
broken_processes_are_skipped (void **state)
{
  Fixture *f = *state;

  fixture_put (f, 3, "stat", "");
  fixture_put (f, 4, "cgroup", CG (ID_A));
  fixture_state (f, 5, "x", 10, 'S');
  fixture_process (f, 6, "garbage", 25, CG (ID_B), "\n\n \n - \n1 2 3");
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
    CASE (kubelet_mount_of_a_container_with_an_id),
    CASE (runtimes_name_hides_nobody),
    CASE (takes_nobodys_place),
    CASE (takes_nobodys_place_within_us),
    CASE (visitor_takes_no_name),
    CASE (visitor_is_not_with_us),
    CASE (broken_processes_are_skipped),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
