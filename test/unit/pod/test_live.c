/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table over the kernel's own /proc. */
#include "live.h"

#define SETTLE_SECONDS 11 /* as scan.c, and one more */
#define EXEC_SECONDS 2    /* as main_process.c */

/* Does a listing show it? Others may be there, and end meanwhile. */
static bool
is_listed (Live *l, PfsContainer *c)
{
  g_autoptr (GPtrArray) list = NULL;

  assert_int_equal (pfs_table_list (l->table, &list), 0);
  return g_ptr_array_find (list, c, NULL);
}

/* Dead, though nobody has reaped it yet. */
static void
kill_and_leave (pid_t pid)
{
  siginfo_t info;

  kill (pid, SIGKILL);
  assert_return_code (waitid (P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), errno);
}

static void
finds_a_real_container (void **state)
{
  Live *l = *state;
  g_autoptr (PfsProcess) pin = NULL;

  assert_null (find_live (l));
  pid_t first = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_live (l);
  assert_non_null (c);
  assert_int_equal (pfs_container_main (c, &pin), 0);
  assert_int_equal (pin->pid, first);
  g_clear_pointer (&pin, pfs_process_unref);

  g_usleep (20000);
  pid_t second = spawn_peer (l);
  g_autoptr (GArray) pids = NULL;
  assert_int_equal (pfs_container_pids_now (c, &pids), 0);
  assert_int_equal (pids->len, 2);
  stop (first);
  g_array_index (l->children, pid_t, 0) = 0;
  assert_int_equal (pfs_container_main (c, &pin), 0);
  assert_int_equal (pin->pid, second);
  g_clear_pointer (&pin, pfs_process_unref);

  g_autoptr (GPtrArray) pinned = pfs_table_pinned (l->table);
  assert_int_equal (pinned->len, 1);
  kill_and_leave (second);
  pfs_table_drop_dead (l->table);
  g_autoptr (GPtrArray) left = pfs_table_pinned (l->table);
  assert_int_equal (left->len, 0);
  assert_int_equal (pfs_container_main (c, &pin), -ESRCH);
  assert_true (pfs_container_ended (c));
  assert_null (find_live (l));
}

static void
listing_sees_an_end (void **state)
{
  Live *l = *state;

  pid_t first = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_live (l);
  assert_non_null (c);
  g_usleep (20000);
  pid_t second = spawn_peer (l);
  assert_true (is_listed (l, c));
  assert_int_equal (pfs_container_pid (c), first);

  kill_and_leave (first);
  assert_true (is_listed (l, c));
  assert_int_equal (pfs_container_pid (c), second);

  kill_and_leave (second);
  assert_false (is_listed (l, c));
  assert_true (pfs_container_ended (c));
}

/* A process without its leader has no root to be served, though its pidfd says that it lives. */
static void
sees_the_end_of_a_leader (void **state)
{
  static const char *const program[] = { "/bin/env",
                                         "PYTHONHOME=/",
                                         "python3",
                                         "-S",
                                         "-c",
                                         "import ctypes, signal, threading, time\n"
                                         "threading.Thread(target=time.sleep, args=(600,)).start()\n"
                                         "signal.sigwait([signal.SIGUSR1])\n"
                                         "ctypes.CDLL(None).pthread_exit(None)",
                                         NULL };
  Live *l = *state;
  bool is_dead = false;

  sigset_t blocked, before;
  sigemptyset (&blocked);
  sigaddset (&blocked, SIGUSR1);
  sigprocmask (SIG_BLOCK, &blocked, &before);
  pid_t pid = spawn_program (l, "python3", program);
  sigprocmask (SIG_SETMASK, &before, NULL);
  g_autoptr (PfsContainer) c = find_live (l);
  assert_non_null (c);

  kill (pid, SIGUSR1);
  g_autofree char *root = g_strdup_printf ("/proc/%d/root", pid);
  for (int i = 0; i < 1000 && !is_dead; i++) {
    g_autofree char *target = g_file_read_link (root, NULL);
    is_dead = !target;
    g_usleep (10000);
  }
  assert_true (is_dead);
  assert_int_equal (waitpid (pid, NULL, WNOHANG), 0);
  assert_false (is_listed (l, c));
  assert_true (pfs_container_ended (c));
}

/* A process in the container's cgroup that has the node's root, as in a runtime's first moments. */
static void
never_serves_the_nodes_root (void **state)
{
  Live *l = *state;

  g_autofree char *procs = g_build_filename (l->cgroup, "cgroup.procs", NULL);
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0) {
    write_file (procs, "0");
    pause ();
    _exit (0);
  }
  g_array_append_val (l->children, pid);
  for (int i = 0; i < 50; i++) {
    g_autoptr (PfsContainer) c = find_live (l);
    assert_null (c);
    g_usleep (2000);
  }
  /* It does not get in the way of the real one either. */
  pid_t peer = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_live (l);
  assert_non_null (c);
  assert_int_equal (pfs_container_pid (c), peer);
}

static void
second_scan_reads_nothing_known (void **state)
{
  Live *l = *state;
  g_autoptr (GPtrArray) list = NULL;

  for (int i = 0; i < N_PEERS; i++)
    spawn_peer (l);
  g_autoptr (PfsContainer) c = find_live (l);
  assert_non_null (c);
  guint64 before = l->table->files_read;
  assert_true (before >= N_PEERS);
  assert_int_equal (pfs_table_list (l->table, &list), 0);
  /* Young processes of the node are read again. */
  guint young = 0;
  for (guint i = 0; i < l->table->processes->len; i++) {
    const PfsProcessInfo *info = &g_array_index (l->table->processes, PfsProcessInfo, i);
    young += info->kind != PFS_KIND_MEMBER
             && (info->kind == PFS_KIND_PENDING || pfs_table_is_young (l->table, info->start_time, SETTLE_SECONDS));
  }
  assert_true (l->table->files_read - before <= young);
  g_autoptr (GArray) pids = pfs_container_pids (c);
  assert_int_equal (pids->len, N_PEERS);
}

/* No descriptor is kept for a process, and few for main processes. */
static void
needs_few_descriptors (void **state)
{
  Live *l = *state;
  struct rlimit limit, small;

  for (int i = 0; i < N_PEERS; i++)
    spawn_peer (l);
  assert_return_code (getrlimit (RLIMIT_NOFILE, &limit), errno);
  small = limit;
  small.rlim_cur = 24;
  assert_return_code (setrlimit (RLIMIT_NOFILE, &small), errno);
  g_autoptr (PfsContainer) c = find_live (l);
  int r = -ENOENT;
  if (c) {
    g_autoptr (PfsProcess) pin = NULL;
    r = pfs_container_main (c, &pin);
  }
  assert_return_code (setrlimit (RLIMIT_NOFILE, &limit), errno);
  assert_int_equal (r, 0);
}

/* As few descriptors as leave `free_ones` to open. */
static void
leave_descriptors (int free_ones, struct rlimit *ret_before)
{
  struct rlimit few;

  assert_return_code (getrlimit (RLIMIT_NOFILE, ret_before), errno);
  int first = open ("/", O_PATH | O_CLOEXEC);
  assert_return_code (first, errno);
  close (first);
  few = *ret_before;
  few.rlim_cur = (rlim_t) (first + free_ones);
  assert_return_code (setrlimit (RLIMIT_NOFILE, &few), errno);
}

/* The main process has ended, and for want of descriptors the next one cannot be looked at: that is no end. */
static void
lack_of_descriptors_is_no_end (void **state)
{
  Live *l = *state;
  struct rlimit before;

  pid_t first = spawn_peer (l);
  g_usleep (20000);
  pid_t second = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_live (l);
  assert_non_null (c);
  assert_int_equal (pfs_container_pid (c), first);
  stop (first);
  g_array_index (l->children, pid_t, 0) = 0;
  for (int n = 0; n < 4; n++) {
    g_autoptr (PfsProcess) pin = NULL;

    leave_descriptors (n, &before);
    int r = pfs_container_main (c, &pin);
    assert_return_code (setrlimit (RLIMIT_NOFILE, &before), errno);
    assert_false (pfs_container_ended (c));
    if (r == 0)
      break;
    assert_int_equal (r, -EMFILE);
  }
  g_autoptr (PfsProcess) pin = NULL;
  assert_int_equal (pfs_container_main (c, &pin), 0);
  assert_int_equal (pin->pid, second);
}

static bool
is_before_exec (Live *l, pid_t pid)
{
  PfsStat stat;

  assert_int_equal (pfs_proc_stat_at (l->proc->fd, pid, &stat), 0);
  return pfs_table_is_young (l->table, stat.start_time, EXEC_SECONDS);
}

/* False: it took so long that what has no program yet counts as one without. */
static bool
try_before_exec (Live *l)
{
  g_autoptr (PfsProcess) pin = NULL;

  pid_t first = spawn_program (l, "sleep", NULL);
  g_autoptr (PfsContainer) early = find_live (l);
  if (!is_before_exec (l, first))
    return false;
  assert_null (early);
  pid_t peer = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_live (l);
  int r = c ? pfs_container_main (c, &pin) : -ENOENT;
  if (!is_before_exec (l, first))
    return false;
  assert_int_equal (r, 0);
  assert_int_equal (pin->pid, peer);
  return true;
}

/* In the container's cgroup and with its root, but not yet with its program: what a runtime does last is exec. */
static void
no_peer_before_exec (void **state)
{
  bool in_time = false;

  for (int i = 0; i < 20 && !in_time; i++) {
    stop_all (*state);
    in_time = try_before_exec (*state);
  }
  assert_true (in_time);
}

static int
live_tests (void)
{
  const struct CMUnitTest tests[] = {
    CASE (finds_a_real_container), CASE (listing_sees_an_end),           CASE (sees_the_end_of_a_leader),
    CASE (no_peer_before_exec),    CASE (never_serves_the_nodes_root),   CASE (second_scan_reads_nothing_known),
    CASE (needs_few_descriptors),  CASE (lack_of_descriptors_is_no_end),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}

int
main (void)
{
  return run_by_itself (live_tests);
}
