/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon gives up once the mount is there: capabilities that it does not use, new privileges, core dumps, and
 * system calls that it never makes. Peers choose names, links and sizes: this bounds the harm of a mistake of ours. */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <linux/un.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "private.h"

/* In use: entering peers (SYS_PTRACE); acting for root and for others on their files; registering backing files,
 * map_files, other network namespaces and the unmount at the end (SYS_ADMIN); special xattrs; asking where a socket's
 * file is (NET_ADMIN, for the ioctl SIOCUNIXFILE alone). From KILL on they are never used, but container runtimes give
 * them by default. The kernel lets one root process look into another only if it has all of the other's capabilities.
 * The gate asks that with a caller's. */
static const unsigned int kept[] = {
  CAP_SYS_ADMIN,       CAP_SYS_PTRACE, CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH, CAP_FOWNER,     CAP_FSETID,
  CAP_CHOWN,           CAP_MKNOD,      CAP_SETUID,
  CAP_SETGID,          CAP_SETFCAP,    CAP_SYS_RESOURCE,
  CAP_LINUX_IMMUTABLE, CAP_LEASE,      CAP_CHECKPOINT_RESTORE,
  CAP_NET_ADMIN,       CAP_KILL,       CAP_NET_BIND_SERVICE,
  CAP_NET_RAW,         CAP_SYS_CHROOT, CAP_SETPCAP,
  CAP_AUDIT_WRITE,
};

/* A sanitizer looks for leaks at the end by attaching to our threads, from a process that shares our memory. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZER_CALLS "ptrace process_vm_readv getdents",
#define DUMPABLE 1
#define CLONE_MUST CLONE_VM
#else
#define SANITIZER_CALLS
#define DUMPABLE 0
#define CLONE_MUST (CLONE_VM | CLONE_THREAD)
#endif
#define CLONE_NEW                                                                                                      \
  (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* Everything else fails with EPERM. Each is a family of system calls, with blanks between their names; those of libc,
 * libfuse and GLib included. */
static const char *const allowed[] = {
  SANITIZER_CALLS
  /* files, by descriptor and beneath descriptors */
  "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek open openat openat2 close "
  "close_range dup dup2 dup3 flock fsync fdatasync syncfs sync_file_range ftruncate truncate fallocate "
  "copy_file_range splice tee vmsplice sendfile fadvise64 readahead",
  /* names and attributes */
  "stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 getdents64 getcwd chdir fchdir "
  "readlink readlinkat symlinkat linkat unlink unlinkat rmdir mkdir mkdirat mknodat renameat renameat2 fchmod "
  "fchmodat fchmodat2 fchown fchownat utimensat umask getxattr lgetxattr fgetxattr listxattr llistxattr "
  "flistxattr setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr name_to_handle_at umount2",
  /* memory and threads */
  "brk munmap mremap madvise set_robust_list get_robust_list rseq set_tid_address gettid getpid getppid exit "
  "exit_group futex futex_waitv sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler "
  "sched_setscheduler sched_get_priority_max sched_get_priority_min getpriority setpriority membarrier arch_prctl "
  "wait4 waitid uname sysinfo getrandom getcpu",
  /* credentials and limits */
  "getuid geteuid getgid getegid getresuid getresgid getgroups setgroups setfsuid setfsgid capget capset "
  "getrlimit prlimit64 getrusage",
  /* signals, time and waiting */
  "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigsuspend sigaltstack alarm restart_syscall "
  "nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times poll ppoll select pselect6 "
  "epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2 pipe2 pidfd_open pidfd_getfd",
  /* sock_diag */
  "bind connect sendto recvfrom sendmsg recvmsg getsockname setsockopt getsockopt",
};

#define ALL_BITS 0xffffffffu
#define IS(arg, mask, value) { arg, SCMP_CMP_MASKED_EQ, mask, value }
#define VALUES(...)                                                                                                    \
  G_N_ELEMENTS (((const unsigned int[]) { __VA_ARGS__ })), { __VA_ARGS__ }

/* What is allowed if (argument & mask) is one of the values. */
static const struct {
  const char *call;
  unsigned int arg, mask, n, values[6];
} filtered[] = {
  /* threads, of this process and in its namespaces */
  { "clone", 0, CLONE_NEW | CLONE_MUST, VALUES (CLONE_MUST) },
  /* another network or mount namespace, for a thread of its own */
  { "setns", 1, ALL_BITS, VALUES (CLONE_NEWNET, CLONE_NEWNS) },
  { "unshare", 0, ALL_BITS, VALUES (CLONE_FS) },
  /* no code but what is there */
  { "mmap", 2, PROT_EXEC, VALUES (0) },
  { "mprotect", 2, PROT_EXEC, VALUES (0) },
  { "ioctl", 1, ALL_BITS, VALUES (FUSE_DEV_IOC_BACKING_OPEN, FUSE_DEV_IOC_BACKING_CLOSE) },
  /* TCGETS: stdio asks whether it writes to a terminal */
  { "ioctl", 1, ALL_BITS, VALUES (NS_GET_OWNER_UID, NS_GET_PARENT, SIOCUNIXFILE, TCGETS) },
  /* not F_SETSIG and F_SETOWN, by which the kernel sends any signal to any process */
  { "fcntl", 1, ALL_BITS, VALUES (F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL) },
  { "fcntl", 1, ALL_BITS, VALUES (F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETPIPE_SZ, F_GETPIPE_SZ) },
  /* the C library and sanitizers name their memory */
  { "prctl", 0, ALL_BITS, VALUES (PR_SET_NAME, PR_GET_NAME, PR_SET_VMA) },
#ifdef __SANITIZE_ADDRESS__
  { "prctl", 0, ALL_BITS, VALUES (PR_SET_PTRACER, PR_GET_DUMPABLE, PR_SET_DUMPABLE) },
#endif
};

/* Keeps those of `kept` that we have. */
static int
drop_capabilities (void)
{
  bool have[G_N_ELEMENTS (kept)];

  if (capng_get_caps_process () < 0)
    return -EPERM;
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    have[i] = capng_have_capability (CAPNG_PERMITTED, kept[i]);
  capng_clear (CAPNG_SELECT_CAPS);
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    if (have[i])
      capng_update (CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]);
  return capng_apply (CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

/* Allows a call with such arguments. One that this machine's kernel does not have needs no rule. */
static int
allow (scmp_filter_ctx filter, const char *call, unsigned int n, const struct scmp_arg_cmp *args)
{
  int number = seccomp_syscall_resolve_name (call);

  return number < 0 ? 0 : seccomp_rule_add_array (filter, SCMP_ACT_ALLOW, number, n, args);
}

static int
allow_family (scmp_filter_ctx filter, const char *calls)
{
  g_auto (GStrv) names = g_strsplit (calls, " ", -1);
  int r = 0;

  for (guint i = 0; r == 0 && names[i]; i++)
    r = allow (filter, names[i], 0, NULL);
  return r;
}

static int
add_rules (scmp_filter_ctx filter)
{
  const struct scmp_arg_cmp diag[] = { IS (0, ALL_BITS, AF_NETLINK), IS (2, ALL_BITS, NETLINK_SOCK_DIAG) };
  const struct scmp_arg_cmp own = IS (0, ALL_BITS, (guint64) getpid ()), none = IS (2, ALL_BITS, 0);
  /* The C library then makes threads by clone(2), whose flags can be seen. */
  int r = seccomp_rule_add (filter, SCMP_ACT_ERRNO (ENOSYS), SCMP_SYS (clone3), 0);

  if (r == 0)
    r = allow (filter, "socket", G_N_ELEMENTS (diag), diag);
  if (r == 0)
    r = allow (filter, "tgkill", 1, &own);
  if (r == 0)
    r = allow (filter, "tgkill", 1, &none);
  for (guint i = 0; r == 0 && i < G_N_ELEMENTS (allowed); i++)
    r = allow_family (filter, allowed[i]);
  for (guint i = 0; i < G_N_ELEMENTS (filtered); i++)
    for (guint j = 0; r == 0 && j < filtered[i].n; j++) {
      const struct scmp_arg_cmp is = IS (filtered[i].arg, filtered[i].mask, filtered[i].values[j]);
      r = allow (filter, filtered[i].call, 1, &is);
    }
  return r;
}

static int
filter_calls (void)
{
  scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ERRNO (EPERM));
  int r = filter ? add_rules (filter) : -ENOMEM;

  /* Also for threads that run already (a sanitizer's). */
  if (r == 0)
    r = seccomp_attr_set (filter, SCMP_FLTATR_CTL_TSYNC, 1);
  if (r == 0)
    r = seccomp_load (filter);
  if (filter)
    seccomp_release (filter);
  return r;
}

int
pfs_sandbox_enter (void)
{
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl (PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0) < 0)
    return -errno;
  int r = drop_capabilities ();
  return r < 0 ? r : filter_calls ();
}
