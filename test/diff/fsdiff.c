/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fsdiff --mount DIR --direct DIR [--below DIR] [--seed N] [--rounds N] [--ops N] [--seconds N]
 *        [--only KIND,...] [--skip KIND,...] [--no-holes] [--no-shared-maps]
 *
 * Each round runs --ops operations in fresh directories; its seed is --seed plus its number, so that
 * `--seed S --rounds 1` runs round S again. It ends after --rounds or --seconds, whichever comes first, and without
 * both after 30 seconds. --below is where --mount really lies: its tree is compared too. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fsdiff.h"

typedef struct {
  Places places;
  uint64_t seed;
  size_t rounds, ops;
  time_t seconds;
  Choice kinds;
} Options;

static void
set_names (char names[CHOICE_MAX], const char *list)
{
  if (snprintf (names, CHOICE_MAX, ",%s,", list) >= CHOICE_MAX)
    errx (2, "too long: %s", list);
}

static void
parse (int argc, char **argv, Options *options)
{
  static const struct option names[] = {
    { "mount", required_argument, NULL, 'm' },
    { "direct", required_argument, NULL, 'd' },
    { "below", required_argument, NULL, 'b' },
    { "seed", required_argument, NULL, 's' },
    { "rounds", required_argument, NULL, 'r' },
    { "ops", required_argument, NULL, 'o' },
    { "seconds", required_argument, NULL, 't' },
    { "skip", required_argument, NULL, 'k' },
    { "only", required_argument, NULL, 'y' },
    { "trace", no_argument, NULL, 'v' },
    { "no-holes", no_argument, NULL, 'n' },
    { "no-shared-maps", no_argument, NULL, 'p' },
    { NULL, 0, NULL, 0 },
  };
  int c;

  while ((c = getopt_long (argc, argv, "", names, NULL)) != -1)
    switch (c) {
    case 'm':
      options->places.mount = optarg;
      break;
    case 'd':
      options->places.direct = optarg;
      break;
    case 'b':
      options->places.below = optarg;
      break;
    case 's':
      options->seed = strtoull (optarg, NULL, 0);
      break;
    case 'r':
      options->rounds = strtoull (optarg, NULL, 0);
      break;
    case 'o':
      options->ops = strtoull (optarg, NULL, 0);
      break;
    case 't':
      options->seconds = (time_t) strtoll (optarg, NULL, 0);
      break;
    case 'k':
      set_names (options->kinds.skip, optarg);
      break;
    case 'y':
      set_names (options->kinds.only, optarg);
      break;
    case 'v':
      options->places.trace = true;
      break;
    case 'n':
      with_holes = false;
      break;
    case 'p':
      with_shared_maps = false;
      break;
    default:
      exit (2);
    }
  if (!options->places.mount || !options->places.direct)
    errx (2, "--mount and --direct are needed");
}

static void
report (Options *options, uint64_t seed, Op *ops, size_t n, Difference *found)
{
  printf ("DIFFERENCE in round %llu at operation %zu; making it shorter\n", (unsigned long long) seed, found->at);
  printf ("  mount:  %s\n  direct: %s\n", found->mount.text, found->direct.text);
  fflush (stdout);
  n = shrink (&options->places, ops, n, found);
  printf ("%zu operations are left (number, user, what the mount shows):\n", n);
  options->places.trace = n <= 60;
  if (!run_list (&options->places, ops, n, found))
    printf ("  and this time there was no difference\n");
  if (found->at >= n)
    printf ("the trees differ\n");
  printf ("  mount:  %s\n  direct: %s\n", found->mount.text, found->direct.text);
  printf ("again: --seed %llu --rounds 1 --ops %zu\n", (unsigned long long) seed, options->ops);
}

/* libfuse has no O_TMPFILE before 3.17. */
static void
probe_tmpfile (Options *options)
{
  int fd = open (options->places.mount, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

  if (fd >= 0) {
    close (fd);
  } else if (errno == EOPNOTSUPP) {
    printf ("fsdiff: no O_TMPFILE here\n");
    strncat (options->kinds.skip, ",tmpfile,", sizeof options->kinds.skip - strlen (options->kinds.skip) - 1);
  }
}

int
main (int argc, char **argv)
{
  static Options options = { .seed = 0, .rounds = 0, .ops = 2000, .seconds = 0 };
  static Difference found;

  options.seed = (uint64_t) time (NULL) * 1000;
  parse (argc, argv, &options);
  if (kind_count (&options.kinds) == 0)
    errx (2, "no kind of operation is left by --only and --skip");
  if (!options.rounds && !options.seconds)
    options.seconds = 30;
  probe_tmpfile (&options);
  Op *ops = calloc (options.ops, sizeof *ops);
  time_t end = time (NULL) + options.seconds;
  size_t round = 0;

  printf ("fsdiff: %u kinds of operation, seed %llu\n", kind_count (&options.kinds), (unsigned long long) options.seed);
  for (; (!options.rounds || round < options.rounds) && (!options.seconds || time (NULL) < end); round++) {
    generate (options.seed + round, &options.kinds, WORKERS, ops, options.ops);
    if (run_list (&options.places, ops, options.ops, &found)) {
      report (&options, options.seed + round, ops, options.ops, &found);
      return 1;
    }
  }
  printf ("fsdiff: %zu operations in %zu rounds without a difference\n", round * options.ops, round);
  free (ops);
  return 0;
}
