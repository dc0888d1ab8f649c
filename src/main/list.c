/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --list: the containers as a table for people, or as JSON for programs. */
#include "app.h"

#include <stdio.h>

#include "escape.h"
#include "peerfs/pod/sockets.h"

#define COLUMNS 6
#define SHORT_ID 12

/* The digits of a container's id that people tell it by. */
static char *
short_id (PfsContainer *c)
{
  g_autofree char *cut = g_strndup (c->cgroup.id, SHORT_ID);
  return pfs_escape_word (cut);
}

static void
table_row (PfsContainer *c, char *cells[COLUMNS])
{
  g_autofree char *name = pfs_container_name (c);
  g_autoptr (GArray) pids = pfs_container_pids (c);
  g_autoptr (GPtrArray) sockets = NULL;
  int r = pfs_sockets_list (c, false, &sockets);
  cells[0] = pfs_escape_word (name);
  cells[1] = short_id (c);
  cells[2] = pfs_escape_word (c->cgroup.runtime);
  cells[3] = g_strdup_printf ("%d", (int) pfs_container_pid (c));
  cells[4] = g_strdup_printf ("%u", pids->len);
  cells[5] = r == 0 ? g_strdup_printf ("%u", sockets->len) : g_strdup ("-");
}

static void
print_table (GPtrArray *containers)
{
  static const char *const header[COLUMNS] = { "NAME", "ID", "RUNTIME", "PID", "PIDS", "SOCKETS" };
  g_autoptr (GPtrArray) cells = g_ptr_array_new_with_free_func (g_free);
  glong width[COLUMNS] = { 0 };

  for (guint column = 0; column < COLUMNS; column++)
    g_ptr_array_add (cells, g_strdup (header[column]));
  for (guint i = 0; i < containers->len; i++) {
    char *row[COLUMNS] = { NULL };
    table_row (containers->pdata[i], row);
    for (guint column = 0; column < COLUMNS; column++)
      g_ptr_array_add (cells, row[column]);
  }
  for (guint i = 0; i < cells->len; i++)
    width[i % COLUMNS] = MAX (width[i % COLUMNS], g_utf8_strlen (cells->pdata[i], -1));
  for (guint i = 0; i < cells->len; i++) {
    bool last = i % COLUMNS == COLUMNS - 1;
    int padding = (int) (width[i % COLUMNS] - g_utf8_strlen (cells->pdata[i], -1)) + 2;
    printf ("%s%*s", (char *) cells->pdata[i], last ? 0 : padding, last ? "\n" : "");
  }
}

static void
json_member (GString *out, const char *key, const char *value)
{
  g_string_append_printf (out, "\"%s\": ", key);
  pfs_escape_json (out, value);
  g_string_append (out, ", ");
}

static void
json_sockets (GString *out, PfsContainer *c)
{
  g_autoptr (GPtrArray) sockets = NULL;
  if (pfs_sockets_list (c, false, &sockets) < 0)
    return;
  for (guint i = 0; i < sockets->len; i++) {
    const PfsSocket *socket = sockets->pdata[i];
    g_string_append (out, i ? ", " : "");
    pfs_escape_json (out, socket->path);
  }
}

static void
json_container (GString *out, PfsContainer *c)
{
  g_autofree char *name = pfs_container_name (c);
  g_autoptr (GArray) pids = pfs_container_pids (c);

  g_string_append (out, "{");
  json_member (out, "name", name);
  json_member (out, "id", c->cgroup.id);
  json_member (out, "runtime", c->cgroup.runtime);
  json_member (out, "pod_uid", c->cgroup.pod_uid);
  g_string_append_printf (out, "\"pid\": %d, \"pids\": [", (int) pfs_container_pid (c));
  for (guint i = 0; i < pids->len; i++)
    g_string_append_printf (out, "%s%d", i ? ", " : "", (int) g_array_index (pids, pid_t, i));
  g_string_append (out, "], \"sockets\": [");
  json_sockets (out, c);
  g_string_append (out, "]}");
}

static void
print_json (GPtrArray *containers)
{
  g_autoptr (GString) out = g_string_new ("[");
  for (guint i = 0; i < containers->len; i++) {
    g_string_append (out, i ? ",\n  " : "\n  ");
    json_container (out, containers->pdata[i]);
  }
  g_string_append (out, containers->len ? "\n]\n" : "]\n");
  fwrite (out->str, 1, out->len, stdout);
}

int
pfs_app_list (const PfsOptions *options)
{
  g_autoptr (PfsTable) table = NULL;
  g_autoptr (GPtrArray) containers = NULL;
  int status = pfs_app_open (options, &table, &containers);
  if (status != PFS_EXIT_DONE)
    return status;

  if (options->json)
    print_json (containers);
  else
    print_table (containers);
  status = pfs_app_written ("list");
  if (status != PFS_EXIT_DONE)
    return status;
  pfs_app_check_names (options, containers);
  const char *hint = options->json ? NULL : pfs_app_namespace_hint (table, containers);
  if (hint)
    pfs_say ("warning: %s", hint);
  return PFS_EXIT_DONE;
}
