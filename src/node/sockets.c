/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sockets/: the container's listening unix sockets as links that can be connected to. The kernel follows such a link
 * with the caller's own credentials, so that the server sees who really calls. */
#include <string.h>

#include "mirror.h"
#include "peer.h"
#include "peerfs/proc/sockets.h"

typedef struct {
  PfsPeerNode peer;
  char *physical;               /* in the container, with leading '/' */
} SocketNode;

static int
socket_readlink (PfsNode *node, const PfsCaller *who, char **ret_target)
{
  PfsContainer *c = pfs_node_container (node);
  g_autoptr (PfsPin) pin = NULL;

  (void) who;
  int r = pfs_container_main (c, &pin);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  *ret_target = g_strdup_printf ("%s/%d/root%s", pfs_proc_path (pfs_container_proc (c)), (int) pfs_pin_pid (pin),
                                 ((SocketNode *) node)->physical);
  return 0;
}

static void
socket_init (PfsNode *node, gpointer data)
{
  ((SocketNode *) node)->physical = g_strdup (((const PfsSocket *) data)->physical);
}

static void
socket_finalize (PfsNode *node)
{
  g_free (((SocketNode *) node)->physical);
  pfs_peer_finalize (node);
}

static const PfsNodeOps socket_ops = {
  .kind = "socket",
  .attr_life = PFS_ATTR_BRIEF,
  .size = sizeof (SocketNode),
  .finalize = socket_finalize,
  .getattr = pfs_peer_link_getattr,
  .readlink = socket_readlink,
};

static const char *
socket_path (gconstpointer leaf)
{
  return ((const PfsSocket *) leaf)->path;
}

/* The physical path begins with '/'. */
static char *
socket_key (const char *name, gconstpointer leaf)
{
  return g_strconcat (name, ((const PfsSocket *) leaf)->physical, NULL);
}

static const char *
basename_of (const char *path)
{
  const char *slash = strrchr (path, '/');
  return slash ? slash + 1 : path;
}

/* A name at the top for each socket whose basename no other one has. */
static void
add_aliases (PfsMirror *mirror)
{
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < pfs_mirror_size (mirror); i++) {
    const char *name = basename_of (socket_path (pfs_mirror_nth (mirror, i)));
    guint n = GPOINTER_TO_UINT (g_hash_table_lookup (names, name));
    g_hash_table_insert (names, (gpointer) name, GUINT_TO_POINTER (n + 1));
  }
  for (guint i = 0; i < pfs_mirror_size (mirror); i++) {
    const char *path = socket_path (pfs_mirror_nth (mirror, i));
    const char *name = basename_of (path);
    if (name != path && GPOINTER_TO_UINT (g_hash_table_lookup (names, name)) == 1)
      pfs_mirror_alias (mirror, name, pfs_mirror_nth (mirror, i));
  }
}

static int
sockets_scan (PfsNode *top, PfsMirror **ret)
{
  GPtrArray *sockets;

  int r = pfs_sockets_list (pfs_node_container (top), &sockets);
  if (r < 0)
    return r;
  *ret = pfs_mirror_new (sockets, socket_path);
  add_aliases (*ret);
  return 0;
}

static const PfsMirrorKind sockets_kind = {
  .scan = sockets_scan,
  .key = socket_key,
  .leaf_ops = &socket_ops,
  .leaf_init = socket_init,
  .leaf_type = S_IFLNK,
};

static int
sockets_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  (void) file;
  (void) who;
  return pfs_peer_stat (node, S_IFDIR | 0500, true, 0, ret);
}

static void
sockets_init (PfsNode *node, gpointer data)
{
  (void) data;
  pfs_mirror_top_init (node, &sockets_kind);
}

static const PfsNodeOps sockets_ops = {
  .kind = "sockets",
  .attr_life = PFS_ATTR_BRIEF,
  .size = sizeof (PfsMirrorTop),
  .finalize = pfs_mirror_top_finalize,
  .getattr = sockets_getattr,
  .lookup = pfs_mirror_lookup,
  .opendir = pfs_mirror_opendir,
};

PfsNode *
pfs_sockets_new (PfsNode *peer, const char *name)
{
  return pfs_peer_child (peer, name, &sockets_ops, sockets_init, NULL);
}
