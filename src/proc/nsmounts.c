/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mounts of a process's mount namespace, whatever its own root is: /proc/<pid>/mountinfo leaves out what lies outside
 * of it (proc_pid_mountinfo(5)), which for a process that has chrooted itself may be everything. Whoever joins a mount
 * namespace has its root (setns(2)), so a thread of its own does, reads its own mountinfo and ends. */
#include "table_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"

typedef struct {
  const PfsProc *proc;
  int mnt_ns;
  GBytes *mountinfo;
  int result;
} Visit;

static gpointer
visit (gpointer data)
{
  Visit *v = data;

  /* A thread that shares its root with others cannot join. */
  if (unshare (CLONE_FS) < 0 || setns (v->mnt_ns, CLONE_NEWNS) < 0)
    v->result = -errno;
  else
    v->result = pfs_read_prefix_at (pfs_proc_fd (v->proc), "thread-self/mountinfo", PFS_MOUNTINFO_MAX, &v->mountinfo);
  return NULL;
}

int
pfs_namespace_mountinfo (const PfsProc *proc, int piddir, GBytes **ret)
{
  pfs_autofd mnt_ns = pfs_proc_is_live (proc) ? openat (piddir, "ns/mnt", O_RDONLY | O_CLOEXEC) : -1;
  Visit v = { .proc = proc, .mnt_ns = mnt_ns };

  if (mnt_ns < 0)
    return pfs_proc_is_live (proc) ? -errno : -ENOENT;
  GThread *thread = g_thread_try_new ("mounts", visit, &v, NULL);
  if (!thread)
    return -EAGAIN;
  g_thread_join (thread);
  if (v.result == 0)
    *ret = v.mountinfo;
  return v.result;
}
