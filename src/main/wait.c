/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --wait: until a path of the tree exists. */
#include "app.h"

#include <errno.h>
#include <string.h>

#include "walk.h"

/* Nothing tells when another container makes a file: look again and again, less often as time goes by. */
#define PAUSE_MIN (50 * G_TIME_SPAN_MILLISECOND)
#define PAUSE_MAX (250 * G_TIME_SPAN_MILLISECOND)

/* Access may be refused for a moment while a process starts; for longer, it will be for good. */
#define REFUSED_MAX G_TIME_SPAN_SECOND

/* Then a line says which containers there are. */
#define SILENCE_MAX (3 * G_TIME_SPAN_SECOND)

typedef struct {
  PfsTable *table;
  PfsTree *tree;
  const char *target;
  const char *name;             /* what of it names the container */
  gint64 refused_since;         /* 0: the last look was not refused */
} Wait;

static bool
is_refusal (int error)
{
  return error == -EACCES || error == -EPERM;
}

/* Returns 0 once it exists, -EAGAIN where it may still come, else an error that time does not heal. */
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

/* Says what was missing when the time was over: the container, or what is in it. */
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

/* A name that is not there may be misspelt. */
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

int
pfs_app_wait (const PfsOptions *options)
{
  g_autoptr (PfsTable) table = NULL;
  g_autoptr (GPtrArray) containers = NULL;
  int status = pfs_app_table (options, true, &table);
  if (status == PFS_EXIT_DONE && options->table.scope != PFS_SCOPE_OWN)
    status = pfs_app_containers (table, &containers);
  if (status == PFS_EXIT_DONE)
    status = pfs_app_check_node (table, options);
  if (status != PFS_EXIT_DONE)
    return status;
  g_autoptr (PfsTree) tree = pfs_tree_new (table, &options->mount.tree);
  g_autofree char *name = g_strndup (options->target, pfs_app_name_length (options, options->target));
  Wait wait = { .table = table, .tree = tree, .target = options->target, .name = name };
  return wait_for (&wait, options->timeout);
}
