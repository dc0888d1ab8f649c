/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* attack PID: what a process may do to another one, as the kernel decides it by ptrace(2)'s rules. Prints a word for
 * each attempt that succeeded, in one line; "-" if none did. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int
opens (const char *pid, const char *file, int flags)
{
  char path[64];
  int fd;

  snprintf (path, sizeof path, "/proc/%s/%s", pid, file);
  fd = open (path, flags);
  if (fd < 0)
    return 0;
  char byte;
  ssize_t n = flags & O_DIRECTORY ? 1 : read (fd, &byte, 1);
  close (fd);
  return n >= 0 || errno == EIO; /* mem at address 0 */
}

static int
reads_link (const char *pid, const char *file)
{
  char path[64], target[4096];

  snprintf (path, sizeof path, "/proc/%s/%s", pid, file);
  return readlink (path, target, sizeof target) >= 0;
}

static int
attaches (const char *pid)
{
  pid_t p = atoi (pid);

  if (ptrace (PTRACE_ATTACH, p, NULL, NULL) < 0)
    return 0;
  waitpid (p, NULL, __WALL);
  ptrace (PTRACE_DETACH, p, NULL, NULL);
  return 1;
}

static int
takes_descriptor (const char *pid)
{
  int pidfd = (int) syscall (SYS_pidfd_open, atoi (pid), 0);
  int fd = pidfd < 0 ? -1 : (int) syscall (SYS_pidfd_getfd, pidfd, 0, 0);

  return fd >= 0;
}

int
main (int argc, char **argv)
{
  const char *pid = argc == 2 ? argv[1] : "self";
  int n = 0;

#define TRY(word, condition)                                                                                           \
  if (condition)                                                                                                       \
  n += printf ("%s%s", n ? " " : "", word)
  TRY ("attach", attaches (pid));
  TRY ("environ", opens (pid, "environ", O_RDONLY));
  TRY ("root", opens (pid, "root/.", O_RDONLY | O_DIRECTORY));
  TRY ("cwd", opens (pid, "cwd/.", O_RDONLY | O_DIRECTORY));
  TRY ("fd", reads_link (pid, "fd/0"));
  TRY ("getfd", takes_descriptor (pid));
  TRY ("mem", opens (pid, "mem", O_RDWR));
  puts (n ? "" : "-");
  return 0;
}
