/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks. None of them waits: the workers take turns. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "fsdiff.h"

static struct flock
lock_of (const Op *op)
{
  static const short types[] = { F_RDLCK, F_WRLCK, F_UNLCK };

  return (struct flock) {
    .l_type = types[op->r[0] % 3],
    .l_whence = SEEK_SET,
    .l_start = op->r[1] % 8 * 10,
    .l_len = op->r[2] % 4 == 0 ? 0 : op->r[2] % 40 + 1,
  };
}

static void
say_lock (Text *text, const struct flock *lock)
{
  say (text, " {%s %lld+%lld}",
       lock->l_type == F_RDLCK   ? "read"
       : lock->l_type == F_WRLCK ? "write"
                                 : "none",
       (long long) lock->l_start, (long long) lock->l_len);
}

static void
set_lock (Side *side, const Op *op, int command, const char *name, Text *text)
{
  struct flock lock = lock_of (op);

  say (text, "fcntl ([%u], %s", op->slot, name);
  say_lock (text, &lock);
  say (text, ")");
  say_result (text, fcntl (side->fd[op->slot], command, &lock));
}

/* Of several locks in the way either may be told. */
static void
get_lock (Side *side, const Op *op, int command, const char *name, Text *text)
{
  struct flock lock = lock_of (op);

  if (lock.l_type == F_UNLCK)
    lock.l_type = F_WRLCK;
  say (text, "fcntl ([%u], %s", op->slot, name);
  say_lock (text, &lock);
  say (text, ")");
  int r = fcntl (side->fd[op->slot], command, &lock);
  say_result (text, r);
  if (r == 0)
    say (text, lock.l_type == F_UNLCK ? " free" : " locked");
}

static void
op_setlk (Side *side, const Op *op, Text *text)
{
  set_lock (side, op, F_SETLK, "F_SETLK", text);
}

static void
op_getlk (Side *side, const Op *op, Text *text)
{
  get_lock (side, op, F_GETLK, "F_GETLK", text);
}

static void
op_ofd_setlk (Side *side, const Op *op, Text *text)
{
  set_lock (side, op, F_OFD_SETLK, "F_OFD_SETLK", text);
}

static void
op_ofd_getlk (Side *side, const Op *op, Text *text)
{
  get_lock (side, op, F_OFD_GETLK, "F_OFD_GETLK", text);
}

static void
op_flock (Side *side, const Op *op, Text *text)
{
  static const int operations[] = { LOCK_SH, LOCK_EX, LOCK_UN, LOCK_SH };
  int operation = operations[op->r[0] % 4] | LOCK_NB;

  say (text, "flock ([%u], %d)", op->slot, operation);
  say_result (text, flock (side->fd[op->slot], operation));
}

const Kind kinds_lock[] = {
  { "setlk", op_setlk, 8, true },         { "getlk", op_getlk, 3, true }, { "ofd_setlk", op_ofd_setlk, 5, true },
  { "ofd_getlk", op_ofd_getlk, 2, true }, { "flock", op_flock, 6, true }, { NULL, NULL, 0, false },
};
