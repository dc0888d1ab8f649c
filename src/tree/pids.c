/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pids/: a link for each process of the container. */
#include <fcntl.h>
#include <string.h>

#include "peerfs/tree/peer.h"

/* How long a scan answers lookups of pids that it has, so that `ls -l` does not scan for each of them. */
#define SNAPSHOT_USEC (100 * G_TIME_SPAN_MILLISECOND)

typedef struct {
  PfsPeerNode peer;
  GMutex lock;  /* guards what follows; not held while scanning */
  GArray *pids; /* of pid_t, ascending */
  gint64 taken;
} PidsNode;

static int
pid_readlink (PfsNode *node, const PfsCaller *who, char **ret_target)
{
  (void) who;
  if (pfs_container_ended (pfs_node_container (node)))
    return -ESTALE;
  *ret_target = g_strdup_printf ("%s/%s", pfs_proc_path (pfs_container_proc (pfs_node_container (node))), node->name);
  return 0;
}

static const PfsNodeOps pid_ops = {
  .kind = "pid",
  .attr_life = PFS_ATTR_BRIEF,
  .size = sizeof (PfsPeerNode),
  .finalize = pfs_peer_finalize,
  .getattr = pfs_peer_link_getattr,
  .readlink = pid_readlink,
};

static GArray *
pids_recent (PidsNode *node)
{
  GArray *pids = NULL;

  g_mutex_lock (&node->lock);
  if (node->pids && g_get_monotonic_time () - node->taken < SNAPSHOT_USEC)
    pids = g_array_ref (node->pids);
  g_mutex_unlock (&node->lock);
  return pids;
}

static int
pids_now (PidsNode *node, GArray **ret)
{
  g_autoptr (GArray) pids = NULL;
  g_autoptr (GArray) old = NULL;
  gint64 taken = g_get_monotonic_time ();

  int r = pfs_container_pids_now (node->peer.container, &pids);
  if (r < 0)
    return r;
  g_mutex_lock (&node->lock);
  if (!node->pids || taken >= node->taken) {
    old = node->pids;
    node->pids = g_array_ref (pids);
    node->taken = taken;
  }
  g_mutex_unlock (&node->lock);
  *ret = g_steal_pointer (&pids);
  return 0;
}

static int
pid_order (gconstpointer a, gconstpointer b)
{
  pid_t x = *(const pid_t *) a, y = *(const pid_t *) b;
  return (x > y) - (x < y);
}

/* Digits without leading zeros; 0 where it is no pid. */
static pid_t
pid_of (const char *name)
{
  pid_t pid = 0;

  if (*name == '0' || strlen (name) > 9)
    return 0;
  for (; *name; name++) {
    if (!g_ascii_isdigit (*name))
      return 0;
    pid = pid * 10 + (*name - '0');
  }
  return pid;
}

static bool
pids_contain (PidsNode *node, GArray *pids, pid_t pid, const char *name)
{
  struct stat st;

  return pids && g_array_binary_search (pids, &pid, pid_order, NULL)
         && fstatat (pfs_proc_fd (pfs_container_proc (node->peer.container)), name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
pids_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  PidsNode *node = (PidsNode *) dir;
  g_autoptr (GArray) pids = NULL;
  pid_t pid = pid_of (name);

  if (pid == 0 || pfs_container_ended (node->peer.container))
    return -ENOENT;
  pids = pids_recent (node);
  if (!pids_contain (node, pids, pid, name)) {
    g_clear_pointer (&pids, g_array_unref);
    int r = pids_now (node, &pids);
    if (r < 0)
      return pfs_gone (r, -ENOENT);
    if (!pids_contain (node, pids, pid, name))
      return -ENOENT;
  }
  int r = pfs_entry_of (pfs_peer_child (dir, name, &pid_ops, NULL, NULL), who, ret);
  return r == -ESTALE ? -ENOENT : r;
}

static int
pids_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  (void) file;
  (void) who;
  return pfs_peer_stat (node, S_IFDIR | 0555, false, 0, ret);
}

static int
pids_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  g_autoptr (GArray) pids = NULL;
  uint64_t ino = pfs_node_ino (dir);

  (void) who;
  int r = pids_now ((PidsNode *) dir, &pids);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  PfsListing *listing = pfs_listing_new ();
  for (guint i = 0; i < pids->len; i++) {
    char name[16];
    g_snprintf (name, sizeof name, "%d", (int) g_array_index (pids, pid_t, i));
    pfs_peer_list (listing, ino, name, S_IFLNK);
  }
  *ret = pfs_file_new (dir, -1, NULL, listing);
  return 0;
}

static void
pids_init (PfsNode *node, gpointer data)
{
  (void) data;
  g_mutex_init (&((PidsNode *) node)->lock);
}

static void
pids_finalize (PfsNode *node)
{
  g_clear_pointer (&((PidsNode *) node)->pids, g_array_unref);
  g_mutex_clear (&((PidsNode *) node)->lock);
  pfs_peer_finalize (node);
}

static const PfsNodeOps pids_ops = {
  .kind = "pids",
  .size = sizeof (PidsNode),
  .finalize = pids_finalize,
  .getattr = pids_getattr,
  .lookup = pids_lookup,
  .opendir = pids_opendir,
};

PfsNode *
pfs_pids_new (PfsNode *peer, const char *name)
{
  return pfs_peer_child (peer, name, &pids_ops, pids_init, NULL);
}
