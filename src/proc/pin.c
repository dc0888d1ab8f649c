/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/proc/procfile.h"

struct PfsPin {
  gint refs;
  pid_t pid;
  int fd;
  int pidfd;
  bool live;
};

int
pfs_pin_open (PfsProc *proc, pid_t pid, uint64_t start_time, PfsPin **ret)
{
  pfs_autofd fd = pfs_proc_open_pid (proc, pid, O_RDONLY);
  pfs_autofd pidfd = -1;
  PfsStat stat;

  if (fd < 0)
    return fd == -ENOENT ? -ESRCH : fd;
  if (pfs_proc_is_own (proc))
    pidfd = (int) syscall (SYS_pidfd_open, pid, 0);

  /* Read last: while the directory still answers, the pid cannot have been used again, so the pidfd is of this process.
   */
  int r = pfs_proc_stat_at (fd, &stat);
  if (r == -ENOENT)
    return -ESRCH;
  if (r < 0)
    return r;
  if (stat.start_time != start_time || pfs_stat_is_dead (&stat))
    return -ESRCH;

  PfsPin *pin = g_new0 (PfsPin, 1);
  pin->refs = 1;
  pin->pid = pid;
  pin->fd = pfs_fd_steal (&fd);
  pin->pidfd = pfs_fd_steal (&pidfd);
  pin->live = pfs_proc_is_live (proc);
  *ret = pin;
  return 0;
}

PfsPin *
pfs_pin_ref (PfsPin *pin)
{
  g_atomic_int_inc (&pin->refs);
  return pin;
}

void
pfs_pin_unref (PfsPin *pin)
{
  if (!g_atomic_int_dec_and_test (&pin->refs))
    return;
  close (pin->fd);
  if (pin->pidfd >= 0)
    close (pin->pidfd);
  g_free (pin);
}

pid_t
pfs_pin_pid (const PfsPin *pin)
{
  return pin->pid;
}

int
pfs_pin_fd (const PfsPin *pin)
{
  return pin->fd;
}

int
pfs_pin_pidfd (const PfsPin *pin)
{
  return pin->pidfd;
}

bool
pfs_pin_alive (const PfsPin *pin)
{
  PfsStat stat;

  if (pin->pidfd >= 0) {
    struct pollfd p = { .fd = pin->pidfd, .events = POLLIN };
    int n;
    do
      n = poll (&p, 1, 0);
    while (n < 0 && errno == EINTR);
    return n < 1;
  }
  if (!pin->live)
    return faccessat (pin->fd, "stat", F_OK, 0) == 0;
  int r = pfs_proc_stat_at (pin->fd, &stat);
  return r < 0 ? r != -ENOENT && r != -ESRCH : !pfs_stat_is_dead (&stat);
}
