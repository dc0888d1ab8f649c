/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/proc/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/stat.h"
#include "peerfs/proc/procfile.h"

#define IO_WORKER 0x10 /* PF_IO_WORKER of include/linux/sched.h */

struct PfsProc {
  gint refs;
  int fd;
  char *path;
  bool live;
  bool own;
};

pid_t
pfs_pid_of_name (const char *name)
{
  guint64 pid = 0;

  if (*name == '0')
    return 0;
  for (; *name; name++) {
    if (!g_ascii_isdigit (*name) || pid > G_MAXINT32 / 10)
      return 0;
    pid = pid * 10 + (guint64) (*name - '0');
  }
  return pid > G_MAXINT32 ? 0 : (pid_t) pid;
}

int
pfs_proc_stat_at (int piddir, PfsStat *ret)
{
  g_autoptr (GBytes) bytes = NULL;
  int r = pfs_read_at (piddir, "stat", PFS_STAT_MAX, &bytes);

  if (r < 0)
    return r;
  gsize len;
  const char *content = g_bytes_get_data (bytes, &len);
  return pfs_stat_parse (content ? content : "", len, ret);
}

int
pfs_proc_status_at (int dirfd, const char *name, PfsStatus *ret)
{
  g_autoptr (GBytes) bytes = NULL;
  int r = pfs_read_at (dirfd, name, PFS_STATUS_MAX, &bytes);

  if (r < 0)
    return r;
  gsize len;
  const char *content = g_bytes_get_data (bytes, &len);
  return pfs_status_parse (content ? content : "", len, ret);
}

bool
pfs_proc_is_worker (int proc_fd, pid_t pid)
{
  char name[16];
  PfsStat stat;

  /* Such a thread never leads its process: only that one's number is right for both. */
  if (syscall (SYS_tgkill, pid, pid, 0) == 0 || errno != ESRCH)
    return false;
  g_snprintf (name, sizeof name, "%d", (int) pid);
  pfs_autofd dir = openat (proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return dir < 0 || pfs_proc_stat_at (dir, &stat) < 0 || (stat.flags & IO_WORKER);
}

int
pfs_proc_open_pid (const PfsProc *proc, pid_t pid, int flags)
{
  char name[16];

  g_snprintf (name, sizeof name, "%d", pid);
  int fd = openat (proc->fd, name, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

static int
check_has_process (int fd)
{
  int copy = openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (copy < 0)
    return -errno;
  DIR *dir = fdopendir (copy);
  if (!dir) {
    int r = -errno;
    close (copy);
    return r;
  }
  int r = -ENODATA;
  for (struct dirent *entry; r && (entry = readdir (dir));)
    if (pfs_pid_of_name (entry->d_name) > 0)
      r = 0;
  closedir (dir);
  return r;
}

/* An ancestor's procfs also has a "self", with another number that may happen to be ours: NSpid (proc_pid_status(5))
 * lists the numbers from the procfs's namespace inwards, so that only in our own there is exactly one. */
static bool
is_own_namespace (int fd)
{
  g_autofree char *self = NULL;
  g_autoptr (GBytes) bytes = NULL;

  if (pfs_readlink_at (fd, "self", &self) < 0 || pfs_pid_of_name (self) != getpid ())
    return false;
  pfs_autofd dir = openat (fd, self, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0 || pfs_read_at (dir, "status", PFS_STATUS_MAX, &bytes) < 0)
    return false;
  gsize len;
  g_autofree char *status = g_bytes_unref_to_data (g_steal_pointer (&bytes), &len);
  g_autofree char *text = g_strndup (status ? status : "", len);
  const char *line = strstr (text, "\nNSpid:");
  if (!line)
    return true;
  char *end;
  line += strlen ("\nNSpid:");
  return strtol (line, &end, 10) == getpid () && *end == '\n';
}

int
pfs_proc_open (const char *dir, PfsProc **ret)
{
  pfs_autofd fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct statfs fs;

  if (fd < 0)
    return -errno;
  if (fstatfs (fd, &fs) < 0)
    return -errno;
  int r = check_has_process (fd);
  if (r < 0)
    return r;

  char *path = realpath (dir, NULL);
  if (!path)
    return -errno;

  PfsProc *proc = g_new0 (PfsProc, 1);
  proc->refs = 1;
  proc->live = fs.f_type == PROC_SUPER_MAGIC;
  proc->own = proc->live && is_own_namespace (fd);
  proc->path = g_strdup (path);
  proc->fd = pfs_fd_steal (&fd);
  free (path);
  *ret = proc;
  return 0;
}

PfsProc *
pfs_proc_ref (PfsProc *proc)
{
  g_atomic_int_inc (&proc->refs);
  return proc;
}

void
pfs_proc_unref (PfsProc *proc)
{
  if (!g_atomic_int_dec_and_test (&proc->refs))
    return;
  close (proc->fd);
  g_free (proc->path);
  g_free (proc);
}

int
pfs_proc_fd (const PfsProc *proc)
{
  return proc->fd;
}

const char *
pfs_proc_path (const PfsProc *proc)
{
  return proc->path;
}

bool
pfs_proc_is_own (const PfsProc *proc)
{
  return proc->own;
}

bool
pfs_proc_is_live (const PfsProc *proc)
{
  return proc->live;
}
