/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tree over a /proc of plain files, walked by calling the nodes' operations as the kernel would. */
#pragma once

#include "../pod/fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "peerfs/tree/kinds.h"
#include "peerfs/tree/node.h"

typedef struct {
  Fixture *proc;
  PfsTree *tree;
} Nodes;

/* A process whose root is the machine's own directory root. */
static inline void
nodes_process (Nodes *n, pid_t pid, guint64 start, const char *id, const char *mountinfo, const char *root)
{
  g_autofree char *cgroup = g_strdup_printf ("0::/kubepods/besteffort/pod" UID_1 "/cri-containerd-%s.scope\n", id);
  g_autofree char *link = g_strdup_printf ("%s/%d/root", n->proc->dir, pid);

  fixture_process (n->proc, pid, "server", start, cgroup, mountinfo);
  assert_int_equal (symlink (root, link), 0);
}

static inline void
nodes_put (Nodes *n, pid_t pid, const char *file, const char *content, gssize len)
{
  g_autofree char *path = g_strdup_printf ("%s/%d/%s", n->proc->dir, pid, file);
  assert_true (g_file_set_contents (path, content, len, NULL));
}

static inline void
nodes_link (Nodes *n, pid_t pid, const char *file, const char *target)
{
  g_autofree char *path = g_strdup_printf ("%s/%d/%s", n->proc->dir, pid, file);
  assert_int_equal (symlink (target, path), 0);
}

/* In the place of root/, which is of the layer above. */
static inline void
nodes_no_roots (PfsTree *tree)
{
  (void) tree;
}

static inline int
nodes_hold (PfsFile *file)
{
  (void) file;
  return 0;
}

static inline void
nodes_let_go (PfsFile *file)
{
  (void) file;
}

static const PfsRootKind nodes_no_root = {
  .attach = nodes_no_roots, .detach = nodes_no_roots, .hold = nodes_hold, .let_go = nodes_let_go
};

static inline int
nodes_setup (void **state)
{
  Nodes *n = g_new0 (Nodes, 1);
  const PfsTreeOptions options = { 0 };
  void *proc;

  assert_int_equal (fixture_setup (&proc), 0);
  n->proc = proc;
  nodes_process (n, 10, 100, ID_A, ROOT ("40") KUBELET ("web", "0123abcd"), "/");
  fixture_open (n->proc, NULL);
  n->tree = pfs_tree_new (n->proc->table, &options, &nodes_no_root);
  *state = n;
  return 0;
}

/* Nothing of the tree may be left but its top. */
static inline int
nodes_teardown (void **state)
{
  Nodes *n = *state;
  void *proc = n->proc;
  size_t left = pfs_tree_size (n->tree);

  pfs_tree_free (n->tree);
  fixture_teardown (&proc);
  g_free (n);
  if (left > 1)
    fail_msg ("%zu nodes are left", left);
  return 0;
}

/* Looks path up from the top. *ret is a reference (NULL for ret: dropped); *ret_attr may be NULL. */
static inline int
nodes_walk (Nodes *n, const char *path, PfsNode **ret, struct stat *ret_attr)
{
  g_auto (GStrv) names = g_strsplit (path, "/", -1);
  g_autoptr (PfsNode) node = pfs_node_ref (pfs_tree_top (n->tree));

  for (guint i = 0; names[i]; i++) {
    PfsEntry entry = { .node = NULL };
    if (!node->ops->lookup)
      return -ENOTDIR;
    int r = node->ops->lookup (node, names[i], &pfs_caller_self, &entry);
    if (r < 0)
      return r;
    pfs_node_unref (node);
    node = entry.node;
    assert_true (entry.attr.st_ino != 0);
    assert_true (entry.attr_timeout == 0 && entry.entry_timeout == 0);
    if (ret_attr)
      *ret_attr = entry.attr;
  }
  if (ret)
    *ret = g_steal_pointer (&node);
  return 0;
}

static inline PfsNode *
nodes_get (Nodes *n, const char *path, struct stat *ret_attr)
{
  PfsNode *node = NULL;
  int r = nodes_walk (n, path, &node, ret_attr);

  if (r < 0)
    fail_msg ("%s: %s", path, strerror (-r));
  return node;
}

/* What a file has, or a link's target. */
static inline GBytes *
nodes_read (Nodes *n, const char *path)
{
  g_autoptr (PfsNode) node = nodes_get (n, path, NULL);
  g_autoptr (PfsFile) file = NULL;
  GByteArray *all = g_byte_array_new ();
  guint8 buf[4096];
  ssize_t len;

  assert_int_equal (node->ops->open (node, O_RDONLY, &pfs_caller_self, &file), 0);
  if (file->content) {
    gsize size;
    const guint8 *data = g_bytes_get_data (file->content, &size);
    if (size)
      g_byte_array_append (all, data, (guint) size);
  } else {
    while ((len = read (file->fd, buf, sizeof buf)) > 0)
      g_byte_array_append (all, buf, (guint) len);
  }
  return g_byte_array_free_to_bytes (all);
}

static inline void
assert_content (Nodes *n, const char *path, const char *expected, gsize len)
{
  g_autoptr (GBytes) content = nodes_read (n, path);
  struct stat st;

  assert_int_equal (g_bytes_get_size (content), len);
  assert_memory_equal (g_bytes_get_data (content, NULL), expected, len);
  assert_int_equal (nodes_walk (n, path, NULL, &st), 0);
  assert_int_equal (st.st_size, len);
}

static inline char *
nodes_readlink (Nodes *n, const char *path)
{
  struct stat st;
  g_autoptr (PfsNode) node = nodes_get (n, path, &st);
  char *target = NULL;

  assert_true (S_ISLNK (st.st_mode));
  assert_int_equal (node->ops->readlink (node, &pfs_caller_self, &target), 0);
  assert_int_equal (st.st_size, strlen (target));
  return target;
}

static inline int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* The names in a directory, sorted, joined by ' '. Each must be found by lookup too, with the same number and type. */
static inline char *
nodes_list (Nodes *n, const char *path)
{
  g_autoptr (PfsNode) dir = *path ? nodes_get (n, path, NULL) : pfs_node_ref (pfs_tree_top (n->tree));
  g_autoptr (PfsFile) file = NULL;
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  assert_int_equal (dir->ops->opendir (dir, &pfs_caller_self, &file), 0);
  for (guint i = 0; i < file->listing->len; i++) {
    PfsEntry entry;
    const PfsListed *listed = &g_array_index (file->listing, PfsListed, i);
    g_ptr_array_add (names, listed->name);
    if (strcmp (listed->name, "root") == 0) /* has tests of its own, and caches */
      continue;
    int r = dir->ops->lookup (dir, listed->name, &pfs_caller_self, &entry);
    if (r < 0)
      fail_msg ("%s/%s: %s", path, listed->name, strerror (-r));
    assert_int_equal (entry.attr.st_ino, listed->ino);
    assert_int_equal (entry.attr.st_mode & S_IFMT, listed->type);
    pfs_node_unref (entry.node);
  }
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return g_strjoinv (" ", (char **) names->pdata);
}

#define assert_names(n, path, expected)                                                                                \
  do {                                                                                                                 \
    g_autofree char *names_ = nodes_list (n, path);                                                                    \
    assert_string_equal (names_, expected);                                                                            \
  } while (0)

static inline void
assert_mode (Nodes *n, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
  struct stat st;
  int r = nodes_walk (n, path, NULL, &st);

  if (r < 0)
    fail_msg ("%s: %s", path, strerror (-r));
  assert_int_equal (st.st_mode, mode);
  assert_int_equal (st.st_uid, uid);
  assert_int_equal (st.st_gid, gid);
}
