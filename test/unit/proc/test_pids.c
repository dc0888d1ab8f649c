/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "peerfs/parse/stat.h"

static void
lists_processes_by_pid (void **state)
{
  Fixture *f = *state;
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (PfsPidEntry));

  static const pid_t pids[] = { 300, 4194304, 7, 12, 1 };
  for (size_t i = 0; i < G_N_ELEMENTS (pids); i++)
    fixture_process (f, pids[i], "some", 1, "", "");
  static const char *const others[] = { "007", "self", "12a", "99999999999" };
  for (size_t i = 0; i < G_N_ELEMENTS (others); i++) {
    g_autofree char *other = g_build_filename (f->dir, others[i], NULL);
    assert_return_code (g_mkdir (other, 0755), errno);
  }
  assert_int_equal (pfs_proc_open (f->dir, &f->proc), 0);
  assert_int_equal (pfs_proc_list_pids (f->proc, entries), 0);
  assert_int_equal (entries->len, G_N_ELEMENTS (pids));
  for (guint i = 1; i < entries->len; i++)
    assert_true (g_array_index (entries, PfsPidEntry, i - 1).pid < g_array_index (entries, PfsPidEntry, i).pid);
}

/* A saved copy says by its stat whether a process lives. */
static void
copy_tells_by_state (void **state)
{
  Fixture *f = *state;

  fixture_state (f, 7, "alive", 1, 'S');
  fixture_state (f, 8, "dead", 1, 'Z');
  fixture_put (f, 9, "stat", "nonsense");
  assert_int_equal (pfs_proc_open (f->dir, &f->proc), 0);
  assert_int_equal (pfs_proc_pid_alive (f->proc, 7), 1);
  assert_int_equal (pfs_proc_pid_alive (f->proc, 8), 0);
  assert_int_equal (pfs_proc_pid_alive (f->proc, 9), 0);
  assert_int_equal (pfs_proc_pid_alive (f->proc, 10), 0);
}

/* What the kernel says of a process that is alive, a zombie, and gone; as root and as a user that may not look at it.
 */
static void
kernel_tells (void **state)
{
  g_autoptr (PfsProc) proc = NULL;
  siginfo_t info;
  (void) state;

  assert_int_equal (geteuid (), 0);
  assert_int_equal (pfs_proc_open ("/proc", &proc), 0);
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0) {
    pause ();
    _exit (0);
  }
  static const uid_t users[] = { 65534, 0 };
  int alive[2], zombie[2];
  for (size_t i = 0; i < G_N_ELEMENTS (users); i++) {
    assert_return_code (seteuid (users[i]), errno);
    alive[i] = pfs_proc_pid_alive (proc, pid);
    assert_return_code (seteuid (0), errno);
  }
  assert_return_code (kill (pid, SIGKILL), errno);
  assert_return_code (waitid (P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), errno);
  for (size_t i = 0; i < G_N_ELEMENTS (users); i++) {
    assert_return_code (seteuid (users[i]), errno);
    zombie[i] = pfs_proc_pid_alive (proc, pid);
    assert_return_code (seteuid (0), errno);
  }
  assert_int_equal (waitpid (pid, NULL, 0), pid);
  assert_int_equal (pfs_proc_pid_alive (proc, pid), 0);
  for (size_t i = 0; i < G_N_ELEMENTS (users); i++) {
    assert_int_equal (alive[i], 1);
    assert_int_equal (zombie[i], 0);
  }
}

static void
reads_a_status (void **state)
{
  PfsStatus status, untouched = { .uid = 77 };
  (void) state;

  assert_int_equal (pfs_proc_status_at (AT_FDCWD, "/proc/self/status", &status), 0);
  assert_int_equal (status.uid, getuid ());
  assert_int_equal (status.egid, getegid ());
  assert_int_equal (pfs_proc_status_at (AT_FDCWD, "/proc/self/nothing", &untouched), -ENOENT);
  assert_int_equal (untouched.uid, 77);
}

/* A process that runs is no worker; a number without a process may be one, for nothing says that it is none. */
static void
tells_workers (void **state)
{
  g_autoptr (PfsProc) proc = NULL;
  (void) state;

  assert_int_equal (pfs_proc_open ("/proc", &proc), 0);
  assert_false (pfs_proc_is_worker (proc->fd, getpid ()));
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    _exit (0);
  assert_int_equal (waitpid (pid, NULL, 0), pid);
  assert_true (pfs_proc_is_worker (proc->fd, pid));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (lists_processes_by_pid, fixture_setup, fixture_close),
    cmocka_unit_test_setup_teardown (copy_tells_by_state, fixture_setup, fixture_close),
    cmocka_unit_test (kernel_tells),
    cmocka_unit_test (reads_a_status),
    cmocka_unit_test (tells_workers),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
