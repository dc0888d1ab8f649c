/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/mountinfo.h"

int
pfs_process_open (PfsProc *proc, pid_t pid, uint64_t start_time, PfsProcess **ret)
{
  pfs_autofd fd = pfs_proc_open_pid (proc, pid, O_RDONLY);
  pfs_autofd pidfd = -1;
  PfsStat stat;

  if (fd < 0)
    return fd == -ENOENT ? -ESRCH : fd;
  if (proc->own)
    pidfd = (int) syscall (SYS_pidfd_open, pid, 0);

  /* Read last: while the directory still answers, the pid cannot have been used again, so the pidfd is of this process.
   */
  int r = pfs_proc_stat_at (fd, 0, &stat);
  if (r == -ENOENT)
    return -ESRCH;
  if (r < 0)
    return r;
  if (stat.start_time != start_time || pfs_stat_is_dead (&stat))
    return -ESRCH;

  PfsProcess *process = g_new0 (PfsProcess, 1);
  process->refs = 1;
  process->pid = pid;
  process->fd = pfs_fd_steal (&fd);
  process->pidfd = pfs_fd_steal (&pidfd);
  process->live = proc->live;
  *ret = process;
  return 0;
}

PfsProcess *
pfs_process_ref (PfsProcess *process)
{
  g_atomic_int_inc (&process->refs);
  return process;
}

void
pfs_process_unref (PfsProcess *process)
{
  if (!g_atomic_int_dec_and_test (&process->refs))
    return;
  close (process->fd);
  if (process->pidfd >= 0)
    close (process->pidfd);
  g_free (process);
}

bool
pfs_process_alive (const PfsProcess *process)
{
  PfsStat stat;

  if (process->pidfd >= 0) {
    struct pollfd p = { .fd = process->pidfd, .events = POLLIN };
    int n;
    do
      n = poll (&p, 1, 0);
    while (n < 0 && errno == EINTR);
    return n < 1;
  }
  if (!process->live)
    return faccessat (process->fd, "stat", F_OK, 0) == 0;
  int r = pfs_proc_stat_at (process->fd, 0, &stat);
  return r < 0 ? r != -ENOENT && r != -ESRCH : !pfs_stat_is_dead (&stat);
}

bool
pfs_proc_is_on_device (int pid_fd, int fd, dev_t st_dev, dev_t dev)
{
  g_autoptr (GBytes) content = NULL;
  struct statx st;

  if (st_dev == dev)
    return true;
  if (statx (fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID)
      || pfs_read_prefix_at (pid_fd, "mountinfo", PFS_MOUNTINFO_MAX, &content) < 0)
    return false;
  return dev != 0 && pfs_mountinfo_device (content, st.stx_mnt_id) == dev;
}
