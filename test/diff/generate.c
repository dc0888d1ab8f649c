/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a seed to operations, and from their numbers to names, modes and owners. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsdiff.h"

#define LENGTH(a) (sizeof (a) / sizeof *(a))
#define N60 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define N255 N60 N60 N60 N60 "nnnnnnnnnnnnnnn"

/* Few names, so that operations meet; any of them may be a file, a directory, a link or a FIFO at the time. */
static const char *const paths[] = {
  "a",     "b",     "c",     "d",         "e",     "a",           "b",     "c",      "d",        "e",   "d/a",
  "d/b",   "d/c",   "d/d",   "e/a",       "e/b",   "e/c",         "e/d",   "a/a",    "a/b",      "b/a", "b/d",
  "d/d/a", "d/d/b", "d/d/d", "e/d/a",     "e/d/b", "d/d/d/a",     "d/./a", "d/../a", "d/d/../a", "e/",  "d/a/",
  "d/.",   ".",     "",      "missing/a", "d//a",  "\xff\x01 \n", N255,    N255 "n", "d/" N255,
};

const char *
path_of (unsigned int number)
{
  return paths[number % LENGTH (paths)];
}

mode_t
mode_of (uint32_t number)
{
  static const mode_t modes[] = {
    0644, 0666, 0600,  0755,  0777,  0777,  0700,  0400,  0000,  0640,  0660,  0444,
    0222, 0111, 01777, 02777, 02755, 02644, 04755, 04777, 06777, 03777, 02070, 07000,
  };

  return number % 8 == 0 ? (number >> 3) & 07777 : modes[(number >> 3) % LENGTH (modes)];
}

uid_t
uid_of (uint32_t number)
{
  static const uid_t uids[] = { (uid_t) -1, 0, 1001, 1002, 1001, 70000 };

  return uids[number % LENGTH (uids)];
}

gid_t
gid_of (uint32_t number)
{
  static const gid_t gids[] = { (gid_t) -1, 0, 1001, 1002, 2000, 2000, 70000 };

  return gids[number % LENGTH (gids)];
}

/* splitmix64 */
uint64_t
next_random (uint64_t *state)
{
  uint64_t z = *state += 0x9e3779b97f4a7c15u;

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void
pattern (uint32_t seed, unsigned char *bytes, size_t n)
{
  uint64_t state = seed;

  for (size_t i = 0; i < n; i += 8) {
    uint64_t value = next_random (&state);
    memcpy (bytes + i, &value, n - i < 8 ? n - i : 8);
  }
}

static const Kind *const tables[] = {
  kinds_open, kinds_io, kinds_map, kinds_name, kinds_attr, kinds_xattr, kinds_lock, kinds_dir,
};

static const Kind *
kind_number (unsigned int number)
{
  for (size_t i = 0; i < LENGTH (tables); i++)
    for (const Kind *kind = tables[i]; kind->name; kind++)
      if (number-- == 0)
        return kind;
  return NULL;
}

const Kind *
kind_of (const Op *op)
{
  return kind_number (op->kind);
}

static bool
is_wanted (const Choice *kinds, const char *name)
{
  char wanted[64];

  snprintf (wanted, sizeof wanted, ",%s,", name);
  return (!kinds->only[0] || strstr (kinds->only, wanted)) && !strstr (kinds->skip, wanted);
}

unsigned int
kind_count (const Choice *kinds)
{
  unsigned int n = 0;

  for (unsigned int i = 0; kind_number (i); i++)
    n += is_wanted (kinds, kind_number (i)->name);
  return n;
}

static uint16_t
choose (uint64_t *state, const Choice *kinds)
{
  unsigned int total = 0;

  for (unsigned int i = 0; kind_number (i); i++)
    total += kind_number (i)->weight;
  for (;;) {
    unsigned int at = (unsigned int) (next_random (state) % total);
    unsigned int i = 0;

    for (; at >= kind_number (i)->weight; i++)
      at -= kind_number (i)->weight;
    if (is_wanted (kinds, kind_number (i)->name))
      return (uint16_t) i;
  }
}

void
generate (uint64_t seed, const Choice *kinds, unsigned int workers, Op *ops, size_t n)
{
  uint64_t state = seed * 0x2545f4914f6cdd1du + 1;

  for (size_t i = 0; i < n; i++) {
    Op *op = &ops[i];

    *op = (Op) { .kind = choose (&state, kinds) };
    /* Root comes to everything and would hide what others may not do: it has fewer turns than the rest together. */
    op->worker = (uint8_t) (next_random (&state) % workers);
    op->slot = (uint8_t) (next_random (&state) % SLOTS);
    op->slot2 = (uint8_t) (next_random (&state) % SLOTS);
    op->path = (uint8_t) (next_random (&state) % LENGTH (paths));
    op->path2 = (uint8_t) (next_random (&state) % LENGTH (paths));
    for (size_t j = 0; j < LENGTH (op->r); j++)
      op->r[j] = (uint32_t) next_random (&state);
  }
}
