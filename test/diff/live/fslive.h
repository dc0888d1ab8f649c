/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tree that is changed directly while others work on it through the mount under test. Every file says in each of its
 * blocks which file it is and where the block belongs; its owner's number says so, too. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DIRS 4
#define NAMES 6
#define BLOCKS_MAX 512

/* Zeros, where there is a hole, or this. */
typedef struct {
  uint64_t magic, id, index, check;
} Block;

/* What all processes share. */
typedef struct {
  uint32_t next_id;
  uint64_t ops, reads, stale, errors;
  int stop, failures;
} Shared;

extern Shared *shared;

uint64_t rnd (void);
void rnd_seed (uint64_t seed);
/* A violated invariant: one line. */
void violated (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/* A new file in the directory, with an id of its own that is also its owner's; its name is the id. */
uint32_t file_make (int dir, char *name, size_t size);
/* Reads it all and checks it. Returns its blocks, -1 for an error of reading. */
long file_check (int fd, uint32_t id, const char *where);
/* A random path of the tree. */
void path_make (char *path, size_t size);

void change (int tree, int stage); /* directly, one thing */
void work (int tree, int stage);   /* through the mount, one thing */
void work_close (void);
/* The same, seen on both sides? And what is still open here. */
void compare (int mount, int direct, const char *path);
void compare_open (int direct);
