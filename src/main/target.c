/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "as.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "peerfs/base/fd.h"
#include "peerfs/pod/sockets.h"

static int
read_process (int dir, PfsTarget *ret)
{
  int r = pfs_proc_status_at (dir, "status", &ret->status);
  if (r == 0)
    ret->root = openat (dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  return r;
}

/* The main process; if socket is not NULL, the one that listens there. */
static int
read_pinned (PfsContainer *c, const char *socket, PfsTarget *ret)
{
  g_autoptr (PfsProcess) pin = NULL;
  int r = socket ? pfs_sockets_holder (c, socket, &pin) : pfs_container_main (c, &pin);
  return r < 0 ? r : read_process (pin->fd, ret);
}

/* Open it before the lookup: if another process gets the pid meanwhile, this one cannot be read any more. */
static int
read_pid (PfsContainer *c, const char *text, PfsTarget *ret)
{
  g_autoptr (GArray) pids = NULL;
  guint64 wanted;
  if (!g_ascii_string_to_unsigned (text, 10, 1, G_MAXINT, &wanted, NULL))
    return -ENOENT;
  g_autofree char *name = g_strdup_printf ("%" G_GUINT64_FORMAT, wanted);
  pfs_autofd dir = openat (c->proc->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0)
    return -errno;
  int r = pfs_container_pids_now (c, &pids);
  for (guint i = 0; r >= 0 && i < pids->len; i++) {
    if (g_array_index (pids, pid_t, i) == (pid_t) wanted)
      return read_process (dir, ret);
  }
  return r < 0 ? r : -ENOENT;
}

static int
say_not_found (const char *target, const char *name, int error)
{
  if (error == -EINVAL)
    pfs_say ("'%s' is neither a socket nor a process; give %s, %s/sockets/SOCKET or %s/pids/PID", target, name, name,
             name);
  else if (error == -ENOENT || error == -ENOTDIR)
    pfs_say (
        "there is no %s; peerfs --wait %s waits for it, peerfs --list --json shows the sockets and pids that there "
        "are",
        target, target);
  else if (error == -EACCES || error == -EPERM)
    pfs_say ("cannot look at %s: permission denied; run as root with CAP_SYS_PTRACE, or as its user", target);
  else
    pfs_say ("cannot read the user of '%s': %s; try again once it has started", target, g_strerror (-error));
  return PFS_EXIT_FAILURE;
}

int
pfs_target_find (PfsTable *table, GPtrArray *containers, const PfsOptions *options, PfsTarget *ret)
{
  const char *target = options->target, *rest = target + pfs_app_name_length (options, target);
  g_autofree char *name = g_strndup (target, (gsize) (rest - target));
  g_autoptr (PfsContainer) c = NULL;
  int r = pfs_table_find (table, name, &c);
  if (r < 0)
    return pfs_app_not_found (containers, name, r);
  ret->root = -1;
  if (rest[strspn (rest, "/")] == '\0')
    r = read_pinned (c, NULL, ret);
  else if (g_str_has_prefix (rest, "/sockets/"))
    r = read_pinned (c, rest + strlen ("/sockets/"), ret);
  else
    r = g_str_has_prefix (rest, "/pids/") ? read_pid (c, rest + strlen ("/pids/"), ret) : -EINVAL;
  return r < 0 ? say_not_found (target, name, r) : PFS_EXIT_DONE;
}

void
pfs_target_clear (PfsTarget *target)
{
  pfs_status_clear (&target->status);
  if (target->root >= 0)
    close (target->root);
  target->root = -1;
}
