/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nothing waits for a peer under a lock. Builds with sanitizers (but ThreadSanitizer's) link this file: each thread
 * counts the mutexes that it holds, and calls.c aborts if it asks a peer's file for anything while there are any.
 *
 * A GRecMutex does not count: those there are serve one open directory, whose readers all wait for the same mount, and
 * one scan of a container, which looks into no mount that may not answer (test_dead_mount.sh hangs if it does). */
/* clang-format off: CMake reads the lines that begin with WRAP. */
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>

#include <glib.h>

#include "held.h"

static __thread int held;

void
pfs_held_add (int n)
{
  held += n;
}

bool
pfs_held_any (void)
{
  return held > 0;
}

void
pfs_none_held (const char *call)
{
  if (held == 0)
    return;
  fprintf (stderr, "%s with %d mutexes held\n", call, held);
  __sanitizer_print_stack_trace ();
  abort ();
}

WRAP (void, g_mutex_lock, GMutex *mutex)
{
  __real_g_mutex_lock (mutex);
  held++;
}

WRAP (gboolean, g_mutex_trylock, GMutex *mutex)
{
  gboolean locked = __real_g_mutex_trylock (mutex);

  held += locked;
  return locked;
}

WRAP (void, g_mutex_unlock, GMutex *mutex)
{
  held--;
  __real_g_mutex_unlock (mutex);
}
