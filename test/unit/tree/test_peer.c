/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The top, a container's directory, id, pid, proc and pids. */
#include "nodes.h"

static void
test_tree (void **state)
{
  Nodes *n = *state;

  nodes_process (n, 20, 200, ID_B, ROOT ("41") KUBELET ("db", "89abcdef"), "/");
  assert_names (n, "", "db web");
  assert_names (n, "web", "env id maps pid pids proc root sockets");
  assert_int_equal (nodes_walk (n, "none", NULL, NULL), -ENOENT);
  assert_int_equal (nodes_walk (n, "web/none", NULL, NULL), -ENOENT);
  assert_int_equal (nodes_walk (n, "web/id/x", NULL, NULL), -ENOTDIR);
}

static void
test_modes (void **state)
{
  Nodes *n = *state;
  uid_t uid = getuid ();
  gid_t gid = getgid ();

  assert_mode (n, "web", S_IFDIR | 0555, 0, 0);
  assert_mode (n, "web/id", S_IFREG | 0444, 0, 0);
  assert_mode (n, "web/pid", S_IFREG | 0444, 0, 0);
  assert_mode (n, "web/pids", S_IFDIR | 0555, 0, 0);
  assert_mode (n, "web/proc", S_IFLNK | 0777, 0, 0);
  assert_mode (n, "web/sockets", S_IFDIR | 0555, 0, 0);
  assert_mode (n, "web/maps", S_IFDIR | 0500, uid, gid);
}

/* The owner is that of the root link: root for a process that is not dumpable, whatever its own user. */
static void
test_owner (void **state)
{
  Nodes *n = *state;
  g_autofree char *link = g_strdup_printf ("%s/10/root", n->proc->dir);

  assert_int_equal (lchown (link, 101, 102), 0);
  assert_mode (n, "web/sockets", S_IFDIR | 0555, 0, 0);
  assert_mode (n, "web", S_IFDIR | 0555, 0, 0);
}

static void
test_text (void **state)
{
  Nodes *n = *state;

  assert_content (n, "web/id", ID_A "\n", 65);
  assert_content (n, "web/pid", "10\n", 3);

  g_autoptr (PfsNode) node = nodes_get (n, "web/pid", NULL);
  g_autoptr (PfsFile) file = NULL;
  assert_int_equal (node->ops->open (node, O_RDONLY, &pfs_caller_self, &file), 0);
  assert_true (file->file_flags & PFS_FILE_DIRECT_IO);
}

static void
test_links (void **state)
{
  Nodes *n = *state;
  g_autofree char *expected = g_strdup_printf ("%s/10", n->proc->proc->path);
  g_autofree char *proc = nodes_readlink (n, "web/proc");
  g_autofree char *pid = nodes_readlink (n, "web/pids/10");

  assert_string_equal (proc, expected);
  assert_string_equal (pid, expected);
}

static void
test_pids (void **state)
{
  Nodes *n = *state;

  assert_names (n, "web/pids", "10");
  nodes_process (n, 12, 120, ID_A, ROOT ("40"), "/");
  nodes_process (n, 20, 200, ID_B, ROOT ("41") KUBELET ("db", "89abcdef"), "/");
  assert_int_equal (nodes_walk (n, "web/pids/12", NULL, NULL), 0);
  assert_names (n, "web/pids", "10 12");
  assert_int_equal (nodes_walk (n, "web/pids/20", NULL, NULL), -ENOENT);
  assert_int_equal (nodes_walk (n, "web/pids/012", NULL, NULL), -ENOENT);
  assert_int_equal (nodes_walk (n, "web/pids/self", NULL, NULL), -ENOENT);
  assert_int_equal (nodes_walk (n, "web/pids/99999999999999", NULL, NULL), -ENOENT);
  assert_int_equal (nodes_walk (n, "web/pids/", NULL, NULL), -ENOENT);

  /* One that has gone is not found, though the last scan had it. */
  fixture_kill (n->proc, 12);
  assert_int_equal (nodes_walk (n, "web/pids/12", NULL, NULL), -ENOENT);
}

static void
test_main_follows (void **state)
{
  Nodes *n = *state;

  nodes_process (n, 12, 120, ID_A, ROOT ("40"), "/");
  assert_content (n, "web/pid", "10\n", 3);
  fixture_kill (n->proc, 10);
  assert_content (n, "web/pid", "12\n", 3);
}

/* A restart is another directory. What is known of the old one ends in clean errors. */
static void
test_restart (void **state)
{
  Nodes *n = *state;
  struct stat before, after, attr;
  g_autoptr (PfsNode) peer = nodes_get (n, "web", &before);
  g_autoptr (PfsNode) id = nodes_get (n, "web/id", NULL);
  g_autoptr (PfsNode) env = nodes_get (n, "web/pids", NULL);
  PfsEntry entry;
  PfsFile *file;

  fixture_kill (n->proc, 10);
  nodes_process (n, 30, 300, ID_B, ROOT ("42") KUBELET ("web", "ffff0000"), "/");
  assert_int_equal (nodes_walk (n, "web", NULL, &after), 0);
  assert_int_not_equal (before.st_ino, after.st_ino);
  assert_content (n, "web/id", ID_B "\n", 65);

  assert_int_equal (peer->ops->lookup (peer, "id", &pfs_caller_self, &entry), -ESTALE);
  assert_int_equal (peer->ops->lookup (peer, "env", &pfs_caller_self, &entry), -ESTALE);
  assert_int_equal (peer->ops->opendir (peer, &pfs_caller_self, &file), -ESTALE);
  assert_int_equal (peer->ops->getattr (peer, NULL, &pfs_caller_self, &attr), -ESTALE);
  assert_int_equal (id->ops->open (id, O_RDONLY, &pfs_caller_self, &file), -ESTALE);
  assert_int_equal (id->ops->getattr (id, NULL, &pfs_caller_self, &attr), -ESTALE);
  assert_int_equal (env->ops->lookup (env, "10", &pfs_caller_self, &entry), -ENOENT);
  assert_int_equal (env->ops->opendir (env, &pfs_caller_self, &file), -ESTALE);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_tree, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_modes, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_owner, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_text, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_links, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_pids, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_main_follows, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_restart, nodes_setup, nodes_teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
