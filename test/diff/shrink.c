/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a long list of operations that shows a difference to a short one: leave out ever smaller pieces. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fsdiff.h"

#define SECONDS 25

/* Does the list still show a difference with that piece left out? Then it is cut behind the difference. */
static bool
without (const Places *places, Op *ops, size_t *n, size_t from, size_t length, Difference *ret)
{
  Op *shorter = malloc (sizeof *ops * *n);
  size_t left = *n - length;
  bool differs = false;

  memcpy (shorter, ops, from * sizeof *ops);
  memcpy (shorter + from, ops + from + length, (left - from) * sizeof *ops);
  if (run_list (places, shorter, left, ret)) {
    *n = ret->at < left ? ret->at + 1 : left;
    memcpy (ops, shorter, *n * sizeof *ops);
    differs = true;
  }
  free (shorter);
  return differs;
}

size_t
shrink (const Places *places, Op *ops, size_t n, Difference *ret)
{
  time_t end = time (NULL) + SECONDS;
  Difference seen;

  if (ret->at < n)
    n = ret->at + 1;
  for (size_t piece = n / 2; piece > 0; piece /= 2)
    for (size_t from = 0; from + piece <= n && time (NULL) < end;)
      if (without (places, ops, &n, from, piece, &seen))
        *ret = seen;
      else
        from += piece;
  return n;
}
