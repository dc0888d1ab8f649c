/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may look into a container: the kernel's rule for PTRACE_MODE_READ_FSCREDS (ptrace(2), "Ptrace access mode
 * checking"; __ptrace_may_access() in kernel/ptrace.c, cap_ptrace_access_check() in security/commoncap.c), which also
 * decides over /proc/<pid>/root, environ and maps. Where something about the caller cannot be learnt, the answer is no:
 * never more permissive than the kernel, sometimes stricter:
 * - a caller outside our PID namespace has pid 0 here, and nothing is known about its capabilities;
 * - a process of root that made itself not dumpable can be told from others only by asking the kernel, see below;
 * - a process that looks at itself gets no exemption. */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "peerfs/tree/peer.h"
#include "peerfs/base/fd.h"
#include "../root/rootfs_private.h"
#include "peerfs/parse/stat.h"
#include "peerfs/tree/tree.h"

#define USERNS_DEPTH_MAX 33 /* 32 levels below the initial one: user_namespaces(7) */

static bool
same_file (const struct stat *a, const struct stat *b)
{
  return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* What is not told about a process is a no. That we have no descriptor or memory left says nothing about it. */
static int
refusal (int error, int gone)
{
  if (error == -EMFILE || error == -ENFILE || error == -ENOMEM)
    return error;
  return error == -ENOENT || error == -ESRCH ? gone : -EACCES;
}

/* Does the caller hold CAP_SYS_PTRACE over the user namespace target_fd? Capabilities count in the caller's own
 * namespace and those below it; and who made a namespace has all of them in it (cap_capable()). *ret_same tells whether
 * caller and target are in the same one. 1, 0 or -errno. */
static int
has_ptrace (int target_fd, const struct stat *caller_ns, uint64_t caps, uid_t caller_euid, bool *ret_same)
{
  pfs_autofd ns = fcntl (target_fd, F_DUPFD_CLOEXEC, 0);
  bool owner = false;
  struct stat st;

  for (int depth = 0; depth < USERNS_DEPTH_MAX; depth++) {
    *ret_same = false;
    if (ns < 0 || fstat (ns, &st) < 0) {
      int r = refusal (-errno, -EACCES);
      return r == -EACCES ? 0 : r;
    }
    if (same_file (&st, caller_ns)) {
      *ret_same = depth == 0;
      return owner || (caps & PFS_CAP_BIT (CAP_SYS_PTRACE));
    }
    uid_t uid;
    owner = ioctl (ns, NS_GET_OWNER_UID, &uid) == 0 && uid == caller_euid;
    int parent = ioctl (ns, NS_GET_PARENT);
    close (ns);
    ns = parent;
  }
  return 0;
}

/* A process of root is shown as root's whether it is dumpable or not. So the kernel is asked, by following its root
 * link on this thread as the caller, with every capability but the one that overrides the answer. It says no also where
 * we have fewer capabilities than the process: then it stays no. */
static int
root_dumpable (int pin_fd, const PfsCaller *who)
{
  const PfsCaller caller = { .uid = 0, .gid = who->gid, .caps = ~PFS_CAP_BIT (CAP_SYS_PTRACE), .switching = true };
  pfs_auto_creds const PfsCaller *as = NULL;
  struct stat st;

  int r = pfs_creds_take (&caller, &as);
  return r < 0 ? refusal (r, -EACCES) : fstatat (pin_fd, "root", &st, 0) < 0 ? refusal (-errno, -EACCES) : 0;
}

static bool
ids_match (const PfsStatus *target, const PfsCaller *who)
{
  return who->uid == target->euid && who->uid == target->suid && who->uid == target->uid && who->gid == target->egid
         && who->gid == target->sgid && who->gid == target->gid;
}

static int
caller_look (int callers_fd, const PfsCaller *who, PfsStatus *ret_status, struct stat *ret_ns)
{
  char pid[16];

  g_snprintf (pid, sizeof pid, "%d", (int) who->pid);
  pfs_autofd fd = openat (callers_fd, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int r = fd < 0 ? -errno : pfs_proc_status_at (fd, "status", ret_status);
  if (r == 0 && fstatat (fd, "ns/user", ret_ns, 0) < 0)
    r = -errno;
  return r < 0 ? refusal (r, -EACCES) : 0;
}

/* The target's user namespace, opened, and its status; *ret_owner is who may follow its root link. */
static int
target_look (int pin_fd, PfsStatus *ret_status, struct stat *ret_owner)
{
  int r = pfs_proc_status_at (pin_fd, "status", ret_status);
  if (r == 0 && fstatat (pin_fd, "root", ret_owner, AT_SYMLINK_NOFOLLOW) < 0)
    r = -errno;
  int fd = r < 0 ? -1 : openat (pin_fd, "ns/user", O_RDONLY | O_CLOEXEC);
  if (r == 0 && fd < 0)
    r = -errno;
  return r < 0 ? refusal (r, -ESRCH) : fd;
}

int
pfs_gate_check (int callers_fd, int pin_fd, const PfsCaller *who)
{
  g_auto (PfsStatus) target = { 0 };
  g_auto (PfsStatus) caller = { 0 };
  struct stat owner, caller_ns;
  bool same;

  int r = who->pid > 0 ? caller_look (callers_fd, who, &caller, &caller_ns) : -EACCES;
  if (r < 0)
    return r;
  pfs_autofd target_ns = target_look (pin_fd, &target, &owner);
  if (target_ns < 0)
    return target_ns;

  /* The pid may name another process by now than the one that asked. */
  bool is_same = caller.fsuid == who->uid && caller.fsgid == who->gid && !pfs_proc_is_worker (callers_fd, who->pid);
  uint64_t caps = is_same ? caller.cap_eff : 0;
  r = has_ptrace (target_ns, &caller_ns, caps, is_same ? caller.euid : (uid_t) -1, &same);
  if (r != 0)
    return MIN (r, 0);
  if (!same || !ids_match (&target, who) || owner.st_uid != target.euid || owner.st_gid != target.egid)
    return -EACCES;
  if (target.cap_prm & ~caps)
    return -EACCES;
  return target.euid != 0 ? 0 : root_dumpable (pin_fd, who);
}

/* Whom the kernel lets in needs no rule of ours: it is asked by a look at the root link, on this thread as the caller.
 * That counts if it would give the same answer to the caller himself: not about our own process; nor beside another
 * user namespace, where our own uid makes us more than him, unless he may look into all processes anyway. */
static bool
kernel_allows (int proc_fd, const PfsProcess *pin, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  char own[PFS_USER_NS_MAX], ns[PFS_USER_NS_MAX];
  char byte;

  if (who->pid <= 0 || pfs_process_pid (pin) == getpid ())
    return false;
  if (!(pfs_caller_known (who)->caps & PFS_CAP_BIT (CAP_SYS_PTRACE))
      && (pfs_user_ns (proc_fd, getpid (), own) < 0 || pfs_user_ns (proc_fd, pfs_process_pid (pin), ns) < 0
          || strcmp (ns, own) != 0 || pfs_user_ns (proc_fd, who->pid, ns) < 0 || strcmp (ns, own) != 0))
    return false;
  return pfs_creds_take (who, &as) == 0 && readlinkat (pfs_process_fd (pin), "root", &byte, 1) >= 0;
}

int
pfs_gate_pin (PfsProc *proc, const PfsProcess *pin, const PfsCaller *who)
{
  if (who == &pfs_caller_self)
    return 0;
  if (pfs_proc_is_own (proc))
    return kernel_allows (pfs_proc_fd (proc), pin, who)
               ? 0
               : pfs_gate_check (pfs_proc_fd (proc), pfs_process_fd (pin), who);
  pfs_autofd own = open ("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return own < 0 ? refusal (-errno, -EACCES) : pfs_gate_check (own, pfs_process_fd (pin), who);
}

int
pfs_peer_gate (PfsContainer *c, const PfsCaller *who)
{
  g_autoptr (PfsProcess) pin = NULL;

  if (who == &pfs_caller_self)
    return 0;
  int r = pfs_container_main (c, &pin);
  return r < 0 ? r : pfs_gate_pin (pfs_container_proc (c), pin, who);
}

int
pfs_node_gate (PfsNode *node, const PfsCaller *who)
{
  PfsTree *tree = node->tree;

  /* Who is below root/ stays there, as below /proc/<pid>/root; but he may be there by a handle. */
  if (node->ops == &pfs_rootfs_ops
      && !(tree->handles && (pfs_caller_known (who)->caps & PFS_CAP_BIT (CAP_DAC_READ_SEARCH))))
    return 0;
  pfs_tree_lock (tree);
  PfsNode *at = node;
  while (at && !at->ops->gated)
    at = at->parent;
  g_autoptr (PfsNode) gated = at ? pfs_node_ref_locked (at) : NULL;
  pfs_tree_unlock (tree);
  return gated ? pfs_gone (pfs_peer_gate (pfs_node_place_container (gated), who), -ESTALE) : 0;
}
