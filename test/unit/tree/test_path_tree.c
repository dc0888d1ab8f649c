/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../../src/tree/path_tree.h"

static const PfsPathTreeEyes everything = { NULL, NULL };

static const char *
path_of (gconstpointer leaf)
{
  return leaf;
}

static PfsPathTree *
path_tree_of (const char *paths)
{
  g_auto (GStrv) list = g_strsplit (paths, "|", -1);
  GPtrArray *leaves = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; list[i]; i++)
    g_ptr_array_add (leaves, g_strdup (list[i]));
  return pfs_path_tree_new (leaves, path_of);
}

static void
append (const char *name, PfsPathTreeType type, gconstpointer leaf, gpointer data)
{
  GString *all = data;

  assert_true ((type == PFS_PATH_TREE_LEAF) == (leaf != NULL));
  g_string_append_printf (all, "%s%s%s", all->len ? " " : "", name, type == PFS_PATH_TREE_DIR ? "/" : "");
}

static void
assert_children (PfsPathTree *path_tree, const char *dir, const char *expected)
{
  g_autoptr (GString) all = g_string_new (NULL);

  pfs_path_tree_foreach (path_tree, dir, &everything, append, all);
  assert_string_equal (all->str, expected);
}

static void
test_empty (void **state)
{
  (void) state;
  GPtrArray *none = g_ptr_array_new ();
  g_autoptr (PfsPathTree) path_tree = pfs_path_tree_new (none, path_of);
  gconstpointer leaf;

  assert_children (path_tree, "", "");
  assert_int_equal (pfs_path_tree_find (path_tree, "", "a", &everything, &leaf), PFS_PATH_TREE_NONE);
}

static void
test_directories (void **state)
{
  (void) state;
  g_autoptr (PfsPathTree) path_tree = path_tree_of ("a-b|a/x|b|a/y/z|a.c/d|a/y/q|a!");
  gconstpointer leaf = NULL;

  assert_children (path_tree, "", "a/ a! a-b a.c/ b");
  assert_children (path_tree, "a", "x y/");
  assert_children (path_tree, "a/y", "q z");
  assert_children (path_tree, "a.c", "d");
  assert_children (path_tree, "none", "");
  assert_int_equal (pfs_path_tree_find (path_tree, "a", "y", &everything, &leaf), PFS_PATH_TREE_DIR);
  assert_null (leaf);
  assert_int_equal (pfs_path_tree_find (path_tree, "a/y", "q", &everything, &leaf), PFS_PATH_TREE_LEAF);
  assert_string_equal (leaf, "a/y/q");
  assert_int_equal (pfs_path_tree_find (path_tree, "a", "x/", &everything, &leaf), PFS_PATH_TREE_NONE);
  assert_int_equal (pfs_path_tree_find (path_tree, "", "a.", &everything, &leaf), PFS_PATH_TREE_NONE);
  assert_int_equal (pfs_path_tree_find (path_tree, "a/y", "zz", &everything, &leaf), PFS_PATH_TREE_NONE);
}

static void
test_collisions (void **state)
{
  (void) state;
  g_autoptr (PfsPathTree) path_tree = path_tree_of ("lib|lib|lib/a.so|lib/a.so|lib/a.so/deep|lib-b|lib-b");
  gconstpointer leaf;

  assert_children (path_tree, "", "lib/ lib-b");
  assert_children (path_tree, "lib", "a.so/");
  assert_children (path_tree, "lib/a.so", "deep");
  assert_int_equal (pfs_path_tree_find (path_tree, "", "lib", &everything, &leaf), PFS_PATH_TREE_DIR);
  assert_int_equal (pfs_path_tree_size (path_tree), 2);
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

static void
test_aliases (void **state)
{
  (void) state;
  g_autoptr (PfsPathTree) path_tree = path_tree_of ("run/x.sock|tmp/y.sock|y.sock/z|local|tmp/local");
  gconstpointer leaf = NULL;

  for (guint i = 0; i < pfs_path_tree_size (path_tree); i++) {
    const char *path = pfs_path_tree_nth (path_tree, i);
    const char *slash = strrchr (path, '/');
    pfs_path_tree_alias (path_tree, slash ? slash + 1 : path, path);
  }
  assert_int_equal (pfs_path_tree_find (path_tree, "", "x.sock", &everything, &leaf), PFS_PATH_TREE_LEAF);
  assert_string_equal (leaf, "run/x.sock");
  assert_int_equal (pfs_path_tree_find (path_tree, "tmp", "x.sock", &everything, &leaf), PFS_PATH_TREE_NONE);
  assert_int_equal (pfs_path_tree_find (path_tree, "", "y.sock", &everything, &leaf), PFS_PATH_TREE_DIR);
  assert_int_equal (pfs_path_tree_find (path_tree, "", "local", &everything, &leaf), PFS_PATH_TREE_LEAF);
  assert_string_equal (leaf, "local");

  g_autoptr (GString) all = g_string_new (NULL);
  pfs_path_tree_foreach (path_tree, "", &everything, append, all);
  assert_true (g_str_has_prefix (all->str, "local run/ tmp/ y.sock/ "));
  assert_non_null (strstr (all->str, " x.sock"));
  assert_non_null (strstr (all->str, " z"));
  assert_int_equal (all->len, strlen ("local run/ tmp/ y.sock/ x.sock z"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_empty),   cmocka_unit_test (test_directories), cmocka_unit_test (test_collisions),
    cmocka_unit_test (test_invalid), cmocka_unit_test (test_aliases),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
