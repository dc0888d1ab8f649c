/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* root/: what is said of a file, for how long it holds, and which file it is once overlayfs has copied it up. */
#include "roots.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

static void
test_statfs (void **state)
{
  Roots *r = *state;
  struct statvfs st, real;

  peer_file (r, "f", "");
  g_autoptr (PfsNode) node = roots_get (r, "f");
  assert_int_equal (pfs_rootfs_statfs (node, WHO, &st), 0);
  assert_return_code (fstatvfs (r->fd, &real), errno);
  assert_int_equal (st.f_bsize, real.f_bsize);
  assert_int_equal (st.f_blocks, real.f_blocks);
  assert_int_equal (st.f_files, real.f_files);
  assert_int_equal (st.f_namemax, real.f_namemax);
  assert_return_code (unlinkat (r->fd, "f", 0), errno);
  assert_int_equal (pfs_rootfs_statfs (node, WHO, &st), -ESTALE);
}

/* What readlink gives has the length that stat tells: tar and rsync rely on it. */
static void
test_size_of_links (void **state)
{
  static const char *const targets[] = { "/etc/f", "f", "../../../../etc", "/" };
  Roots *r = *state;

  peer_dir (r, "d");
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++) {
    g_autofree char *path = g_strdup_printf ("d/l%u", i);
    g_autofree char *shown = NULL;
    struct stat st;

    assert_return_code (symlinkat (targets[i], r->fd, path), errno);
    g_autoptr (PfsNode) node = roots_get (r, path);
    assert_int_equal (node->ops->readlink (node, WHO, &shown), 0);
    assert_int_equal (roots_getattr (node, &st), 0);
    assert_true (S_ISLNK (st.st_mode));
    assert_int_equal (st.st_size, strlen (shown));
  }
}

static bool
is_idle (Roots *r, const PfsNode *dir, const char *name)
{
  g_autoptr (GPtrArray) names = pfs_tree_idle_names (r->nodes.tree, 100);
  bool found = false;

  for (guint i = 0; i < names->len; i++) {
    const PfsName *idle = names->pdata[i];
    found |= idle->parent == dir && strcmp (idle->name, name) == 0;
  }
  return found;
}

static void
test_idle_names (void **state)
{
  Roots *r = *state;

  peer_file (r, "f", "");
  peer_file (r, "g", "");
  PfsNode *node = roots_get (r, "f");
  PfsNode *other = roots_get (r, "g");
  pfs_node_remember (node);
  pfs_node_remember (other);
  assert_false (is_idle (r, r->root, "f"));
  pfs_node_unref (node);
  assert_true (is_idle (r, r->root, "f"));
  assert_false (is_idle (r, r->root, "g"));
  pfs_node_unref (other);
  g_autoptr (GPtrArray) one = pfs_tree_idle_names (r->nodes.tree, 1);
  assert_int_equal (one->len, 1);
  pfs_node_forget (node, 1);
  pfs_node_forget (other, 1);
  assert_false (is_idle (r, r->root, "f"));
}

static uint32_t
listing_flags (PfsNode *dir)
{
  g_autoptr (PfsFile) file = NULL;

  assert_int_equal (dir->ops->opendir (dir, WHO, &file), 0);
  return file->file_flags & (PFS_FILE_CACHE_DIR | PFS_FILE_KEEP_CACHE);
}

/* Times have ticks: of a directory that has just changed the kernel could not tell that it has changed again. */
static void
test_listings_are_kept (void **state)
{
  const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
  Roots *r = *state;

  peer_dir (r, "d");
  g_autoptr (PfsNode) dir = roots_get (r, "d");
  assert_int_equal (listing_flags (dir), 0);
  assert_return_code (utimensat (r->fd, "d", old, 0), errno);
  assert_int_equal (listing_flags (dir), PFS_FILE_CACHE_DIR);
  assert_int_equal (listing_flags (dir), PFS_FILE_CACHE_DIR | PFS_FILE_KEEP_CACHE);
  g_usleep (1100000);
  assert_int_equal (listing_flags (dir), PFS_FILE_CACHE_DIR);
  peer_file (r, "d/f", "");
  assert_int_equal (listing_flags (dir), 0);
}

/* --- overlayfs, in a mount namespace of the program's own --- */

static void
tmpfs (const char *top, const char *name)
{
  g_autofree char *path = g_build_filename (top, name, NULL);

  assert_return_code (mkdir (path, 0755), errno);
  assert_return_code (mount ("pfs-test", path, "tmpfs", 0, NULL), errno);
}

/* The lower layer has the file "f", "low". Layers on two filesystems: then even the inode number is another one after.
 */
static int
setup_overlay (void **state)
{
  const PfsTreeOptions options = { .attr_timeout = 1, .entry_timeout = 1 };

  assert_return_code (unshare (CLONE_NEWNS), errno);
  assert_return_code (mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), errno);
  Roots *r = g_new0 (Roots, 1);
  r->dir = g_dir_make_tmp ("pfs-root-XXXXXX", NULL);
  tmpfs (r->dir, "lower");
  tmpfs (r->dir, "upper");
  g_autofree char *file = g_build_filename (r->dir, "lower", "f", NULL);
  g_autofree char *upper = g_build_filename (r->dir, "upper", "upper", NULL);
  g_autofree char *work = g_build_filename (r->dir, "upper", "work", NULL);
  g_autofree char *root = g_build_filename (r->dir, "root", NULL);
  g_autofree char *layers = g_strdup_printf ("lowerdir=%s/lower,upperdir=%s,workdir=%s,xino=off", r->dir, upper, work);
  assert_true (g_file_set_contents (file, "low", 3, NULL));
  assert_return_code (mkdir (upper, 0755) | mkdir (work, 0755) | mkdir (root, 0755), errno);
  assert_return_code (mount ("pfs-test", root, "overlay", 0, layers), errno);
  r->fd = open (root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  roots_start (r, root, ROOT ("1048575") KUBELET ("web", "0123abcd"), &options);
  *state = r;
  return 0;
}

static int
teardown_overlay (void **state)
{
  static const char *const mounts[] = { "root", "upper", "lower" };
  Roots *r = *state;

  for (guint i = 0; i < G_N_ELEMENTS (mounts); i++) {
    g_autofree char *path = g_build_filename (r->dir, mounts[i], NULL);
    umount2 (path, MNT_DETACH);
  }
  return roots_teardown (state);
}

static void
test_copied_up_by_us (void **state)
{
  Roots *r = *state;
  struct stat st = { .st_mode = 0600 }, real;

  g_autoptr (PfsNode) node = roots_get (r, "f");
  pfs_node_remember (node);
  assert_int_equal (pfs_rootfs_setattr (node, NULL, &st, PFS_SET_MODE, WHO, &st), 0);
  assert_int_equal (st.st_mode, S_IFREG | 0600);
  assert_int_equal (roots_getattr (node, &st), 0);
  assert_return_code (fstatat (r->fd, "f", &real, 0), errno);
  assert_int_equal (st.st_mode, real.st_mode);
  g_autoptr (PfsNode) again = roots_get (r, "f");
  assert_ptr_equal (again, node);
  pfs_node_forget (node, 1);
}

/* What a caller has open stays that file: it is read through the same node, not through a stale one. */
static void
test_copied_up_behind_our_back (void **state)
{
  Roots *r = *state;
  struct stat st;

  g_autoptr (PfsFile) file = roots_open (r, "f", O_RDONLY);
  assert_return_code (fchmodat (r->fd, "f", 0604, 0), errno);
  PfsEntry entry;
  assert_int_equal (roots_lookup (r, "f", WHO, &entry), 0);
  assert_int_equal (entry.attr.st_mode, S_IFREG | 0604);
  assert_int_equal (roots_getattr (entry.node, &st), 0);
  assert_open_content (file, "low");
  pfs_node_unref (entry.node);
}

/* A file of the same name is another file, also if the first one is open. */
static void
test_replaced_in_the_overlay (void **state)
{
  Roots *r = *state;

  g_autoptr (PfsNode) old = roots_get (r, "f");
  g_autoptr (PfsFile) file = roots_open (r, "f", O_RDONLY);
  assert_return_code (unlinkat (r->fd, "f", 0), errno);
  g_usleep (12000); /* birth times advance in ticks */
  peer_file (r, "f", "another");
  g_autoptr (PfsFile) other = roots_open (r, "f", O_RDONLY);
  assert_ptr_not_equal (other->node, old);
  assert_open_content (file, "low");
  assert_open_content (other, "another");
}

int
main (void)
{
#define TEST(f) cmocka_unit_test_setup_teardown (f, roots_setup, roots_teardown)
#define TEST_OVERLAY(f) cmocka_unit_test_setup_teardown (f, setup_overlay, teardown_overlay)
  const struct CMUnitTest tests[] = {
    TEST (test_statfs),
    TEST (test_size_of_links),
    TEST (test_idle_names),
    TEST (test_listings_are_kept),
    TEST_OVERLAY (test_copied_up_by_us),
    TEST_OVERLAY (test_copied_up_behind_our_back),
    TEST_OVERLAY (test_replaced_in_the_overlay),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
