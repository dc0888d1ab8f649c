/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mounts of kernels before Linux 6.8, which use the number of a mount again. */
#include "roots.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "peerfs/base/statx.h"

/* In the place of the C library's: all mounts have one number and one device, as those that follow each other may have. */
int
statx (int dirfd, const char *path, int flags, unsigned int mask, struct statx *ret)
{
  int r = (int) syscall (SYS_statx, dirfd, path, flags, mask & ~STATX_MNT_ID_UNIQUE, ret);

  if (r == 0) {
    ret->stx_mnt_id = 68;
    ret->stx_dev_major = 0;
    ret->stx_dev_minor = 1048575;
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
test_procfs_in_the_place_of_another (void **state)
{
  Roots *r = *state;
  PfsFile *file = NULL;

  peer_file (r, "f", "mine");
  {
    g_autoptr (PfsFile) before = roots_open (r, "f", O_RDONLY);
    assert_open_content (before, "mine");
  }
  g_autofree char *path = g_build_filename (r->dir, "f", NULL);
  assert_return_code (mount ("/proc/self/environ", path, NULL, MS_BIND, NULL), errno);
  g_autoptr (PfsNode) node = roots_get (r, "f");
  int result = node->ops->open (node, O_RDONLY, WHO, &file);
  assert_return_code (umount2 (path, MNT_DETACH), errno);
  assert_int_equal (result, -EACCES);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_procfs_in_the_place_of_another, setup, roots_teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
