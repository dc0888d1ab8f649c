/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processes are on info, over the kernel's own /proc. */
#include "fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../../../src/pod/state.h"

#define N_CHILDREN 20

typedef struct {
  PfsProc *proc;
  PfsTable *table;
} Many;

static pid_t children[N_CHILDREN];

static pid_t
spawn (void)
{
  static char *const args[] = { "sleep", "600", NULL };
  pid_t pid = 0;

  assert_int_equal (posix_spawn (&pid, "/bin/sleep", NULL, NULL, args, NULL), 0);
  return pid;
}

static void
reap (pid_t pid)
{
  kill (pid, SIGKILL);
  assert_int_equal (waitpid (pid, NULL, 0), pid);
}

static int
group_setup (void **state)
{
  (void) state;
  for (guint i = 0; i < N_CHILDREN; i++)
    children[i] = spawn ();
  return 0;
}

static int
group_teardown (void **state)
{
  (void) state;
  for (guint i = 0; i < N_CHILDREN; i++)
    if (children[i] > 0)
      reap (children[i]);
  return 0;
}

static int
many_setup (void **state)
{
  Many *m = g_new0 (Many, 1);

  *state = m;
  assert_int_equal (pfs_proc_open ("/proc", &m->proc), 0);
  m->table = pfs_table_new (m->proc, NULL);
  return 0;
}

static int
many_teardown (void **state)
{
  Many *m = *state;

  pfs_table_unref (m->table);
  pfs_proc_unref (m->proc);
  g_free (m);
  return 0;
}

static const PfsProcessInfo *
find (const Many *m, pid_t pid)
{
  for (guint i = 0; i < m->table->processes->len; i++) {
    const PfsProcessInfo *info = &g_array_index (m->table->processes, PfsProcessInfo, i);
    if (info->pid == pid)
      return info;
  }
  return NULL;
}

static void
scan (Many *m)
{
  assert_int_equal (pfs_table_scan (m->table), 0);
  for (guint i = 1; i < m->table->processes->len; i++)
    assert_true (g_array_index (m->table->processes, PfsProcessInfo, i - 1).pid
                 < g_array_index (m->table->processes, PfsProcessInfo, i).pid);
}

static void
knows_the_new_and_drops_the_ended (void **state)
{
  Many *m = *state;

  scan (m);
  for (guint i = 0; i < N_CHILDREN; i++)
    assert_non_null (find (m, children[i]));

  pid_t first = spawn (), second = spawn ();
  scan (m);
  assert_non_null (find (m, first));
  assert_non_null (find (m, second));
  guint64 started = find (m, second)->start_time;
  assert_true (started > 0);
  reap (first);
  reap (children[0]);
  scan (m);
  assert_null (find (m, first));
  assert_null (find (m, children[0]));
  assert_int_equal (find (m, second)->start_time, started);
  children[0] = second;
}

typedef struct {
  pid_t tid;
  sem_t begun, end;
} Thread;

static void *
thread_main (void *data)
{
  Thread *thread = data;

  thread->tid = gettid ();
  sem_post (&thread->begun);
  sem_wait (&thread->end);
  return NULL;
}

static void
takes_no_thread_for_a_process (void **state)
{
  Many *m = *state;
  Thread thread;
  pthread_t id;

  scan (m);
  sem_init (&thread.begun, 0, 0);
  sem_init (&thread.end, 0, 0);
  assert_int_equal (pthread_create (&id, NULL, thread_main, &thread), 0);
  sem_wait (&thread.begun);
  scan (m);
  assert_null (find (m, thread.tid));
  assert_non_null (find (m, getpid ()));
  sem_post (&thread.end);
  pthread_join (id, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown (name, many_setup, many_teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    CASE (knows_the_new_and_drops_the_ended),
    CASE (takes_no_thread_for_a_process),
  };

  return cmocka_run_group_tests (tests, group_setup, group_teardown);
}
