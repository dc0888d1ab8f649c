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

/* May the caller see the socket? 1, 0, or -errno if that cannot be told now. verdicts: pid -> answer. */
static int
may_see (PfsContainer *c, const PfsSocket *socket, const PfsCaller *who, GHashTable *verdicts)
{
  for (guint i = 0; i < socket->ways->len; i++) {
    const PfsSocketWay *way = &g_array_index (socket->ways, PfsSocketWay, i);
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

/* Leaves those that the caller may see. sockets/ is entered by callers that may enter the main process or see one. */
static int
keep_seen (PfsContainer *c, GPtrArray *sockets, const PfsCaller *who)
{
  g_autoptr (GHashTable) verdicts = g_hash_table_new (NULL, NULL);
  guint seen = 0;

  for (guint i = 0; i < sockets->len; i++) {
    gpointer socket = sockets->pdata[i];
    int r = may_see (c, socket, who, verdicts);
    if (r < 0)
      return r;
    if (r > 0) {
      sockets->pdata[i] = sockets->pdata[seen];
      sockets->pdata[seen++] = socket;
    }
  }
  g_ptr_array_set_size (sockets, (gint) seen);
  return seen == 0 ? pfs_peer_gate (c, who) : 0;
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
sockets_scan (PfsNode *top, const PfsCaller *who, PfsPathTree **ret)
{
  PfsContainer *c = pfs_node_container (top);
  g_autoptr (GPtrArray) all = NULL;

  int r = pfs_sockets_list (c, true, &all);
  if (r >= 0 && who != &pfs_caller_self)
    r = keep_seen (c, all, who);
  if (r < 0)
    return r;
  GPtrArray *sockets = g_steal_pointer (&all);
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
  .per_caller = true,
  .leaf_ops = &socket_ops,
  .leaf_init = socket_init,
  .key = socket_key,
};

PfsNode *
pfs_sockets_new (PfsNode *peer, const char *name)
{
  return pfs_path_tree_top (peer, name, &sockets_kind);
}
