/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nodes.h"

#define ENV(n, text) nodes_put (n, 10, "environ", text, sizeof (text) - 1)

static void
test_values (void **state)
{
  Nodes *n = *state;

  ENV (n, "PATH=/bin:/usr/bin\0EMPTY=\0LINES=a\nb\n\0BYTES=\xff\x01=\0HOME=/\0HOME=/second\0garbage\0LAST=no end");
  assert_names (n, "web/env", "BYTES EMPTY HOME LAST LINES PATH");
  assert_content (n, "web/env/PATH", "/bin:/usr/bin", 13);
  assert_content (n, "web/env/EMPTY", "", 0);
  assert_content (n, "web/env/LINES", "a\nb\n", 4);
  assert_content (n, "web/env/BYTES", "\xff\x01=", 3);
  assert_content (n, "web/env/HOME", "/", 1);
  assert_content (n, "web/env/LAST", "no end", 6);
  assert_int_equal (nodes_walk (n, "web/env/garbage", NULL, NULL), -ENOENT);
  assert_int_equal (nodes_walk (n, "web/env/PATH/x", NULL, NULL), -ENOTDIR);
  assert_mode (n, "web/env", S_IFDIR | 0500, getuid (), getgid ());
  assert_mode (n, "web/env/PATH", S_IFREG | 0444, getuid (), getgid ());
}

static void
test_names (void **state)
{
  Nodes *n = *state;

  ENV (n, "a/b=slash\0..=dots\0BASH_FUNC_x%%=() {\n}\0");
  assert_names (n, "web/env", "%2E%2E BASH_FUNC_x%% a%2Fb");
  assert_content (n, "web/env/a%2Fb", "slash", 5);
  assert_content (n, "web/env/%2E%2E", "dots", 4);
}

/* What was read a moment ago serves for a while. */
static void
forget (void)
{
  g_usleep (G_USEC_PER_SEC / 10);
}

/* The process writes over it: a new listing sees that, and a little later everybody; what is open keeps what it was. */
static void
test_changes (void **state)
{
  Nodes *n = *state;
  g_autoptr (PfsFile) file = NULL;
  struct stat st;

  ENV (n, "A=one\0B=two\0");
  g_autoptr (PfsNode) node = nodes_get (n, "web/env/A", NULL);
  assert_int_equal (node->ops->open (node, O_RDONLY, &pfs_caller_self, &file), 0);
  ENV (n, "A=longer than before\0C=\0");
  assert_names (n, "web/env", "A C");
  assert_content (n, "web/env/A", "longer than before", 18);
  ENV (n, "A=one\0B=two\0");
  forget ();
  assert_content (n, "web/env/A", "one", 3);
  ENV (n, "A=longer than before\0C=\0");
  forget ();
  assert_int_equal (nodes_walk (n, "web/env/B", NULL, NULL), -ENOENT);
  assert_int_equal (node->ops->getattr (node, file, &pfs_caller_self, &st), 0);
  assert_int_equal (st.st_size, 3);
  assert_int_equal (node->ops->getattr (node, NULL, &pfs_caller_self, &st), 0);
  assert_int_equal (st.st_size, 18);
  ENV (n, "");
  assert_names (n, "web/env", "");
  assert_int_equal (node->ops->getattr (node, NULL, &pfs_caller_self, &st), -ENOENT);
}

/* That nothing is left is no empty directory, but said. */
static void
test_overwritten (void **state)
{
  Nodes *n = *state;
  g_autoptr (PfsFile) file = NULL;
  struct stat st;

  ENV (n, "redis-server *:0\0\0\0");
  assert_names (n, "web/env", "=OVERWRITTEN");
  g_autoptr (PfsNode) node = nodes_get (n, "web/env/=OVERWRITTEN", &st);
  assert_int_equal (st.st_mode, S_IFREG | 0444);
  assert_int_equal (node->ops->open (node, O_RDONLY, &pfs_caller_self, &file), 0);
  assert_int_equal (g_bytes_get_size (file->content), st.st_size);
  assert_true (
      g_str_has_prefix (g_bytes_get_data (file->content, NULL), "Process 10 has written over its environment"));
  ENV (n, "web: title\0LAST=1\0");
  assert_names (n, "web/env", "=OVERWRITTEN LAST");
  ENV (n, "A=1\0");
  forget ();
  assert_int_equal (nodes_walk (n, "web/env/=OVERWRITTEN", NULL, NULL), -ENOENT);
}

/* Who was not served by the last listing is not served by what it read, either. */
static void
test_serves_one (void **state)
{
  Nodes *n = *state;
  const PfsCaller others[] = { { .uid = 7 }, { .gid = 7 }, { .caps = 7 } };
  const PfsCaller who = pfs_caller_self;
  PfsFile *file;

  for (guint i = 0; i < G_N_ELEMENTS (others); i++) {
    ENV (n, "SECRET=old\0");
    g_autoptr (PfsNode) env = nodes_get (n, "web/env", NULL);
    assert_int_equal (env->ops->opendir (env, &who, &file), 0);
    pfs_file_unref (file);
    g_autoptr (PfsNode) node = nodes_get (n, "web/env/SECRET", NULL);
    ENV (n, "SECRET=new\0");
    assert_int_equal (node->ops->open (node, O_RDONLY, &who, &file), 0);
    pfs_file_unref (file); /* old, unless this took its time */
    assert_int_equal (node->ops->open (node, O_RDONLY, &others[i], &file), 0);
    assert_memory_equal (g_bytes_get_data (file->content, NULL), "new", 3);
    pfs_file_unref (file);
  }
}

static void
test_large (void **state)
{
  Nodes *n = *state;
  g_autoptr (GString) all = g_string_new ("BIG=");

  g_string_set_size (all, 1024 * 1024);
  memset (all->str + 4, 'x', all->len - 4);
  nodes_put (n, 10, "environ", all->str, (gssize) all->len);
  assert_content (n, "web/env/BIG", all->str + 4, all->len - 4);
}

static void
test_missing (void **state)
{
  Nodes *n = *state;
  g_autoptr (PfsNode) env = nodes_get (n, "web/env", NULL);
  PfsEntry entry;
  PfsFile *file;

  assert_true (env->ops->opendir (env, &pfs_caller_self, &file) < 0);
  fixture_kill (n->proc, 10);
  assert_int_equal (env->ops->lookup (env, "PATH", &pfs_caller_self, &entry), -ENOENT);
  assert_int_equal (env->ops->opendir (env, &pfs_caller_self, &file), -ESTALE);
}

/* What a real process was started with, byte for byte. */
static void
test_real_process (void **state)
{
  Nodes *n = *state;
  char *argv[] = { "/bin/sleep", "60", NULL };
  char *envp[] = { "X=1", "TWO=a=b\n ", "\xc3\xa4=umlaut", NULL };
  g_autofree char *content = NULL;
  gsize len = 0;
  pid_t pid = fork ();

  if (pid == 0) {
    execve (argv[0], argv, envp);
    _exit (1);
  }
  g_autofree char *path = g_strdup_printf ("/proc/%d/environ", pid);
  for (int i = 0; i < 500 && len != sizeof "X=1\0TWO=a=b\n \0\xc3\xa4=umlaut"; i++) {
    g_clear_pointer (&content, g_free);
    assert_true (g_file_get_contents (path, &content, &len, NULL));
    g_usleep (10000);
  }
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  nodes_put (n, 10, "environ", content, (gssize) len);
  assert_names (n, "web/env", "TWO X \xc3\xa4");
  assert_content (n, "web/env/TWO", "a=b\n ", 5);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_values, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_names, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_changes, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_overwritten, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_serves_one, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_large, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_missing, nodes_setup, nodes_teardown),
    cmocka_unit_test_setup_teardown (test_real_process, nodes_setup, nodes_teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
