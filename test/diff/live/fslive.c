/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fslive --prepare DIR
 * fslive MOUNT DIRECT STAGE-MOUNT STAGE-DIRECT SECONDS [SEED]
 *
 * Some processes change the tree DIRECT while others work on it through MOUNT. New files come from a folder beside it.
 * FSLIVE_PAUSE: microseconds between two changes, at most; FSLIVE_STALE: show every ESTALE; FSLIVE_OUTSIDE:
 * a folder with a file `secret`, to which the changing links lead. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fslive.h"

#define CHANGERS 2
#define WORKERS 4
#define SETTLE 2500000 /* microseconds: longer than the mount's timeouts */

Shared *shared;
static uint64_t state;
static unsigned int pause_us = 500; /* at most, between two changes */

void
rnd_seed (uint64_t seed)
{
  state = seed;
}

/* splitmix64 */
uint64_t
rnd (void)
{
  uint64_t z = state += 0x9e3779b97f4a7c15u;

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void
violated (const char *format, ...)
{
  char line[512];
  va_list args;

  va_start (args, format);
  vsnprintf (line, sizeof line, format, args);
  va_end (args);
  if (__atomic_add_fetch (&shared->failures, 1, __ATOMIC_RELAXED) <= 20)
    dprintf (1, "VIOLATED: %s\n", line);
}

static int
open_dir (const char *path)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0)
    err (2, "%s", path);
  return fd;
}

static void
prepare (int tree)
{
  char path[32], name[32];

  for (unsigned int d = 0; d < DIRS; d++) {
    snprintf (path, sizeof path, "d%u", d);
    if (mkdirat (tree, path, 0755) < 0)
      err (2, "mkdir %s", path);
    for (unsigned int f = 0; f < NAMES; f++) {
      file_make (tree, name, sizeof name);
      snprintf (path, sizeof path, "d%u/f%u", d, f);
      renameat (tree, name, tree, path);
    }
  }
}

static bool
stopped (void)
{
  return __atomic_load_n (&shared->stop, __ATOMIC_RELAXED);
}

static pid_t
start (void (*step) (int, int), int tree, int stage, uint64_t seed, int direct)
{
  pid_t pid = fork ();

  if (pid < 0)
    err (2, "fork");
  if (pid > 0)
    return pid;
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  rnd_seed (seed);
  while (!stopped ()) {
    step (tree, stage);
    if (step == change)
      usleep ((useconds_t) (rnd () % pause_us));
  }
  if (step == work) {
    usleep (SETTLE);
    compare_open (direct);
    work_close ();
  }
  _exit (0);
}

int
main (int argc, char **argv)
{
  shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  shared->next_id = 1000;
  umask (0);
  if (argc == 3 && strcmp (argv[1], "--prepare") == 0) {
    prepare (open_dir (argv[2]));
    return 0;
  }
  if (argc < 6)
    errx (2, "usage: fslive MOUNT DIRECT STAGE-MOUNT STAGE-DIRECT SECONDS [SEED]");
  shared->next_id = 100000;
  if (getenv ("FSLIVE_PAUSE"))
    pause_us = (unsigned int) atoi (getenv ("FSLIVE_PAUSE")) + 1;
  uint64_t seed = argc > 6 ? strtoull (argv[6], NULL, 0) : (uint64_t) time (NULL);
  int mount = open_dir (argv[1]), direct = open_dir (argv[2]);
  int stage_mount = open_dir (argv[3]), stage_direct = open_dir (argv[4]);

  for (unsigned int i = 0; i < CHANGERS; i++)
    start (change, direct, stage_direct, seed * 100 + i, direct);
  for (unsigned int i = 0; i < WORKERS; i++)
    start (work, mount, stage_mount, seed * 100 + 50 + i, direct);
  sleep ((unsigned int) atoi (argv[5]));
  __atomic_store_n (&shared->stop, 1, __ATOMIC_RELAXED);
  for (int status; wait (&status) > 0;)
    if (status != 0)
      violated ("a process ended with %#x", status);
  compare (mount, direct, ".");
  /* A walk that met two changes in a row: seldom. */
  if (shared->stale > shared->ops / 100)
    violated ("ESTALE in %llu of %llu", (unsigned long long) shared->stale, (unsigned long long) shared->ops);
  printf (
      "fslive: seed %llu, %llu operations, %llu reads of open files, %llu errors, %llu of them ESTALE, %d violated\n",
      (unsigned long long) seed, (unsigned long long) shared->ops, (unsigned long long) shared->reads,
      (unsigned long long) shared->errors, (unsigned long long) shared->stale, shared->failures);
  return shared->failures ? 1 : 0;
}
