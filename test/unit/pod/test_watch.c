/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Main processes that are watched, over the kernel's own /proc. */
#include "live.h"

#include <poll.h>

/* Does a listing show it? Others may be there, and end meanwhile. */
static bool
is_listed (Live *l, PfsContainer *c)
{
  g_autoptr (GPtrArray) list = NULL;

  assert_int_equal (pfs_table_list (l->table, &list), 0);
  return g_ptr_array_find (list, c, NULL);
}

/* The first listing that shows a container after it was found watches its main process. A reference. */
static PfsContainer *
find_watched (Live *l)
{
  PfsContainer *c = find_live (l);

  assert_non_null (c);
  assert_true (is_listed (l, c));
  assert_true (c->main_watch >= 0);
  return c;
}

static void
kill_and_leave (pid_t pid)
{
  siginfo_t info;

  kill (pid, SIGKILL);
  assert_return_code (waitid (P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), errno);
}

/* Dead, though nobody has reaped it yet. */
static void
tells_at_once_who_has_ended (void **state)
{
  Live *l = *state;

  pid_t pid = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_watched (l);
  guint watched = l->table->watched;
  pfs_watch_collect (l->table, false);
  assert_true (c->main_watch >= 0);

  kill_and_leave (pid);
  pfs_watch_collect (l->table, false);
  assert_int_equal (c->main_watch, -1);
  assert_true (l->table->watched < watched);
}

/* Nobody asks any more; whoever polls the descriptor learns that something is still held. */
static void
lets_go_of_who_has_ended (void **state)
{
  Live *l = *state;
  struct pollfd polled = { .fd = -1, .events = POLLIN };

  pid_t pid = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_watched (l);
  polled.fd = pfs_table_watch_fd (l->table);
  assert_true (polled.fd >= 0);
  assert_int_equal (poll (&polled, 1, 0), 0);
  assert_false (pfs_table_drop_ended (l->table));

  kill_and_leave (pid);
  assert_int_equal (poll (&polled, 1, 10000), 1);
  assert_true (pfs_table_drop_ended (l->table));
  assert_int_equal (c->main_watch, -1);
  assert_true (pfs_container_ended (c));
  assert_int_equal (poll (&polled, 1, 0), 0);
}

static void
listing_sees_a_watched_end (void **state)
{
  Live *l = *state;

  pid_t first = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_watched (l);
  g_usleep (20000);
  pid_t second = spawn_peer (l);
  assert_true (is_listed (l, c));
  assert_int_equal (pfs_container_pid (c), first);

  kill_and_leave (first);
  assert_true (is_listed (l, c));
  assert_int_equal (pfs_container_pid (c), second);
  assert_true (is_listed (l, c));
  assert_true (c->main_watch >= 0);

  kill_and_leave (second);
  assert_false (is_listed (l, c));
  assert_true (pfs_container_ended (c));
  assert_int_equal (c->main_watch, -1);
}

/* What has no leader any more has no root to be served, though its pidfd says that it lives. */
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
  g_autoptr (PfsContainer) none = NULL;
  bool is_dead = false;

  sigset_t blocked, before;
  sigemptyset (&blocked);
  sigaddset (&blocked, SIGUSR1);
  sigprocmask (SIG_BLOCK, &blocked, &before);
  pid_t pid = spawn_program (l, "python3", program);
  sigprocmask (SIG_SETMASK, &before, NULL);
  g_autoptr (PfsContainer) c = find_watched (l);

  kill (pid, SIGUSR1);
  g_autofree char *root = g_strdup_printf ("/proc/%d/root", pid);
  for (int i = 0; i < 1000 && !is_dead; i++) {
    g_autofree char *target = g_file_read_link (root, NULL);
    is_dead = !target;
    g_usleep (10000);
  }
  assert_true (is_dead);
  assert_int_equal (waitpid (pid, NULL, WNOHANG), 0);
  assert_int_equal (pfs_table_find (l->table, "none", &none), -ENOENT);
  assert_false (is_listed (l, c));
  assert_true (pfs_container_ended (c));
}

/* A quarter of the descriptors is for watching; who is not watched is asked. */
static void
watches_within_its_share (void **state)
{
  Live *l = *state;
  struct rlimit limit, small;

  pid_t pid = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_live (l);
  assert_non_null (c);
  assert_return_code (getrlimit (RLIMIT_NOFILE, &limit), errno);
  small = limit;
  small.rlim_cur = 3;
  assert_return_code (setrlimit (RLIMIT_NOFILE, &small), errno);
  pfs_watch_collect (l->table, false);
  pfs_watch_main (l->table, c);
  assert_return_code (setrlimit (RLIMIT_NOFILE, &limit), errno);
  assert_int_equal (c->main_watch, -1);
  stop (pid);
  g_array_index (l->children, pid_t, 0) = 0;
  assert_false (is_listed (l, c));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    CASE (tells_at_once_who_has_ended), CASE (lets_go_of_who_has_ended), CASE (listing_sees_a_watched_end),
    CASE (sees_the_end_of_a_leader),    CASE (watches_within_its_share),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
