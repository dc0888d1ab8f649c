/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --as: a command with the uid, gid and groups of a container's main process, as servers that ask SO_PEERCRED who
 * connects want it. */
#include "app.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "peerfs/base/read.h"
#include "peerfs/parse/stat.h"

static int
read_status (PfsContainer *c, PfsStatus *ret)
{
  g_autoptr (PfsPin) pin = NULL;
  g_autoptr (GBytes) content = NULL;
  int r = pfs_container_main (c, &pin);
  if (r == 0)
    r = pfs_read_at (pfs_pin_fd (pin), "status", PFS_STATUS_MAX, &content);
  if (r < 0)
    return r;
  gsize len;
  const char *bytes = g_bytes_get_data (content, &len);
  return pfs_status_parse (bytes, len, ret);
}

static int
compare_gids (const void *a, const void *b)
{
  gid_t x = *(const gid_t *) a, y = *(const gid_t *) b;
  return x < y ? -1 : x > y;
}

static bool
has_groups (const gid_t *groups, size_t n_groups)
{
  int n = getgroups (0, NULL);
  if (n < 0 || (size_t) n != n_groups)
    return false;
  g_autofree gid_t *own = g_new0 (gid_t, n_groups + 1);
  g_autofree gid_t *wanted = g_new0 (gid_t, n_groups + 1);
  if (getgroups (n, own) != n)
    return false;
  for (size_t i = 0; i < n_groups; i++)
    wanted[i] = groups[i];
  qsort (own, n_groups, sizeof *own, compare_gids);
  qsort (wanted, n_groups, sizeof *wanted, compare_gids);
  return memcmp (own, wanted, n_groups * sizeof *own) == 0;
}

/* Is this process that user already, groups included? Then no privilege is needed. */
static bool
is_same_user (const PfsStatus *status)
{
  return getuid () == status->euid && geteuid () == status->euid && getgid () == status->egid
         && getegid () == status->egid && has_groups (status->groups, status->n_groups);
}

/* The effective ids: they are what others see of the main process, in SO_PEERCRED too. */
static int
become (const PfsStatus *status)
{
  if (!is_same_user (status)
      && (setgroups (status->n_groups, status->groups) < 0
          || setresgid (status->egid, status->egid, status->egid) < 0
          || setresuid (status->euid, status->euid, status->euid) < 0))
    return -errno;
  if (status->euid == 0)
    return 0;
  /* setresuid(2) leaves the inheritable set, and all of them where we were not root before. */
  if (prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
    return -errno;
  capng_clear (CAPNG_SELECT_CAPS);
  return capng_apply (CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

/* execvp(3) says EACCES also where the command is nowhere, but a folder of PATH is closed to this user. */
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
  execvp (command[0], command);
  int error = errno;
  if (error == ENOENT || error == ENOTDIR || is_nowhere (command[0])) {
    pfs_say ("%s: command not found; it has to be in this container, not in the peer", command[0]);
    return PFS_EXIT_NOT_FOUND;
  }
  pfs_say ("cannot run %s: %s; see that this user may execute it", command[0], g_strerror (error));
  return PFS_EXIT_CANNOT_RUN;
}

int
pfs_app_as (const PfsOptions *options)
{
  g_autoptr (PfsTable) table = NULL;
  g_autoptr (PfsContainer) c = NULL;
  g_auto (PfsStatus) status = { 0 };
  int exit_status = pfs_app_table (options, true, &table);
  if (exit_status != PFS_EXIT_DONE)
    return exit_status;
  int r = pfs_table_find (table, options->target, &c);
  if (r < 0)
    return pfs_app_not_found (table, options->target, r);

  r = read_status (c, &status);
  if (r < 0) {
    pfs_say ("cannot read who '%s' runs as: %s; try again once it has started", options->target, g_strerror (-r));
    return PFS_EXIT_FAILURE;
  }
  r = become (&status);
  if (r < 0) {
    pfs_say ("cannot become uid %u gid %u of '%s': %s; run as root with CAP_SETUID and CAP_SETGID",
             (guint) status.euid, (guint) status.egid, options->target, g_strerror (-r));
    return PFS_EXIT_FAILURE;
  }
  return run (options->command);
}
