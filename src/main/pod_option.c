/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --node and --pod POD, also as -o node and -o pod=POD. */
#include "options.h"

#include "peerfs/parse/podlog.h"

/* A uid, or two names with a '/' between. */
static bool
is_pod (const char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, "/", -1);
  return pfs_podlog_is_uid (text) || (g_strv_length (parts) == 2 && *parts[0] && *parts[1]);
}

bool
pfs_options_set_scope (PfsOptions *options, const char *pod, GError **error)
{
  PfsScope scope = pod ? PFS_SCOPE_POD : PFS_SCOPE_NODE;
  bool other = options->table.scope != PFS_SCOPE_OWN
               && (options->table.scope != scope || g_strcmp0 (options->pod, pod) != 0);

  if (pod && !is_pod (pod)) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "--pod takes NAMESPACE/POD, or the uid of a pod");
    return false;
  }
  if (other) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                 "--node and --pod exclude one another, and one --pod is enough");
    return false;
  }
  options->table.scope = scope;
  g_free (options->pod);
  options->table.pod = options->pod = g_strdup (pod);
  return true;
}
