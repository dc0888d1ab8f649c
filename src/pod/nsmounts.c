/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mounts of a process's mount namespace, whatever its own root is: /proc/<pid>/mountinfo leaves out what lies
 * outside of it (proc_pid_mountinfo(5)), which for a process that has chrooted itself may be everything. setns(2)
 * gives a thread the namespace's root. So a thread of its own joins, reads its own mountinfo and ends. */
#include "nsmounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "state.h"

static int
visit (int mnt_ns, int proc_fd, GBytes **ret)
{
  /* A thread that shares its root with others cannot join. */
  if (unshare (CLONE_FS) < 0 || setns (mnt_ns, CLONE_NEWNS) < 0)
    return -errno;
  return pfs_read_prefix_at (proc_fd, "thread-self/mountinfo", PFS_MOUNTINFO_MAX, ret);
}

/* A mount over its root may keep the thread that joins waiting (autofs). */
int
pfs_namespace_mountinfo (PfsTable *table, int piddir, GBytes **ret)
{
  if (!pfs_proc_is_live (table->proc))
    return -ENOENT;
  pfs_autofd mnt_ns = openat (piddir, "ns/mnt", O_RDONLY | O_CLOEXEC);
  if (mnt_ns < 0)
    return -errno;
  pfs_autofd proc_fd = fcntl (pfs_proc_fd (table->proc), F_DUPFD_CLOEXEC, 0);
  if (proc_fd < 0)
    return -errno;
  return pfs_patience_read (table->patience, visit, pfs_fd_steal (&mnt_ns), pfs_fd_steal (&proc_fd), ret);
}
