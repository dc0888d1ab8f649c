/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "turns.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define PARKED_MAX 6u            /* more of them are not needed any more */
#define PATIENCE_MS 500          /* at the end, for those who are busy */
#define IN_VAIN_MAX 4u          /* looks without a request, one after the other; from then on one of IN_VAIN_SKIP */
#define IN_VAIN_SKIP 16u
#define TICK_US 2000            /* between the looks of the deputy */
#define CALM_TICKS 50u          /* after which fewer threads may wait */

/* What the deputy saw at its last look. */
typedef struct {
  guint64 taken, drained;
  guint calm;
} Look;

static void
add_thread_locked (PfsTurns *turns)
{
  GThread *thread = NULL;

  if (turns->threads < PFS_WORKERS_MAX)
    thread = g_thread_try_new ("request", turns->serve, turns->data, NULL);
  turns->exhausted = !thread;
  if (!thread)
    return;
  turns->threads++;
  g_thread_unref (thread);
}

/* --- the renewal --- */

/* Is the thread, which neither waits nor is parked now, to end? Not where nobody could be had in its place. */
static bool
is_over_locked (PfsTurns *turns, guint *generation)
{
  if (*generation == turns->generation)
    return false;
  *generation = turns->generation;
  if (turns->stopping)
    return false;
  if (turns->waiting > 0 && turns->parked > 0)
    return true;
  add_thread_locked (turns);
  return !turns->exhausted;
}

int
pfs_turn_renewed_fd (const PfsTurns *turns, guint generation)
{
  return turns->renewed[generation & 1];
}

void
pfs_turns_renew (PfsTurns *turns)
{
  g_mutex_lock (&turns->lock);
  pfs_eventfd_raise (pfs_turn_renewed_fd (turns, turns->generation));
  turns->generation++;
  pfs_eventfd_clear (pfs_turn_renewed_fd (turns, turns->generation));
  g_cond_broadcast (&turns->tick);
  g_cond_broadcast (&turns->call);
  g_mutex_unlock (&turns->lock);
}

PfsTurn
pfs_turn_pass (PfsTurns *turns, guint *generation)
{
  g_mutex_lock (&turns->lock);
  turns->waiting--;
  bool over = is_over_locked (turns, generation);
  if (!over)
    turns->waiting++;
  g_mutex_unlock (&turns->lock);
  return over ? PFS_TURN_LEAVE : PFS_TURN_WAIT;
}

/* --- waiting for a request --- */

guint
pfs_turn_born (PfsTurns *turns)
{
  g_mutex_lock (&turns->lock);
  guint generation = turns->generation;
  g_mutex_unlock (&turns->lock);
  return generation;
}

/* Who waits does so only while somebody is parked: all who wait may get a request each that is stuck. */
PfsTurn
pfs_turn_begin (PfsTurns *turns, guint *generation)
{
  PfsTurn turn = PFS_TURN_PARK;

  g_mutex_lock (&turns->lock);
  if (is_over_locked (turns, generation)) {
    turn = PFS_TURN_LEAVE;
  } else if (turns->waiting < turns->waiting_max && turns->parked > 0) {
    turns->waiting++;
    turn = PFS_TURN_WAIT;
  }
  g_mutex_unlock (&turns->lock);
  return turn;
}

guint
pfs_turn_end (PfsTurns *turns, bool *ret_last)
{
  g_mutex_lock (&turns->lock);
  turns->waiting--;
  turns->taken++;
  guint busy = turns->threads - turns->waiting - turns->parked;
  *ret_last = turns->exhausted && turns->waiting == 0 && turns->parked == 0;
  if (turns->asleep)
    g_cond_signal (&turns->tick);
  g_mutex_unlock (&turns->lock);
  return busy;
}

/* Looking costs time of a core: it stops where it leads to nothing, and is tried again now and then. */
bool
pfs_turn_look (PfsTurns *turns, guint in_vain)
{
  g_mutex_lock (&turns->lock);
  bool worth = turns->cpus > 1 && turns->waiting == 1 && (in_vain < IN_VAIN_MAX || in_vain % IN_VAIN_SKIP == 0);
  turns->drained++;
  g_mutex_unlock (&turns->lock);
  return worth;
}

/* --- parked --- */

static bool
is_called_off_locked (const PfsTurns *turns, guint generation)
{
  return turns->stopping || generation != turns->generation;
}

/* Sleeps until the next look: a tick, counted from the next request where there is none. */
static void
sleep_locked (PfsTurns *turns, Look *look, guint generation)
{
  while (turns->waiting > 0 && turns->taken == look->taken && !is_called_off_locked (turns, generation)) {
    turns->waiting_max = 1;
    turns->asleep = true;
    g_cond_wait (&turns->tick, &turns->lock);
    turns->asleep = false;
  }
  look->taken = turns->taken;
  look->drained = turns->drained;
  if (!is_called_off_locked (turns, generation))
    g_cond_wait_until (&turns->tick, &turns->lock, g_get_monotonic_time () + TICK_US);
}

/* Is there work enough for one more? There is where no thread has found nothing to do since the last look, and something
 * was done meanwhile, or nobody is left to do it. */
static bool
needs_more_locked (PfsTurns *turns, Look *look)
{
  if (turns->drained == look->drained && (turns->taken != look->taken || turns->waiting == 0)) {
    turns->waiting_max = MIN (turns->waiting_max + 1, MAX (turns->cpus, 1));
    return true;
  }
  if (++look->calm >= CALM_TICKS && turns->waiting_max > 1) {
    turns->waiting_max--;
    look->calm = 0;
  }
  return false;
}

/* As the deputy: until more threads are needed (true), or another deputy. */
static bool
watch_locked (PfsTurns *turns, guint generation)
{
  Look look = { .taken = turns->taken - 1 };    /* it looks at least once */
  bool needed = false;

  turns->deputy = true;
  while (!needed && !is_called_off_locked (turns, generation)) {
    sleep_locked (turns, &look, generation);
    needed = !is_called_off_locked (turns, generation) && needs_more_locked (turns, &look);
  }
  turns->deputy = false;
  return needed;
}

/* True when the thread is needed, false when it is to end. */
static bool
stay_parked_locked (PfsTurns *turns, guint *generation)
{
  for (;;) {
    while (turns->deputy && !is_called_off_locked (turns, *generation))
      g_cond_wait (&turns->call, &turns->lock);
    if (!turns->deputy && watch_locked (turns, *generation))
      return true;
    if (turns->stopping)
      return false;
    turns->parked--;
    bool over = is_over_locked (turns, generation);
    turns->parked++;
    if (over)
      return false;
  }
}

PfsTurn
pfs_turn_park (PfsTurns *turns, guint *generation)
{
  PfsTurn turn = PFS_TURN_LEAVE;

  g_mutex_lock (&turns->lock);
  if (turns->parked >= PARKED_MAX) {
    g_mutex_unlock (&turns->lock);
    return turn;
  }
  turns->parked++;
  bool needed = stay_parked_locked (turns, generation);
  turns->parked--;
  if (needed) {
    turn = PFS_TURN_WAIT;
    turns->waiting++;
    if (turns->parked == 0)
      add_thread_locked (turns);
  }
  if (turns->parked > 0)
    g_cond_signal (&turns->call);
  g_mutex_unlock (&turns->lock);
  return turn;
}

/* --- all of them --- */

void
pfs_turn_leave (PfsTurns *turns)
{
  g_mutex_lock (&turns->lock);
  turns->threads--;
  g_cond_signal (&turns->left);
  g_mutex_unlock (&turns->lock);
}

guint
pfs_turns_start (PfsTurns *turns)
{
  g_mutex_lock (&turns->lock);
  add_thread_locked (turns);
  add_thread_locked (turns);
  guint n = turns->threads;
  g_mutex_unlock (&turns->lock);
  return n;
}

bool
pfs_turns_stop (PfsTurns *turns)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE_MS * G_TIME_SPAN_MILLISECOND;

  g_mutex_lock (&turns->lock);
  turns->stopping = true;
  g_cond_broadcast (&turns->tick);
  g_cond_broadcast (&turns->call);
  while (turns->threads > 0 && g_cond_wait_until (&turns->left, &turns->lock, deadline))
    continue;
  bool all = turns->threads == 0;
  g_mutex_unlock (&turns->lock);
  return all;
}

bool
pfs_turns_init (PfsTurns *turns, GThreadFunc serve, gpointer data)
{
  *turns = (PfsTurns){ .serve = serve, .data = data, .cpus = g_get_num_processors (), .waiting_max = 1 };
  turns->renewed[0] = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (turns->renewed[0] < 0)
    return false;
  turns->renewed[1] = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (turns->renewed[1] < 0) {
    close (turns->renewed[0]);
    return false;
  }
  g_mutex_init (&turns->lock);
  g_cond_init (&turns->tick);
  g_cond_init (&turns->call);
  g_cond_init (&turns->left);
  return true;
}

void
pfs_turns_clear (PfsTurns *turns)
{
  g_cond_clear (&turns->tick);
  g_cond_clear (&turns->call);
  g_cond_clear (&turns->left);
  g_mutex_clear (&turns->lock);
  close (turns->renewed[0]);
  close (turns->renewed[1]);
}
