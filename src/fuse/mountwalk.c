/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way to the mountpoint, which nobody else may change. Often it leads over a volume that other containers share.
 *
 * - Every folder on the way belongs to us, to root or to the owner of "/", and nobody else may write in it. In a sticky
 *   one (/tmp) others may write, but then the next component has to belong to one of those.
 * - A link on the way is followed only on our own root file system: on a volume, root may be a peer's.
 * - A dead mount is taken away only at the end of the way, never behind a link.
 *
 * The mount goes on the very folder that the way came to, by its descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "peerfs/base/statx.h"
#include "private.h"

#define LINKS_MAX 40 /* path_resolution(7) */
#define DEAD_MAX 64  /* dead mounts on one another */

typedef struct {
  const char *path; /* as given, for messages */
  GQueue todo;      /* components: char * */
  int dir;          /* the folder that the walk has come to, O_PATH */
  uid_t root_uid;   /* the owner of "/" */
  uint64_t root_mount;
  guint links;
} MountpointWalk;

static void
walk_clear (MountpointWalk *walk)
{
  g_queue_clear_full (&walk->todo, g_free);
  pfs_fd_cleanup (&walk->dir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (MountpointWalk, walk_clear)

int
pfs_fail (char **ret_error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  *ret_error = g_strdup_vprintf (format, args);
  va_end (args);
  return -1;
}

static int
fail_errno (const MountpointWalk *walk, int error, char **ret_error)
{
  if (error == ENOENT)
    return pfs_fail (ret_error, "mountpoint %s does not exist: create it with mkdir -p %s", walk->path, walk->path);
  if (error == ENOTDIR)
    return pfs_fail (ret_error, "mountpoint %s is not a directory: give an empty directory", walk->path);
  return pfs_fail (ret_error, "cannot use mountpoint %s: %s", walk->path, g_strerror (error));
}

static void
push_path (MountpointWalk *walk, const char *path)
{
  g_auto (GStrv) parts = g_strsplit (path, "/", -1);

  for (guint i = g_strv_length (parts); i-- > 0;)
    if (*parts[i] && strcmp (parts[i], ".") != 0)
      g_queue_push_head (&walk->todo, g_strdup (parts[i]));
}

/* Takes the descriptor over; if it is none, errno says why. */
static int
move_to (MountpointWalk *walk, int fd, char **ret_error)
{
  if (fd < 0)
    return fail_errno (walk, errno, ret_error);
  pfs_fd_cleanup (&walk->dir);
  walk->dir = fd;
  return 0;
}

static int
move_to_root (MountpointWalk *walk, char **ret_error)
{
  return move_to (walk, open ("/", O_PATH | O_DIRECTORY | O_CLOEXEC), ret_error);
}

static bool
is_trusted (const MountpointWalk *walk, const struct stat *st)
{
  return st->st_uid == 0 || st->st_uid == geteuid () || st->st_uid == walk->root_uid;
}

/* Can nobody else put something in the place of this entry of the folder? entry NULL: it is a dead mount. */
static bool
is_ours_alone (const MountpointWalk *walk, const struct stat *dir, const struct stat *entry)
{
  if (!is_trusted (walk, dir))
    return false;
  return !(dir->st_mode & (S_IWGRP | S_IWOTH)) || (dir->st_mode & S_ISVTX && (!entry || is_trusted (walk, entry)));
}

static uint64_t
mount_of (int fd)
{
  struct statx stx;

  return statx (fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) == 0 ? stx.stx_mnt_id : 0;
}

static int
follow (MountpointWalk *walk, int link, char **ret_error)
{
  g_autofree char *target = NULL;

  if (mount_of (walk->dir) != walk->root_mount)
    return pfs_fail (ret_error,
                     "mountpoint %s leads through a link on another file system than /, which others may have made: "
                     "give the path without links (realpath)",
                     walk->path);
  int r = ++walk->links > LINKS_MAX ? -ELOOP : pfs_readlink_at (link, "", &target);
  if (r < 0)
    return fail_errno (walk, -r, ret_error);
  push_path (walk, target);
  return *target == '/' ? move_to_root (walk, ret_error) : 0;
}

static int
fail_replaceable (const MountpointWalk *walk, char **ret_error)
{
  g_autofree char *dir = pfs_fd_path (walk->dir);

  return pfs_fail (ret_error,
                   "mountpoint %s could be replaced by others that may write in %s: take that from them (chmod go-w, "
                   "chown root), or give a directory where only root may write",
                   walk->path, dir ? dir : "a folder on the way");
}

/* Opens the entry, and follows no link. A daemon that was killed leaves a mount on which everything fails with
 * ENOTCONN. At the end of the way there may be several of them. */
static int
open_entry (const MountpointWalk *walk, const char *name, struct stat *ret, char **ret_error)
{
  struct stat dir;

  if (fstat (walk->dir, &dir) < 0)
    return fail_errno (walk, errno, ret_error);
  for (int dead = 0;; dead++) {
    pfs_autofd fd = openat (walk->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
      return fail_errno (walk, errno, ret_error);
    int error = fstat (fd, ret) < 0 ? errno : 0;
    if (strcmp (name, "..") != 0 && !is_ours_alone (walk, &dir, error ? NULL : ret))
      return fail_replaceable (walk, ret_error);
    if (!error)
      return pfs_fd_steal (&fd);
    if (error != ENOTCONN || walk->todo.head || dead == DEAD_MAX)
      return fail_errno (walk, error, ret_error);
    g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d/%s", walk->dir, name);
    if (umount2 (path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
      return pfs_fail (ret_error, "a dead mount is in the way at %s and cannot be removed: %s; try umount -l %s",
                       walk->path, g_strerror (errno), walk->path);
  }
}

static int
step (MountpointWalk *walk, const char *name, char **ret_error)
{
  struct stat st;
  pfs_autofd next = open_entry (walk, name, &st, ret_error);

  if (next < 0)
    return -1;
  if (S_ISLNK (st.st_mode))
    return follow (walk, next, ret_error);
  if (!S_ISDIR (st.st_mode))
    return fail_errno (walk, ENOTDIR, ret_error);
  return move_to (walk, pfs_fd_steal (&next), ret_error);
}

char *
pfs_fd_path (int fd)
{
  g_autofree char *link = g_strdup_printf ("/proc/self/fd/%d", fd);
  char *path = NULL;

  return pfs_readlink_at (AT_FDCWD, link, &path) < 0 ? NULL : path;
}

int
pfs_mountwalk_open (const char *path, char **ret_error)
{
  g_auto (MountpointWalk) walk = { .path = path, .todo = G_QUEUE_INIT, .dir = -1 };
  struct stat st;

  if (move_to_root (&walk, ret_error) < 0)
    return -1;
  if (fstat (walk.dir, &st) < 0)
    return fail_errno (&walk, errno, ret_error);
  walk.root_uid = st.st_uid;
  walk.root_mount = mount_of (walk.dir);
  push_path (&walk, path);
  if (*path != '/') {
    g_autofree char *here = getcwd (NULL, 0);
    if (!here)
      return fail_errno (&walk, errno, ret_error);
    push_path (&walk, here);
  }
  while (!g_queue_is_empty (&walk.todo)) {
    g_autofree char *name = g_queue_pop_head (&walk.todo);
    if (step (&walk, name, ret_error) < 0)
      return -1;
  }
  return pfs_fd_steal (&walk.dir);
}
