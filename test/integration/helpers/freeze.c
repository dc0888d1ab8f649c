/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Peers and callers who make others wait: freeze WHAT ARGUMENT... Says "ready" on stdout once it has begun, and goes on
 * for good. lease FILE...      has each under a lease that it does not give up open N FILE...     N callers who open
 * each list N DIR...      N callers who list each autofs DIR...      mounts on each a file system that has everybody
 * wait who looks into it memory FILE NAME   is called NAME, and keeps its memory locked: FILE is on a mount that has
 * stopped, where opened files are not cached read N FILE...     N asynchronous reads of each; the files are opened
 * first, and read once `go` is in the working directory lock N FILE        N processes that share one open file, each
 * with a lock of its own */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static _Noreturn void
ready (void)
{
  puts ("ready");
  fflush (stdout);
  for (;;)
    pause ();
}

static void
trouble (const char *what)
{
  perror (what);
  exit (1);
}

static int
open_or_die (const char *path, int flags)
{
  int fd = open (path, flags | O_CLOEXEC);

  if (fd < 0)
    trouble (path);
  return fd;
}

static void
lease (char **files)
{
  signal (SIGIO, SIG_IGN);
  for (; *files; files++)
    if (fcntl (open_or_die (*files, O_RDWR), F_SETLEASE, F_WRLCK) < 0)
      trouble (*files);
}

static void
crowd (int n, char **paths, int flags)
{
  for (int i = 0; i < n; i++)
    for (char **path = paths; *path; path++)
      if (fork () == 0) {
        close (open (*path, O_RDONLY | O_CLOEXEC | flags));
        _exit (0);
      }
}

static void
autofs (char **dirs)
{
  char options[128];
  int ends[2];

  setpgid (0, 0);
  for (; *dirs; dirs++) {
    if (pipe (ends) < 0)
      trouble ("pipe");
    snprintf (options, sizeof options, "fd=%d,pgrp=%d,minproto=5,maxproto=5,direct", ends[1], (int) getpgrp ());
    if (mount ("autofs", *dirs, "autofs", 0, options) < 0)
      trouble (*dirs);
    close (ends[1]);
  }
}

/* One waits for the page, with its lock; the other for that lock, with its memory's. */
static void
memory (const char *file, const char *name)
{
  int fd;

  while ((fd = open (file, O_RDONLY | O_CLOEXEC)) < 0)
    usleep (10000);
  prctl (PR_SET_NAME, name);
  puts ("open");
  fflush (stdout);
  while (access ("go", F_OK) < 0)
    usleep (10000);
  if (fork () == 0) {
    volatile char *page = mmap (NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    (void) *page;
    _exit (0);
  }
  sleep (1);
  if (fork () == 0) {
    sleep (1);
    ready ();
  }
  mmap (NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
}

static void
read_later (long n, char **files)
{
  for (; *files; files++) {
    int fd = open_or_die (*files, O_RDONLY | O_DIRECT);
    if (fork () == 0) {
      aio_context_t context = 0;

      while (access ("go", F_OK) < 0)
        usleep (10000);
      if (syscall (SYS_io_setup, n, &context) < 0)
        trouble ("io_setup");
      for (long i = 0; i < n; i++) {
        struct iocb *request = calloc (1, sizeof *request);
        request->aio_lio_opcode = IOCB_CMD_PREAD;
        request->aio_fildes = (unsigned int) fd;
        request->aio_buf = (unsigned long) aligned_alloc (PAGE, PAGE);
        request->aio_nbytes = PAGE;
        if (syscall (SYS_io_submit, context, 1L, &request) != 1)
          trouble ("io_submit");
      }
      for (;;)
        pause ();
    }
  }
}

static void
lock (int n, const char *file)
{
  int fd = open_or_die (file, O_RDWR), ends[2];
  char result;

  if (pipe (ends) < 0)
    trouble ("pipe");
  for (int i = 0; i < n; i++)
    if (fork () == 0) {
      struct flock mine = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1 };
      result = fcntl (fd, F_SETLK, &mine) == 0;
      if (write (ends[1], &result, 1) != 1)
        _exit (1);
      for (;;)
        pause ();
    }
  for (int i = 0; i < n; i++)
    if (read (ends[0], &result, 1) != 1)
      trouble ("read");
}

int
main (int argc, char **argv)
{
  const char *what = argc > 2 ? argv[1] : "";

  if (strcmp (what, "lease") == 0)
    lease (argv + 2);
  else if (strcmp (what, "open") == 0)
    crowd (atoi (argv[2]), argv + 3, 0);
  else if (strcmp (what, "list") == 0)
    crowd (atoi (argv[2]), argv + 3, O_DIRECTORY);
  else if (strcmp (what, "autofs") == 0)
    autofs (argv + 2);
  else if (strcmp (what, "memory") == 0 && argc > 3)
    memory (argv[2], argv[3]);
  else if (strcmp (what, "read") == 0)
    read_later (atoi (argv[2]), argv + 3);
  else if (strcmp (what, "lock") == 0 && argc > 3)
    lock (atoi (argv[2]), argv[3]);
  else
    return 2;
  ready ();
}
