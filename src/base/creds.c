/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/base/creds.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

const PfsCaller pfs_caller_self = { .switching = false };

/* glibc's setgroups() changes every thread of the process; the system call changes the calling one. */
static int
thread_setgroups (size_t n, const gid_t *groups)
{
  return syscall (SYS_setgroups, n, groups) < 0 ? -errno : 0;
}

/* setfsuid() and setfsgid() report nothing: asking again with an id that is never valid tells what is set. */
static int
thread_setfsids (uid_t uid, gid_t gid)
{
  setfsgid (gid);
  setfsuid (uid);
  if ((gid_t) setfsgid ((gid_t) -1) != gid || (uid_t) setfsuid ((uid_t) -1) != uid)
    return -EPERM;
  return 0;
}

/* setfsuid(2) takes only the capabilities over files from the thread. The others, CAP_SYS_PTRACE above all, would open
 * a peer's procfs to callers who may not look into it: all are taken, or given back as far as they are permitted. */
static int
thread_set_effective (uint64_t mask)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

  if (syscall (SYS_capget, &header, data) < 0)
    return -errno;
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
    data[i].effective = data[i].permitted & (uint32_t) (mask >> (32 * i));
  return syscall (SYS_capset, &header, data) < 0 ? -errno : 0;
}

void
pfs_creds_leave (const PfsCaller *caller)
{
  int saved = errno;

  if (caller->switching) {
    if (caller->uid != 0)
      (void) thread_set_effective (UINT64_MAX);
    setfsuid (geteuid ());
    setfsgid (getegid ());
    (void) thread_setgroups (0, NULL);
  }
  errno = saved;
}

int
pfs_creds_enter (const PfsCaller *caller)
{
  if (!caller->switching)
    return 0;

  int r = thread_setgroups (caller->n_groups, caller->groups);
  if (r == 0)
    r = thread_setfsids (caller->uid, caller->gid);
  if (r == 0 && caller->uid != 0)
    r = thread_set_effective (0);
  if (r < 0)
    pfs_creds_leave (caller);
  return r;
}

int
pfs_creds_allow (const PfsCaller *caller, unsigned int capability)
{
  return caller->switching && caller->uid != 0 ? thread_set_effective (UINT64_C (1) << capability) : 0;
}
