/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/base/creds.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

const PfsCaller pfs_caller_self = { .switching = false, .own_ids = true };

/* glibc's setgroups() changes every thread of the process; the system call changes the calling one. */
static int
thread_setgroups (size_t n, const gid_t *groups)
{
  return syscall (SYS_setgroups, n, groups) < 0 ? -errno : 0;
}

/* setfsuid() and setfsgid() report no error: a second call with an invalid id tells what is set. */
static int
thread_setfsids (uid_t uid, gid_t gid)
{
  setfsgid (gid);
  setfsuid (uid);
  if ((gid_t) setfsgid ((gid_t) -1) != gid || (uid_t) setfsuid ((uid_t) -1) != uid)
    return -EPERM;
  return 0;
}

static int
caps_get (pid_t pid, struct __user_cap_data_struct ret[_LINUX_CAPABILITY_U32S_3])
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = pid };

  return syscall (SYS_capget, &header, ret) < 0 ? -errno : 0;
}

/* setfsuid(2) takes only the capabilities over files from the thread, and none if it stays root. The others, above all
 * CAP_SYS_PTRACE, would open a peer's procfs to callers that may not look into it. */
static int
thread_set_effective (uint64_t mask)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  bool changed = false;

  int r = caps_get (0, data);
  if (r < 0)
    return r;
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
    uint32_t effective = data[i].permitted & (uint32_t) (mask >> (32 * i));

    changed = changed || effective != data[i].effective;
    data[i].effective = effective;
  }
  return changed && syscall (SYS_capset, &header, data) < 0 ? -errno : 0;
}

uint64_t
pfs_caps_permitted (void)
{
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

  return caps_get (0, data) < 0 ? 0 : data[0].permitted | (uint64_t) data[1].permitted << 32;
}

int
pfs_user_ns (int proc_fd, pid_t pid, char ret[PFS_USER_NS_MAX])
{
  char name[32], target[PFS_USER_NS_MAX];

  snprintf (name, sizeof name, "%d/ns/user", (int) pid);
  ssize_t n = readlinkat (proc_fd, name, target, sizeof target);
  if (n < 0 || n >= (ssize_t) sizeof target)
    return n < 0 ? -errno : -ENAMETOOLONG;
  memcpy (ret, target, (size_t) n);
  ret[n] = '\0';
  return 0;
}

/* Both calls ask about a thread that waits for our answer: no other thread can have its number, and only it could
 * change the answers. */
uint64_t
pfs_caps_of (int proc_fd, pid_t pid, const char *user_ns)
{
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  char ns[PFS_USER_NS_MAX];

  if (pid <= 0 || caps_get (pid, data) < 0)
    return 0;
  uint64_t caps = data[0].effective | (uint64_t) data[1].effective << 32;
  if (caps == 0 || pfs_user_ns (proc_fd, pid, ns) < 0 || strcmp (ns, user_ns) != 0)
    return 0;
  return caps;
}

void
pfs_creds_leave (const PfsCaller *caller)
{
  int saved = errno;

  if (caller->switching) {
    if (!caller->own_ids) {
      setfsuid (geteuid ());
      setfsgid (getegid ());
    }
    (void) thread_set_effective (UINT64_MAX);
    if (caller->n_groups > 0)
      (void) thread_setgroups (0, NULL);
  }
  errno = saved;
}

int
pfs_creds_enter (const PfsCaller *caller)
{
  int r = 0;

  if (!pfs_caller_known (caller)->switching)
    return 0;
  if (caller->n_groups > 0 || getgroups (0, NULL) != 0)
    r = thread_setgroups (caller->n_groups, caller->groups);
  if (r == 0 && !caller->own_ids)
    r = thread_setfsids (caller->uid, caller->gid);
  if (r == 0)
    r = thread_set_effective (caller->caps);
  if (r < 0)
    pfs_creds_leave (caller);
  return r;
}

int
pfs_creds_allow (const PfsCaller *caller, unsigned int capability)
{
  return pfs_caller_known (caller)->switching ? thread_set_effective (caller->caps | PFS_CAP_BIT (capability)) : 0;
}
