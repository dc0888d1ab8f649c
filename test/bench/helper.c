/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The work of the benchmark that needs exact times or many system calls. Built static: it also runs in containers.
 *
 *   helper tree DIR DIRS FILES SIZE         DIRS directories of FILES files of SIZE bytes each (0: mixed sizes, 1:
 * empty) helper list DIR                         the paths of all regular files below it, sorted, as git keeps them
 *   helper stat DIR LIST                    lstat of each path, below DIR: prints seconds
 *   helper open DIR LIST CLIENTS SECONDS    open, read and close of one path after the other: prints operations a
 * second helper serve SOCKET                     a server on a unix socket, for ever helper connect SOCKET COUNT prints
 * connections a second helper receive SOCKET MIB               prints bytes a second helper containers DIR CGROUP N
 * EXTRA    N imitated containers of 1 + EXTRA processes each; prints "ready" helper sleep for ever
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (256 * 1024)

static double
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

/* --- files --- */

static void
fill (char *block, size_t size)
{
  static const char words[] = "#define peers struct return container static const include void\n";

  for (size_t i = 0; i < size; i++)
    block[i] = words[i % (sizeof words - 1)];
}

static int
tree (const char *dir, int dirs, int files, size_t size)
{
  static char block[64 * 1024];
  char path[4096];
  unsigned int seed = 1;

  fill (block, sizeof block);
  mkdir (dir, 0755);
  for (int d = 0; d < dirs; d++) {
    snprintf (path, sizeof path, "%s/d%04d", dir, d);
    mkdir (path, 0755);
    for (int f = 0; f < files; f++) {
      seed = seed * 1103515245u + 12345u;
      size_t n = size == 0 ? (seed >> 8) % 8192 : size == 1 ? 0 : size;
      snprintf (path, sizeof path, "%s/d%04d/file%04d.h", dir, d, f);
      int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
      if (fd < 0 || (n > 0 && write (fd, block, n) != (ssize_t) n))
        err (1, "%s", path);
      close (fd);
    }
  }
  return 0;
}

static char **paths;
static size_t n_paths;
static size_t base_len;

static void
add_path (const char *path)
{
  if (n_paths % 4096 == 0)
    paths = realloc (paths, (n_paths + 4096) * sizeof *paths);
  if (!paths || !(paths[n_paths++] = strdup (path)))
    err (1, "memory");
}

static int
visit (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void) ftw;
  if (type == FTW_F && S_ISREG (st->st_mode))
    add_path (path + base_len);
  return 0;
}

static int
compare (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static int
list (const char *dir)
{
  base_len = strlen (dir) + 1;
  if (nftw (dir, visit, 64, FTW_PHYS) != 0)
    err (1, "%s", dir);
  qsort (paths, n_paths, sizeof *paths, compare);
  for (size_t i = 0; i < n_paths; i++)
    puts (paths[i]);
  return 0;
}

static void
load (const char *dir, const char *file)
{
  char line[4096];
  FILE *f = fopen (file, "re");

  if (!f)
    err (1, "%s", file);
  while (fgets (line, sizeof line, f)) {
    line[strcspn (line, "\n")] = '\0';
    add_path (line);
  }
  fclose (f);
  if (chdir (dir) < 0)
    err (1, "%s", dir);
}

static int
stat_all (void)
{
  struct stat st;
  double start = now ();

  for (size_t i = 0; i < n_paths; i++)
    if (lstat (paths[i], &st) < 0)
      err (1, "%s", paths[i]);
  printf ("%.6f\n", now () - start);
  return 0;
}

static uint64_t
open_until (double end, size_t first)
{
  static char block[BLOCK];
  uint64_t done = 0;

  for (size_t i = first; now () < end; i++, done++) {
    const char *path = paths[i % n_paths];
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read (fd, block, sizeof block) < 0)
      err (1, "%s", path);
    close (fd);
  }
  return done;
}

static int
open_all (int clients, double seconds)
{
  uint64_t total = 0, done;
  int pipes[2];

  if (pipe (pipes) < 0)
    err (1, "pipe");
  double start = now ();
  for (int c = 0; c < clients; c++) {
    if (fork () == 0) {
      done = open_until (start + seconds, (size_t) c * n_paths / (size_t) clients);
      _exit (write (pipes[1], &done, sizeof done) != sizeof done);
    }
  }
  close (pipes[1]);
  while (read (pipes[0], &done, sizeof done) == sizeof done)
    total += done;
  double end = now ();
  while (wait (NULL) > 0)
    continue;
  printf ("%.1f\n", (double) total / (end - start));
  return 0;
}

/* --- sockets --- */

static struct sockaddr_un
address (const char *path)
{
  struct sockaddr_un a = { .sun_family = AF_UNIX };

  if (strlen (path) >= sizeof a.sun_path)
    errx (1, "path too long: %s", path);
  strcpy (a.sun_path, path);
  return a;
}

/* A client says how many MiB it wants. */
static void
answer (int fd)
{
  static char block[BLOCK];
  uint32_t mib;

  if (read (fd, &mib, sizeof mib) == sizeof mib)
    for (uint64_t left = (uint64_t) mib << 20; left > 0;) {
      ssize_t n = write (fd, block, sizeof block);
      if (n <= 0)
        break;
      left -= (uint64_t) n;
    }
  close (fd);
}

static int
serve (const char *path)
{
  struct sockaddr_un a = address (path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  signal (SIGPIPE, SIG_IGN);
  unlink (path);
  if (bind (fd, (struct sockaddr *) &a, sizeof a) < 0 || listen (fd, 128) < 0)
    err (1, "%s", path);
  for (;;) {
    int client = accept4 (fd, NULL, NULL, SOCK_CLOEXEC);
    if (client >= 0)
      answer (client);
  }
}

static int
connect_to (const char *path)
{
  struct sockaddr_un a = address (path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (connect (fd, (struct sockaddr *) &a, sizeof a) < 0)
    err (1, "%s", path);
  return fd;
}

static int
connect_many (const char *path, int count)
{
  double start = now ();

  for (int i = 0; i < count; i++)
    close (connect_to (path));
  printf ("%.1f\n", count / (now () - start));
  return 0;
}

static int
receive (const char *path, uint32_t mib)
{
  static char block[BLOCK];
  int fd = connect_to (path);
  uint64_t got = 0;
  ssize_t n;

  double start = now ();
  if (write (fd, &mib, sizeof mib) != sizeof mib)
    err (1, "write");
  while ((n = read (fd, block, sizeof block)) > 0)
    got += (uint64_t) n;
  if (got != (uint64_t) mib << 20)
    errx (1, "short answer");
  printf ("%.1f\n", (double) got / (now () - start));
  return 0;
}

/* --- containers --- */

static void
write_file (const char *path, const char *text)
{
  int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

  if (fd < 0 || write (fd, text, strlen (text)) != (ssize_t) strlen (text))
    err (1, "%s", path);
  close (fd);
}

static void
must (int r, const char *what)
{
  if (r < 0)
    err (1, "%s", what);
}

/* A mount namespace with a root of its own, the kubelet's mount, a cgroup with an id; then it sleeps. */
static void
container (const char *dir, const char *cgroup, int i, int extra, int ready)
{
  char root[512], instance[512], log[1024], procs[1024];

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  snprintf (root, sizeof root, "%s/root", dir);
  snprintf (instance, sizeof instance, "%s/pods/0a1b2c3d-0000-4000-8000-000000000000/containers/app-%d", dir, i);
  mkdir (instance, 0755);
  snprintf (instance + strlen (instance), 16, "/%08x", (unsigned int) i);
  write_file (instance, "");
  must (unshare (CLONE_NEWNS), "unshare");
  must (mount ("tmpfs", root, "tmpfs", 0, "mode=755"), "mount");
  snprintf (log, sizeof log, "%s/dev", root);
  must (mkdir (log, 0755), log);
  snprintf (log, sizeof log, "%s/dev/termination-log", root);
  write_file (log, "");
  must (mount (instance, log, NULL, MS_BIND, NULL), "bind");
  snprintf (procs, sizeof procs, "%s/libpod-%08x%056x", cgroup, (unsigned int) i * 2654435761u, (unsigned int) i);
  must (mkdir (procs, 0755), procs);
  strcat (procs, "/cgroup.procs");
  int fd = open (procs, O_WRONLY | O_CLOEXEC);
  must (fd, procs);
  must (chdir (root), root);
  must ((int) syscall (SYS_pivot_root, ".", "."), "pivot_root");
  must (umount2 (".", MNT_DETACH), "umount");
  must (chdir ("/"), "/");
  must ((int) write (fd, "0", 1), "cgroup.procs");
  for (int e = 0; e < extra; e++)
    if (fork () == 0) {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      for (;;)
        pause ();
    }
  must ((int) write (ready, "", 1), "ready");
  for (;;)
    pause ();
}

static int
containers (const char *dir, const char *cgroup, int n, int extra)
{
  char path[512], byte;
  int ready[2];

  must (pipe (ready), "pipe");
  snprintf (path, sizeof path, "mkdir -p '%s/root' '%s/pods/0a1b2c3d-0000-4000-8000-000000000000/containers'", dir,
            dir);
  if (system (path) != 0)
    errx (1, "%s", path);
  for (int i = 0; i < n; i++) {
    pid_t pid = fork ();
    if (pid == 0)
      container (dir, cgroup, i, extra, ready[1]);
    must (pid, "fork");
    if (read (ready[0], &byte, 1) != 1)
      errx (1, "container %d", i);
  }
  puts ("ready");
  fflush (stdout);
  for (;;)
    pause ();
}

int
main (int argc, char **argv)
{
  const char *what = argc > 1 ? argv[1] : "";

  if (argc == 6 && !strcmp (what, "tree"))
    return tree (argv[2], atoi (argv[3]), atoi (argv[4]), (size_t) atol (argv[5]));
  if (argc == 3 && !strcmp (what, "list"))
    return list (argv[2]);
  if (argc == 4 && !strcmp (what, "stat")) {
    load (argv[2], argv[3]);
    return stat_all ();
  }
  if (argc == 6 && !strcmp (what, "open")) {
    load (argv[2], argv[3]);
    return open_all (atoi (argv[4]), atof (argv[5]));
  }
  if (argc == 3 && !strcmp (what, "serve"))
    return serve (argv[2]);
  if (argc == 4 && !strcmp (what, "connect"))
    return connect_many (argv[2], atoi (argv[3]));
  if (argc == 4 && !strcmp (what, "receive"))
    return receive (argv[2], (uint32_t) atol (argv[3]));
  if (argc == 6 && !strcmp (what, "containers"))
    return containers (argv[2], argv[3], atoi (argv[4]), atoi (argv[5]));
  if (argc == 2 && !strcmp (what, "sleep"))
    for (;;)
      pause ();
  fputs ("see the head of helper.c\n", stderr);
  return 2;
}
