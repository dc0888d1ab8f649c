/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was seen, as text. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "fsdiff.h"

bool with_holes = true;

void
say (Text *text, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  int n = vsnprintf (text->text + text->used, sizeof text->text - text->used, format, args);
  va_end (args);
  if (n > 0)
    text->used += (size_t) n;
  if (text->used >= sizeof text->text)
    text->used = sizeof text->text - 1;
}

const char *
errno_name (int number)
{
  const char *name = strerrorname_np (number);

  return name ? name : "?";
}

void
say_result (Text *text, long result)
{
  int saved = errno;

  if (result < 0)
    say (text, " = -1 %s", errno_name (errno));
  else
    say (text, " = %ld", result);
  errno = saved;
}

/* A time that an operation has set lies far from now, and has to be kept to the nanosecond. */
static void
say_time (Text *text, const char *name, const struct timespec *t)
{
  time_t now = time (NULL);

  if (t->tv_sec > now - 7200 && t->tv_sec < now + 60)
    say (text, " %s=now", name);
  else
    say (text, " %s=%lld.%09ld", name, (long long) t->tv_sec, t->tv_nsec);
}

void
say_stat (Text *text, const struct stat *st)
{
  say (text, " {%06o nlink=%lu %u:%u", st->st_mode, (unsigned long) st->st_nlink, st->st_uid, st->st_gid);
  say (text, " size=%lld", (long long) st->st_size);
  if (with_holes)
    say (text, st->st_blocks ? " blocks" : " no blocks");
  if (S_ISCHR (st->st_mode) || S_ISBLK (st->st_mode))
    say (text, " rdev=%u:%u", major (st->st_rdev), minor (st->st_rdev));
  say (text, " blksize=%ld", (long) st->st_blksize);
  say_time (text, "atime", &st->st_atim);
  say_time (text, "mtime", &st->st_mtim);
  say_time (text, "ctime", &st->st_ctim);
  say (text, "}");
}

void
say_lstat (Text *text, const char *path)
{
  struct stat st;

  if (lstat (path, &st) < 0)
    say (text, " {%s}", errno_name (errno));
  else
    say_stat (text, &st);
}

void
say_fstat (Text *text, int fd)
{
  struct stat st;

  if (fstat (fd, &st) < 0)
    say (text, " {%s}", errno_name (errno));
  else
    say_stat (text, &st);
}

uint64_t
hash_bytes (uint64_t seed, const void *bytes, size_t n)
{
  const unsigned char *at = bytes;
  uint64_t h = seed ^ 0xcbf29ce484222325u;

  for (size_t i = 0; i < n; i++)
    h = (h ^ at[i]) * 0x100000001b3u;
  return h;
}

void
say_bytes (Text *text, const void *bytes, size_t n)
{
  const unsigned char *at = bytes;

  say (text, " #%016llx", (unsigned long long) hash_bytes (0, bytes, n));
  for (size_t i = 0; i < n && i < 8; i++)
    say (text, "%c%02x", i ? ' ' : ':', at[i]);
}
