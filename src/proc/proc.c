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

#define DENTS_SIZE 65536
#define IO_WORKER 0x10 /* PF_IO_WORKER of include/linux/sched.h */

pid_t
pfs_pid_of_name (const char *name)
{
  guint64 pid = 0;

  if (*name == '0' || !g_ascii_string_to_unsigned (name, 10, 1, G_MAXINT32, &pid, NULL))
    return 0;
  return (pid_t) pid;
}

int
pfs_proc_stat_at (int dirfd, pid_t pid, PfsStat *ret)
{
  g_autoptr (GBytes) bytes = NULL;
  char name[32] = "stat";
  gsize len;

  if (pid > 0)
    g_snprintf (name, sizeof name, "%d/stat", (int) pid);
  int r = pfs_read_at (dirfd, name, PFS_STAT_MAX, &bytes);
  if (r < 0)
    return r;
  const char *content = g_bytes_get_data (bytes, &len);
  return pfs_stat_parse (content, len, ret);
}

int
pfs_proc_status_at (int dirfd, const char *name, PfsStatus *ret)
{
  g_autoptr (GBytes) bytes = NULL;
  gsize len;
  int r = pfs_read_at (dirfd, name, PFS_STATUS_MAX, &bytes);

  if (r < 0)
    return r;
  const char *content = g_bytes_get_data (bytes, &len);
  return pfs_status_parse (content, len, ret);
}

bool
pfs_proc_is_worker (int proc_fd, pid_t pid)
{
  PfsStat stat;

  /* Such a thread never leads its process: only that one's number is right for both. */
  if (syscall (SYS_tgkill, pid, pid, 0) == 0 || errno != ESRCH)
    return false;
  return pfs_proc_stat_at (proc_fd, pid, &stat) < 0 || (stat.flags & IO_WORKER);
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
compare_entries (gconstpointer a, gconstpointer b)
{
  const PfsPidEntry *x = a, *y = b;

  return x->pid < y->pid ? -1 : x->pid > y->pid;
}

int
pfs_proc_list_pids (const PfsProc *proc, GArray *entries)
{
  pfs_autofd dir = openat (proc->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autofree char *buf = g_malloc (DENTS_SIZE);
  bool sorted = true;
  pid_t last = 0;
  ssize_t n;

  if (dir < 0)
    return -errno;
  while ((n = getdents64 (dir, buf, DENTS_SIZE)) > 0)
    for (ssize_t at = 0; at < n;) {
      const struct dirent64 *d = (const struct dirent64 *) (const void *) (buf + at);
      PfsPidEntry entry = { .ino = d->d_ino, .pid = pfs_pid_of_name (d->d_name) };
      at += d->d_reclen;
      if (entry.pid == 0)
        continue;
      sorted = sorted && entry.pid > last;
      last = entry.pid;
      g_array_append_val (entries, entry);
    }
  if (n < 0)
    return -errno;
  if (!sorted)
    g_array_sort (entries, compare_entries);
  return 0;
}

/* The root's link tells that it lives by one call; its stat file tells all. */
int
pfs_proc_pid_alive (const PfsProc *proc, pid_t pid)
{
  char name[32], buf[2];
  PfsStat stat;

  g_snprintf (name, sizeof name, "%d/root", pid);
  if (proc->live && readlinkat (proc->fd, name, buf, sizeof buf) > 0)
    return 1;
  int r = pfs_proc_stat_at (proc->fd, pid, &stat);
  if (r < 0)
    return r == -ENOENT || r == -ESRCH || r == -EINVAL ? 0 : r;
  return !pfs_stat_is_dead (&stat);
}

/* An ancestor's procfs also has a "self", with another number that may happen to be ours: NSpid (proc_pid_status(5))
 * lists the numbers from the procfs's namespace inwards, so that only in our own there is exactly one. */
static bool
is_own_namespace (int fd)
{
  g_autofree char *self = NULL;
  g_autoptr (GBytes) bytes = NULL;
  gsize len;

  if (pfs_readlink_at (fd, "self", &self) < 0 || pfs_pid_of_name (self) != getpid ()
      || pfs_read_at (fd, "self/status", PFS_STATUS_MAX, &bytes) < 0)
    return false;
  const char *content = g_bytes_get_data (bytes, &len);
  g_autofree char *status = g_strndup (content, len);
  g_autofree char *alone = g_strdup_printf ("\nNSpid:\t%s\n", self);
  return strstr (status, alone) || !strstr (status, "\nNSpid:");
}

int
pfs_proc_open (const char *dir, PfsProc **ret)
{
  pfs_autofd fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (PfsPidEntry));
  struct statfs fs;

  if (fd < 0 || fstatfs (fd, &fs) < 0)
    return -errno;
  g_autofree char *path = realpath (dir, NULL);
  if (!path)
    return -errno;

  g_autoptr (PfsProc) proc = g_new0 (PfsProc, 1);
  proc->refs = 1;
  proc->live = fs.f_type == PROC_SUPER_MAGIC;
  proc->own = proc->live && is_own_namespace (fd);
  proc->path = g_steal_pointer (&path);
  proc->fd = pfs_fd_steal (&fd);
  int r = pfs_proc_list_pids (proc, entries);
  if (r < 0 || entries->len == 0)
    return r < 0 ? r : -ENODATA;
  *ret = g_steal_pointer (&proc);
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
