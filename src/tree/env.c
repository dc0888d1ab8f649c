/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* env/: a file for each environment variable of the main process, with its exact bytes; and one that says so if the
 * process has written over them. */
#include <string.h>

#include "path_tree.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/environ.h"

#define OVERWRITTEN "=OVERWRITTEN" /* no variable has "=" in its name */

static GBytes *
overwritten_note (pid_t pid)
{
  char *note = g_strdup_printf (
      "Process %d has written over its environment, or the beginning of it: nginx, redis and\n"
      "others do that to show a title in ps. Nobody can read it any more. Another process of\n"
      "the container may still have one, its own; in this folder:\n\n"
      "    grep -saz . ../pids/*/environ | tr '\\0' '\\n'\n\n"
      "What the pod sets is in its manifest: kubectl get pod POD -o yaml\n",
      (int) pid);

  return g_bytes_new_take (note, strlen (note));
}

/* What was read a moment ago serves. Else it is read now: it may have another length than at the lookup, or be gone. */
static int
var_content (PfsNode *node, const PfsCaller *who, GBytes **ret)
{
  g_autoptr (PfsPathTree) path_tree = NULL;
  gsize len;

  int r = pfs_path_tree_get (node->parent, who, &path_tree);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  const PfsEnviron *env = pfs_path_tree_owner (path_tree);
  const char *value = pfs_environ_value (env, node->name, &len);
  if (value)
    *ret = g_bytes_new (value, len);
  else if (strcmp (node->name, OVERWRITTEN) == 0 && pfs_environ_overwritten (env))
    *ret = overwritten_note (pfs_container_pid (pfs_node_container (node)));
  else
    r = -ENOENT;
  return r;
}

static const PfsNodeOps var_ops = {
  PFS_PEER_CONTENT_OPS,
  .owned = true,
  .gated = true,
  .content = var_content,
};

/* A longer environ than PFS_ENVIRON_MAX is cut there. */
static int
env_scan (PfsNode *top, const PfsCaller *who, PfsPathTree **ret)
{
  g_autoptr (PfsProcess) pin = NULL;
  g_autoptr (GBytes) content = NULL;

  (void) who;
  int r = pfs_container_main (pfs_node_container (top), &pin);
  if (r >= 0)
    r = pfs_read_prefix_at (pin->fd, "environ", PFS_ENVIRON_MAX, &content);
  if (r < 0)
    return r;
  PfsEnviron *env = pfs_environ_parse (content);
  *ret = pfs_path_tree_new (env, (GDestroyNotify) pfs_environ_free);
  for (guint i = 0; i < env->names->len; i++)
    pfs_path_tree_add (*ret, env->names->pdata[i], env);
  if (pfs_environ_overwritten (env))
    pfs_path_tree_add (*ret, OVERWRITTEN, env);
  return 0;
}

static const PfsNodeOps env_ops = {
  .mode = S_IFDIR | 0500,
  .owned = true,
  .gated = true,
  .attr_life = PFS_ATTR_BRIEF,
  PFS_PATH_TREE_OPS,
};

/* A process may write over its environment, or execute a program that others may look at: what was read a moment ago
 * serves only callers that could have read it themselves. */
static const PfsPathTreeKind env_kind = {
  .ops = &env_ops,
  .scan = env_scan,
  .per_caller = true,
  .leaf_ops = &var_ops,
};

PfsNode *
pfs_env_new (PfsNode *peer, const char *name)
{
  return pfs_path_tree_top (peer, name, &env_kind);
}
