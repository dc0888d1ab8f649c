/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/proc/pids.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "peerfs/proc/procfile.h"

#define DENTS_SIZE 65536

static int
compare_entries (gconstpointer a, gconstpointer b)
{
  const PfsPidEntry *x = a, *y = b;

  return x->pid < y->pid ? -1 : x->pid > y->pid;
}

int
pfs_proc_list_pids (const PfsProc *proc, GArray *entries)
{
  pfs_autofd dir = openat (pfs_proc_fd (proc), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

/* These say that the process has ended; anything else is about us. */
static bool
is_end (int error)
{
  return error == -ENOENT || error == -ESRCH;
}

int
pfs_proc_pid_alive (const PfsProc *proc, pid_t pid)
{
  char name[32], buf[2];
  g_autoptr (GBytes) bytes = NULL;
  PfsStat stat;
  int r;

  if (pfs_proc_is_live (proc)) {
    g_snprintf (name, sizeof name, "%d/root", pid);
    if (readlinkat (pfs_proc_fd (proc), name, buf, sizeof buf) > 0)
      return 1;
    if (is_end (-errno))
      return 0;
    g_snprintf (name, sizeof name, "%d/statm", pid);
    r = pfs_read_prefix_at (pfs_proc_fd (proc), name, sizeof buf, &bytes);
    if (r < 0)
      return is_end (r) ? 0 : r;
    return g_bytes_get_size (bytes) == 2 && memcmp (g_bytes_get_data (bytes, NULL), "0 ", 2) != 0;
  }
  pfs_autofd dir = pfs_proc_open_pid (proc, pid, O_PATH);
  r = dir < 0 ? dir : pfs_proc_stat_at (dir, &stat);
  if (r < 0)
    return is_end (r) || r == -EINVAL ? 0 : r;
  return !pfs_stat_is_dead (&stat);
}
