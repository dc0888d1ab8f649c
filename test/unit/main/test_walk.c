/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths of a tree over a made-up /proc with one container, "web", whose root is a folder beside it. */
#include "../pod/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "main/walk.h"
#include "peerfs/root/rootfs.h"

typedef struct {
  Fixture *proc;
  char *root;
  PfsTree *tree;
} Setup;

static void
make_dir (int root, const char *path)
{
  assert_return_code (mkdirat (root, path, 0755), errno);
}

static void
make_link (int root, const char *path, const char *target)
{
  assert_return_code (symlinkat (target, root, path), errno);
}

static void
fill_root (const char *path)
{
  int root = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_return_code (root, errno);
  make_dir (root, "run");
  make_dir (root, "run/web");
  make_dir (root, "var");
  make_link (root, "var/run", "/run");
  make_link (root, "dangling", "nowhere");
  make_link (root, "out", "../../../../../run");
  make_link (root, "loop", "loop2");
  make_link (root, "loop2", "/loop");
  int fd = openat (root, "run/web/pid", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_return_code (fd, errno);
  close (fd);
  close (root);
}

static int
setup (void **state)
{
  Setup *s = g_new0 (Setup, 1);
  const PfsTableOptions table_options = { 0 };
  const PfsTreeOptions tree_options = { 0 };
  if (fixture_setup ((void **) &s->proc) < 0)
    return -1;
  s->root = g_dir_make_tmp ("pfs-root-XXXXXX", NULL);
  fill_root (s->root);
  fixture_process (s->proc, 7, "web", 100, CG (ID_A), ROOT ("41") KUBELET ("web", "0123abcd"));
  g_autofree char *link = g_strdup_printf ("%s/7/root", s->proc->dir);
  assert_return_code (symlink (s->root, link), errno);
  fixture_open (s->proc, &table_options);
  s->tree = pfs_tree_new (s->proc->table, &tree_options, &pfs_root_kind);
  *state = s;
  return 0;
}

static int
teardown (void **state)
{
  Setup *s = *state;
  pfs_tree_free (s->tree);
  fixture_teardown ((void **) &s->proc);
  nftw (s->root, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (s->root);
  g_free (s);
  return 0;
}

#define assert_walk(path, wanted) assert_int_equal (pfs_walk_exists (((Setup *) *state)->tree, path), wanted)

static void
entries_exist_or_not (void **state)
{
  assert_walk ("web", 0);
  assert_walk ("web/", 0);
  assert_walk ("web/id", 0);
  assert_walk ("web//./pid", 0);
  assert_walk ("web/root/run/web/pid", 0);
  assert_walk ("we", -ENOENT);
  assert_walk ("web/nothing", -ENOENT);
  assert_walk ("web/root/run/none", -ENOENT);
  assert_walk ("web/root/run/none/below", -ENOENT);
  assert_walk ("web/id/below", -ENOTDIR);
  assert_walk ("web/root/run/web/pid/below", -ENOTDIR);
}

static void
links_are_followed_on_the_way_alone (void **state)
{
  assert_walk ("web/root/var/run/web/pid", 0);
  assert_walk ("web/root/out/web/pid", 0);
  assert_walk ("web/root/dangling", 0);
  assert_walk ("web/root/dangling/below", -ENOENT);
  assert_walk ("web/root/loop", 0);
  assert_walk ("web/root/loop/below", -ELOOP);
}

static void
links_to_proc_leave_the_tree (void **state)
{
  assert_walk ("web/proc", 0);
  assert_walk ("web/proc/stat", 0);
  assert_walk ("web/proc/none", -ENOENT);
  assert_walk ("web/pids/7/stat", 0);
}

static void
dots_stay_in_the_tree (void **state)
{
  assert_walk ("web/../web/id", 0);
  assert_walk ("../../web/id", 0);
  assert_walk ("..", 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (entries_exist_or_not, setup, teardown),
    cmocka_unit_test_setup_teardown (links_are_followed_on_the_way_alone, setup, teardown),
    cmocka_unit_test_setup_teardown (links_to_proc_leave_the_tree, setup, teardown),
    cmocka_unit_test_setup_teardown (dots_stay_in_the_tree, setup, teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
