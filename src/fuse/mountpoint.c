/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Before the mount: everything that can be wrong, said in one line each. */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
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
fail (char **ret_error, char *message)
{
  *ret_error = message;
  return -1;
}

static int
check_device (char **ret_error)
{
  pfs_autofd fd = open ("/dev/fuse", O_RDWR | O_CLOEXEC);

  if (fd >= 0)
    return 0;
  if (errno == ENOENT)
    return fail (ret_error, g_strdup ("no /dev/fuse here: load the fuse module on the node, and give the container the "
                                      "device (privileged: true, a device plugin, or --device /dev/fuse)"));
  if (errno == EPERM)
    return fail (ret_error, g_strdup ("/dev/fuse is there but may not be opened (device cgroup): use privileged: true, "
                                      "a device plugin, or --device /dev/fuse instead of a hostPath"));
  return fail (ret_error, g_strdup_printf ("cannot open /dev/fuse: %s", g_strerror (errno)));
}

static int
check_capabilities (char **ret_error)
{
  if (capng_get_caps_process () < 0)
    return 0;
  if (!capng_have_capability (CAPNG_EFFECTIVE, CAP_SYS_ADMIN))
    return fail (ret_error, g_strdup ("no CAP_SYS_ADMIN, which mounting needs: run as root with privileged: true, or "
                                      "add SYS_ADMIN and SYS_PTRACE to the container's capabilities"));
  if (!capng_have_capability (CAPNG_EFFECTIVE, CAP_SYS_PTRACE))
    fuse_log (FUSE_LOG_WARNING, "peerfs: no CAP_SYS_PTRACE: only peers of the same user can be entered; add SYS_PTRACE "
                                "to the container's capabilities\n");
  return 0;
}

/* A daemon that was killed leaves a mount on which everything fails with ENOTCONN; more than one may lie there. */
static int
clear_stale (const char *path, char **ret_error)
{
  struct stat st;

  for (int i = 0; i < 64 && stat (path, &st) < 0 && errno == ENOTCONN; i++)
    if (umount2 (path, MNT_DETACH) < 0)
      return fail (ret_error, g_strdup_printf ("a dead mount is in the way at %s and cannot be removed: %s; try "
                                               "umount -l %s", path, g_strerror (errno), path));
  return 0;
}

int
pfs_mountpoint_prepare (const PfsMountOptions *options, char **ret_path, char **ret_error)
{
  const char *path = options->mountpoint;
  struct stat st;

  if (clear_stale (path, ret_error) < 0)
    return -1;
  if (stat (path, &st) < 0 && errno == ENOENT)
    return fail (ret_error, g_strdup_printf ("mountpoint %s does not exist: create it with mkdir -p %s", path, path));
  if (stat (path, &st) < 0)
    return fail (ret_error, g_strdup_printf ("cannot use mountpoint %s: %s", path, g_strerror (errno)));
  if (!S_ISDIR (st.st_mode))
    return fail (ret_error, g_strdup_printf ("mountpoint %s is not a directory: give an empty directory", path));
  if (check_capabilities (ret_error) < 0 || check_device (ret_error) < 0)
    return -1;
  char *absolute = realpath (path, NULL);
  if (!absolute)
    return fail (ret_error, g_strdup_printf ("cannot use mountpoint %s: %s", path, g_strerror (errno)));
  *ret_path = g_strdup (absolute);
  free (absolute);
  return 0;
}

static dev_t
find_device (const char *path)
{
  g_autoptr (GBytes) content = NULL;
  g_autoptr (PfsMountIter) iter = NULL;
  PfsMountLine line;
  dev_t device = 0;
  gsize len;

  if (pfs_read_at (AT_FDCWD, "/proc/self/mountinfo", PFS_MOUNTINFO_MAX, &content) < 0)
    return 0;
  const char *text = g_bytes_get_data (content, &len);
  iter = pfs_mount_iter_new (text, len);
  while (pfs_mount_iter_next (iter, &line))
    if (strcmp (line.mount_point, path) == 0)
      device = makedev (line.major, line.minor);
  return device;
}

/* What lies on top there, without a request to whoever serves it. */
static bool
look_at_top (const char *path, struct statx *ret)
{
  return statx (AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID_UNIQUE, ret) == 0;
}

void
pfs_mountpoint_remember (PfsSession *session)
{
  struct statx stx;

  session->device = find_device (session->mountpoint);
  if (look_at_top (session->mountpoint, &stx) && stx.stx_mask & STATX_MNT_ID_UNIQUE &&
      makedev (stx.stx_dev_major, stx.stx_dev_minor) == session->device)
    session->mount_id = stx.stx_mnt_id;
  g_atomic_int_set (&session->mounted, 1);
}

/* Before Linux 6.8 there is only the device number to know it by, which the next mount gets as soon as ours is gone: where
 * the connection is dead, a mount with that number is ours only if it is dead, too. */
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
  return poll (&connection, 1, 0) == 0 ||
         (statx (AT_FDCWD, session->mountpoint, flags, STATX_BASIC_STATS, &stx) < 0 && errno == ENOTCONN);
}

/* Waits for nobody: what is under way there, a notification of ours that waits for a directory too, is aborted. In a user
 * namespace only kernels of 2025 and later allow that. */
bool
pfs_mountpoint_clear (PfsSession *session)
{
  const int flags = MNT_DETACH | UMOUNT_NOFOLLOW;

  if (is_there (session) && umount2 (session->mountpoint, flags | MNT_FORCE) < 0 && errno == EPERM &&
      umount2 (session->mountpoint, flags) < 0)
    return false;
  g_atomic_int_set (&session->mounted, 0);
  return true;
}
