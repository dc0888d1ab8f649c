/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fsdiff.h"

static void
op_chmod (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "chmod (%s, 0%o)", path_of (op->path), mode_of (op->r[0]));
  say_result (text, chmod (path_of (op->path), mode_of (op->r[0])));
  say_lstat (text, path_of (op->path));
}

static void
op_fchmod (Side *side, const Op *op, Text *text)
{
  say (text, "fchmod ([%u], 0%o)", op->slot, mode_of (op->r[0]));
  say_result (text, fchmod (side->fd[op->slot], mode_of (op->r[0])));
  say_fstat (text, side->fd[op->slot]);
}

/* To leave both owners alone is to drop setuid bits only; docs/limits.md. */
static uid_t
owner_of (const Op *op)
{
  return gid_of (op->r[1]) == (gid_t) -1 ? uid_of (op->r[0] % 3 + 1) : uid_of (op->r[0]);
}

static void
op_chown (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "chown (%s, %d, %d)", path_of (op->path), (int) owner_of (op), (int) gid_of (op->r[1]));
  say_result (text, chown (path_of (op->path), owner_of (op), gid_of (op->r[1])));
  say_lstat (text, path_of (op->path));
}

static void
op_lchown (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "lchown (%s, %d, %d)", path_of (op->path), (int) owner_of (op), (int) gid_of (op->r[1]));
  say_result (text, lchown (path_of (op->path), owner_of (op), gid_of (op->r[1])));
  say_lstat (text, path_of (op->path));
}

static void
op_fchown (Side *side, const Op *op, Text *text)
{
  say (text, "fchown ([%u], %d, %d)", op->slot, (int) owner_of (op), (int) gid_of (op->r[1]));
  say_result (text, fchown (side->fd[op->slot], owner_of (op), gid_of (op->r[1])));
  say_fstat (text, side->fd[op->slot]);
}

static struct timespec
time_of (uint32_t number)
{
  static const long nanoseconds[] = { 0, 1, 999999999, 500000000, 123456789, UTIME_NOW, UTIME_OMIT, UTIME_NOW };
  static const time_t seconds[] = { 0, 1, -1, 100000000, 1234567890, 2147483648, 4000000000, -2000000000 };

  return (struct timespec) { .tv_sec = seconds[number % 8], .tv_nsec = nanoseconds[number / 8 % 8] };
}

static void
op_utimens (Side *side, const Op *op, Text *text)
{
  struct timespec times[] = { time_of (op->r[0]), time_of (op->r[1]) };
  int flags = op->r[2] & 1 ? AT_SYMLINK_NOFOLLOW : 0;

  (void) side;
  say (text, "utimensat (%s, %lld.%ld, %lld.%ld, 0x%x)", path_of (op->path), (long long) times[0].tv_sec,
       times[0].tv_nsec, (long long) times[1].tv_sec, times[1].tv_nsec, flags);
  say_result (text, utimensat (AT_FDCWD, path_of (op->path), times, flags));
  say_lstat (text, path_of (op->path));
}

static void
op_futimens (Side *side, const Op *op, Text *text)
{
  struct timespec times[] = { time_of (op->r[0]), time_of (op->r[1]) };

  say (text, "futimens ([%u], %lld.%ld, %lld.%ld)", op->slot, (long long) times[0].tv_sec, times[0].tv_nsec,
       (long long) times[1].tv_sec, times[1].tv_nsec);
  say_result (text, futimens (side->fd[op->slot], times));
  say_fstat (text, side->fd[op->slot]);
}

static void
op_access (Side *side, const Op *op, Text *text)
{
  int mode = (int) (op->r[0] % 8);

  (void) side;
  say (text, "access (%s, %d)", path_of (op->path), mode);
  say_result (text, access (path_of (op->path), mode));
}

static void
op_faccessat (Side *side, const Op *op, Text *text)
{
  int mode = (int) (op->r[0] % 8);
  int flags = AT_EACCESS | (op->r[1] & 1 ? AT_SYMLINK_NOFOLLOW : 0);

  (void) side;
  say (text, "faccessat (%s, %d, 0x%x)", path_of (op->path), mode, flags);
  say_result (text, faccessat (AT_FDCWD, path_of (op->path), mode, flags));
}

static void
op_stat (Side *side, const Op *op, Text *text)
{
  struct stat st;

  (void) side;
  say (text, "stat (%s)", path_of (op->path));
  int r = stat (path_of (op->path), &st);
  say_result (text, r);
  if (r == 0)
    say_stat (text, &st);
}

static void
op_lstat (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "lstat (%s)", path_of (op->path));
  say_lstat (text, path_of (op->path));
}

static void
op_fstat (Side *side, const Op *op, Text *text)
{
  say (text, "fstat ([%u])", op->slot);
  say_fstat (text, side->fd[op->slot]);
}

static void
op_statx (Side *side, const Op *op, Text *text)
{
  static const unsigned int masks[] = { STATX_BASIC_STATS, STATX_SIZE, STATX_MODE, STATX_NLINK, STATX_MTIME };
  int flags = op->r[0] & 1 ? AT_SYMLINK_NOFOLLOW : 0;
  unsigned int mask = masks[op->r[1] % 5];
  struct statx st;

  (void) side;
  say (text, "statx (%s, 0x%x, 0x%x)", path_of (op->path), flags, mask);
  int r = statx (AT_FDCWD, path_of (op->path), flags, mask, &st);
  say_result (text, r);
  if (r < 0)
    return;
  say (text, " mask=%d", (st.stx_mask & mask) == mask);
  if (mask & STATX_SIZE)
    say (text, " size=%llu", (unsigned long long) st.stx_size);
  if (mask & STATX_MODE)
    say (text, " mode=%06o", st.stx_mode);
  if (mask & STATX_NLINK)
    say (text, " nlink=%u", st.stx_nlink);
}

static void
op_statvfs (Side *side, const Op *op, Text *text)
{
  struct statvfs fs;

  (void) side;
  say (text, "statvfs (%s)", path_of (op->path));
  int r = statvfs (path_of (op->path), &fs);
  say_result (text, r);
  if (r == 0)
    say (text, " bsize=%lu frsize=%lu blocks=%llu files=%llu namemax=%lu", fs.f_bsize, fs.f_frsize,
         (unsigned long long) fs.f_blocks, (unsigned long long) fs.f_files, fs.f_namemax);
}

const Kind kinds_attr[] = {
  { "chmod", op_chmod, 14, false },      { "fchmod", op_fchmod, 6, false },   { "chown", op_chown, 9, false },
  { "lchown", op_lchown, 4, false },     { "fchown", op_fchown, 5, false },   { "utimens", op_utimens, 7, false },
  { "futimens", op_futimens, 5, false }, { "access", op_access, 6, false },   { "faccessat", op_faccessat, 4, false },
  { "stat", op_stat, 10, false },        { "lstat", op_lstat, 12, false },    { "fstat", op_fstat, 8, false },
  { "statx", op_statx, 5, false },       { "statvfs", op_statvfs, 1, false }, { NULL, NULL, 0, false },
};
