/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* May a caller look into a container? If the kernel lets it follow /proc/<pid>/root (PTRACE_MODE_READ_FSCREDS:
 * ptrace(2), "Ptrace access mode checking"). To ask the kernel, this thread looks at that link with the caller's ids
 * and capabilities. In three cases the kernel would answer us and the caller differently:
 * - the caller is in another user namespace, or outside of our PID namespace: refused;
 * - the process is in another user namespace. Its maker may look into it, and that could be our effective user. Only
 *   CAP_SYS_PTRACE makes no difference;
 * - the process is our own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "peerfs/tree/peer.h"
#include "peerfs/base/fd.h"
#include "peerfs/tree/tree.h"

#define USERNS_DEPTH_MAX 33 /* 32 levels below the initial one: user_namespaces(7) */

/* If the kernel does not tell about a process, that is a no. */
static int
refusal (int error)
{
  return pfs_is_shortage (error) ? error : -EACCES;
}

static bool
is_same (const struct stat *a, const struct stat *b)
{
  return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static bool
is_ourselves (PfsProc *proc, const PfsProcess *pin)
{
  char self[16], pid[16];

  if (proc->own)
    return pin->pid == getpid ();
  ssize_t n = readlinkat (proc->fd, "self", self, sizeof self);
  int length = g_snprintf (pid, sizeof pid, "%d", (int) pin->pid);
  return n == length && memcmp (self, pid, (size_t) n) == 0;
}

/* What the kernel would say of our own process to another one. */
static int
look_at_ourselves (const PfsCaller *who)
{
  uint64_t caps = pfs_caller_known (who)->caps;
  bool same = who->own_ids && !(pfs_caps_permitted () & ~caps) && prctl (PR_GET_DUMPABLE) == 1;

  return same || (caps & PFS_CAP_BIT (CAP_SYS_PTRACE)) ? 0 : -EACCES;
}

/* The effective user of a caller; -1 if what /proc tells of the thread may not be true of the caller. */
static uid_t
caller_euid (int callers_fd, const PfsCaller *who)
{
  char pid[16];
  struct stat st;

  g_snprintf (pid, sizeof pid, "%d", (int) who->pid);
  bool known = fstatat (callers_fd, pid, &st, 0) == 0 && st.st_uid == who->uid;
  return known && !pfs_proc_is_worker (callers_fd, who->pid) ? st.st_uid : (uid_t) -1;
}

/* The maker of a user namespace has all capabilities in it and in those below (cap_capable() in security/commoncap.c).
 * The caller is in ours. */
static int
look_below (const PfsProcess *pin, const struct stat *ours, uid_t euid)
{
  pfs_autofd ns = openat (pin->fd, "ns/user", O_RDONLY | O_CLOEXEC);
  struct stat st;
  uid_t owner;

  for (int depth = 0; ns >= 0 && depth < USERNS_DEPTH_MAX; depth++) {
    pfs_autofd below = pfs_fd_steal (&ns);
    ns = ioctl (below, NS_GET_PARENT);
    if (ns >= 0 && fstat (ns, &st) == 0 && is_same (&st, ours))
      return euid != (uid_t) -1 && ioctl (below, NS_GET_OWNER_UID, &owner) == 0 && owner == euid ? 0 : -EACCES;
  }
  return refusal (ns < 0 ? -errno : -EACCES);
}

static int
ask_kernel (const PfsProcess *pin, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  char byte;
  int r = pfs_creds_take (who, &as);

  if (r < 0)
    return refusal (r);
  return readlinkat (pin->fd, "root", &byte, 1) < 0 ? refusal (-errno) : 0;
}

static bool
is_in_our_namespace (int callers_fd, const PfsCaller *who)
{
  char own[PFS_USER_NS_MAX], callers[PFS_USER_NS_MAX];

  return pfs_user_ns (callers_fd, getpid (), own) == 0 && pfs_user_ns (callers_fd, who->pid, callers) == 0
         && strcmp (own, callers) == 0;
}

static int
look (int callers_fd, PfsProc *proc, const PfsProcess *pin, const PfsCaller *who)
{
  struct stat ours, targets;

  if (who->pid <= 0)
    return -EACCES;
  /* Capabilities count only in our namespace. */
  bool able = pfs_caller_known (who)->caps & PFS_CAP_BIT (CAP_SYS_PTRACE);
  if (!able && !is_in_our_namespace (callers_fd, who))
    return -EACCES;
  if (is_ourselves (proc, pin))
    return look_at_ourselves (who);
  int r = ask_kernel (pin, who);
  if (able)
    return r;
  /* Only now: a process never comes back from a namespace below ours. */
  if (fstatat (callers_fd, "self/ns/user", &ours, 0) < 0 || fstatat (pin->fd, "ns/user", &targets, 0) < 0)
    return refusal (-errno);
  return is_same (&ours, &targets) ? r : look_below (pin, &ours, caller_euid (callers_fd, who));
}

/* The kernel says no of a process that has ended. One that is ending has lost its root, for us too, before its pidfd
 * tells so. */
static bool
is_ending (const PfsProcess *pin)
{
  char byte;

  if (!pfs_process_alive (pin))
    return true;
  return readlinkat (pin->fd, "root", &byte, 1) < 0 && (errno == ENOENT || errno == ESRCH);
}

int
pfs_gate_pin (PfsProc *proc, const PfsProcess *pin, const PfsCaller *who)
{
  if (who == &pfs_caller_self)
    return 0;
  pfs_autofd other = proc->own ? -1 : open ("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (other < 0 && !proc->own)
    return refusal (-errno);
  int r = look (other < 0 ? proc->fd : other, proc, pin, who);
  return r == -EACCES && is_ending (pin) ? -ESRCH : r;
}

int
pfs_peer_gate (PfsContainer *c, const PfsCaller *who)
{
  g_autoptr (PfsProcess) pin = NULL;

  if (who == &pfs_caller_self)
    return 0;
  int r = pfs_container_main (c, &pin);
  return r < 0 ? r : pfs_gate_pin (c->proc, pin, who);
}

int
pfs_node_gate (PfsNode *node, const PfsCaller *who)
{
  PfsTree *tree = node->tree;

  /* A caller below root/ may stay there, as below /proc/<pid>/root; but it may have got there by a handle. */
  if (node->ops->fs && !(tree->handles && (pfs_caller_known (who)->caps & PFS_CAP_BIT (CAP_DAC_READ_SEARCH))))
    return 0;
  g_mutex_lock (&tree->lock);
  PfsNode *at = node;
  while (at && !at->ops->gated)
    at = at->parent;
  while (at && at->ops->fs)
    at = at->parent;
  g_autoptr (PfsNode) gated = at ? pfs_node_ref_locked (at) : NULL;
  g_mutex_unlock (&tree->lock);
  return gated ? pfs_gone (pfs_peer_gate (pfs_node_container (gated), who), -ESTALE) : 0;
}
