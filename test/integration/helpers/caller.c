/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One caller, many questions: for each line "WHAT PATH" on stdin it does that and says '+' where it worked, else '-'.
 * WHAT is read (a byte of a file), write (open for it), readlink, list (a directory), numbers (of all that it lists:
 * are they stat's?), connect (to a stream socket) or stat (following links). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int
try_read (const char *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  char byte;

  if (fd < 0)
    return -1;
  ssize_t n = read (fd, &byte, 1);
  close (fd);
  return n == 1 ? 0 : -1;
}

static int
try_write (const char *path)
{
  int fd = open (path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

  return fd < 0 ? -1 : close (fd);
}

static int
try_readlink (const char *path)
{
  char target[4096];

  return readlink (path, target, sizeof target) < 0 ? -1 : 0;
}

static int
try_list (const char *path)
{
  DIR *dir = opendir (path);
  int names = 0;

  if (!dir)
    return -1;
  while (readdir (dir))
    names++;
  closedir (dir);
  return names > 2 ? 0 : -1;
}

static int
try_numbers (const char *path)
{
  DIR *dir = opendir (path);
  const struct dirent *d;
  struct stat st;
  int r = 0;

  if (!dir)
    return -1;
  while ((d = readdir (dir)))
    if (fstatat (dirfd (dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != d->d_ino)
      r = -1;
  closedir (dir);
  return r;
}

static int
try_connect (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (strlen (path) >= sizeof address.sun_path)
    return -1;
  strcpy (address.sun_path, path);
  int r = connect (fd, (struct sockaddr *) &address, sizeof address);
  close (fd);
  return r;
}

static int
try (const char *what, const char *path)
{
  struct stat st;

  if (strcmp (what, "read") == 0)
    return try_read (path);
  if (strcmp (what, "write") == 0)
    return try_write (path);
  if (strcmp (what, "readlink") == 0)
    return try_readlink (path);
  if (strcmp (what, "list") == 0)
    return try_list (path);
  if (strcmp (what, "numbers") == 0)
    return try_numbers (path);
  if (strcmp (what, "connect") == 0)
    return try_connect (path);
  return stat (path, &st);
}

int
main (void)
{
  char what[16], path[4096];

  while (scanf ("%15s %4095s", what, path) == 2)
    putchar (try (what, path) == 0 ? '+' : '-');
  putchar ('\n');
  return 0;
}
