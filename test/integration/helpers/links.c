/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random trees of links, and where paths in them lead.
 *
 *   links make DIR NAME SEED LINKS             makes the tree DIR/NAME, prints paths to try, relative to DIR
 *   links resolve ROOT [chroot] [UID] <PATHS   prints for each: what stat(2) says, what realpath(3) says
 *
 * Every object has a modification time of its own, in seconds: two names with the same one are the same object. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRS_MAX 64
#define DEPTH_MAX 5
#define CHAIN 44

static uint64_t state;
static time_t serial;

/* splitmix64 */
static uint64_t
next_random (void)
{
  uint64_t z = (state += 0x9e3779b97f4a7c15u);

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static unsigned
below (unsigned n)
{
  return (unsigned) (next_random () % n);
}

static bool
percent (unsigned p)
{
  return below (100) < p;
}

static void
die (const char *what)
{
  perror (what);
  exit (1);
}

static void
stamp (const char *path)
{
  struct timespec times[2] = { { .tv_sec = ++serial }, { .tv_sec = serial } };

  if (utimensat (AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
    die (path);
}

/* --- make --- */

static char dirs[DIRS_MAX][32];
static unsigned n_dirs;
static unsigned n_links;

typedef struct {
  char text[PATH_MAX + 64];
  size_t len;
} Text;

static void __attribute__ ((format (printf, 2, 3)))
add (Text *t, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  int n = vsnprintf (t->text + t->len, sizeof t->text - t->len, format, args);
  va_end (args);
  t->len += (size_t) n;
  if (t->len >= sizeof t->text)
    t->len = sizeof t->text - 1;
}

/* Names are few, so that random paths often lead somewhere. */
static void
add_name (Text *t)
{
  unsigned kind = below (100);

  if (kind < 40)
    add (t, "%c", 'a' + below (4)); /* mostly directories */
  else if (kind < 55)
    add (t, "f%u", below (6)); /* mostly files */
  else if (kind < 80)
    add (t, "l%u", below (60));
  else if (kind < 83)
    add (t, "%s%u", percent (50) ? "c" : "d", below (CHAIN));
  else if (kind < 84)
    add (t, "%0*u", percent (50) ? 255 : 256, 7);
  else if (kind < 97)
    add (t, "..");
  else
    add (t, "%s", percent (50) ? "." : "");
}

static void
add_path (Text *t, unsigned max)
{
  unsigned n = 1 + below (max);

  for (unsigned i = 0; i < n; i++) {
    if (i)
      add (t, "%s", percent (95) ? "/" : "//");
    add_name (t);
  }
  if (percent (8))
    add (t, "/");
}

static void
random_target (Text *t)
{
  unsigned kind = below (100);

  if (kind < 20)
    add (t, "/%s/", dirs[0]);
  else if (kind < 30)
    add (t, "/%s", dirs[below (n_dirs)]);
  else if (kind < 36)
    add (t, "%.*s%s/", (int) (3 * below (12)), "../../../../../../../../../../../../", dirs[0]);
  else if (kind < 40)
    add (t, "/../%s%s", percent (50) ? "../" : "", dirs[0]);
  else if (kind < 41)
    for (unsigned n = below (2040); n > 0; n--)
      add (t, "./");
  else if (kind < 42 && percent (25))
    for (unsigned n = below (480); n > 0; n--) /* two such links in one path are within docs/limits.md's 2048 */
      add (t, "a/../");
  else if (kind < 45)
    add (t, "/%0*u", (int) below (300), 1);
  else if (kind < 46)
    add (t, "%s", percent (50) ? "/" : "..");
  if (t->len > 1 && t->text[t->len - 1] != '/' && percent (90))
    add (t, "/");
  if (t->len < 1000 || percent (80))
    add_path (t, 7);
  if (t->len >= PATH_MAX)
    t->text[PATH_MAX - 1] = '\0';
}

static void
make_dirs (const char *name)
{
  char path[32];

  n_dirs = 0;
  snprintf (dirs[n_dirs++], sizeof dirs[0], "%.8s", name);
  if (mkdir (dirs[0], 0755) < 0)
    die (dirs[0]);
  for (int tries = 0; tries < 500 && n_dirs < DIRS_MAX; tries++) {
    const char *parent = dirs[below (n_dirs)];
    unsigned depth = 0;

    for (const char *p = parent; (p = strchr (p, '/')); p++)
      depth++;
    if (depth >= DEPTH_MAX)
      continue;
    snprintf (path, sizeof path, "%.20s/%c", parent, 'a' + below (4));
    if (mkdir (path, 0755) == 0)
      strcpy (dirs[n_dirs++], path);
  }
}

static void
make_file (void)
{
  char path[PATH_MAX + 8];

  snprintf (path, sizeof path, "%s/f%u", dirs[below (n_dirs)], below (6));
  int fd = open (path, O_CREAT | O_EXCL | O_WRONLY, 0644);
  if (fd < 0)
    return;
  close (fd);
  stamp (path);
}

static void
make_link (const char *target, const char *path)
{
  if (symlink (target, path) < 0)
    return;
  stamp (path);
  n_links++;
}

/* c is a chain of relative links to a file, d one of absolute links to a directory. */
static void
make_chains (void)
{
  char path[PATH_MAX], target[PATH_MAX];

  for (unsigned i = 0; i < CHAIN; i++) {
    snprintf (path, sizeof path, "%s/c%u", dirs[0], i);
    snprintf (target, sizeof target, "c%u", i - 1);
    make_link (i ? target : "f0", path);
    snprintf (path, sizeof path, "%s/d%u", dirs[0], i);
    snprintf (target, sizeof target, "/%s/d%u", dirs[0], i ? i - 1 : 0);
    make_link (i ? target : "a", path);
  }
}

static void
print_variants (const char *link)
{
  unsigned kind = below (100);

  printf ("%s\n", link);
  if (kind < 10)
    printf ("%s/\n", link);
  else if (kind < 18)
    printf ("%s/..\n", link);
  else if (kind < 30)
    printf ("%s/%c/l%u\n", link, 'a' + below (4), below (60));
}

static void
make (const char *dir, const char *name, unsigned long seed, unsigned links)
{
  char path[PATH_MAX + 16];

  if (chdir (dir) < 0)
    die (dir);
  state = seed;
  serial = (time_t) (seed % 1000 + 1) * 1000000;
  make_dirs (name);
  for (int i = 0; i < 120; i++)
    make_file ();
  make_chains ();
  for (unsigned tries = 0; n_links < links && tries < 20 * links; tries++) {
    Text target = { .len = 0 };

    random_target (&target);
    snprintf (path, sizeof path, "%s/l%u", dirs[below (n_dirs)], below (60 + links / n_dirs));
    unsigned before = n_links;
    if (target.text[0])
      make_link (target.text, path);
    if (n_links > before)
      print_variants (path);
  }
  for (unsigned i = 0; i < CHAIN; i++)
    printf ("%1$s/c%2$u\n%1$s/d%2$u\n%1$s/d%2$u/..\n%1$s/d%2$u/f1\n", dirs[0], i);
  for (unsigned i = 0; i < n_dirs; i++)
    stamp (dirs[i]);
  for (unsigned i = 1; i < n_dirs; i++)
    if (percent (6) && chmod (dirs[i], 0700) < 0)
      die (dirs[i]);
  stamp (".");
}

/* --- resolve --- */

static const char *
error_name (int e)
{
  static char other[32];

  switch (e) {
  case ENOENT:
    return "ENOENT";
  case ENOTDIR:
    return "ENOTDIR";
  case ELOOP:
    return "ELOOP";
  case ENAMETOOLONG:
    return "ENAMETOOLONG";
  case EACCES:
    return "EACCES";
  default:
    snprintf (other, sizeof other, "errno-%d", e);
    return other;
  }
}

static bool
leads_to_root (const char *path)
{
  struct stat top, st;
  char *parent = strndup (path, strlen (path) - 3);
  bool same = stat (".", &top) == 0 && stat (parent, &st) == 0 && st.st_ino == top.st_ino && st.st_dev == top.st_dev;

  free (parent);
  return same;
}

static void
resolve_one (const char *path, const char *root, bool sample)
{
  char *physical = NULL;
  struct stat st;

  /* The parent of root/ is in /peers, where that path of the caller's own leads him. */
  if (strlen (path) > 3 && strcmp (path + strlen (path) - 3, "/..") == 0 && leads_to_root (path))
    return;
  printf ("%s: ", path);
  bool found = stat (path, &st) == 0;
  if (!found)
    printf ("%s", error_name (errno));
  else
    printf ("%s@%lld", S_ISDIR (st.st_mode) ? "directory" : "file", (long long) st.st_mtim.tv_sec);
  /* Where a directory is closed realpath() may go on by the text of the path alone. */
  if (found || (sample && errno != EACCES)) {
    physical = realpath (path, NULL);
    size_t skip = strlen (root);
    if (!physical)
      printf (" %s", error_name (errno));
    else if (strncmp (physical, root, skip) != 0 || (skip && physical[skip] && physical[skip] != '/'))
      printf (" outside %s", physical);
    else
      printf (" %s", physical[skip] ? physical + skip : "/");
    free (physical);
  }
  putchar ('\n');
}

static void
resolve (const char *root, bool in_chroot, uid_t uid)
{
  static char line[4 * PATH_MAX];
  char here[PATH_MAX];
  unsigned n = 0;

  if (in_chroot && chroot (root) < 0)
    die (root);
  if (chdir (in_chroot ? "/" : root) < 0)
    die (root);
  if (in_chroot || !getcwd (here, sizeof here))
    here[0] = '\0';
  if (uid && (setgroups (0, NULL) < 0 || setresgid (uid, uid, uid) < 0 || setresuid (uid, uid, uid) < 0))
    die ("setresuid");
  while (fgets (line, sizeof line, stdin)) {
    line[strcspn (line, "\n")] = '\0';
    resolve_one (line, here, n++ % 8 == 0);
  }
}

int
main (int argc, char **argv)
{
  if (argc == 6 && strcmp (argv[1], "make") == 0) {
    make (argv[2], argv[3], strtoul (argv[4], NULL, 10), (unsigned) strtoul (argv[5], NULL, 10));
  } else if (argc >= 3 && strcmp (argv[1], "resolve") == 0) {
    bool in_chroot = argc > 3 && strcmp (argv[3], "chroot") == 0;
    const char *uid = argc > 3 + in_chroot ? argv[3 + in_chroot] : "0";
    resolve (argv[2], in_chroot, (uid_t) strtoul (uid, NULL, 10));
  } else {
    fprintf (stderr, "usage: links make DIR NAME SEED LINKS | links resolve ROOT [chroot] [UID] <PATHS\n");
    return 2;
  }
  return fflush (stdout) == 0 ? 0 : 1;
}
