/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading, writing and sizes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fsdiff.h"

#define LARGEST (256 * 1024)
#define FARTHEST (512 * 1024)

static unsigned char buffer[LARGEST] __attribute__ ((aligned (4096)));

static size_t
length_of (uint32_t number)
{
  static const size_t lengths[] = { 0, 1, 511, 512, 4095, 4096, 4097, 8192, 65536, 131072 + 1 };

  if (number % 4 == 0)
    return lengths[(number >> 2) % (sizeof lengths / sizeof *lengths)];
  return number % 64 == 1 ? (number >> 6) % LARGEST : (number >> 6) % 6000;
}

static off_t
offset_of (uint32_t number)
{
  static const off_t offsets[] = { 0, 1, 4096, 4095, 8192, 65536, 12288 };

  if (number % 4 == 0)
    return offsets[(number >> 2) % (sizeof offsets / sizeof *offsets)];
  return number % 16 == 1 ? (number >> 4) % FARTHEST : (number >> 4) % 20000;
}

static bool
is_direct (int fd)
{
  return (fcntl (fd, F_GETFL) & O_DIRECT) != 0;
}

static bool
is_directory (int fd)
{
  struct stat st;

  return fstat (fd, &st) == 0 && S_ISDIR (st.st_mode);
}

/* Direct I/O asks for aligned ranges. */
static size_t
length_for (int fd, uint32_t number)
{
  size_t n = length_of (number);

  return is_direct (fd) ? (n + 4095) / 4096 * 4096 % LARGEST : n;
}

static off_t
offset_for (int fd, uint32_t number)
{
  return is_direct (fd) ? offset_of (number) / 4096 * 4096 : offset_of (number);
}

static void
op_read (Side *side, const Op *op, Text *text)
{
  int fd = side->fd[op->slot];
  size_t n = length_for (fd, op->r[0]);

  say (text, "read ([%u], %zu)", op->slot, n);
  ssize_t got = read (fd, buffer, n);
  say_result (text, got);
  if (got > 0)
    say_bytes (text, buffer, (size_t) got);
}

static void
op_pread (Side *side, const Op *op, Text *text)
{
  int fd = side->fd[op->slot];
  size_t n = length_for (fd, op->r[0]);
  off_t at = offset_for (fd, op->r[1]);

  say (text, "pread ([%u], %zu, %lld)", op->slot, n, (long long) at);
  ssize_t got = pread (fd, buffer, n, at);
  say_result (text, got);
  if (got > 0)
    say_bytes (text, buffer, (size_t) got);
}

/* Two parts of the buffer; aligned ones where that is asked for. */
static size_t
split (int fd, uint32_t number, struct iovec *parts)
{
  size_t n = length_for (fd, number);
  size_t first = is_direct (fd) ? n / 8192 * 4096 : n / 3;

  parts[0] = (struct iovec) { buffer, first };
  parts[1] = (struct iovec) { buffer + first, n - first };
  return n;
}

static void
op_readv (Side *side, const Op *op, Text *text)
{
  int fd = side->fd[op->slot];
  struct iovec parts[2];
  size_t n = split (fd, op->r[0], parts);

  say (text, "readv ([%u], %zu)", op->slot, n);
  ssize_t got = readv (fd, parts, 2);
  say_result (text, got);
  if (got > 0)
    say_bytes (text, buffer, (size_t) got);
}

static void
op_write (Side *side, const Op *op, Text *text)
{
  int fd = side->fd[op->slot];
  size_t n = length_for (fd, op->r[0]);

  pattern (op->r[2], buffer, n);
  say (text, "write ([%u], %zu)", op->slot, n);
  say_result (text, write (fd, buffer, n));
  say_fstat (text, fd);
}

static void
op_pwrite (Side *side, const Op *op, Text *text)
{
  int fd = side->fd[op->slot];
  size_t n = length_for (fd, op->r[0]);
  off_t at = offset_for (fd, op->r[1]);

  pattern (op->r[2], buffer, n);
  say (text, "pwrite ([%u], %zu, %lld)", op->slot, n, (long long) at);
  say_result (text, pwrite (fd, buffer, n, at));
  if (op->r[3] & 1)
    say_fstat (text, fd);
}

static void
op_writev (Side *side, const Op *op, Text *text)
{
  int fd = side->fd[op->slot];
  struct iovec parts[2];
  size_t n = split (fd, op->r[0], parts);

  pattern (op->r[2], buffer, n);
  say (text, "writev ([%u], %zu)", op->slot, n);
  say_result (text, writev (fd, parts, 2));
  if (op->r[3] & 1)
    say_fstat (text, fd);
}

static void
op_lseek (Side *side, const Op *op, Text *text)
{
  static const int whences[] = { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE };
  int whence = whences[op->r[0] % (with_holes ? 5 : 3)];
  off_t at = is_direct (side->fd[op->slot]) ? offset_of (op->r[1]) / 4096 * 4096 : offset_of (op->r[1]);

  /* What a place in a directory is, is each file system's own. */
  if (is_directory (side->fd[op->slot]))
    whence = SEEK_SET, at = 0;
  if (whence == SEEK_CUR || whence == SEEK_END)
    at = op->r[2] & 1 ? at : -at / 2;
  say (text, "lseek ([%u], %lld, %d)", op->slot, (long long) at, whence);
  say_result (text, lseek (side->fd[op->slot], at, whence));
}

static void
op_ftruncate (Side *side, const Op *op, Text *text)
{
  off_t size = offset_of (op->r[0]);

  say (text, "ftruncate ([%u], %lld)", op->slot, (long long) size);
  say_result (text, ftruncate (side->fd[op->slot], size));
  say_fstat (text, side->fd[op->slot]);
}

static void
op_truncate (Side *side, const Op *op, Text *text)
{
  off_t size = offset_of (op->r[0]);

  (void) side;
  say (text, "truncate (%s, %lld)", path_of (op->path), (long long) size);
  say_result (text, truncate (path_of (op->path), size));
  say_lstat (text, path_of (op->path));
}

static void
allocate (Side *side, const Op *op, int mode, const char *name, Text *text)
{
  off_t at = offset_of (op->r[0]);
  off_t n = (off_t) length_of (op->r[1]);

  say (text, "fallocate ([%u], %s, %lld, %lld)", op->slot, name, (long long) at, (long long) n);
  say_result (text, fallocate (side->fd[op->slot], mode, at, n));
  say_fstat (text, side->fd[op->slot]);
}

static void
op_fallocate (Side *side, const Op *op, Text *text)
{
  allocate (side, op, 0, "0", text);
}

static void
op_keep_size (Side *side, const Op *op, Text *text)
{
  allocate (side, op, FALLOC_FL_KEEP_SIZE, "KEEP_SIZE", text);
}

static void
op_punch (Side *side, const Op *op, Text *text)
{
  allocate (side, op, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, "PUNCH_HOLE", text);
}

static void
op_zero_range (Side *side, const Op *op, Text *text)
{
  allocate (side, op, FALLOC_FL_ZERO_RANGE | (op->r[2] & 1 ? FALLOC_FL_KEEP_SIZE : 0), "ZERO_RANGE", text);
}

static void
op_copy_range (Side *side, const Op *op, Text *text)
{
  off_t from = offset_of (op->r[0]), to = offset_of (op->r[1]);
  size_t n = length_of (op->r[2]);

  if (is_direct (side->fd[op->slot]) || is_direct (side->fd[op->slot2]))
    return;
  say (text, "copy_file_range ([%u], %lld, [%u], %lld, %zu)", op->slot, (long long) from, op->slot2, (long long) to, n);
  say_result (text, copy_file_range (side->fd[op->slot], &from, side->fd[op->slot2], &to, n, 0));
  say_fstat (text, side->fd[op->slot2]);
}

static bool
is_same_file (int a, int b)
{
  struct stat x, y;

  return fstat (a, &x) == 0 && fstat (b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Into itself it may read what it has just written, or not; docs/limits.md. */
static void
op_sendfile (Side *side, const Op *op, Text *text)
{
  off_t from = offset_of (op->r[0]);
  size_t n = length_of (op->r[2]);

  if (is_direct (side->fd[op->slot]) || is_direct (side->fd[op->slot2])
      || is_same_file (side->fd[op->slot], side->fd[op->slot2]))
    return;
  say (text, "sendfile ([%u], [%u], %lld, %zu)", op->slot2, op->slot, (long long) from, n);
  say_result (text, sendfile (side->fd[op->slot2], side->fd[op->slot], &from, n));
  say_fstat (text, side->fd[op->slot2]);
}

static void
op_fsync (Side *side, const Op *op, Text *text)
{
  say (text, "fsync ([%u])", op->slot);
  say_result (text, fsync (side->fd[op->slot]));
}

static void
op_fdatasync (Side *side, const Op *op, Text *text)
{
  say (text, "fdatasync ([%u])", op->slot);
  say_result (text, fdatasync (side->fd[op->slot]));
}

const Kind kinds_io[] = {
  { "read", op_read, 14, false },
  { "pread", op_pread, 14, false },
  { "readv", op_readv, 5, false },
  { "write", op_write, 16, false },
  { "pwrite", op_pwrite, 16, false },
  { "writev", op_writev, 6, false },
  { "lseek", op_lseek, 10, false },
  { "ftruncate", op_ftruncate, 7, false },
  { "truncate", op_truncate, 7, false },
  { "fallocate", op_fallocate, 4, false },
  { "keep_size", op_keep_size, 3, false },
  { "punch", op_punch, 4, false },
  { "zero_range", op_zero_range, 2, false },
  { "copy_range", op_copy_range, 6, false },
  { "sendfile", op_sendfile, 3, false },
  { "fsync", op_fsync, 1, false },
  { "fdatasync", op_fdatasync, 1, false },
  { NULL, NULL, 0, false },
};
