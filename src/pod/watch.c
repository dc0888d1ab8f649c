/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which main processes have ended, asked of the kernel all at once: a pidfd of each in one epoll (pidfd_open(2),
 * epoll(7)), as far as our descriptors go.
 *
 * A pidfd tells the end of the whole process. One whose leader has ended before its threads, or the first of a PID
 * namespace that still waits for others there, has no root any more and is no main process, but its pidfd says nothing:
 * so now and then a scan asks for each one all the same. */
#include "table_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/proc/procfile.h"

#define WATCHED_MAX 4096u
#define SHARE 4u /* of our descriptors: one in so many, for each file that is open needs some */
#define EVENTS 64
#define ASK_SECONDS 10

void
pfs_watch_init (PfsTable *table)
{
  table->watch = pfs_proc_is_own (table->proc) ? epoll_create1 (EPOLL_CLOEXEC) : -1;
  table->can_watch = table->watch >= 0;
}

void
pfs_watch_clear (PfsTable *table)
{
  if (table->watch >= 0)
    close (table->watch);
}

/* A descriptor of the very process, or -errno. */
static int
open_main (const PfsTable *table, const PfsContainer *c)
{
  pfs_autofd pidfd = (int) syscall (SYS_pidfd_open, c->main_pid, 0);
  PfsStat stat;

  if (pidfd < 0)
    return -errno;
  /* Read last, as in pfs_pin_open(). */
  pfs_autofd dir = pfs_proc_open_pid (table->proc, c->main_pid, O_PATH);
  if (dir < 0)
    return dir;
  int r = pfs_proc_stat_at (dir, &stat);
  if (r < 0)
    return r;
  return stat.start_time == c->main_start && !pfs_stat_is_dead (&stat) ? pfs_fd_steal (&pidfd) : -ESRCH;
}

void
pfs_watch_main (PfsTable *table, PfsContainer *c)
{
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

  if (c->main_watch >= 0 || table->watched >= table->watched_max)
    return;
  pfs_autofd pidfd = open_main (table, c);
  /* Linux before 5.3, or a sandbox around us. */
  table->can_watch = pidfd != -ENOSYS && pidfd != -EPERM;
  if (pidfd < 0 || epoll_ctl (table->watch, EPOLL_CTL_ADD, pidfd, &event) < 0)
    return;
  c->main_watch = pfs_fd_steal (&pidfd);
  table->watched++;
}

void
pfs_watch_drop (PfsTable *table, PfsContainer *c)
{
  if (c->main_watch < 0)
    return;
  epoll_ctl (table->watch, EPOLL_CTL_DEL, c->main_watch, NULL);
  close (c->main_watch);
  c->main_watch = -1;
  table->watched--;
}

void
pfs_watch_collect (PfsTable *table, bool exact)
{
  struct epoll_event events[EVENTS];
  struct rlimit limit;
  int n = table->watched > 0 ? EVENTS : 0;
  gint64 now = g_get_monotonic_time ();

  table->asks_each = exact || now - table->asked_time >= ASK_SECONDS * G_USEC_PER_SEC;
  if (table->asks_each)
    table->asked_time = now;
  table->watched_max = 0;
  if (table->can_watch && getrlimit (RLIMIT_NOFILE, &limit) == 0)
    table->watched_max = (guint) MIN (limit.rlim_cur / SHARE, WATCHED_MAX);
  while (n == EVENTS) {
    do
      n = epoll_wait (table->watch, events, EVENTS, 0);
    while (n < 0 && errno == EINTR);
    for (int i = 0; i < n; i++)
      pfs_watch_drop (table, events[i].data.ptr);
  }
}

int
pfs_table_watch_fd (const PfsTable *table)
{
  return table->watch;
}

bool
pfs_table_drop_ended (PfsTable *table)
{
  struct pollfd polled = { .fd = table->watch, .events = POLLIN };

  if (poll (&polled, 1, 0) <= 0)
    return false;
  (void) pfs_table_rescan (table, false);
  return true;
}
