/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mount, and the checks of the pod before it. */
#include "app.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "peerfs/base/fd.h"

/* True if the kernel lets us look into the container (ptrace(2)). */
static bool
is_reachable (PfsContainer *c)
{
  struct stat st;
  g_autofree char *root = g_strdup_printf ("%d/root/.", (int) pfs_container_pid (c));
  int r = fstatat (c->proc->fd, root, &st, 0);
  return r == 0 || (errno != EACCES && errno != EPERM);
}

/* Without CAP_SYS_PTRACE we can enter only peers of the same user. If there is none, that is a failure. If there are
 * some, warn; the session itself warns of a missing capability. */
static int
check_reach (GPtrArray *containers, PfsLogLevel log_level)
{
  bool capable = capng_have_capability (CAPNG_EFFECTIVE, CAP_SYS_PTRACE);
  guint peers = 0, refused = 0;
  for (guint i = 0; i < containers->len; i++) {
    if (pfs_app_is_own (containers->pdata[i]))
      continue;
    peers++;
    refused += is_reachable (containers->pdata[i]) ? 0 : 1;
  }
  const char *cure = capable ? "a security policy (AppArmor, SELinux, Yama) refuses it"
                     : capng_have_capability (CAPNG_EFFECTIVE, CAP_SYS_ADMIN)
                         ? "run as root with CAP_SYS_PTRACE (capabilities: add: [SYS_PTRACE])"
                         : "run as root with CAP_SYS_PTRACE, and CAP_SYS_ADMIN to mount (privileged: true, or "
                           "capabilities: add: [SYS_ADMIN, SYS_PTRACE])";
  if (refused && refused == peers) {
    pfs_say ("no access to the files of any other container: %s", cure);
    return PFS_EXIT_FAILURE;
  }
  if (refused && capable && log_level < PFS_LOG_ERROR)
    pfs_say ("warning: no access to the files of %u of %u other containers: %s", refused, peers, cure);
  return PFS_EXIT_DONE;
}

/* True if the mount can go on, as far as this can be checked. If not, the mount's own error is the one line to show. */
static bool
looks_mountable (const char *mountpoint)
{
  struct stat st;
  pfs_autofd fuse = open ("/dev/fuse", O_RDWR | O_CLOEXEC);
  return fuse >= 0 && fstat (fuse, &st) == 0 && S_ISCHR (st.st_mode)
         && capng_have_capability (CAPNG_EFFECTIVE, CAP_SYS_ADMIN) && stat (mountpoint, &st) == 0
         && S_ISDIR (st.st_mode);
}

int
pfs_app_mount (const PfsOptions *options)
{
  g_autoptr (PfsTable) table = NULL;
  g_autoptr (GPtrArray) containers = NULL;
  int status = pfs_app_open (options, &table, &containers);
  if (status == PFS_EXIT_DONE)
    status = check_reach (containers, options->mount.log_level);
  if (status != PFS_EXIT_DONE)
    return status;
  if (options->mount.log_level < PFS_LOG_ERROR)
    pfs_app_check_names (options, containers);
  const char *hint = pfs_app_namespace_hint (table, containers);
  if (hint && options->mount.log_level < PFS_LOG_ERROR && looks_mountable (options->mount.mountpoint))
    pfs_say ("warning: %s", hint);
  /* Do not hold what is known now for as long as the mount lives. */
  g_clear_pointer (&containers, g_ptr_array_unref);

  g_autofree char *error = NULL;
  status = pfs_session_run (table, &options->mount, &error);
  if (error)
    pfs_say ("%s", error);
  return status;
}
