/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A FUSE filesystem that goes wrong: badfuse DIR PROGRAM [FROM [LOG]]. On DIR it shows one file, `program`, with
 * PROGRAM's content (4 MiB at most), and `link` to it, and has the kernel remember nothing. From byte FROM on it cannot
 * be read: EIO. LOG gets a line, with the uid, for each open and read. SIGHUP: so does every close end from then on;
 * SIGUSR1: every request. SIGSTOP: no request is read any more. SIGUSR2: each is read, and none is answered. SIGKILL: a
 * dead mount. With BADFUSE_OWN set, a close is answered only to the process that was the first to open; with
 * BADFUSE_EINTR, locks are interrupted though nobody does that. Speaks the kernel's own protocol (linux/fuse.h), so it
 * needs no library. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PROGRAM 2 /* its node */
#define LINK 3

static volatile sig_atomic_t failing, unwritten, silent;
static char content[4 << 20];
static size_t length, bad_from = SIZE_MAX;
static int log_fd = -1;
static uint32_t owner; /* a pid */

static void
fail_from_now_on (int signal)
{
  (void) signal;
  failing = 1;
}

static void
fail_closes_from_now_on (int signal)
{
  (void) signal;
  unwritten = 1;
}

static void
say_nothing_from_now_on (int signal)
{
  (void) signal;
  silent = 1;
}

static void
answer (int dev, const struct fuse_in_header *in, int error, const void *data, size_t size)
{
  struct fuse_out_header out = { .len = (uint32_t) (sizeof out + size), .error = error, .unique = in->unique };
  struct iovec parts[] = { { &out, sizeof out }, { (void *) data, size } };

  if (writev (dev, parts, 2) < 0 && errno != ENOENT)
    perror ("badfuse: answer");
}

static struct fuse_attr
attributes (uint64_t node)
{
  return (struct fuse_attr) {
    .ino = node,
    .size = node == PROGRAM ? length : 0,
    .mode = node == PROGRAM ? S_IFREG | 0755
            : node == LINK  ? S_IFLNK | 0777
                            : S_IFDIR | 0755,
    .nlink = 1,
    .blksize = 4096,
  };
}

static void
answer_init (int dev, const struct fuse_in_header *in, const struct fuse_init_in *init)
{
  struct fuse_init_out out = {
    .major = FUSE_KERNEL_VERSION,
    .minor = init->minor < FUSE_KERNEL_MINOR_VERSION ? init->minor : FUSE_KERNEL_MINOR_VERSION,
    .max_readahead = init->max_readahead,
    .flags = init->flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS),
    .max_write = 4096,
    .max_background = 12,
    .congestion_threshold = 9,
  };

  answer (dev, in, 0, &out, sizeof out);
}

static void
answer_read (int dev, const struct fuse_in_header *in, const struct fuse_read_in *read)
{
  size_t from = read->offset < length ? read->offset : length;
  size_t size = read->size < length - from ? read->size : length - from;

  if (from + size > bad_from)
    answer (dev, in, -EIO, NULL, 0);
  else
    answer (dev, in, 0, content + from, size);
}

static void
keep_written (const struct fuse_in_header *in, const struct fuse_write_in *write)
{
  if (in->nodeid == PROGRAM && write->offset <= length && write->size <= length - write->offset)
    memcpy (content + write->offset, write + 1, write->size);
}

static void
answer_one (int dev, const struct fuse_in_header *in, const void *argument)
{
  struct fuse_entry_out entry = { .nodeid = PROGRAM, .attr = attributes (PROGRAM) };
  struct fuse_entry_out link = { .nodeid = LINK, .attr = attributes (LINK) };
  struct fuse_write_out written = { .size = in->opcode == FUSE_WRITE ? ((const struct fuse_write_in *) argument)->size
                                                                     : 0 };
  struct fuse_attr_out attr = { .attr = attributes (in->nodeid) };
  struct fuse_open_out opened = { .open_flags = in->opcode == FUSE_OPEN && getenv ("BADFUSE_UNCACHED") ? FOPEN_DIRECT_IO
                                                                                                       : 0 };

  if (log_fd >= 0 && (in->opcode == FUSE_OPEN || in->opcode == FUSE_READ))
    dprintf (log_fd, "%s %u\n", in->opcode == FUSE_OPEN ? "open" : "read", in->uid);
  if (in->opcode == FUSE_OPEN && owner == 0)
    owner = in->pid;
  if (in->opcode == FUSE_FLUSH && in->pid != owner && getenv ("BADFUSE_OWN"))
    return;
  if (in->opcode == FUSE_INIT)
    answer_init (dev, in, argument);
  else if (in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET || in->opcode == FUSE_INTERRUPT || silent)
    return;
  else if ((in->opcode == FUSE_SETLK || in->opcode == FUSE_SETLKW) && getenv ("BADFUSE_EINTR"))
    answer (dev, in, -EINTR, NULL, 0);
  else if (failing || (unwritten && in->opcode == FUSE_FLUSH))
    answer (dev, in, -EIO, NULL, 0);
  else if (in->opcode == FUSE_LOOKUP && strcmp (argument, "program") == 0)
    answer (dev, in, 0, &entry, sizeof entry);
  else if (in->opcode == FUSE_LOOKUP && strcmp (argument, "link") == 0)
    answer (dev, in, 0, &link, sizeof link);
  else if (in->opcode == FUSE_LOOKUP)
    answer (dev, in, -ENOENT, NULL, 0);
  else if (in->opcode == FUSE_GETATTR)
    answer (dev, in, 0, &attr, sizeof attr);
  else if (in->opcode == FUSE_OPEN || in->opcode == FUSE_OPENDIR)
    answer (dev, in, 0, &opened, sizeof opened);
  else if (in->opcode == FUSE_READLINK)
    answer (dev, in, 0, "program", strlen ("program"));
  else if (in->opcode == FUSE_WRITE) {
    keep_written (in, argument);
    answer (dev, in, 0, &written, sizeof written);
  } else if (in->opcode == FUSE_READ)
    answer_read (dev, in, argument);
  else if (in->opcode == FUSE_READDIR || in->opcode == FUSE_RELEASE || in->opcode == FUSE_RELEASEDIR
           || in->opcode == FUSE_FLUSH || in->opcode == FUSE_SETLK || in->opcode == FUSE_SETLKW
           || in->opcode == FUSE_SETATTR)
    answer (dev, in, 0, in->opcode == FUSE_SETATTR ? &attr : NULL, in->opcode == FUSE_SETATTR ? sizeof attr : 0);
  else
    answer (dev, in, -ENOSYS, NULL, 0);
}

int
main (int argc, char **argv)
{
  static char request[1 << 20] __attribute__ ((aligned (8)));
  char options[128];
  int file = argc > 2 ? open (argv[2], O_RDONLY | O_CLOEXEC) : -1;
  int dev = open ("/dev/fuse", O_RDWR | O_CLOEXEC);
  ssize_t n = file < 0 ? -1 : read (file, content, sizeof content);

  if (n < 0 || dev < 0) {
    fprintf (stderr, "usage: badfuse DIR PROGRAM [FROM] (and /dev/fuse)\n");
    return 2;
  }
  length = (size_t) n;
  if (argc > 3)
    bad_from = strtoul (argv[3], NULL, 10);
  if (argc > 4)
    log_fd = open (argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  snprintf (options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", dev);
  if (mount ("badfuse", argv[1], "fuse.badfuse", 0, options) < 0) {
    perror ("badfuse: mount");
    return 1;
  }
  signal (SIGUSR1, fail_from_now_on);
  signal (SIGHUP, fail_closes_from_now_on);
  signal (SIGUSR2, say_nothing_from_now_on);
  while ((n = read (dev, request, sizeof request)) > 0 || errno == EINTR || errno == ENOENT)
    if (n > 0)
      answer_one (dev, (const struct fuse_in_header *) request, request + sizeof (struct fuse_in_header));
  return 0;
}
