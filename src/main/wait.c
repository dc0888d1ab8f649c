/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --wait: until a path of the tree exists. */
#include "app.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peerfs/root/rootfs.h"
#include "walk.h"

/* Nothing tells when another container makes a file, so look again and again, less often with time. */
#define PAUSE_MIN (50 * G_TIME_SPAN_MILLISECOND)
#define PAUSE_MAX (250 * G_TIME_SPAN_MILLISECOND)

/* A process that starts may refuse access for a moment. If it lasts longer, it lasts for ever. */
#define REFUSED_MAX G_TIME_SPAN_SECOND

/* After that long a line lists the containers. */
#define SILENCE_MAX (3 * G_TIME_SPAN_SECOND)

/* How long after the timeout one look may take before it is given up. */
#define GRACE (5 * G_TIME_SPAN_SECOND)

typedef struct {
  PfsTable *table;
  PfsTree *tree;
  const char *target;
  const char *name;     /* the part of it that names the container */
  gint64 refused_since; /* 0: the last look was not refused */
} Wait;

static bool
is_refusal (int error)
{
  return error == -EACCES || error == -EPERM;
}

/* Returns 0 once it exists, -EAGAIN if it may still come, else an error that time does not heal. */
static int
look (Wait *wait, gint64 now)
{
  int r = pfs_walk_exists (wait->tree, wait->target);
  if (r == 0 || r == -ENAMETOOLONG)
    return r;
  if (!is_refusal (r)) {
    wait->refused_since = 0;
    return -EAGAIN;
  }
  if (!wait->refused_since)
    wait->refused_since = now;
  return now - wait->refused_since >= REFUSED_MAX ? r : -EAGAIN;
}

/* Says what is missing at the timeout: the container, or the path in it. */
static int
say_timed_out (Wait *wait, double timeout)
{
  const char *name = wait->name;
  g_autoptr (PfsContainer) c = NULL;
  if (wait->refused_since)
    pfs_say ("%s is out of reach after %g s: permission denied; run as root with CAP_SYS_PTRACE, or as its user",
             wait->target, timeout);
  else if (pfs_table_find (wait->table, name, &c) == 0)
    pfs_say ("%s did not appear within %g s, but '%s' runs: see what it logs, or wait longer", wait->target, timeout,
             name);
  else
    pfs_say ("%s did not appear within %g s: no container is named '%s', see peerfs --list", wait->target, timeout,
             name);
  return PFS_EXIT_TIMED_OUT;
}

static int
say_failed (Wait *wait, int error)
{
  if (is_refusal (error))
    pfs_say ("cannot look at %s: permission denied; run as root with CAP_SYS_PTRACE, or as that container's user",
             wait->target);
  else
    pfs_say ("cannot look at %s: %s; check the path", wait->target, g_strerror (-error));
  return PFS_EXIT_FAILURE;
}

/* The name may be misspelt. */
static void
say_who_is_there (Wait *wait)
{
  const char *name = wait->name;
  g_autoptr (PfsContainer) c = NULL;
  g_autoptr (GPtrArray) containers = NULL;
  if (pfs_table_find (wait->table, name, &c) == 0 || pfs_app_containers (wait->table, &containers) != PFS_EXIT_DONE)
    return;
  g_autofree char *names = pfs_app_names (containers);
  pfs_say ("still waiting: no container is named '%s'; there are: %s", name, containers->len ? names : "none");
}

static int
wait_for (Wait *wait, double timeout)
{
  bool said = false;
  gint64 start = g_get_monotonic_time ();
  gint64 pause = PAUSE_MIN;
  gint64 limit = timeout >= 0 && timeout < 1e9 ? (gint64) (timeout * G_TIME_SPAN_SECOND) : G_MAXINT64;
  for (;;) {
    gint64 now = g_get_monotonic_time ();
    int r = look (wait, now);
    if (r == 0)
      return PFS_EXIT_DONE;
    if (r != -EAGAIN)
      return say_failed (wait, r);
    gint64 left = limit - (g_get_monotonic_time () - start);
    if (left <= 0)
      return say_timed_out (wait, timeout);
    if (!said && now - start >= SILENCE_MAX) {
      said = true;
      say_who_is_there (wait);
    }
    g_usleep ((gulong) MIN (pause, left));
    pause = MIN (pause * 5 / 4, PAUSE_MAX);
  }
}

static int
wait_here (const PfsOptions *options)
{
  g_autoptr (PfsTable) table = NULL;
  g_autoptr (GPtrArray) containers = NULL;
  int status = pfs_app_open (options, &table, &containers);
  if (status != PFS_EXIT_DONE)
    return status;
  g_autoptr (PfsTree) tree = pfs_tree_new (table, &options->mount.tree, &pfs_root_kind);
  g_autofree char *name = g_strndup (options->target, pfs_app_name_length (options, options->target));
  Wait wait = { .table = table, .tree = tree, .target = options->target, .name = name };
  return wait_for (&wait, options->timeout);
}

/* Passes on the child's output until its end. Returns false at the timeout. */
static bool
hand_on (int from, gint64 deadline)
{
  char text[1024];
  ssize_t n = 1;
  while (n > 0) {
    gint64 ms = (deadline - g_get_monotonic_time ()) / 1000;
    struct pollfd said = { .fd = from, .events = POLLIN };
    if (poll (&said, 1, (int) CLAMP (ms, 0, G_MAXINT)) == 0 && g_get_monotonic_time () >= deadline)
      return false;
    n = said.revents ? read (from, text, sizeof text) : 1;
    if (said.revents && n > 0 && write (STDERR_FILENO, text, (size_t) n) < 0)
      break;
  }
  return true;
}

static int
wait_for_child (const PfsOptions *options, pid_t child, int said)
{
  double limit = MIN (options->timeout * G_TIME_SPAN_SECOND + GRACE, 1e18);
  int status;
  if (!hand_on (said, g_get_monotonic_time () + (gint64) limit)) {
    kill (child, SIGKILL);
    pfs_say ("%s cannot be looked at within %g s: a mount on the way to it does not answer; see which with "
             "grep -E 'nfs|fuse' /proc/PID/mountinfo",
             options->target, options->timeout);
    return PFS_EXIT_TIMED_OUT;
  }
  while (waitpid (child, &status, 0) < 0 && errno == EINTR)
    continue;
  return WIFEXITED (status) ? WEXITSTATUS (status) : PFS_EXIT_FAILURE;
}

/* The reader of our output waits for all processes that have it open: so the child has none of our descriptors. */
_Noreturn static void
be_the_child (const PfsOptions *options, pid_t parent, int say)
{
  int nothing = open ("/dev/null", O_RDWR | O_CLOEXEC);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != parent || dup2 (say, STDERR_FILENO) < 0)
    _exit (PFS_EXIT_FAILURE);
  if (nothing >= 0)
    dup2 (nothing, STDIN_FILENO), dup2 (nothing, STDOUT_FILENO);
  close_range (STDERR_FILENO + 1, ~0U, 0);
  _exit (wait_here (options));
}

/* A look at a mount that does not answer takes for ever, and may not even end with its process. So with a timeout
 * another process looks. */
int
pfs_app_wait (const PfsOptions *options)
{
  int ends[2];
  if (options->timeout < 0 || pipe2 (ends, O_CLOEXEC) < 0)
    return wait_here (options);
  pid_t self = getpid ();
  pid_t child = fork ();
  if (child == 0)
    be_the_child (options, self, ends[1]);
  close (ends[1]);
  int status = child > 0 ? wait_for_child (options, child, ends[0]) : wait_here (options);
  close (ends[0]);
  return status;
}
