/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sockets/: the container's listening unix sockets as links that can be connected to. The kernel follows such a link
 * with the caller's own credentials, so that the server sees who really calls. */
#include <string.h>

#include "path_tree.h"
#include "peerfs/pod/sockets.h"

typedef struct {
  PfsPeerNode peer;
  GArray *ways; /* of PfsSocketWay; a reference */
} SocketNode;

/* May the caller follow a link through that process? 0, -EACCES, or -ESRCH once it has ended. */
static int
way_check (PfsContainer *c, const PfsSocketWay *way, const PfsCaller *who)
{
  PfsProc *proc = c->proc;
  g_autoptr (PfsProcess) pin = NULL;

  int r = pfs_container_main (c, &pin);
  if (r < 0)
    return r;
  if (pin->pid != way->process.pid) {
    g_clear_pointer (&pin, pfs_process_unref);
    r = pfs_process_open (proc, way->process.pid, way->process.start_time, &pin);
  }
  return r < 0 ? r : pfs_gate_pin (proc, pin, who);
}

/* The link leads each caller through the first process that it may enter. */
static int
socket_readlink (PfsNode *node, const PfsCaller *who, char **ret_target)
{
  PfsContainer *c = pfs_node_container (node);
  GArray *ways = ((SocketNode *) node)->ways;
  int result = -ESTALE;

  if (pfs_container_ended (c))
    return -ESTALE;
  for (guint i = 0; i < ways->len; i++) {
    const PfsSocketWay *way = &g_array_index (ways, PfsSocketWay, i);
    int r = way_check (c, way, who);
    if (r == 0) {
      *ret_target = g_strdup_printf ("%s/%d/root%s", c->proc->path, (int) way->process.pid, way->physical);
      return 0;
    }
    if (r != -ESRCH)
      result = r;
  }
  return result;
}

static int
socket_may_see (PfsContainer *c, gconstpointer leaf, const PfsCaller *who, GHashTable *verdicts)
{
  const GArray *ways = ((const PfsSocket *) leaf)->ways;

  for (guint i = 0; i < ways->len; i++) {
    const PfsSocketWay *way = &g_array_index (ways, PfsSocketWay, i);
    gpointer verdict;
    if (!g_hash_table_lookup_extended (verdicts, GINT_TO_POINTER (way->process.pid), NULL, &verdict)) {
      int r = way_check (c, way, who);
      if (r < 0 && r != -EACCES && r != -ESRCH)
        return r;
      verdict = GINT_TO_POINTER (r == 0);
      g_hash_table_insert (verdicts, GINT_TO_POINTER (way->process.pid), verdict);
    }
    if (verdict)
      return 1;
  }
  return 0;
}

static void
socket_init (PfsNode *node, gpointer data)
{
  ((SocketNode *) node)->ways = g_array_ref (((const PfsSocket *) data)->ways);
}

static void
socket_finalize (PfsNode *node)
{
  g_clear_pointer (&((SocketNode *) node)->ways, g_array_unref);
  pfs_peer_finalize (node);
}

static const PfsNodeOps socket_ops = {
  .mode = S_IFLNK | 0777,
  .attr_life = PFS_ATTR_BRIEF,
  .size = sizeof (SocketNode),
  .finalize = socket_finalize,
  .getattr = pfs_peer_link_getattr,
  .readlink = socket_readlink,
};

/* A link through other processes is another link. */
static char *
socket_key (const char *name, gconstpointer leaf)
{
  const PfsSocket *socket = leaf;
  GString *key = g_string_new (name);

  g_string_append_printf (key, "/%" G_GUINT32_FORMAT, socket->inode);
  for (guint i = 0; i < socket->ways->len; i++) {
    const PfsSocketWay *way = &g_array_index (socket->ways, PfsSocketWay, i);
    g_string_append_printf (key, ":%d.%" G_GUINT64_FORMAT "%s", (int) way->process.pid, way->process.start_time,
                            way->physical);
  }
  return g_string_free (key, FALSE);
}

/* Whole paths come first, so that a short name yields to them. */
static int
sockets_scan (PfsNode *top, PfsPathTree **ret)
{
  GPtrArray *sockets;

  int r = pfs_sockets_list (pfs_node_container (top), true, &sockets);
  if (r < 0)
    return r;
  *ret = pfs_path_tree_new (sockets, (GDestroyNotify) g_ptr_array_unref);
  for (guint i = 0; i < sockets->len; i++)
    pfs_path_tree_add (*ret, ((const PfsSocket *) sockets->pdata[i])->path, sockets->pdata[i]);
  for (guint i = 0; i < sockets->len; i++) {
    const PfsSocket *socket = sockets->pdata[i];
    const char *slash = strrchr (socket->path, '/');
    if (socket->short_name && slash)
      pfs_path_tree_add (*ret, slash + 1, socket);
  }
  return 0;
}

static const PfsNodeOps sockets_ops = {
  .mode = S_IFDIR | 0555,
  .attr_life = PFS_ATTR_BRIEF,
  PFS_PATH_TREE_OPS,
};

static const PfsPathTreeKind sockets_kind = {
  .ops = &sockets_ops,
  .scan = sockets_scan,
  .leaf_ops = &socket_ops,
  .leaf_init = socket_init,
  .key = socket_key,
  .may_see = socket_may_see,
};

PfsNode *
pfs_sockets_new (PfsNode *peer, const char *name)
{
  return pfs_path_tree_top (peer, name, &sockets_kind);
}
