/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those who work through the mount, and what must hold for them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fslive.h"

#define SLOTS 12

static struct {
  int fd;
  uint32_t id;
  ino_t ino;
} slots[SLOTS];
static bool started;

/* What a path may give while it is changed; anything else is a violation. ESTALE is counted: the kernel has looked the
 * path up once more by then, so that it takes two changes in a row. */
static void
check_errno (const char *what, const char *path, long r, ...)
{
  va_list allowed;
  int number = errno;

  __atomic_add_fetch (&shared->ops, 1, __ATOMIC_RELAXED);
  if (r >= 0)
    return;
  __atomic_add_fetch (&shared->errors, 1, __ATOMIC_RELAXED);
  if (number == ESTALE) {
    __atomic_add_fetch (&shared->stale, 1, __ATOMIC_RELAXED);
    if (getenv ("FSLIVE_STALE"))
      dprintf (1, "ESTALE: %s %s\n", what, path);
    return;
  }
  va_start (allowed, r);
  int one;
  while ((one = va_arg (allowed, int)) != 0 && one != number)
    continue;
  va_end (allowed);
  if (one == 0)
    violated ("%s %s: %s", what, path, strerrorname_np (number));
}

#define WALK ENOENT, ENOTDIR, ELOOP

static void
drop (unsigned int i)
{
  if (slots[i].fd >= 0)
    close (slots[i].fd);
  slots[i].fd = -1;
}

void
work_close (void)
{
  for (unsigned int i = 0; i < SLOTS; i++)
    drop (i);
}

/* A file that is open is itself, and never fails, whatever became of its name. */
static void
check_slot (unsigned int i)
{
  struct stat st;

  if (slots[i].fd < 0)
    return;
  if (fstat (slots[i].fd, &st) < 0)
    violated ("fstat of an open file: %s", strerrorname_np (errno));
  else if (st.st_uid != slots[i].id || st.st_ino != slots[i].ino)
    violated ("fstat: was file %u, is %u; inode %llu, %llu", slots[i].id, st.st_uid, (unsigned long long) slots[i].ino,
              (unsigned long long) st.st_ino);
  if (file_check (slots[i].fd, slots[i].id, "open file") < 0)
    violated ("read of an open file: %s", strerrorname_np (errno));
  __atomic_add_fetch (&shared->reads, 1, __ATOMIC_RELAXED);
}

static void
open_one (int tree, const char *path, unsigned int i)
{
  struct stat st;
  int fd = openat (tree, path, (rnd () % 3 ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);

  check_errno ("open", path, fd, WALK, EISDIR, 0);
  if (fd < 0)
    return;
  drop (i);
  if (fstat (fd, &st) < 0) {
    violated ("fstat after open %s: %s", path, strerrorname_np (errno));
  } else if (S_ISREG (st.st_mode)) {
    if (st.st_uid == 0)
      violated ("open %s: a file from outside of the tree", path);
    slots[i].fd = fd;
    slots[i].id = st.st_uid;
    slots[i].ino = st.st_ino;
    check_slot (i);
    return;
  }
  close (fd);
}

static void
list (int tree, const char *path)
{
  int fd = openat (tree, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  struct dirent *d;

  check_errno ("opendir", path, fd, WALK, 0);
  if (!dir)
    return;
  for (errno = 0; (d = readdir (dir)); errno = 0)
    if (strcmp (d->d_name, "secret") == 0)
      violated ("readdir %s: %s is from outside of the tree", path, d->d_name);
  if (errno != 0)
    violated ("readdir %s: %s", path, strerrorname_np (errno));
  closedir (dir);
}

static void
make_one (int tree, int stage, const char *path)
{
  char name[32];

  file_make (stage, name, sizeof name);
  int r = renameat (stage, name, tree, path);
  check_errno ("rename of a new file to", path, r, WALK, EISDIR, EEXIST, ENOTEMPTY, 0);
  if (r < 0)
    unlinkat (stage, name, 0);
}

void
work (int tree, int stage)
{
  char path[64], other[64], target[4096];
  unsigned int slot = (unsigned int) (rnd () % SLOTS);
  struct stat st;

  for (unsigned int i = 0; i < SLOTS && !started; i++)
    slots[i].fd = -1;
  started = true;
  path_make (path, sizeof path);
  path_make (other, sizeof other);
  switch (rnd () % 16) {
  case 0:
    check_errno ("stat", path, fstatat (tree, path, &st, 0), WALK, 0);
    break;
  case 1:
    check_errno ("lstat", path, fstatat (tree, path, &st, AT_SYMLINK_NOFOLLOW), WALK, 0);
    break;
  case 2:
    check_errno ("readlink", path, readlinkat (tree, path, target, sizeof target), WALK, EINVAL, 0);
    break;
  case 3:
    list (tree, path);
    break;
  case 4:
    make_one (tree, stage, path);
    break;
  case 5:
    check_errno ("unlink", path, unlinkat (tree, path, 0), WALK, EISDIR, 0);
    break;
  case 6:
    check_errno ("mkdir", path, mkdirat (tree, path, 0755), WALK, EEXIST, 0);
    break;
  case 7:
    check_errno ("rmdir", path, unlinkat (tree, path, AT_REMOVEDIR), WALK, ENOTEMPTY, 0);
    break;
  case 8:
    check_errno ("rename", path, renameat (tree, path, tree, other), WALK, EISDIR, EEXIST, ENOTEMPTY, EINVAL, EXDEV,
                 0); /* of a directory that overlayfs does not move */
    break;
  case 9:
    check_errno ("chmod", path, fchmodat (tree, path, 0640, 0), WALK, 0);
    break;
  case 10:
  case 11:
  case 12:
    check_slot (slot);
    break;
  default:
    open_one (tree, path, slot);
  }
}

/* --- when nobody changes anything any more --- */

static int
by_name (const struct dirent **a, const struct dirent **b)
{
  return strcmp ((*a)->d_name, (*b)->d_name);
}

static void
compare_one (int mount, int direct, const char *path)
{
  struct stat a, b;

  if (fstatat (mount, path, &a, AT_SYMLINK_NOFOLLOW) < 0 || fstatat (direct, path, &b, AT_SYMLINK_NOFOLLOW) < 0) {
    violated ("at the end: %s: %s", path, strerrorname_np (errno));
    return;
  }
  if (a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_nlink != b.st_nlink
      || (S_ISREG (a.st_mode) && a.st_size != b.st_size))
    violated ("at the end: %s: %o %u %lld, directly %o %u %lld", path, a.st_mode, a.st_uid, (long long) a.st_size,
              b.st_mode, b.st_uid, (long long) b.st_size);
  if (S_ISDIR (a.st_mode)) {
    compare (mount, direct, path);
  } else if (S_ISREG (a.st_mode)) {
    static char one[BLOCKS_MAX * sizeof (Block)], two[sizeof one];
    int fd = openat (mount, path, O_RDONLY | O_CLOEXEC), other = openat (direct, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = pread (fd, one, sizeof one, 0), m = pread (other, two, sizeof two, 0);

    if (n < 0 || n != m || memcmp (one, two, (size_t) n) != 0)
      violated ("at the end: %s: the content differs: %zd bytes, directly %zd", path, n, m);
    close (fd);
    close (other);
  }
}

void
compare (int mount, int direct, const char *path)
{
  struct dirent **a, **b;
  int n = scandirat (mount, path, &a, NULL, by_name), m = scandirat (direct, path, &b, NULL, by_name);

  if (n < 0 || m < 0 || n != m) {
    violated ("at the end: %s: %d names, directly %d", path, n, m);
    return;
  }
  for (int i = 0; i < n; i++) {
    char below[4096];

    snprintf (below, sizeof below, "%s/%s", path, a[i]->d_name);
    if (strcmp (a[i]->d_name, b[i]->d_name) != 0)
      violated ("at the end: %s: directly %s", below, b[i]->d_name);
    else if (strcmp (a[i]->d_name, ".") != 0 && strcmp (a[i]->d_name, "..") != 0)
      compare_one (mount, direct, below);
  }
}

/* Finds the file by its id. */
static bool
find (int dir, uint32_t id, struct stat *ret)
{
  DIR *list = fdopendir (dir);
  bool found = false;

  for (struct dirent *d; list && !found && (d = readdir (list));) {
    if (strcmp (d->d_name, ".") == 0 || strcmp (d->d_name, "..") == 0
        || fstatat (dirfd (list), d->d_name, ret, AT_SYMLINK_NOFOLLOW) < 0)
      continue;
    if (S_ISDIR (ret->st_mode))
      found = find (openat (dirfd (list), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), id, ret);
    else
      found = S_ISREG (ret->st_mode) && ret->st_uid == id;
  }
  if (list)
    closedir (list);
  return found;
}

void
compare_open (int direct)
{
  for (unsigned int i = 0; i < SLOTS; i++) {
    struct stat st, there;

    if (!started || slots[i].fd < 0)
      continue;
    check_slot (i);
    if (fstat (slots[i].fd, &st) == 0
        && find (openat (direct, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), slots[i].id, &there)
        && (st.st_size != there.st_size || st.st_nlink != there.st_nlink || st.st_mode != there.st_mode))
      violated ("at the end: open file %u: %lld bytes, %lu links; directly %lld, %lu", slots[i].id,
                (long long) st.st_size, (unsigned long) st.st_nlink, (long long) there.st_size,
                (unsigned long) there.st_nlink);
  }
}
