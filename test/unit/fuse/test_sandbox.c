/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Code that runs in the daemon, whoever put it there, tries what the daemon never does. */
#include "../../../src/fuse/private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

typedef struct {
  const char *what;
  long number;
  unsigned long args[5];
} Call;

static char page[8192];
static struct iovec vec = { page, 1 };

/* Each would succeed, or fail with another error, without the sandbox; the argument is what makes the difference. */
static const Call refused[] = {
  { "fork", SYS_clone, { SIGCHLD } },
  { "a thread elsewhere", SYS_clone, { CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_NEWUSER } },
  { "a new user namespace", SYS_unshare, { CLONE_NEWUSER } },
  { "a new mount namespace", SYS_unshare, { CLONE_NEWNS } },
  { "a user namespace", SYS_setns, { 0, CLONE_NEWUSER } },
  { "a pid namespace", SYS_setns, { 0, CLONE_NEWPID } },
  { "any namespace", SYS_setns, { 0, 0 } },
  { "a packet socket", SYS_socket, { AF_PACKET, SOCK_RAW, 0 } },
  { "a raw socket", SYS_socket, { AF_INET, SOCK_RAW, 1 } },
  { "a TCP socket", SYS_socket, { AF_INET, SOCK_STREAM, 0 } },
  { "a unix socket", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 } },
  { "a route socket", SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE } },
  { "a socket pair", SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0, (unsigned long) page } },
  { "a terminal's input", SYS_ioctl, { 0, TIOCSTI, (unsigned long) page } },
  { "a network interface's name", SYS_ioctl, { 0, SIOCGIFNAME, (unsigned long) page } },
  { "code in new memory", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1ul } },
  { "code in old memory", SYS_mprotect, { 0, 4096, PROT_READ | PROT_EXEC } },
  { "a signal to another process", SYS_kill, { 1, 0 } },
  { "a signal to a thread of another", SYS_tgkill, { 1, 1, SIGTERM } },
  { "a signal by a pidfd", SYS_pidfd_send_signal, { 0, 0, 0, 0 } },
  { "the signal of a descriptor", SYS_fcntl, { 0, F_SETSIG, SIGKILL } },
  { "the owner of a descriptor", SYS_fcntl, { 0, F_SETOWN, 1 } },
  { "its keeping capabilities", SYS_prctl, { PR_SET_KEEPCAPS, 1, 0, 0, 0 } },
  { "another program", SYS_execve, { (unsigned long) "/nonexistent", 0, 0 } },
  { "memory of others, written", SYS_process_vm_writev, { 1, (unsigned long) &vec, 1, (unsigned long) &vec, 1 } },
  { "mount", SYS_mount, { (unsigned long) "none", (unsigned long) "/none", (unsigned long) "tmpfs", 0, 0 } },
  { "move_mount", SYS_move_mount, { -1ul, (unsigned long) "", -1ul, (unsigned long) "", 0 } },
  { "open_tree", SYS_open_tree, { -1ul, (unsigned long) "/", 0 } },
  { "fsopen", SYS_fsopen, { (unsigned long) "tmpfs", 0 } },
  { "pivot_root", SYS_pivot_root, { (unsigned long) "/", (unsigned long) "/" } },
  { "chroot", SYS_chroot, { (unsigned long) "/" } },
  { "a file by its handle", SYS_open_by_handle_at, { 0, (unsigned long) page, 0 } },
  { "bpf", SYS_bpf, { 0, (unsigned long) page, 0 } },
  { "perf_event_open", SYS_perf_event_open, { (unsigned long) page, 0, -1ul, -1ul, 0 } },
  { "keyctl", SYS_keyctl, { 0, 0, 0, 0, 0 } },
  { "add_key", SYS_add_key, { (unsigned long) "user", (unsigned long) "x", (unsigned long) "y", 1, -2ul } },
  { "kexec_load", SYS_kexec_load, { 0, 0, 0, 0 } },
  { "init_module", SYS_init_module, { (unsigned long) page, 1, (unsigned long) "" } },
  { "io_uring_setup", SYS_io_uring_setup, { 1, (unsigned long) page } },
  { "userfaultfd", SYS_userfaultfd, { 0 } },
  { "personality", SYS_personality, { 0x0400000 } },
  { "setuid", SYS_setuid, { 0 } },
  { "a host name", SYS_sethostname, { (unsigned long) page, 4096 } },
  { "a swap file", SYS_swapon, { (unsigned long) "/none", 0 } },
  { "an end of the machine", SYS_reboot, { 0, 0, 0, 0 } },
#ifndef __SANITIZE_ADDRESS__
  { "a process that shares memory", SYS_clone, { CLONE_VM | SIGCHLD, (unsigned long) (page + 4096) } },
  { "ptrace", SYS_ptrace, { PTRACE_SEIZE, 1, 0, 0 } },
  { "another process's memory, read", SYS_process_vm_readv, { 1, (unsigned long) &vec, 1, (unsigned long) &vec, 1 } },
#endif
};

static void *
thread_main (void *data)
{
  return data;
}

/* In the child: nothing of cmocka, whose failures would end there. Prints what is not as it should be. */
static int
try_all (void)
{
  int bad = 0;
  pthread_t thread;

  int r = pfs_sandbox_enter ();
  if (r < 0) {
    fprintf (stderr, "no sandbox: %s\n", g_strerror (-r));
    return 1;
  }
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    const Call *call = &refused[i];

    errno = 0;
    long n = syscall (call->number, call->args[0], call->args[1], call->args[2], call->args[3], call->args[4], 0);
    if (n == 0 && call->number == SYS_clone)
      _exit (1);
    if (n != -1 || errno != EPERM)
      fprintf (stderr, "%s: %ld, %s\n", call->what, n, g_strerror (errno)), bad++;
  }
  /* And what it needs. */
  void *memory = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect (memory, 4096, PROT_READ) < 0)
    fprintf (stderr, "no memory: %m\n"), bad++;
  if (pthread_create (&thread, NULL, thread_main, NULL) != 0 || pthread_join (thread, NULL) != 0)
    fprintf (stderr, "no thread: %m\n"), bad++;
  if (socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) < 0)
    fprintf (stderr, "no socket for sock_diag: %m\n"), bad++;
  if (syscall (SYS_setns, -1, CLONE_NEWNET) == 0 || errno != EBADF)
    fprintf (stderr, "no network namespace: %m\n"), bad++;
  if (syscall (SYS_tgkill, getpid (), gettid (), 0) < 0 || fcntl (0, F_GETFL) < 0)
    fprintf (stderr, "no signal to a thread of its own, or no flags: %m\n"), bad++;
  return MIN (bad, 100);
}

static void
test_refuses_what_is_not_used (void **state)
{
  int status;

  (void) state;
  pid_t child = fork ();
  if (child == 0)
    _exit (try_all ());
  assert_int_equal (waitpid (child, &status, 0), child);
  assert_int_equal (status, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_refuses_what_is_not_used),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
