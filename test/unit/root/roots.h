/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container whose root is a temporary directory, walked through the operations of its root/ node. */
#pragma once

#include "../tree/nodes.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "peerfs/base/fd.h"
#include "../../../src/root/rootfs_private.h"

#define WHO (&pfs_caller_self)

typedef struct {
  Nodes nodes;
  char *dir; /* the container's root */
  int fd;
  PfsNode *root;
} Roots;

static inline void
roots_start (Roots *r, const char *root, const char *mountinfo, const PfsTreeOptions *options)
{
  void *proc;

  assert_int_equal (fixture_setup (&proc), 0);
  r->nodes.proc = proc;
  nodes_process (&r->nodes, 10, 100, ID_A, mountinfo, root);
  fixture_open (r->nodes.proc, NULL);
  r->nodes.tree = pfs_tree_new (r->nodes.proc->table, options, &pfs_root_kind);
  umask (0); /* as the daemon */

  PfsNode *top = pfs_tree_top (r->nodes.tree);
  PfsEntry web, entry;
  assert_int_equal (top->ops->lookup (top, "web", WHO, &web), 0);
  assert_int_equal (web.node->ops->lookup (web.node, "root", WHO, &entry), 0);
  pfs_node_unref (web.node);
  r->root = entry.node;
}

static inline Roots *
roots_new (const PfsTreeOptions *options)
{
  Roots *r = g_new0 (Roots, 1);

  r->dir = g_dir_make_tmp ("pfs-root-XXXXXX", NULL);
  assert_non_null (r->dir);
  assert_return_code (chmod (r->dir, 0755), errno);
  r->fd = open (r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  /* The greatest device number: no /proc or mount of this machine has it, and tests compare with those. */
  roots_start (r, r->dir, ROOT ("1048575") KUBELET ("web", "0123abcd"), options);
  return r;
}

static inline int
roots_setup (void **state)
{
  const PfsTreeOptions options = { .attr_timeout = 1, .entry_timeout = 1 };

  *state = roots_new (&options);
  return 0;
}

static inline int
roots_setup_root_of_machine (void **state)
{
  const PfsTreeOptions options = { .attr_timeout = 1, .entry_timeout = 1 };
  Roots *r = g_new0 (Roots, 1);
  struct stat sys;

  assert_return_code (stat ("/sys", &sys), errno);
  g_autofree char *info = g_strdup_printf (ROOT ("1048575")
                                               KUBELET ("web", "0123abcd") "33 30 %u:%u / /sys rw - sysfs sysfs rw\n",
                                           major (sys.st_dev), minor (sys.st_dev));
  r->fd = open ("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  roots_start (r, "/", info, &options);
  *state = r;
  return 0;
}

/* Nothing may be left of what a test looked at, once nobody holds it. */
static inline int
roots_teardown (void **state)
{
  Roots *r = *state;
  void *proc = r->nodes.proc;

  pfs_node_unref (r->root);
  pfs_held_drop_dirs (r->nodes.tree);
  size_t left = pfs_tree_size (r->nodes.tree);
  pfs_tree_free (r->nodes.tree);
  fixture_teardown (&proc);
  close (r->fd);
  if (r->dir)
    nftw (r->dir, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (r->dir);
  g_free (r);
  if (left > 0)
    fail_msg ("%zu nodes are left", left);
  return 0;
}

/* --- what the peer does behind our back --- */

static inline void
peer_file (Roots *r, const char *path, const char *content)
{
  pfs_autofd fd = openat (r->fd, path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

  assert_return_code (fd, errno);
  assert_int_equal (write (fd, content, strlen (content)), strlen (content));
}

static inline void
peer_dir (Roots *r, const char *path)
{
  assert_return_code (mkdirat (r->fd, path, 0755), errno);
}

static inline void
peer_move (Roots *r, const char *from, const char *to)
{
  assert_return_code (renameat (r->fd, from, r->fd, to), errno);
}

/* --- what callers do --- */

/* Looks path up below root/: 0 or -errno. ret may be NULL. */
static inline int
roots_lookup (Roots *r, const char *path, const PfsCaller *who, PfsEntry *ret)
{
  g_auto (GStrv) names = g_strsplit (path, "/", -1);
  g_autoptr (PfsNode) node = pfs_node_ref (r->root);
  PfsEntry entry = { .node = NULL };

  for (guint i = 0; names[i]; i++) {
    int e = node->ops->lookup ? node->ops->lookup (node, names[i], who, &entry) : -ENOTDIR;
    if (e < 0)
      return e;
    assert_int_equal (entry.attr.st_nlink > 0, 1);
    pfs_node_unref (node);
    node = entry.node;
  }
  if (ret) {
    *ret = entry;
    g_steal_pointer (&node);
  }
  return 0;
}

static inline PfsNode *
roots_get (Roots *r, const char *path)
{
  PfsEntry entry = { .node = NULL };
  int e = roots_lookup (r, path, WHO, &entry);

  if (e < 0)
    fail_msg ("%s: %s", path, strerror (-e));
  return entry.node;
}

static inline int
roots_getattr (PfsNode *node, struct stat *ret)
{
  return node->ops->getattr (node, NULL, WHO, ret);
}

static inline PfsFile *
roots_open (Roots *r, const char *path, int flags)
{
  g_autoptr (PfsNode) node = roots_get (r, path);
  PfsFile *file = NULL;
  int e = node->ops->open (node, flags, WHO, &file);

  if (e < 0)
    fail_msg ("%s: %s", path, strerror (-e));
  return file;
}

static inline void
assert_open_content (PfsFile *file, const char *expected)
{
  char buf[256] = "";

  assert_int_equal (pread (file->fd, buf, sizeof buf - 1, 0), strlen (expected));
  assert_string_equal (buf, expected);
}

static inline guint
count_fds (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  return n;
}
