/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose turn it is to wait for a request.
 *
 * A client that waits for each answer before it asks on (nearly all do) is served fastest by one thread that looks again
 * for a moment before it sleeps: to be woken costs it more than most answers, and every further thread that waited as
 * well would be woken in its place. So one waits at a time. The others are parked, and one of those, the deputy, looks
 * now and then whether anybody was waiting for a request at all: where nobody was, because all threads are at work or
 * stuck in a dead mount of some peer, it goes and waits, too, and another one is the deputy. While there is nothing to
 * do, all of them sleep. */
#pragma once

#include "workers.h"

typedef struct {
  GMutex lock;                  /* guards what follows */
  GCond tick, call;             /* the deputy sleeps on the first, the rest of the parked on the second */
  GCond left;
  GThreadFunc serve;            /* what a thread does, and with what */
  gpointer data;
  int renewed[2];               /* eventfds: for threads of even and of odd generations, readable once they are to end */
  guint cpus;
  guint generation;             /* threads of an earlier one end as soon as they can, each with another in its place */
  guint threads;
  bool exhausted;               /* the last attempt to have one more failed */
  bool stopping, deputy, asleep;        /* is there a deputy, and does it sleep for good? */
  guint waiting, waiting_max;   /* threads that wait for a request */
  guint parked;
  guint64 taken;                /* requests */
  guint64 drained;              /* how often a thread found none */
} PfsTurns;

/* What a thread shall do. */
typedef enum {
  PFS_TURN_WAIT,                /* wait for a request */
  PFS_TURN_PARK,
  PFS_TURN_LEAVE,               /* end */
} PfsTurn;

/* false: errno says why. */
bool pfs_turns_init (PfsTurns *turns, GThreadFunc serve, gpointer data);
void pfs_turns_clear (PfsTurns *turns);
/* Two threads to begin with: how many there are. */
guint pfs_turns_start (PfsTurns *turns);
/* Lets all threads leave, and waits for that: have they? None is added any more. Whoever waits for a dead mount may
 * never leave. */
bool pfs_turns_stop (PfsTurns *turns);
/* Has every thread end as soon as it can, and others take their places. */
void pfs_turns_renew (PfsTurns *turns);

/* --- of a thread; generation: what it was born in --- */

guint pfs_turn_born (PfsTurns *turns);
PfsTurn pfs_turn_begin (PfsTurns *turns, guint *generation);
/* Returns when the thread is needed, to wait for a request, or has to end. */
PfsTurn pfs_turn_park (PfsTurns *turns, guint *generation);
/* A request was taken: how many threads are busy now. *ret_last: and there is nobody else to take one, nor will there
 * be. */
guint pfs_turn_end (PfsTurns *turns, bool *ret_last);
/* Instead, once pfs_turn_renewed_fd() is readable: shall the thread go on waiting, or end? */
PfsTurn pfs_turn_pass (PfsTurns *turns, guint *generation);
int pfs_turn_renewed_fd (const PfsTurns *turns, guint generation);
/* Nothing was to be taken: is it worth to look again before sleeping? in_vain: how often it was not. */
bool pfs_turn_look (PfsTurns *turns, guint in_vain);
/* The thread's last words. */
void pfs_turn_leave (PfsTurns *turns);
