/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pods that --node and --pod ask for, and what to say if they cannot be seen. */
#include "app.h"

#include <errno.h>
#include <string.h>

#define PODS_SHOWN 20

static bool
sees_node (PfsTable *table)
{
  return pfs_table_shows_node (table) || !pfs_table_proc (table)->live;
}

/* The places of the pods; containers without a pod are left out. NULL: none. */
static char *
places_of (const GPtrArray *pods)
{
  g_autoptr (GString) places = g_string_new (NULL);
  guint n = 0;
  for (guint i = 0; i < pods->len; i++) {
    const PfsPod *pod = pods->pdata[i];
    if (*pod->uid && n++ < PODS_SHOWN)
      g_string_append_printf (places, "%s%s", places->len ? ", " : "", pod->place);
  }
  if (n > PODS_SHOWN)
    g_string_append_printf (places, " and %u more (see peerfs --list --node)", n - PODS_SHOWN);
  return g_string_free (g_steal_pointer (&places), n == 0);
}

/* The uids of all pods of that name. */
static char *
uids_of (const GPtrArray *pods, const char *name)
{
  g_autofree char *prefix = g_strconcat (name, "~", NULL);
  g_autoptr (GString) uids = g_string_new (NULL);
  for (guint i = 0; i < pods->len; i++) {
    const PfsPod *pod = pods->pdata[i];
    if (g_str_has_prefix (pod->place, prefix))
      g_string_append_printf (uids, "%s%s", uids->len ? ", " : "", pod->uid);
  }
  return g_string_free (g_steal_pointer (&uids), uids->len == 0);
}

static bool
has_pod (const GPtrArray *pods, const char *name)
{
  for (guint i = 0; i < pods->len; i++) {
    const PfsPod *pod = pods->pdata[i];
    if (g_str_equal (pod->place, name) || g_str_equal (pod->uid, name))
      return true;
  }
  return false;
}

static void
say_no_pod (const GPtrArray *pods, const char *name)
{
  g_autofree char *uids = uids_of (pods, name), *places = places_of (pods);
  if (uids)
    pfs_say ("more than one pod is named '%s'; give the uid of one: %s", name, uids);
  else if (places)
    pfs_say ("no pod '%s' on this node; there are: %s", name, places);
  else
    pfs_say ("no pod '%s' on this node, none is visible; see peerfs --list --node", name);
}

bool
pfs_app_check_scope (PfsTable *table, const PfsOptions *options)
{
  g_autoptr (GPtrArray) pods = pfs_table_pods (table);
  const char *pod = options->table.pod;
  bool node = options->table.scope == PFS_SCOPE_OWN || sees_node (table);
  if (pod ? has_pod (pods, pod) : node)
    return true;
  if (!pod)
    pfs_say ("this process namespace is not the node's; set hostPID: true in the pod (podman: --pid host)");
  else if (!node)
    pfs_say ("no pod '%s' in this process namespace, which is not the node's; set hostPID: true (podman: --pid host)",
             pod);
  else if (options->action == PFS_ACTION_WAIT)
    return true;
  else
    say_no_pod (pods, pod);
  return false;
}

int
pfs_app_not_found (GPtrArray *containers, const char *name, int error)
{
  g_autofree char *names = pfs_app_names (containers);
  if (error != -ENOENT)
    pfs_say ("cannot find '%s': %s; try again", name, g_strerror (-error));
  else if (containers->len)
    pfs_say ("no container is named '%s'; there are: %s", name, names);
  else
    pfs_say ("no container is named '%s', none is visible; in a pod, set shareProcessNamespace: true", name);
  return PFS_EXIT_FAILURE;
}

size_t
pfs_app_name_length (const PfsOptions *options, const char *target)
{
  const char *end = target + strcspn (target, "/");
  for (guint i = 0; i < 2 && *end && options->table.scope == PFS_SCOPE_NODE; i++)
    end += 1 + strcspn (end + 1, "/");
  return (size_t) (end - target);
}
