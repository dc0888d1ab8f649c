/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that take turns at a socket in the place of /dev/fuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../src/fuse/turns.h"

#define PATIENCE (20 * G_TIME_SPAN_SECOND)
#define CLIENTS 4
#define STUCK_US 20000

typedef struct {
  PfsTurns turns;
  int ours, theirs;             /* the callers' end, and the threads' */
  gint served, refused;
  GMutex lock;
  GHashTable *alive;            /* a set of GThread */
} Server;

/* For how long the request takes, in microseconds. */
typedef struct {
  guint us;
} Request;

/* The length of a request; 0: there are no more; -1: the thread has to end. */
static ssize_t
take (Server *server, guint *generation, Request *request)
{
  for (;;) {
    ssize_t n = recv (server->theirs, request, sizeof *request, MSG_DONTWAIT);

    if (n >= 0)
      return n;
    struct pollfd fds[] = { { .fd = server->theirs, .events = POLLIN },
                            { .fd = pfs_turn_renewed_fd (&server->turns, *generation), .events = POLLIN } };
    pfs_turn_look (&server->turns, 0);
    if (poll (fds, 2, -1) > 0 && fds[1].revents && pfs_turn_pass (&server->turns, generation) == PFS_TURN_LEAVE)
      return -1;
  }
}

static void
answer (Server *server, guint generation)
{
  Request request;
  ssize_t n;
  bool last;

  for (;;) {
    PfsTurn turn = pfs_turn_begin (&server->turns, &generation);

    if (turn == PFS_TURN_PARK)
      turn = pfs_turn_park (&server->turns, &generation);
    if (turn == PFS_TURN_LEAVE || (n = take (server, &generation, &request)) < 0)
      return;
    guint busy = pfs_turn_end (&server->turns, &last);
    if (n == 0)
      return;
    if (busy == 0 || busy > PFS_WORKERS_MAX || last)
      g_atomic_int_inc (&server->refused);
    if (request.us > 0)
      g_usleep (request.us);
    g_atomic_int_inc (&server->served);
  }
}

static gpointer
serve (gpointer data)
{
  Server *server = data;
  guint generation = pfs_turn_born (&server->turns);

  g_mutex_lock (&server->lock);
  g_hash_table_add (server->alive, g_thread_self ());
  g_mutex_unlock (&server->lock);
  answer (server, generation);
  g_mutex_lock (&server->lock);
  g_hash_table_remove (server->alive, g_thread_self ());
  g_mutex_unlock (&server->lock);
  pfs_turn_leave (&server->turns);
  return NULL;
}

static int
setup (void **state)
{
  Server *server = g_new0 (Server, 1);
  int ends[2];

  assert_int_equal (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  server->ours = ends[0];
  server->theirs = ends[1];
  g_mutex_init (&server->lock);
  server->alive = g_hash_table_new (NULL, NULL);
  assert_true (pfs_turns_init (&server->turns, serve, server));
  server->turns.cpus = CLIENTS;
  assert_int_equal (pfs_turns_start (&server->turns), 2);
  *state = server;
  return 0;
}

/* Whatever a test did: all threads leave, and nothing is counted that is not there. */
static int
teardown (void **state)
{
  Server *server = *state;

  shutdown (server->ours, SHUT_RDWR);
  assert_true (pfs_turns_stop (&server->turns));
  assert_int_equal (server->turns.threads, 0);
  assert_int_equal (server->turns.waiting, 0);
  assert_int_equal (server->turns.parked, 0);
  assert_int_equal (g_hash_table_size (server->alive), 0);
  pfs_turns_clear (&server->turns);
  g_hash_table_unref (server->alive);
  g_mutex_clear (&server->lock);
  close (server->ours);
  close (server->theirs);
  g_free (server);
  return 0;
}

static void
ask (Server *server, guint us)
{
  assert_int_equal (send (server->ours, &(Request){ us }, sizeof (Request), 0), sizeof (Request));
}

static void
await_served (Server *server, gint n)
{
  gint64 end = g_get_monotonic_time () + PATIENCE;

  while (g_atomic_int_get (&server->served) < n)
    if (g_get_monotonic_time () > end)
      fail_msg ("%d of %d requests are served", g_atomic_int_get (&server->served), n);
    else
      g_usleep (100);
  assert_int_equal (g_atomic_int_get (&server->served), n);
}

/* Everybody at rest: one waits, the rest is parked. */
static void
await_rest (Server *server)
{
  gint64 end = g_get_monotonic_time () + PATIENCE;
  bool rest = false;

  while (!rest) {
    g_mutex_lock (&server->turns.lock);
    rest = server->turns.asleep && server->turns.waiting + server->turns.parked == server->turns.threads;
    g_mutex_unlock (&server->turns.lock);
    if (g_get_monotonic_time () > end)
      fail_msg ("no rest");
    g_usleep (100);
  }
}

static GHashTable *
those_alive (Server *server)
{
  GHashTable *copy = g_hash_table_new (NULL, NULL);
  GHashTableIter iter;
  gpointer thread;

  g_mutex_lock (&server->lock);
  g_hash_table_iter_init (&iter, server->alive);
  while (g_hash_table_iter_next (&iter, &thread, NULL))
    g_hash_table_add (copy, g_thread_ref (thread));
  g_mutex_unlock (&server->lock);
  return copy;
}

static gboolean
has_left (gpointer thread, gpointer value, gpointer data)
{
  Server *server = data;

  (void) value;
  g_mutex_lock (&server->lock);
  bool left = !g_hash_table_contains (server->alive, thread);
  g_mutex_unlock (&server->lock);
  if (left)
    g_thread_unref (thread);
  return left;
}

static void
await_end (Server *server, GHashTable *threads)
{
  gint64 end = g_get_monotonic_time () + PATIENCE;

  while (g_hash_table_size (threads) > 0) {
    g_hash_table_foreach_remove (threads, has_left, server);
    if (g_get_monotonic_time () > end)
      fail_msg ("%u of the old threads are left", g_hash_table_size (threads));
    g_usleep (100);
  }
}

static void
test_one_after_the_other (void **state)
{
  Server *server = *state;

  for (gint i = 1; i <= 1000; i++) {
    ask (server, 0);
    await_served (server, i);
  }
  assert_int_equal (server->refused, 0);
}

/* Where all who wait got a request that takes its time, others come and wait. */
static void
test_stuck (void **state)
{
  Server *server = *state;

  for (guint i = 0; i < 20; i++)
    ask (server, G_USEC_PER_SEC / 4);
  ask (server, 0);
  await_served (server, 1);
  assert_int_equal (server->refused, 0);
  await_served (server, 21);
  await_rest (server);
}

static void
test_renew (void **state)
{
  Server *server = *state;

  for (gint i = 1; i <= 200; i++) {
    ask (server, 0);
    await_served (server, i);
    g_autoptr (GHashTable) old = those_alive (server);
    pfs_turns_renew (&server->turns);
    await_end (server, old);
  }
  await_rest (server);
  assert_in_range (server->turns.threads, 2, 4);
}

/* Several wait; and one is busy, which ends once it is not. */
static void
test_renew_after_a_burst (void **state)
{
  Server *server = *state;

  for (gint i = 0; i < 20; i++) {
    for (gint j = 0; j < 30; j++)
      ask (server, j % 10 == 0 ? STUCK_US : 0);
    await_served (server, i * 30 + 27);
    g_autoptr (GHashTable) old = those_alive (server);
    pfs_turns_renew (&server->turns);
    await_served (server, (i + 1) * 30);
    await_end (server, old);
  }
}

static gpointer
renew_often (gpointer data)
{
  Server *server = data;

  for (guint i = 0; i < 2000; i++) {
    pfs_turns_renew (&server->turns);
    g_usleep (g_random_int_range (0, 500));
  }
  return NULL;
}

static void
test_renew_under_load (void **state)
{
  Server *server = *state;
  GThread *renewer = g_thread_new ("renewer", renew_often, server);

  for (gint i = 1; i <= 5000; i++) {
    ask (server, i % 100 == 0 ? STUCK_US : 0);
    if (i % 50 == 0)
      await_served (server, i);
  }
  g_thread_join (renewer);
  g_autoptr (GHashTable) old = those_alive (server);
  pfs_turns_renew (&server->turns);
  await_end (server, old);
  ask (server, 0);
  await_served (server, 5001);
  await_rest (server);
}

int
main (void)
{
#define TEST(f) cmocka_unit_test_setup_teardown (f, setup, teardown)
  const struct CMUnitTest tests[] = {
    TEST (test_one_after_the_other), TEST (test_stuck),           TEST (test_renew),
    TEST (test_renew_after_a_burst), TEST (test_renew_under_load),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
