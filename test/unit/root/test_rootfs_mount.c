/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mounts of kernels before Linux 6.8, which use the number of a mount again. */
#include "roots.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "peerfs/base/statx.h"

/* In the place of the C library's: all mounts have one device, and one number unless `numbers` is set, as those that
 * follow each other may have. */
static bool numbers;
/* What is added to each inode number. */
static guint renumbered;
/* With that, the time of birth of everything; 0: it has none. */
static guint born;

int
statx (int dirfd, const char *path, int flags, unsigned int mask, struct statx *ret)
{
  int r = (int) syscall (SYS_statx, dirfd, path, flags, mask & ~STATX_MNT_ID_UNIQUE, ret);

  if (r == 0) {
    if (!numbers)
      ret->stx_mnt_id = G_MAXINT32;
    ret->stx_dev_major = 0;
    ret->stx_dev_minor = 1048575;
    if (renumbered) {
      ret->stx_ino += renumbered;
      ret->stx_mask &= ~STATX_BTIME;
      ret->stx_mask |= born ? STATX_BTIME : 0;
      ret->stx_btime.tv_sec = born;
    }
  }
  return r;
}

static int
setup (void **state)
{
  assert_return_code (unshare (CLONE_NEWNS), errno);
  assert_return_code (mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), errno);
  return roots_setup (state);
}

static void
put_mount (Roots *r, const char *source, const char *type, const char *name)
{
  g_autofree char *path = g_build_filename (r->dir, name, NULL);

  assert_return_code (mount (source, path, type, type ? 0 : MS_BIND, NULL), errno);
}

static void
take_mount (Roots *r, const char *name)
{
  g_autofree char *path = g_build_filename (r->dir, name, NULL);

  assert_return_code (umount2 (path, MNT_DETACH), errno);
}

/* The fixture's process has this one's mounts, for whoever opens its mountinfo from now on. */
static void
show_mounts (Roots *r)
{
  g_autofree char *path = g_strdup_printf ("%s/10/mountinfo", r->nodes.proc->dir);

  assert_return_code (mount ("/proc/self/mountinfo", path, NULL, MS_BIND, NULL), errno);
  pfs_held_drop_dirs (r->nodes.tree);
  pfs_tree_sweep (r->nodes.tree, NULL, NULL);
}

static void
hide_mounts (Roots *r)
{
  g_autofree char *path = g_strdup_printf ("%s/10/mountinfo", r->nodes.proc->dir);

  pfs_held_drop_dirs (r->nodes.tree);
  assert_return_code (umount2 (path, MNT_DETACH), errno);
}

static void
test_procfs_in_the_place_of_another (void **state)
{
  Roots *r = *state;
  PfsFile *file = NULL;

  peer_file (r, "f", "mine");
  {
    g_autoptr (PfsFile) before = roots_open (r, "f", O_RDONLY);
    assert_open_content (before, "mine");
  }
  put_mount (r, "/proc/self/environ", NULL, "f");
  g_autoptr (PfsNode) node = roots_get (r, "f");
  int result = node->ops->open (node, O_RDONLY, WHO, &file);
  take_mount (r, "f");
  assert_int_equal (result, -EACCES);
}

/* What is read of sysfs has no size to be believed. */
static void
test_sysfs_in_the_place_of_another (void **state)
{
  Roots *r = *state;

  show_mounts (r);
  peer_file (r, "f", "mine");
  {
    g_autoptr (PfsFile) before = roots_open (r, "f", O_RDONLY);
    assert_false (before->file_flags & PFS_FILE_DIRECT_IO);
  }
  put_mount (r, "/sys/kernel/notes", NULL, "f");
  {
    g_autoptr (PfsFile) after = roots_open (r, "f", O_RDONLY);
    take_mount (r, "f");
    assert_true (after->file_flags & PFS_FILE_DIRECT_IO);
  }
  hide_mounts (r);
}

static void
test_procfs_lists_nothing_in_the_place_of_another (void **state)
{
  Roots *r = *state;

  show_mounts (r);
  peer_dir (r, "d");
  put_mount (r, "tmpfs", "tmpfs", "d");
  peer_dir (r, "d/self");
  pfs_node_unref (roots_get (r, "d/self"));
  take_mount (r, "d");
  put_mount (r, "proc", "proc", "d");
  int result = roots_lookup (r, "d/self", WHO, NULL);
  take_mount (r, "d");
  hide_mounts (r);
  assert_int_equal (result, -ENOENT);
}

/* A mount elsewhere changes nothing for who is on this one. */
static void
test_same_line (void **state)
{
  Roots *r = *state;

  numbers = true;
  show_mounts (r);
  peer_dir (r, "d");
  peer_dir (r, "other");
  put_mount (r, "tmpfs", "tmpfs", "d");
  peer_dir (r, "d/e");
  g_autoptr (PfsNode) before = roots_get (r, "d/e");
  put_mount (r, "tmpfs", "tmpfs", "other");
  g_autoptr (PfsNode) after = roots_get (r, "d/e");
  bool same = before == after;
  take_mount (r, "other");
  take_mount (r, "d");
  hide_mounts (r);
  numbers = false;
  assert_true (same);
}

/* The number is another mount's by now, whose line is different. */
static void
test_other_line (void **state)
{
  Roots *r = *state;

  show_mounts (r);
  peer_dir (r, "d");
  put_mount (r, "tmpfs", "tmpfs", "d");
  peer_dir (r, "d/e");
  g_autoptr (PfsNode) before = roots_get (r, "d/e");
  take_mount (r, "d");
  put_mount (r, "another", "tmpfs", "d");
  peer_dir (r, "d/e");
  g_autoptr (PfsNode) after = roots_get (r, "d/e");
  bool same = before == after;
  take_mount (r, "d");
  hide_mounts (r);
  assert_false (same);
}

/* Asks for the attributes once the kernel has forgotten the file, and given directories of an overlay other numbers. */
static int
ask_again (Roots *r, PfsNode *node)
{
  struct stat st;

  pfs_held_drop_dirs (r->nodes.tree);
  renumbered += 1000;
  return node->ops->getattr (node, NULL, WHO, &st);
}

/* A directory of an overlay without times of birth: the fixture's mountinfo calls that device one. */
static void
test_renumbered (void **state)
{
  Roots *r = *state;

  peer_dir (r, "d");
  renumbered = 1000;
  g_autoptr (PfsNode) dir = roots_get (r, "d");
  int with_no_file_seen = ask_again (r, dir);
  peer_file (r, "f", "");
  g_autoptr (PfsNode) file = roots_get (r, "f");
  int with_a_file_there = ask_again (r, dir);
  int of_file = ask_again (r, file);
  renumbered = 0;
  assert_int_equal (with_no_file_seen, 0);
  assert_int_equal (with_a_file_there, -ESTALE);
  assert_int_equal (of_file, -ESTALE);
}

/* An overlay's directory is born again when something is written there for the first time. */
static void
test_renumbered_after_copy_up (void **state)
{
  Roots *r = *state;
  struct stat st;

  peer_dir (r, "d");
  renumbered = 1000;
  born = 1;
  g_autoptr (PfsNode) dir = roots_get (r, "d");
  born = 2;
  int copied_up = dir->ops->getattr (dir, NULL, WHO, &st);
  int forgotten = ask_again (r, dir);
  born = 3;
  g_autoptr (PfsNode) found = roots_get (r, "d");
  bool same = found == dir;
  int forgotten_again = ask_again (r, dir);
  born = 4;
  int another = ask_again (r, dir);
  renumbered = born = 0;
  assert_int_equal (copied_up, 0);
  assert_int_equal (forgotten, 0);
  assert_true (same);
  assert_int_equal (forgotten_again, 0);
  assert_int_equal (another, -ESTALE);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_procfs_in_the_place_of_another, setup, roots_teardown),
    cmocka_unit_test_setup_teardown (test_sysfs_in_the_place_of_another, setup, roots_teardown),
    cmocka_unit_test_setup_teardown (test_procfs_lists_nothing_in_the_place_of_another, setup, roots_teardown),
    cmocka_unit_test_setup_teardown (test_same_line, setup, roots_teardown),
    cmocka_unit_test_setup_teardown (test_other_line, setup, roots_teardown),
    cmocka_unit_test_setup_teardown (test_renumbered, setup, roots_teardown),
    cmocka_unit_test_setup_teardown (test_renumbered_after_copy_up, setup, roots_teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
