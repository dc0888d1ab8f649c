/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A differential test of a filesystem: the same random operations on two directories, one reached through the mount
 * under test and one reached directly, by processes of several users. Whatever an operation shows (result, errno,
 * attributes, names, content) is written down as text; the two texts must be equal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define SLOTS 6 /* descriptors that a worker has open on each side */
#define TEXT_MAX 6000

/* What an operation does and shows, as text. What does not fit is cut on both sides alike. */
typedef struct {
  size_t used;
  char text[TEXT_MAX];
} Text;

void say (Text *text, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
void say_result (Text *text, long result); /* "= N" or "= -1 ENOENT" by errno; returns with errno kept */
void say_stat (Text *text, const struct stat *st);
extern bool with_shared_maps; /* false: the mount has to refuse them; docs/limits.md */
extern bool with_holes;       /* false: where reading ahead, which is the kernel's own business, fills holes */
void say_lstat (Text *text, const char *path);
void say_fstat (Text *text, int fd);
void say_bytes (Text *text, const void *bytes, size_t n);
const char *errno_name (int number);
uint64_t hash_bytes (uint64_t seed, const void *bytes, size_t n);

/* One of the two directories, as one worker sees it. */
typedef struct {
  int dir;
  bool mounted;  /* reached through the mount */
  int fd[SLOTS]; /* -1: closed */
} Side;

/* An operation says nothing about the state it meets: any list of them can be run, so that a list that shows a
 * difference can be made shorter. What the numbers mean is up to the kind. */
typedef struct {
  uint16_t kind;
  uint8_t worker;
  uint8_t slot, slot2;
  uint8_t path, path2;
  uint32_t r[6];
} Op;

typedef struct {
  const char *name;
  void (*run) (Side *side, const Op *op, Text *text);
  unsigned int weight;
  bool late; /* a close is finished a moment after close(2) returned: a conflict may last that long */
} Kind;

#define CHOICE_MAX 1024

/* The kinds of a run, by their names, each between commas; only "": all of them. */
typedef struct {
  char only[CHOICE_MAX], skip[CHOICE_MAX];
} Choice;

extern const Kind kinds_open[], kinds_io[], kinds_map[], kinds_name[], kinds_attr[], kinds_xattr[], kinds_lock[],
    kinds_dir[];
const Kind *kind_of (const Op *op);
unsigned int kind_count (const Choice *kinds);
const char *path_of (unsigned int number);
mode_t mode_of (uint32_t number);
uid_t uid_of (uint32_t number);
gid_t gid_of (uint32_t number);
void pattern (uint32_t seed, unsigned char *bytes, size_t n);

/* --- generate.c --- */
uint64_t next_random (uint64_t *state);
void generate (uint64_t seed, const Choice *kinds, unsigned int workers, Op *ops, size_t n);

/* --- workers.c --- */

typedef struct {
  const char *mount, *direct; /* the two directories; every run has a new one below each */
  const char *below;          /* where `mount` really is, or NULL */
  bool trace;
} Places;

typedef struct {
  size_t at; /* the operation that differed; n: the trees did */
  Text mount, direct;
} Difference;

#define WORKERS 6

/* Runs the list in fresh directories by fresh processes. True where a difference was found. Exits on failure of the
 * test itself. */
bool run_list (const Places *places, const Op *ops, size_t n, Difference *ret);

/* --- tree.c --- */

/* The whole tree below a directory, as text lines in a fixed order; malloced. */
char *tree_text (int dirfd);

/* --- shrink.c --- */

/* Leaves out what is not needed for a difference; n is what is left. */
size_t shrink (const Places *places, Op *ops, size_t n, Difference *ret);
