/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --as: a command with the uid, gid and groups of a container's process, for servers that check their client by
 * SO_PEERCRED. */
#include "as.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peerfs/base/read.h"
#include "peerfs/parse/mountinfo.h"

/* Takes away what another user's command must not have of ours; see "COMMANDS OF ANOTHER USER" in peerfs(1). If
 * keyctl(2) is forbidden, keys are out of reach anyway. No core file: a signal from the peer would leave one in the
 * command's folder. */
static int
leave_behind (void)
{
  const struct rlimit none = { 0, 0 };
  if (syscall (SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM)
    return -errno;
  return setrlimit (RLIMIT_CORE, &none) < 0 ? -errno : 0;
}

static void
set_or_unset (const char *variable, const char *value)
{
  if (value)
    g_setenv (variable, value, TRUE);
  else
    g_unsetenv (variable);
}

static void
move_in (const PfsTarget *target)
{
  g_auto (PfsPasswd) passwd = { 0 };
  pfs_passwd_look_up (target->status.euid, target->root, &passwd);
  g_setenv ("HOME", passwd.home, TRUE);
  set_or_unset ("USER", passwd.name);
  set_or_unset ("LOGNAME", passwd.name);
}

/* execvp(3) says EACCES also if the command is nowhere, but a folder of PATH is closed to this user. */
static bool
is_nowhere (const char *command)
{
  const char *path = g_getenv ("PATH");
  if (strchr (command, '/') || !path)
    return false;
  g_auto (GStrv) dirs = g_strsplit (path, ":", -1);
  for (char **dir = dirs; *dir; dir++) {
    g_autofree char *file = g_build_filename (**dir ? *dir : ".", command, NULL);
    if (access (file, F_OK) == 0)
      return false;
  }
  return true;
}

static int
run (char **command)
{
  closefrom (STDERR_FILENO + 1);
  execvp (command[0], command);
  int error = errno;
  if (error == ENOENT || error == ENOTDIR || is_nowhere (command[0])) {
    pfs_say ("%s: command not found; it has to be in this container, not in the peer", command[0]);
    return PFS_EXIT_NOT_FOUND;
  }
  pfs_say ("cannot run %s: %s; see that this user may execute it", command[0], g_strerror (error));
  return PFS_EXIT_CANNOT_RUN;
}

/* The mount that one of the words leads through, if it lets in only the user that mounted it (no allow_other). */
static bool
is_closed_mount (const PfsMountLine *line, char **command, uid_t uid)
{
  g_autofree char *owner = g_strdup_printf ("user_id=%u", (guint) uid);
  g_auto (GStrv) options = g_strsplit (line->super_options, ",", -1);
  bool named = false;
  for (char **word = command; *word; word++)
    named = named || strstr (*word, line->mount_point);
  return named && g_str_equal (line->fstype, "fuse.peerfs")
         && !g_strv_contains ((const char *const *) options, "allow_other")
         && !g_strv_contains ((const char *const *) options, owner);
}

/* The command itself would say "Permission denied". */
static void
warn_of_closed_mount (char **command, uid_t uid)
{
  g_autoptr (GBytes) content = NULL;
  if (pfs_read_at (AT_FDCWD, "/proc/self/mountinfo", PFS_MOUNTINFO_MAX, &content) < 0)
    return;
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  for (PfsMountLine line; pfs_mount_iter_next (iter, &line);) {
    if (is_closed_mount (&line, command, uid))
      pfs_say ("warning: %s lets in only the user who mounted it; umount it, and mount it with -o allow_other",
               line.mount_point);
  }
}

int
pfs_app_as (const PfsOptions *options)
{
  g_autoptr (PfsTable) table = NULL;
  g_autoptr (GPtrArray) containers = NULL;
  g_auto (PfsTarget) target = { .root = -1 };
  bool changed;
  int exit_status = pfs_app_open (options, &table, &containers);
  if (exit_status == PFS_EXIT_DONE)
    exit_status = pfs_target_find (table, containers, options, &target);
  if (exit_status == PFS_EXIT_DONE)
    exit_status = pfs_become (table, options, &target.status, &changed);
  if (exit_status != PFS_EXIT_DONE)
    return exit_status;
  int r = changed ? leave_behind () : 0;
  if (r < 0) {
    pfs_say ("cannot leave the caller's keys behind: %s; see keyctl(2)", g_strerror (-r));
    return PFS_EXIT_FAILURE;
  }
  if (changed) {
    warn_of_closed_mount (options->command, target.status.euid);
    move_in (&target);
  }
  return run (options->command);
}
