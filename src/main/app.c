/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "app.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "escape.h"

#define NAMES_SHOWN 20

void
pfs_say (const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  g_autofree char *line = pfs_escape_line (text);
  fprintf (stderr, "peerfs: %s\n", line);
}

int
pfs_app_containers (PfsTable *table, GPtrArray **ret)
{
  int r = pfs_table_list (table, ret);
  if (r == 0)
    return PFS_EXIT_DONE;
  pfs_say ("cannot read %s: %s; see that it is a mounted proc file system", pfs_table_proc (table)->path,
           g_strerror (-r));
  return PFS_EXIT_FAILURE;
}

char *
pfs_app_names (GPtrArray *containers)
{
  g_autoptr (GString) names = g_string_new (NULL);
  for (guint i = 0; i < MIN (containers->len, NAMES_SHOWN); i++) {
    g_autofree char *known = pfs_container_name (containers->pdata[i]);
    g_string_append_printf (names, "%s%s", i ? ", " : "", known);
  }
  if (containers->len > NAMES_SHOWN)
    g_string_append_printf (names, " and %u more (see peerfs --list)", containers->len - NAMES_SHOWN);
  return g_string_free (g_steal_pointer (&names), FALSE);
}

static bool
fits (const char *id_name, PfsContainer *c)
{
  size_t len = strcspn (id_name, "=");
  return strncmp (c->cgroup.id, id_name, len) == 0;
}

void
pfs_app_check_names (const PfsOptions *options, GPtrArray *containers)
{
  for (guint i = 0; i < options->table.names->len; i++) {
    const char *name = options->table.names->pdata[i];
    bool found = false;
    for (guint j = 0; j < containers->len; j++)
      found = found || fits (name, containers->pdata[j]);
    if (!found)
      pfs_say ("warning: --name %s fits no container that is there now; see the ids of peerfs --list", name);
  }
}

int
pfs_app_written (const char *what)
{
  if (fflush (stdout) == 0 && !ferror (stdout))
    return PFS_EXIT_DONE;
  pfs_say ("cannot write the %s: %s; see where the output goes", what, g_strerror (errno));
  return PFS_EXIT_FAILURE;
}

static bool
has_pid (PfsContainer *c, pid_t pid)
{
  g_autoptr (GArray) pids = pfs_container_pids (c);
  for (guint i = 0; i < pids->len; i++) {
    if (g_array_index (pids, pid_t, i) == pid)
      return true;
  }
  return false;
}

bool
pfs_app_is_own (PfsContainer *c)
{
  return c->proc->own && has_pid (c, getpid ());
}

const char *
pfs_app_namespace_hint (PfsTable *table, GPtrArray *containers)
{
  if (!pfs_table_proc (table)->own || pfs_table_scope (table) != PFS_SCOPE_OWN)
    return NULL;
  for (guint i = 0; i < containers->len; i++) {
    if (!pfs_app_is_own (containers->pdata[i]))
      return NULL;
  }
  /* Pid 1 of a shared namespace is the sandbox's: a sidecar that starts first has no peers yet. */
  bool alone = containers->len == 0;
  for (guint i = 0; i < containers->len; i++)
    alone = alone || has_pid (containers->pdata[i], 1);
  if (!alone)
    return NULL;
  if (containers->len)
    return "only this container's own processes are visible; peers show once the pod has shareProcessNamespace: true";
  return "no container is visible; in a pod, set shareProcessNamespace: true (podman: --share pid)";
}
