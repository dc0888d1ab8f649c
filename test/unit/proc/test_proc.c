/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "peerfs/base/read.h"
#include "peerfs/parse/stat.h"
#include "peerfs/proc/proc.h"

static guint64
start_of (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  g_autoptr (GBytes) bytes = NULL;
  PfsStat stat;
  gsize len;

  assert_int_equal (pfs_read_at (AT_FDCWD, path, PFS_STAT_MAX, &bytes), 0);
  const char *content = g_bytes_get_data (bytes, &len);
  assert_int_equal (pfs_stat_parse (content, len, &stat), 0);
  return stat.start_time;
}

static pid_t
spawn (void)
{
  pid_t pid = fork ();

  assert_true (pid >= 0);
  if (pid == 0) {
    pause ();
    _exit (0);
  }
  return pid;
}

static void
opens_kernel_proc (void **state)
{
  g_autoptr (PfsProc) proc = NULL;
  (void) state;

  assert_int_equal (pfs_proc_open ("/proc/../proc/", &proc), 0);
  assert_string_equal (proc->path, "/proc");
  assert_true (proc->live);
  assert_true (proc->own);
  assert_true (fcntl (proc->fd, F_GETFD) & FD_CLOEXEC);
}

static void
refuses_other_directories (void **state)
{
  Fixture *f = *state;
  PfsProc *untouched = (PfsProc *) f;
  PfsProc *proc = untouched;

  assert_int_equal (pfs_proc_open (f->dir, &proc), -ENODATA);
  assert_int_equal (pfs_proc_open ("/proc/self/stat", &proc), -ENOTDIR);
  assert_int_equal (pfs_proc_open ("/proc/nothing", &proc), -ENOENT);
  assert_ptr_equal (proc, untouched);
}

static void
opens_saved_copy (void **state)
{
  Fixture *f = *state;
  g_autoptr (PfsProcess) pin = NULL;

  fixture_process (f, 7, "a) b", 100, "", "");
  assert_int_equal (pfs_proc_open (f->dir, &f->proc), 0);
  assert_false (f->proc->live);
  assert_false (f->proc->own);
  assert_int_equal (pfs_process_open (f->proc, 7, 101, &pin), -ESRCH);
  assert_int_equal (pfs_process_open (f->proc, 8, 100, &pin), -ESRCH);
  assert_int_equal (pfs_process_open (f->proc, 7, 100, &pin), 0);
  assert_int_equal (pin->pidfd, -1);
  assert_true (pfs_process_alive (pin));
  fixture_kill (f, 7);
  assert_false (pfs_process_alive (pin));
}

static void
pin_ends_with_its_process (void **state)
{
  g_autoptr (PfsProc) proc = NULL;
  g_autoptr (PfsProcess) pin = NULL;
  g_autoptr (PfsProcess) late = NULL;
  g_autoptr (GBytes) bytes = NULL;
  pid_t pid = spawn ();
  guint64 start = start_of (pid);
  (void) state;

  assert_int_equal (pfs_proc_open ("/proc", &proc), 0);
  assert_int_equal (pfs_process_open (proc, pid, start + 1, &pin), -ESRCH);
  assert_int_equal (pfs_process_open (proc, pid, start, &pin), 0);
  assert_int_equal (pin->pid, pid);
  assert_true (pin->pidfd >= 0);
  assert_true (pfs_process_alive (pin));

  kill (pid, SIGKILL);
  siginfo_t info;
  assert_return_code (waitid (P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), errno);
  assert_false (pfs_process_alive (pin));
  assert_int_equal (pfs_process_open (proc, pid, start, &late), -ESRCH);
  assert_int_equal (waitpid (pid, NULL, 0), pid);
  assert_false (pfs_process_alive (pin));
  assert_int_equal (pfs_read_at (pin->fd, "stat", PFS_STAT_MAX, &bytes), -ESRCH);
  assert_int_equal (pfs_process_open (proc, pid, start, &late), -ESRCH);
}

/* The procfs of another namespace shows numbers that mean nothing to pidfd_open(2) here. */
static void
foreign_procfs_is_not_own (void **state)
{
  (void) state;
  assert_int_equal (geteuid (), 0);

  g_autofree char *dir = g_dir_make_tmp ("pfs-proc-XXXXXX", NULL);
  g_autofree char *command = g_strdup_printf (
      "exec unshare -m -p -f --kill-child sh -c 'mount -t proc proc %s && echo ready && exec sleep 60'", dir);
  FILE *pipe_end = popen (command, "r");
  char line[16];
  assert_non_null (fgets (line, sizeof line, pipe_end));

  /* Its mount is private to the child: reached through the child's root. */
  g_autoptr (PfsProc) own = NULL;
  assert_int_equal (pfs_proc_open ("/proc", &own), 0);
  g_autofree char *children = g_strdup_printf ("/proc/%d/task/%d/children", getpid (), getpid ());
  g_autofree char *list = NULL;
  assert_true (g_file_get_contents (children, &list, NULL, NULL));
  pid_t child = (pid_t) atoi (list);
  assert_true (child > 1);
  g_autofree char *path = g_strdup_printf ("/proc/%d/root%s", child, dir);
  g_autoptr (PfsProc) foreign = NULL;
  int r = pfs_proc_open (path, &foreign);
  if (r == 0) {
    assert_true (foreign->live);
    assert_false (foreign->own);
    g_autoptr (PfsProcess) pin = NULL;
    assert_int_equal (pfs_process_open (foreign, 1, 0, &pin), -ESRCH);
  }
  kill (child, SIGKILL);
  pclose (pipe_end);
  g_rmdir (dir);
  assert_int_equal (r, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (opens_kernel_proc),
    cmocka_unit_test_setup_teardown (refuses_other_directories, fixture_setup, fixture_close),
    cmocka_unit_test_setup_teardown (opens_saved_copy, fixture_setup, fixture_close),
    cmocka_unit_test (pin_ends_with_its_process),
    cmocka_unit_test (foreign_procfs_is_not_own),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
