/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ranges.h"

#include <unistd.h>

static PfsRange
range_of (const struct flock *lock)
{
  gint64 end = lock->l_len == 0 || lock->l_len > G_MAXINT64 - lock->l_start ? G_MAXINT64
                                                                            : lock->l_start + lock->l_len - 1;

  return (PfsRange) { .start = lock->l_start, .end = end, .type = lock->l_type };
}

GArray *
pfs_ranges_new (void)
{
  return g_array_new (FALSE, FALSE, sizeof (PfsRange));
}

struct flock
pfs_range_lock (const PfsRange *range)
{
  off_t length = range->end == G_MAXINT64 ? 0 : range->end - range->start + 1;

  return (struct flock) { .l_type = range->type, .l_whence = SEEK_SET, .l_start = range->start, .l_len = length };
}

static gint64
next_byte (gint64 end)
{
  return end < G_MAXINT64 ? end + 1 : end;
}

/* Neighbours of one type become one range, as in the kernel. */
void
pfs_ranges_set (GArray *ranges, const struct flock *lock)
{
  PfsRange set = range_of (lock);

  for (guint i = ranges->len; i > 0; i--) {
    PfsRange old = g_array_index (ranges, PfsRange, i - 1);
    bool same = old.type == set.type;

    if (old.start > (same ? next_byte (set.end) : set.end) || (same ? next_byte (old.end) : old.end) < set.start)
      continue;
    g_array_remove_index_fast (ranges, i - 1);
    if (same) {
      set.start = MIN (set.start, old.start);
      set.end = MAX (set.end, old.end);
      continue;
    }
    PfsRange before = { old.start, set.start - 1, old.type }, after = { next_byte (set.end), old.end, old.type };
    if (old.start < set.start)
      g_array_append_val (ranges, before);
    if (old.end > set.end)
      g_array_append_val (ranges, after);
  }
  if (set.type != F_UNLCK)
    g_array_append_val (ranges, set);
}

bool
pfs_ranges_conflict (const GArray *ranges, const struct flock *lock)
{
  PfsRange asked = range_of (lock);

  for (guint i = 0; i < ranges->len; i++) {
    const PfsRange *held = &g_array_index (ranges, PfsRange, i);

    if (held->start <= asked.end && asked.start <= held->end && (held->type == F_WRLCK || asked.type == F_WRLCK))
      return true;
  }
  return false;
}
