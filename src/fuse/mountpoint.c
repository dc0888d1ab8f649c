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

/* With the mount goes the connection, and the next mount may get the device number: then only one that is dead as well
 * can be it (aborted by hand). The device is asked for without a request to whoever serves that mount. */
static bool
is_there (const PfsSession *session)
{
  struct pollfd connection = { .fd = fuse_session_fd (session->fuse) };
  struct statx stx;
  struct stat st;

  if (session->device == 0)
    return true;
  if (statx (AT_FDCWD, session->mountpoint, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &stx) < 0 ||
      makedev (stx.stx_dev_major, stx.stx_dev_minor) != session->device)
    return false;
  return poll (&connection, 1, 0) == 0 || (stat (session->mountpoint, &st) < 0 && errno == ENOTCONN);
}

/* Waits for nobody: what is under way there, a notification of ours that waits for a directory too, is aborted. */
bool
pfs_mountpoint_clear (const PfsSession *session)
{
  return !is_there (session) || umount2 (session->mountpoint, MNT_DETACH | MNT_FORCE | UMOUNT_NOFOLLOW) == 0;
}

dev_t
pfs_mountpoint_device (const char *path)
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
