/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The levels above the containers of a node. */
#include "nodes.h"

#define ID_C "cccccccccccc3333333333333333333333333333333333333333333333333333"

static int
setup (void **state)
{
  const PfsTableOptions options = { .scope = PFS_SCOPE_NODE };
  const PfsTreeOptions tree_options = { 0 };

  int r = nodes_setup (state);
  Nodes *n = *state;
  pfs_tree_free (n->tree);
  pfs_table_unref (n->proc->table);
  pfs_proc_unref (n->proc->proc);
  g_autofree char *node = g_strdup_printf ("%s/node", n->proc->dir);
  g_autofree char *log = g_strdup_printf ("%s/var/log/pods/default_web_" UID_1, node);
  assert_return_code (g_mkdir_with_parents (log, 0755), errno);
  fixture_process (n->proc, 1, "systemd", 1, "0::/init.scope\n", NODE_ROOT);
  nodes_link (n, 1, "root", node);
  nodes_process (n, 20, 200, ID_B, ROOT ("41") KUBELET ("db", "89abcdef"), "/");
  fixture_process (n->proc, 30, "sh", 300, "0::/docker/" ID_C "\n", ROOT ("42"));
  nodes_link (n, 30, "root", "/");
  fixture_open (n->proc, &options);
  n->tree = pfs_tree_new (n->proc->table, &tree_options, &nodes_no_root);
  return r;
}

static void
lists_namespaces_and_pods (void **state)
{
  Nodes *n = *state;

  assert_names (n, "", "_ default");
  assert_names (n, "default", "web");
  assert_names (n, "default/web", "db web");
  assert_names (n, "_", "_");
  assert_names (n, "_/_", "cccccccccccc");
  assert_names (n, "default/web/db", "env id maps pid pids proc root sockets");
  assert_content (n, "default/web/db/pid", "20\n", 3);
  assert_mode (n, "default", S_IFDIR | 0555, 0, 0);
  assert_mode (n, "default/web", S_IFDIR | 0555, 0, 0);
}

static void
finds_nothing_else (void **state)
{
  static const char *const bad[] = {
    "web", "db", "defaul", "default/db", "default/web/cccccccccccc", "default/web/none", "_/web"
  };
  Nodes *n = *state;

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    assert_int_equal (nodes_walk (n, bad[i], NULL, NULL), -ENOENT);
}

static void
is_gone_with_its_containers (void **state)
{
  Nodes *n = *state;
  g_autoptr (PfsNode) pod = nodes_get (n, "default/web", NULL);

  assert_null (pfs_node_container (pod));
  fixture_kill (n->proc, 20);
  assert_names (n, "default/web", "web");
  fixture_kill (n->proc, 10);
  assert_int_equal (nodes_walk (n, "default/web", NULL, NULL), -ENOENT);
  assert_int_equal (nodes_walk (n, "default", NULL, NULL), -ENOENT);
  assert_names (n, "", "_");
  nodes_process (n, 40, 400, ID_A, ROOT ("43") KUBELET ("web", "0123abce"), "/");
  g_autoptr (PfsNode) again = nodes_get (n, "default/web", NULL);
  assert_ptr_equal (pod, again);
}

#define CASE(name) cmocka_unit_test_setup_teardown (name, setup, nodes_teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    CASE (lists_namespaces_and_pods),
    CASE (finds_nothing_else),
    CASE (is_gone_with_its_containers),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
