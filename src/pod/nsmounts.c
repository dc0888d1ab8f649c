/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mounts of a process's mount namespace, whatever its own root is: /proc/<pid>/mountinfo leaves out what lies
 * outside of it (proc_pid_mountinfo(5)), which for a process that has chrooted itself may be everything. setns(2)
 * gives a thread the namespace's root. So a thread of its own joins, reads its own mountinfo and ends. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"

typedef struct {
  gint refs;
  int mnt_ns;
  PfsProc *proc;
  GBytes *mountinfo;
} Visit;

static void
visit_unref (gpointer data)
{
  Visit *visit = data;

  if (!g_atomic_int_dec_and_test (&visit->refs))
    return;
  pfs_fd_cleanup (&visit->mnt_ns);
  pfs_proc_unref (visit->proc);
  g_clear_pointer (&visit->mountinfo, g_bytes_unref);
  g_free (visit);
}

/* The last descriptor of a mount namespace is closed here: that unmounts what is in it, and may wait, too. */
static int
join (gpointer data)
{
  Visit *visit = data;
  int r = 0;

  /* A thread that shares its root with others cannot join. */
  if (unshare (CLONE_FS) < 0 || setns (visit->mnt_ns, CLONE_NEWNS) < 0)
    r = -errno;
  pfs_fd_cleanup (&visit->mnt_ns);
  visit->mnt_ns = -1;
  return r < 0 ? r
               : pfs_read_prefix_at (visit->proc->fd, "thread-self/mountinfo", PFS_MOUNTINFO_MAX, &visit->mountinfo);
}

/* A mount over its root may keep the thread that joins waiting (autofs). */
int
pfs_namespace_mountinfo (PfsTable *table, guint64 peer, int piddir, GBytes **ret)
{
  if (!table->proc->live)
    return -ENOENT;
  pfs_autofd mnt_ns = openat (piddir, "ns/mnt", O_RDONLY | O_CLOEXEC);
  if (mnt_ns < 0)
    return -errno;
  Visit *visit = g_new0 (Visit, 1);
  *visit = (Visit) { .refs = 2, .mnt_ns = pfs_fd_steal (&mnt_ns), .proc = pfs_proc_ref (table->proc) };
  int r = pfs_patience_run (table->patience, peer, join, visit, visit_unref, NULL);
  if (r == 0)
    *ret = g_bytes_ref (visit->mountinfo);
  visit_unref (visit);
  return r;
}
