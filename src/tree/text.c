/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* id and pid: one line each. */
#include <string.h>

#include "peerfs/tree/peer.h"

static int
text_content (PfsNode *node, GBytes **ret)
{
  PfsContainer *c = pfs_node_container (node);
  g_autoptr (PfsProcess) pin = NULL;
  char *line;

  int r = pfs_container_main (c, &pin);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  if (strcmp (node->name, "pid") == 0)
    line = g_strdup_printf ("%d\n", (int) pfs_process_pid (pin));
  else
    line = g_strconcat (pfs_container_id (c), "\n", NULL);
  *ret = g_bytes_new_take (line, strlen (line));
  return 0;
}

static int
text_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  g_autoptr (GBytes) content = file && file->content ? g_bytes_ref (file->content) : NULL;

  (void) who;
  int r = content ? 0 : text_content (node, &content);
  if (r < 0)
    return r;
  return pfs_peer_stat (node, S_IFREG | 0444, false, (off_t) g_bytes_get_size (content), ret);
}

static int
text_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret)
{
  GBytes *content;

  (void) flags;
  (void) who;
  int r = text_content (node, &content);
  if (r < 0)
    return r;
  *ret = pfs_peer_content (node, content);
  return 0;
}

static const PfsNodeOps text_ops = {
  .kind = "text",
  .size = sizeof (PfsPeerNode),
  .finalize = pfs_peer_finalize,
  .getattr = text_getattr,
  .open = text_open,
};

PfsNode *
pfs_text_new (PfsNode *peer, const char *name)
{
  return pfs_peer_child (peer, name, &text_ops, NULL, NULL);
}
