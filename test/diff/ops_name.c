/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fsdiff.h"

static void
op_unlink (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "unlink (%s)", path_of (op->path));
  say_result (text, unlink (path_of (op->path)));
  say_lstat (text, path_of (op->path));
}

static void
op_mkdir (Side *side, const Op *op, Text *text)
{
  mode_t mode = mode_of (op->r[0]) | (op->r[1] % 4 ? 0700 : 0);

  (void) side;
  say (text, "mkdir (%s, 0%o)", path_of (op->path), mode);
  say_result (text, mkdir (path_of (op->path), mode));
  say_lstat (text, path_of (op->path));
}

static void
op_rmdir (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "rmdir (%s)", path_of (op->path));
  say_result (text, rmdir (path_of (op->path)));
}

static void
rename_with (const Op *op, unsigned int flags, const char *name, Text *text)
{
  say (text, "rename (%s, %s, %s)", path_of (op->path), path_of (op->path2), name);
  say_result (text, renameat2 (AT_FDCWD, path_of (op->path), AT_FDCWD, path_of (op->path2), flags));
  if (op->r[0] & 1)
    say_lstat (text, path_of (op->path));
  if (op->r[0] & 2)
    say_lstat (text, path_of (op->path2));
}

static void
op_rename (Side *side, const Op *op, Text *text)
{
  (void) side;
  rename_with (op, 0, "0", text);
}

static void
op_rename_noreplace (Side *side, const Op *op, Text *text)
{
  (void) side;
  rename_with (op, RENAME_NOREPLACE, "NOREPLACE", text);
}

static void
op_rename_exchange (Side *side, const Op *op, Text *text)
{
  (void) side;
  rename_with (op, RENAME_EXCHANGE, "EXCHANGE", text);
}

static void
op_link (Side *side, const Op *op, Text *text)
{
  int flags = op->r[0] % 4 == 0 ? AT_SYMLINK_FOLLOW : 0;

  (void) side;
  say (text, "linkat (%s, %s, 0x%x)", path_of (op->path), path_of (op->path2), flags);
  say_result (text, linkat (AT_FDCWD, path_of (op->path), AT_FDCWD, path_of (op->path2), flags));
  say_lstat (text, path_of (op->path));
  if (op->r[0] & 8)
    say_lstat (text, path_of (op->path2));
}

static void
op_symlink (Side *side, const Op *op, Text *text)
{
  static const char *const targets[] = {
    "a", "b", "d", "d/a", "e/d", "../a", "../d/b", ".", "missing", "/nowhere/x", "a/", "", "d/../b", "../../nothing",
  };
  const char *target = targets[op->r[0] % (sizeof targets / sizeof *targets)];

  (void) side;
  say (text, "symlink (%s, %s)", target, path_of (op->path));
  say_result (text, symlink (target, path_of (op->path)));
  say_lstat (text, path_of (op->path));
}

static void
op_readlink (Side *side, const Op *op, Text *text)
{
  char target[4096];

  (void) side;
  say (text, "readlink (%s)", path_of (op->path));
  ssize_t n = readlink (path_of (op->path), target, sizeof target);
  say_result (text, n);
  if (n > 0)
    say (text, " %.*s", (int) n, target);
}

static void
op_mkfifo (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "mkfifo (%s, 0%o)", path_of (op->path), mode_of (op->r[0]));
  say_result (text, mkfifo (path_of (op->path), mode_of (op->r[0])));
  say_lstat (text, path_of (op->path));
}

static void
op_mknod (Side *side, const Op *op, Text *text)
{
  mode_t mode = mode_of (op->r[0]) | (op->r[1] % 8 == 0 ? S_IFSOCK : S_IFREG);

  (void) side;
  say (text, "mknod (%s, 0%o)", path_of (op->path), mode);
  say_result (text, mknod (path_of (op->path), mode, 0));
  say_lstat (text, path_of (op->path));
}

/* Are two names one file? Numbers differ between the sides, what they say does not. */
static void
op_same_file (Side *side, const Op *op, Text *text)
{
  struct stat a, b;

  (void) side;
  say (text, "same (%s, %s)", path_of (op->path), path_of (op->path2));
  if (stat (path_of (op->path), &a) < 0 || stat (path_of (op->path2), &b) < 0) {
    say (text, " %s", errno_name (errno));
    return;
  }
  say (text, " %s", a.st_ino == b.st_ino && a.st_dev == b.st_dev ? "same" : "different");
}

static void
op_umask (Side *side, const Op *op, Text *text)
{
  static const mode_t masks[] = { 022, 0, 077, 027, 0777, 0200 };
  mode_t mask = masks[op->r[0] % 6];

  (void) side;
  say (text, "umask (0%o)", mask);
  umask (mask);
}

const Kind kinds_name[] = {
  { "unlink", op_unlink, 14, false },
  { "mkdir", op_mkdir, 16, false },
  { "rmdir", op_rmdir, 4, false },
  { "rename", op_rename, 14, false },
  { "rename_noreplace", op_rename_noreplace, 5, false },
  { "rename_exchange", op_rename_exchange, 6, false },
  { "link", op_link, 12, false },
  { "symlink", op_symlink, 8, false },
  { "readlink", op_readlink, 5, false },
  { "mkfifo", op_mkfifo, 3, false },
  { "mknod", op_mknod, 4, false },
  { "same_file", op_same_file, 4, false },
  { "umask", op_umask, 3, false },
  { NULL, NULL, 0, false },
};
