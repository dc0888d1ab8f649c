/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* env/: a file for each environment variable of the main process, with its exact bytes; and one that says so if the
 * process has written over them. */
#include "peerfs/tree/peer.h"

#include <string.h>

#include "peerfs/base/read.h"
#include "peerfs/parse/environ.h"

#define SERVES (G_USEC_PER_SEC / 10) /* as long as a scan does */

#define OVERWRITTEN "=OVERWRITTEN" /* no variable has "=" in its name */

typedef struct {
  PfsPeerNode peer;
  GMutex lock; /* guards what follows; not held while reading */
  PfsEnviron *env;
  gint64 read_at; /* g_get_monotonic_time() */
  pid_t pid;      /* whose it is, and for whom it was read */
  uid_t uid;
  gid_t gid;
  uint64_t caps;
} EnvNode;

/* A process may write over its environment, or execute a program that others may look at: what was read a moment ago
 * serves those alone who could have read it themselves. */
static bool
serves_locked (const EnvNode *node, pid_t pid, const PfsCaller *who)
{
  return node->env && g_get_monotonic_time () - node->read_at < SERVES && node->pid == pid && node->uid == who->uid
         && node->gid == who->gid && node->caps == pfs_caller_known (who)->caps;
}

static void
keep_locked (EnvNode *node, GBytes *content, gint64 read_at, pid_t pid, const PfsCaller *who)
{
  if (!node->env || !g_bytes_equal (pfs_environ_content (node->env), content)) {
    g_clear_pointer (&node->env, pfs_environ_free);
    node->env = pfs_environ_parse (content);
  }
  node->read_at = read_at;
  node->pid = pid;
  node->uid = who->uid;
  node->gid = who->gid;
  node->caps = pfs_caller_known (who)->caps;
}

/* Reads environ, and parses it only if it differs from last time. A listing reads it afresh, and serves the lookups and
 * opens that follow it. Returns with the lock held. What it holds is bounded by PFS_ENVIRON_MAX; a longer environ is
 * cut there. */
static int
env_lock (EnvNode *node, bool afresh, const PfsCaller *who)
{
  g_autoptr (PfsProcess) pin = NULL;
  g_autoptr (GBytes) content = NULL;
  gint64 now = g_get_monotonic_time ();

  int r = pfs_container_main (node->peer.container, &pin);
  if (r < 0)
    return r;
  g_mutex_lock (&node->lock);
  if (!afresh && serves_locked (node, pfs_process_pid (pin), who))
    return 0;
  g_mutex_unlock (&node->lock);
  r = pfs_read_prefix_at (pfs_process_fd (pin), "environ", PFS_ENVIRON_MAX, &content);
  if (r < 0)
    return r;
  g_mutex_lock (&node->lock);
  keep_locked (node, content, now, pfs_process_pid (pin), who);
  return 0;
}

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

/* The content of one file, a reference; NULL if there is none of that name. */
static GBytes *
content_locked (const EnvNode *node, const char *name)
{
  gsize len;
  const char *value = pfs_environ_value (node->env, name, &len);

  if (value)
    return g_bytes_new (value, len);
  return strcmp (name, OVERWRITTEN) == 0 && pfs_environ_overwritten (node->env) ? overwritten_note (node->pid) : NULL;
}

static int
env_value (EnvNode *node, const char *name, const PfsCaller *who, GBytes **ret)
{
  int r = env_lock (node, false, who);
  if (r < 0)
    return r;
  GBytes *content = content_locked (node, name);
  g_mutex_unlock (&node->lock);
  if (!content)
    return -ENOENT;
  *ret = content;
  return 0;
}

static int
var_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret)
{
  GBytes *content;

  (void) flags;
  int r = env_value ((EnvNode *) node->parent, node->name, who, &content);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  *ret = pfs_peer_content (node, content);
  return 0;
}

static int
var_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  g_autoptr (GBytes) content = file && file->content ? g_bytes_ref (file->content) : NULL;

  int r = content ? 0 : env_value ((EnvNode *) node->parent, node->name, who, &content);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  return pfs_peer_stat (node, S_IFREG | 0444, true, (off_t) g_bytes_get_size (content), ret);
}

static const PfsNodeOps var_ops = {
  .kind = "var",
  .gated = true,
  .size = sizeof (PfsPeerNode),
  .finalize = pfs_peer_finalize,
  .getattr = var_getattr,
  .open = var_open,
};

static int
env_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  (void) file;
  (void) who;
  return pfs_peer_stat (node, S_IFDIR | 0500, true, 0, ret);
}

static int
env_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  g_autoptr (GBytes) content = NULL;

  int r = env_value ((EnvNode *) dir, name, who, &content);
  if (r < 0)
    return pfs_gone (r, -ENOENT);
  r = pfs_entry_of (pfs_peer_child (dir, name, &var_ops, NULL, NULL), who, ret);
  return r == -ESTALE ? -ENOENT : r;
}

static int
env_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  EnvNode *node = (EnvNode *) dir;
  uint64_t ino = pfs_node_ino (dir);

  int r = env_lock (node, true, who);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  PfsListing *listing = pfs_listing_new ();
  if (pfs_environ_overwritten (node->env))
    pfs_peer_list (listing, ino, OVERWRITTEN, S_IFREG);
  for (guint i = 0; i < pfs_environ_size (node->env); i++)
    pfs_peer_list (listing, ino, pfs_environ_name (node->env, i), S_IFREG);
  g_mutex_unlock (&node->lock);
  *ret = pfs_file_new (dir, -1, NULL, listing);
  return 0;
}

static void
env_init (PfsNode *node, gpointer data)
{
  (void) data;
  g_mutex_init (&((EnvNode *) node)->lock);
}

static void
env_finalize (PfsNode *node)
{
  g_clear_pointer (&((EnvNode *) node)->env, pfs_environ_free);
  g_mutex_clear (&((EnvNode *) node)->lock);
  pfs_peer_finalize (node);
}

static const PfsNodeOps env_ops = {
  .kind = "env",
  .gated = true,
  .attr_life = PFS_ATTR_BRIEF,
  .size = sizeof (EnvNode),
  .finalize = env_finalize,
  .getattr = env_getattr,
  .lookup = env_lookup,
  .opendir = env_opendir,
};

PfsNode *
pfs_env_new (PfsNode *peer, const char *name)
{
  return pfs_peer_child (peer, name, &env_ops, env_init, NULL);
}
