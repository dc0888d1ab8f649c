/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The gate against the kernel: for every pair of a caller and a target, a process made to be like that caller tries
 * /proc/<target>/root/ itself, and the gate must never allow what it cannot. Where the gate is stricter on purpose the
 * row says so. Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "peerfs/tree/peer.h"
#include "peerfs/proc/proc.h"
#include "peerfs/base/fd.h"

#define ALL_CAPS UINT64_MAX
#define SOME_CAPS ((1u << CAP_CHOWN) | (1u << CAP_KILL))

typedef struct {
  const char *name;
  uid_t uid;
  gid_t gid;
  uint64_t caps; /* permitted and effective, as far as we have them */
  bool hidden;   /* not dumpable */
  bool userns;
  uid_t saved; /* another saved uid, where it is not 0 */
} Kind;

static const Kind kinds[] = {
  { .name = "root", .caps = ALL_CAPS },
  { .name = "root without SYS_PTRACE", .caps = ALL_CAPS & ~(UINT64_C (1) << CAP_SYS_PTRACE) },
  { .name = "root with some capabilities", .caps = SOME_CAPS },
  { .name = "root without any" },
  { .name = "root, not dumpable", .caps = SOME_CAPS, .hidden = true },
  { .name = "root in its own user namespace", .caps = UINT64_C (1) << CAP_SETFCAP, .userns = true },
  { .name = "user 101", .uid = 101, .gid = 101 },
  { .name = "user 101 with SYS_PTRACE", .uid = 101, .gid = 101, .caps = 1u << CAP_SYS_PTRACE },
  { .name = "user 101 with some capabilities", .uid = 101, .gid = 101, .caps = SOME_CAPS },
  { .name = "user 101, not dumpable", .uid = 101, .gid = 101, .hidden = true },
  { .name = "user 101, saved uid 102", .uid = 101, .gid = 101, .saved = 102 },
  { .name = "user 101 in its own user namespace", .uid = 101, .gid = 101, .userns = true },
  { .name = "user 101, group 102", .uid = 101, .gid = 102 },
  { .name = "user 102", .uid = 102, .gid = 102 },
};

static void
write_text (const char *path, const char *text)
{
  int fd = open (path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write (fd, text, strlen (text)) < 0)
    _exit (10);
  close (fd);
}

static void
enter_userns (const Kind *kind)
{
  char map[64];

  if (unshare (CLONE_NEWUSER) < 0 || prctl (PR_SET_DUMPABLE, 1) < 0)
    _exit (11);
  write_text ("/proc/self/setgroups", "deny");
  g_snprintf (map, sizeof map, "%d %d 1", kind->uid, kind->uid);
  write_text ("/proc/self/uid_map", map);
  g_snprintf (map, sizeof map, "%d %d 1", kind->gid, kind->gid);
  write_text ("/proc/self/gid_map", map);
}

static void
become (const Kind *kind)
{
  struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
  struct __user_cap_data_struct caps[2];
  uid_t saved = kind->saved ? kind->saved : kind->uid;

  if (prctl (PR_SET_KEEPCAPS, 1) < 0 || setgroups (0, NULL) < 0 || setresgid (kind->gid, kind->gid, kind->gid) < 0
      || setresuid (kind->uid, kind->uid, saved) < 0 || syscall (SYS_capget, &header, caps) < 0)
    _exit (12);
  for (int i = 0; i < 2; i++) {
    caps[i].permitted &= (uint32_t) (kind->caps >> (32 * i));
    caps[i].effective = caps[i].permitted;
    caps[i].inheritable = 0;
  }
  if (syscall (SYS_capset, &header, caps) < 0)
    _exit (13);
  if (prctl (PR_SET_DUMPABLE, 1) < 0)
    _exit (14);
  if (kind->userns)
    enter_userns (kind);
  if (prctl (PR_SET_DUMPABLE, kind->hidden ? 0 : 1) < 0)
    _exit (15);
}

/* --- processes of a kind, which answer whether they can follow a pid's root --- */

typedef struct {
  pid_t pid;
  int ask, answer;
} Actor;

static void
actor_run (const Kind *kind, int ask, int answer)
{
  pid_t target;
  int fd = open ("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  become (kind);
  if (write (answer, "r", 1) != 1)
    _exit (1);
  while (read (ask, &target, sizeof target) == sizeof target) {
    struct stat st;
    char path[32];
    g_snprintf (path, sizeof path, "%d/root/", target);
    char allowed = fstatat (fd, path, &st, 0) == 0;
    if (write (answer, &allowed, 1) != 1)
      break;
  }
  _exit (0);
}

static Actor
actor_start (const Kind *kind)
{
  int ask[2], answer[2];
  char byte;

  assert_int_equal (pipe (ask), 0);
  assert_int_equal (pipe (answer), 0);
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0) {
    close (ask[1]);
    close (answer[0]);
    actor_run (kind, ask[0], answer[1]);
  }
  close (ask[0]);
  close (answer[1]);
  if (read (answer[0], &byte, 1) != 1)
    fail_msg ("cannot be %s", kind->name);
  return (Actor) { pid, ask[1], answer[0] };
}

static void
actor_end (Actor *a)
{
  close (a->ask);
  close (a->answer);
  kill (a->pid, SIGKILL);
  waitpid (a->pid, NULL, 0);
}

static bool
kernel_allows (const Actor *caller, pid_t target)
{
  char allowed;

  assert_int_equal (write (caller->ask, &target, sizeof target), sizeof target);
  assert_int_equal (read (caller->answer, &allowed, 1), 1);
  return allowed;
}

static PfsProcess *
pin_of (PfsProc *proc, pid_t pid)
{
  PfsStat stat;
  PfsProcess *pin;

  pfs_autofd dir = pfs_proc_open_pid (proc, pid, O_PATH);
  assert_int_equal (pfs_proc_stat_at (dir, 0, &stat), 0);
  assert_int_equal (pfs_process_open (proc, pid, stat.start_time, &pin), 0);
  return pin;
}

/* As it is told of the caller of a request. */
static PfsCaller
caller_of (PfsProc *proc, const Kind *kind, pid_t pid)
{
  char own[PFS_USER_NS_MAX];

  assert_int_equal (pfs_user_ns (proc->fd, getpid (), own), 0);
  return (PfsCaller) {
    .uid = kind->uid, .gid = kind->gid, .pid = pid, .caps = pfs_caps_of (proc->fd, pid, own), .switching = true
  };
}

static int
gate (const Kind *kind, pid_t caller, pid_t target)
{
  g_autoptr (PfsProc) proc = NULL;

  assert_int_equal (pfs_proc_open ("/proc", &proc), 0);
  g_autoptr (PfsProcess) pin = pin_of (proc, target);
  const PfsCaller who = caller_of (proc, kind, caller);
  return pfs_gate_pin (proc, pin, &who);
}

static void
test_as_the_kernel (void **state)
{
  Actor callers[G_N_ELEMENTS (kinds)], targets[G_N_ELEMENTS (kinds)];
  guint allowed = 0, stricter = 0, looser = 0;

  (void) state;
  assert_int_equal (geteuid (), 0);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    callers[i] = actor_start (&kinds[i]);
    targets[i] = actor_start (&kinds[i]);
  }
  for (guint c = 0; c < G_N_ELEMENTS (kinds); c++)
    for (guint t = 0; t < G_N_ELEMENTS (kinds); t++) {
      bool kernel = kernel_allows (&callers[c], targets[t].pid);
      bool ours = gate (&kinds[c], callers[c].pid, targets[t].pid) == 0;
      allowed += kernel;
      stricter += kernel && !ours;
      looser += ours && !kernel;
      if (kernel != ours)
        print_message ("%s -> %s: kernel %d, gate %d\n", kinds[c].name, kinds[t].name, kernel, ours);
    }
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    actor_end (&callers[i]);
    actor_end (&targets[i]);
  }
  print_message ("%u of %zu pairs are allowed\n", allowed, G_N_ELEMENTS (kinds) * G_N_ELEMENTS (kinds));
  assert_true (allowed > G_N_ELEMENTS (kinds));
  assert_int_equal (looser, 0);
  assert_int_equal (stricter, 0);
}

/* A caller of whom nothing is known is nobody. */
static void
test_unknown_callers (void **state)
{
  const Kind *user = &kinds[6];
  g_autoptr (PfsProc) proc = NULL;

  (void) state;
  assert_int_equal (geteuid (), 0);
  Actor target = actor_start (user);
  assert_string_equal (user->name, "user 101");
  assert_int_equal (gate (user, target.pid, target.pid), 0);
  assert_int_equal (gate (user, 0, target.pid), -EACCES);
  assert_int_equal (gate (user, 0x3fffff00, target.pid), -EACCES);

  assert_int_equal (pfs_proc_open ("/proc", &proc), 0);
  g_autoptr (PfsProcess) pin = pin_of (proc, target.pid);
  actor_end (&target);
  const PfsCaller who = { .uid = 0, .gid = 0, .pid = getpid (), .switching = true };
  assert_int_equal (pfs_gate_pin (proc, pin, &who), -ESRCH);
}

/* The kernel would let us look at ourselves whoever asks. */
static void
test_ourselves (void **state)
{
  (void) state;
  Actor user = actor_start (&kinds[6]), able = actor_start (&kinds[7]), few = actor_start (&kinds[2]);

  assert_int_equal (gate (&kinds[6], user.pid, getpid ()), -EACCES);
  assert_int_equal (gate (&kinds[2], few.pid, getpid ()), -EACCES);
  assert_int_equal (gate (&kinds[7], able.pid, getpid ()), 0);
  actor_end (&user);
  actor_end (&able);
  actor_end (&few);
}

/* The thread has its credentials and capabilities back whatever the answer. */
static void
test_nothing_left_behind (void **state)
{
  struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
  struct __user_cap_data_struct before[2], after[2];

  (void) state;
  assert_int_equal (geteuid (), 0);
  Actor target = actor_start (&kinds[4]);
  Actor caller = actor_start (&kinds[2]);
  syscall (SYS_capget, &header, before);
  assert_int_equal (gate (&kinds[2], caller.pid, target.pid), -EACCES);
  syscall (SYS_capget, &header, after);
  assert_memory_equal (before, after, sizeof before);
  assert_int_equal (geteuid (), 0);
  actor_end (&target);
  actor_end (&caller);
}

/* With fewer and fewer descriptors left the answer becomes EMFILE, and is never no. */
static void
test_no_descriptors (void **state)
{
  const Kind *user = &kinds[6];
  struct rlimit before, few;
  int answers[12], lowest;

  (void) state;
  Actor target = actor_start (&kinds[11]), caller = actor_start (user);
  g_autoptr (PfsProc) proc = NULL;
  assert_true (kinds[11].userns && kinds[11].uid == user->uid);
  assert_int_equal (pfs_proc_open ("/proc", &proc), 0);
  g_autoptr (PfsProcess) pin = pin_of (proc, target.pid);
  const PfsCaller who = caller_of (proc, user, caller.pid);
  assert_int_equal (getrlimit (RLIMIT_NOFILE, &before), 0);
  lowest = dup (pin->fd);
  close (lowest);
  for (int i = 0; i < (int) G_N_ELEMENTS (answers); i++) {
    few = (struct rlimit) { (rlim_t) (lowest + i), before.rlim_max };
    assert_int_equal (setrlimit (RLIMIT_NOFILE, &few), 0);
    answers[i] = pfs_gate_pin (proc, pin, &who);
  }
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &before), 0);
  actor_end (&target);
  actor_end (&caller);
  assert_int_equal (answers[0], -EMFILE);
  for (guint i = 1; i < G_N_ELEMENTS (answers); i++)
    assert_int_equal (answers[i], answers[i - 1] == 0 ? 0 : answers[i] == 0 ? 0 : -EMFILE);
  assert_int_equal (answers[G_N_ELEMENTS (answers) - 1], 0);
}

static void *
sleep_on (void *data)
{
  for (;;)
    pause ();
  return data;
}

/* A process that is ending gives up its root before its pidfd tells so; one whose first thread has ended stays so. */
static void
test_ending (void **state)
{
  int go[2];
  char byte;
  struct stat st;
  pthread_t thread;
  g_autoptr (PfsProc) proc = NULL;

  (void) state;
  assert_int_equal (pipe (go), 0);
  pid_t pid = fork ();
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (read (go[0], &byte, 1) == 1 && pthread_create (&thread, NULL, sleep_on, NULL) == 0)
      syscall (SYS_exit, 0);
    _exit (1);
  }
  assert_int_equal (pfs_proc_open ("/proc", &proc), 0);
  g_autoptr (PfsProcess) pin = pin_of (proc, pid);
  Actor caller = actor_start (&kinds[0]);
  const PfsCaller who = caller_of (proc, &kinds[0], caller.pid);
  assert_int_equal (pfs_gate_pin (proc, pin, &who), 0);
  assert_int_equal (write (go[1], "g", 1), 1);
  for (int i = 0; i < 500 && fstatat (pin->fd, "root", &st, 0) == 0; i++)
    g_usleep (10000);
  assert_true (pfs_process_alive (pin));
  assert_int_equal (pfs_gate_pin (proc, pin, &who), -ESRCH);
  actor_end (&caller);
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  close (go[0]);
  close (go[1]);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_as_the_kernel),  cmocka_unit_test (test_unknown_callers),
    cmocka_unit_test (test_ourselves),      cmocka_unit_test (test_nothing_left_behind),
    cmocka_unit_test (test_no_descriptors), cmocka_unit_test (test_ending),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
