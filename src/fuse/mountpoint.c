/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Before the mount: one line for each thing that can be wrong. Later: to know the mount again, and to unmount it. */
#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "peerfs/base/statx.h"
#include "peerfs/parse/mountinfo.h"
#include "private.h"

static int
check_device (char **ret_error)
{
  struct stat st;

  if (stat ("/dev/fuse", &st) == 0 && !S_ISCHR (st.st_mode))
    return pfs_fail (ret_error,
                     "/dev/fuse is a %s here, not the device: remove it, and the volume that put it there; give the "
                     "container the device (privileged: true, a device plugin, or --device /dev/fuse)",
                     S_ISDIR (st.st_mode) ? "directory" : "file");
  pfs_autofd fd = open ("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fd >= 0)
    return 0;
  switch (errno) {
  case ENOENT:
    return pfs_fail (ret_error,
                     "no /dev/fuse here: load the fuse module on the node, and give the container the device "
                     "(privileged: true, a device plugin, or --device /dev/fuse)");
  case EPERM:
    return pfs_fail (ret_error, "/dev/fuse is there but may not be opened (device cgroup): use privileged: true, a "
                                "device plugin, or --device /dev/fuse instead of a hostPath");
  case ENODEV:
  case ENXIO:
    return pfs_fail (ret_error, "/dev/fuse is there but nothing is behind it: load the fuse module on the node "
                                "(modprobe fuse)");
  default:
    return pfs_fail (ret_error, "cannot open /dev/fuse: %s", g_strerror (errno));
  }
}

static int
check_capabilities (char **ret_error)
{
  if (capng_get_caps_process () < 0)
    return 0;
  if (!capng_have_capability (CAPNG_EFFECTIVE, CAP_SYS_ADMIN))
    return pfs_fail (ret_error, "no CAP_SYS_ADMIN, which mounting needs: run as root with privileged: true, or add "
                                "SYS_ADMIN and SYS_PTRACE to the container's capabilities");
  if (!capng_have_capability (CAPNG_EFFECTIVE, CAP_SYS_PTRACE))
    fuse_log (FUSE_LOG_WARNING, "peerfs: no CAP_SYS_PTRACE: only peers of the same user can be entered; add SYS_PTRACE "
                                "to the container's capabilities\n");
  return 0;
}

/* Is the file in the directory, or the directory itself? Both are paths without links. */
static bool
is_within (const char *file, const char *dir)
{
  size_t len = strlen (dir);

  return g_str_equal (dir, "/") || (g_str_has_prefix (file, dir) && (file[len] == '/' || file[len] == '\0'));
}

/* What peerfs uses all the time must not lie below its own mount: it would wait for itself. The working directory
 * itself may be the mountpoint. */
static int
check_hides_nothing (const PfsSession *session, char **ret_error)
{
  const char *const in_use[] = { pfs_table_proc (session->table)->path, "/proc/self/fd", "/dev/fuse", "/proc/self/exe",
                                 "." };
  const char *dir = session->mountpoint;

  for (size_t i = 0; i < G_N_ELEMENTS (in_use); i++) {
    char real[PATH_MAX];
    const char *path = realpath (in_use[i], real) ? real : in_use[i];
    bool is_here = g_str_equal (in_use[i], ".") && g_str_equal (path, dir);
    if (!is_here && (is_within (path, dir) || is_within (in_use[i], dir)))
      return pfs_fail (ret_error, "mountpoint %s would hide %s, which is in use: give an empty directory", dir, path);
  }
  return 0;
}

static int
check_empty (const PfsSession *session, char **ret_error)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", session->mountpoint_fd);
  const struct dirent *entry;

  DIR *dir = opendir (path);
  if (!dir)
    return pfs_fail (ret_error, "cannot use mountpoint %s: %s", session->mountpoint, g_strerror (errno));
  do
    entry = readdir (dir);
  while (entry && (g_str_equal (entry->d_name, ".") || g_str_equal (entry->d_name, "..")));
  bool is_empty = !entry;
  closedir (dir);
  if (!is_empty)
    return pfs_fail (ret_error,
                     "mountpoint %s is not empty: give an empty directory, or hide what is in it with -o nonempty",
                     session->mountpoint);
  return 0;
}

/* Is the uppermost mount there one of ours? */
static bool
is_peerfs (const char *path)
{
  g_autoptr (GBytes) content = NULL;
  PfsMountLine line;
  bool found = false;

  if (pfs_read_at (AT_FDCWD, "/proc/self/mountinfo", PFS_MOUNTINFO_MAX, &content) < 0)
    return false;
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  while (pfs_mount_iter_next (iter, &line))
    if (g_str_equal (line.mount_point, path))
      found = g_str_equal (line.fstype, "fuse.peerfs");
  return found;
}

int
pfs_mountpoint_prepare (PfsSession *session, char **ret_error)
{
  bool nonempty = session->options->nonempty;

  session->mountpoint_fd = pfs_mountwalk_open (session->options->mountpoint, ret_error);
  if (session->mountpoint_fd < 0)
    return -1;
  session->mountpoint = pfs_fd_path (session->mountpoint_fd);
  if (!session->mountpoint)
    return pfs_fail (ret_error,
                     "cannot use mountpoint %s: /proc does not tell where it is; mount a proc file system there",
                     session->options->mountpoint);
  if (!nonempty && is_peerfs (session->mountpoint))
    return pfs_fail (ret_error, "peerfs is mounted on %s already: use that, or umount %s first", session->mountpoint,
                     session->mountpoint);
  if (check_hides_nothing (session, ret_error) < 0 || (!nonempty && check_empty (session, ret_error) < 0))
    return -1;
  return check_capabilities (ret_error) < 0 || check_device (ret_error) < 0 ? -1 : 0;
}

/* libfuse remembers the path. So the descriptor's number stays taken, by something that nobody can unmount. */
int
pfs_mountpoint_mount (PfsSession *session)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", session->mountpoint_fd);
  int r = fuse_session_mount (session->fuse, path);
  pfs_autofd null = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  if (r == 0 && null >= 0)
    dup3 (null, session->mountpoint_fd, O_CLOEXEC);
  return r;
}

/* What lies on top there, without a request to its server. */
static bool
look_at_top (const char *path, struct statx *ret)
{
  return statx (AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID_UNIQUE, ret)
         == 0;
}

void
pfs_mountpoint_remember (PfsSession *session)
{
  struct statx stx;

  if (look_at_top (session->mountpoint, &stx)) {
    session->device = makedev (stx.stx_dev_major, stx.stx_dev_minor);
    session->mount_id = stx.stx_mask & STATX_MNT_ID_UNIQUE ? stx.stx_mnt_id : 0;
  }
  g_atomic_int_set (&session->mounted, 1);
}

/* Before Linux 6.8 there is only the device number to know it by, which the next mount gets as soon as ours is gone. So
 * if the connection is dead, a mount with that number is ours only if it is dead, too. */
static bool
is_there (const PfsSession *session)
{
  const int flags = AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  struct pollfd connection = { .fd = fuse_session_fd (session->fuse) };
  struct statx stx;

  if (!g_atomic_int_get (&session->mounted) || !look_at_top (session->mountpoint, &stx))
    return false;
  if (session->mount_id != 0)
    return stx.stx_mask & STATX_MNT_ID_UNIQUE && stx.stx_mnt_id == session->mount_id;
  if (session->device == 0)
    return true;
  if (makedev (stx.stx_dev_major, stx.stx_dev_minor) != session->device)
    return false;
  return poll (&connection, 1, 0) == 0
         || (statx (AT_FDCWD, session->mountpoint, flags, STATX_BASIC_STATS, &stx) < 0 && errno == ENOTCONN);
}

/* MNT_FORCE aborts what is under way there, also a notification of ours that waits for a directory. In a user namespace
 * only kernels of 2025 and later allow that. */
bool
pfs_mountpoint_clear (PfsSession *session)
{
  const int flags = MNT_DETACH | UMOUNT_NOFOLLOW;

  if (is_there (session) && umount2 (session->mountpoint, flags | MNT_FORCE) < 0 && errno == EPERM
      && umount2 (session->mountpoint, flags) < 0)
    return false;
  g_atomic_int_set (&session->mounted, 0);
  return true;
}
