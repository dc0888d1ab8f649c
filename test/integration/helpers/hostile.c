/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Peers that do as they please: hostile WHAT [ARGUMENT]. Says "ready" on stdout once it has begun, and goes on for
 * good. */
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void
write_file (const char *path, const char *content)
{
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

  if (fd < 0 || write (fd, content, strlen (content)) < 0)
    perror (path);
  if (fd >= 0)
    close (fd);
}

static void
ready (void)
{
  puts ("ready");
  fflush (stdout);
}

static void
exchange (const char *a, const char *b)
{
  syscall (SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

/* In the working directory: directories, links out of the root, files, FIFOs and devices take each other's places. */
_Noreturn static void
swap (const char *outside)
{
  char climbing[4096];

  snprintf (climbing, sizeof climbing, "../../../../../../../../../..%s", outside);
  mkdir ("dir", 0755);
  write_file ("dir/secret", "inside\n");
  mkdir ("deep", 0755);
  mkdir ("deep/er", 0755);
  write_file ("deep/er/secret", "inside\n");
  write_file ("file", "inside\n");
  if (symlink (outside, "link") < 0 || symlink (climbing, "climb") < 0 || mkfifo ("fifo", 0666) < 0
      || mknod ("device", S_IFCHR | 0666, makedev (1, 5)) < 0)
    perror ("swap");
  ready ();
  for (;;) {
    exchange ("dir", "link");
    exchange ("file", "fifo");
    exchange ("dir", "climb");
    exchange ("file", "device");
    rename ("deep/er", "er");
    exchange ("deep", "link");
    exchange ("deep", "link");
    rename ("er", "deep/er");
  }
}

/* A file for every byte that a name may have, and for the longest name. */
_Noreturn static void
names (void)
{
  char name[256];

  for (int byte = 1; byte < 256; byte++) {
    snprintf (name, sizeof name, "%cx", byte);
    if (byte != '/')
      write_file (name, "named\n");
  }
  memset (name, '\n', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  write_file (name, "named\n");
  ready ();
  for (;;)
    pause ();
}

/* Starts itself again with an environment of 1 MiB, in pieces of 4 KiB. */
static int
big_environment (char **argv)
{
  static char *variables[258];

  if (getenv ("BIG_0")) {
    ready ();
    for (;;)
      pause ();
  }
  for (int i = 0; i < 256; i++) {
    char *variable = malloc (4096);
    int length = i % 2 ? snprintf (variable, 4096, "BIG_%d=", i / 2) : 0;

    memset (variable + length, 'a', 4095 - (size_t) length);
    variable[4095] = '\0';
    if (i % 2 == 0)
      variable[4000] = '=';
    variables[i] = variable;
  }
  variables[256] = strdup ("\n/\001=odd");
  execve ("/proc/self/exe", argv, variables);
  perror ("execve");
  return 1;
}

_Noreturn static void
mappings (int count)
{
  int fd = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  int made = 0;

  while (made < count
         && mmap (NULL, 4096, made % 2 ? PROT_READ : PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) != MAP_FAILED)
    made++;
  printf ("%d mappings\n", made);
  ready ();
  for (;;)
    pause ();
}

/* Makes and maps a file of a byte. */
static bool
map_new (const char *name)
{
  int fd = open (name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  bool mapped = fd >= 0 && write (fd, "x", 1) >= 0 && mmap (NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED;

  if (fd >= 0)
    close (fd);
  return mapped;
}

_Noreturn static void
show (int made)
{
  printf ("%d files\n", made);
  ready ();
  for (;;)
    pause ();
}

/* Files of which each has a path of 3.7 kB. */
_Noreturn static void
long_paths (int count)
{
  char name[256];
  int made = 0;

  memset (name, 'd', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  for (int i = 0; i < 14; i++)
    if (mkdir (name, 0755) < 0 || chdir (name) < 0)
      perror ("a deep directory");
  for (; made < count; made++) {
    snprintf (name, sizeof name, "%0100d", made);
    if (!map_new (name))
      break;
  }
  show (made);
}

/* A mapped file for each of so many folders, below 1,800 more. */
_Noreturn static void
deep (int count)
{
  int home = open (".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int made = 0;

  for (; made < count; made++) {
    char name[16];

    snprintf (name, sizeof name, "%d", made);
    for (int i = 0; i <= 1800; i++)
      if (mkdir (i == 0 ? name : "a", 0755) < 0 || chdir (i == 0 ? name : "a") < 0)
        perror ("a deep directory");
    if (!map_new ("file") || fchdir (home) < 0)
      break;
  }
  show (made);
}

_Noreturn static void
map (const char *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  if (fd < 0 || mmap (NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
    perror (path);
  close (fd);
  ready ();
  for (;;)
    pause ();
}

_Noreturn static void
sockets (int count)
{
  struct rlimit limit = { (rlim_t) count + 100, (rlim_t) count + 100 };
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int made = 0;

  setrlimit (RLIMIT_NOFILE, &limit);
  for (; made < count; made++) {
    int fd = socket (AF_UNIX, SOCK_STREAM, 0);

    /* Bound under another name than the one it has afterwards, as some servers do. */
    snprintf (address.sun_path, sizeof address.sun_path, "s%d%s", made, made % 100 ? "" : ".tmp");
    if (fd < 0 || bind (fd, (struct sockaddr *) &address, sizeof address) < 0 || listen (fd, 1) < 0)
      break;
    if (made % 100 == 0) {
      char name[32];

      snprintf (name, sizeof name, "s%d", made);
      rename (address.sun_path, name);
    }
  }
  printf ("%d sockets\n", made);
  ready ();
  for (;;)
    pause ();
}

/* One descriptor is now that of a socket, and now that of a file. */
_Noreturn static void
exchange_descriptors (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/exchanged" };
  int socket_fd = socket (AF_UNIX, SOCK_STREAM, 0);
  int file_fd = open (path, O_RDONLY | O_CLOEXEC);

  unlink (address.sun_path);
  if (socket_fd < 0 || file_fd < 0 || bind (socket_fd, (struct sockaddr *) &address, sizeof address) < 0
      || listen (socket_fd, 1) < 0)
    perror ("exchange");
  /* Of the holders of a socket the first descriptor is taken. */
  int number = socket_fd, kept = fcntl (socket_fd, F_DUPFD, 100);
  ready ();
  for (;;) {
    dup2 (file_fd, number);
    usleep (300);
    dup2 (kept, number);
    usleep (300);
  }
}

/* Short-lived processes, sixteen at a time. */
_Noreturn static void
forks (void)
{
  int running = 0;

  ready ();
  for (;;) {
    if (running < 16 && fork () == 0)
      _exit (0);
    if (++running >= 16 && wait (NULL) > 0)
      running--;
  }
}

/* A main process that, after two seconds, leaves its root, its mount namespace, or both. */
_Noreturn static void
wander (void)
{
  int home = open ("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

  mkdir ("/jail", 0755);
  mkdir ("/jail/etc", 0755);
  write_file ("/jail/etc/hostname", "jail\n");
  ready ();
  sleep (2);
  for (;;) {
    if (unshare (CLONE_NEWNS) < 0 || mount ("none", "/mnt", "tmpfs", 0, NULL) < 0)
      usleep (1000);
    if (chroot ("/jail") < 0)
      usleep (1000);
    usleep (2000);
    if (fchdir (home) < 0 || chroot (".") < 0 || umount2 ("/mnt", MNT_DETACH) < 0)
      usleep (1000);
  }
}

int
main (int argc, char **argv)
{
  const char *what = argc > 1 ? argv[1] : "";
  const char *argument = argc > 2 ? argv[2] : "";

  if (strcmp (what, "swap") == 0)
    swap (argument);
  if (strcmp (what, "names") == 0)
    names ();
  if (strcmp (what, "environment") == 0)
    return big_environment (argv);
  if (strcmp (what, "mappings") == 0)
    mappings (atoi (argument));
  if (strcmp (what, "paths") == 0)
    long_paths (atoi (argument));
  if (strcmp (what, "deep") == 0)
    deep (atoi (argument));
  if (strcmp (what, "map") == 0)
    map (argument);
  if (strcmp (what, "sockets") == 0)
    sockets (atoi (argument));
  if (strcmp (what, "exchange") == 0)
    exchange_descriptors (argument);
  if (strcmp (what, "forks") == 0)
    forks ();
  if (strcmp (what, "wander") == 0)
    wander ();
  fprintf (stderr, "hostile: what?\n");
  return 2;
}
