/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "../../../src/tree/path_tree.h"

/* Its leaves are the paths themselves. */
static PfsPathTree *
path_tree_of (const char *paths)
{
  char **list = g_strsplit (paths, "|", -1);
  PfsPathTree *path_tree = pfs_path_tree_new (list, (GDestroyNotify) g_strfreev);

  for (guint i = 0; list[i]; i++)
    pfs_path_tree_add (path_tree, list[i], list[i]);
  return path_tree;
}

static void
append (const char *name, gconstpointer leaf, gpointer data)
{
  GString *all = data;

  g_string_append_printf (all, "%s%s%s", all->len ? " " : "", name, leaf ? "" : "/");
}

static void
assert_leaf (PfsPathTree *path_tree, const char *dir, const char *name, const char *expected)
{
  gconstpointer leaf = NULL;

  assert_true (pfs_path_tree_find (path_tree, dir, name, &leaf));
  assert_non_null (leaf);
  assert_string_equal (leaf, expected);
}

static void
assert_dir (PfsPathTree *path_tree, const char *dir, const char *name)
{
  gconstpointer leaf = "";

  assert_true (pfs_path_tree_find (path_tree, dir, name, &leaf));
  assert_null (leaf);
}

static void
assert_none (PfsPathTree *path_tree, const char *dir, const char *name)
{
  gconstpointer leaf;

  assert_false (pfs_path_tree_find (path_tree, dir, name, &leaf));
}

static void
assert_children (PfsPathTree *path_tree, const char *dir, const char *expected)
{
  g_autoptr (GString) all = g_string_new (NULL);

  pfs_path_tree_foreach (path_tree, dir, append, all);
  assert_string_equal (all->str, expected);
}

static void
test_empty (void **state)
{
  (void) state;
  g_autoptr (PfsPathTree) path_tree = pfs_path_tree_new (NULL, NULL);

  assert_children (path_tree, "", "");
  assert_none (path_tree, "", "a");
}

static void
test_directories (void **state)
{
  (void) state;
  g_autoptr (PfsPathTree) path_tree = path_tree_of ("a-b|a/x|b|a/y/z|a.c/d|a/y/q|a!");

  assert_children (path_tree, "", "a/ a! a-b a.c/ b");
  assert_children (path_tree, "a", "x y/");
  assert_children (path_tree, "a/y", "q z");
  assert_children (path_tree, "a.c", "d");
  assert_children (path_tree, "none", "");
  assert_dir (path_tree, "a", "y");
  assert_leaf (path_tree, "a/y", "q", "a/y/q");
  assert_none (path_tree, "a", "x/");
  assert_none (path_tree, "", "a.");
  assert_none (path_tree, "a/y", "zz");
}

static void
test_collisions (void **state)
{
  (void) state;
  g_autoptr (PfsPathTree) path_tree = path_tree_of ("lib|lib|lib/a.so|lib/a.so|lib/a.so/deep|lib-b|lib-b");

  assert_children (path_tree, "", "lib/ lib-b");
  assert_children (path_tree, "lib", "a.so/");
  assert_children (path_tree, "lib/a.so", "deep");
  assert_dir (path_tree, "", "lib");
}

static void
test_invalid (void **state)
{
  (void) state;
  g_autofree char *name = g_strnfill (256, 'n');
  g_autofree char *paths = g_strconcat ("/abs|a//b|./c|../d|e/..|f/|ok|x/", name, NULL);
  g_autoptr (PfsPathTree) path_tree = path_tree_of (paths);

  assert_children (path_tree, "", "ok");
}

/* Short names come last, and yield to what is there. */
static void
test_short_names (void **state)
{
  (void) state;
  g_autoptr (PfsPathTree) path_tree = path_tree_of ("run/x.sock|tmp/y.sock|y.sock/z|local|tmp/local");
  char **list = pfs_path_tree_owner (path_tree);

  for (guint i = 0; list[i]; i++) {
    const char *slash = strrchr (list[i], '/');
    pfs_path_tree_add (path_tree, slash ? slash + 1 : list[i], list[i]);
  }
  assert_leaf (path_tree, "", "x.sock", "run/x.sock");
  assert_none (path_tree, "tmp", "x.sock");
  assert_dir (path_tree, "", "y.sock");
  assert_leaf (path_tree, "", "local", "local");
  assert_children (path_tree, "", "local run/ tmp/ x.sock y.sock/ z");
}

/* A peer chooses how deep: what a path costs goes with its length alone. */
static void
test_deep (void **state)
{
  (void) state;
  g_autoptr (GString) paths = g_string_new ("leaf");
  const clock_t begin = clock ();

  for (guint file = 0; file < 64; file++) {
    g_string_append_c (paths, '|');
    for (guint i = 0; i < 8000; i++)
      g_string_append (paths, "a/");
    g_string_append_printf (paths, "%u", file);
  }
  g_autoptr (PfsPathTree) path_tree = path_tree_of (paths->str);
  assert_children (path_tree, "", "a/ leaf");
  assert_true (clock () - begin < 5 * CLOCKS_PER_SEC);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_empty),   cmocka_unit_test (test_directories), cmocka_unit_test (test_collisions),
    cmocka_unit_test (test_invalid), cmocka_unit_test (test_short_names), cmocka_unit_test (test_deep),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
