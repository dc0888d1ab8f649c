/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_LINKS 40 /* as the kernel: path_resolution(7) */

typedef struct {
  GPtrArray *stack; /* references of the directories from the top to here */
  char *todo;       /* the rest of the path */
  guint links;
} TreeWalk;

static void
walk_clear (TreeWalk *walk)
{
  g_clear_pointer (&walk->stack, g_ptr_array_unref);
  g_clear_pointer (&walk->todo, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TreeWalk, walk_clear)

static int
look_up (TreeWalk *walk, const char *name, PfsEntry *ret)
{
  PfsNode *dir = g_ptr_array_index (walk->stack, walk->stack->len - 1);
  return dir->ops->lookup ? dir->ops->lookup (dir, name, &pfs_caller_self, ret) : -ENOTDIR;
}

/* Follows a link on the way. Returns 1 if the walk goes on in the tree, else its result. */
static int
follow (TreeWalk *walk, PfsNode *link)
{
  g_autofree char *target = NULL, *rest = g_steal_pointer (&walk->todo);
  struct stat st;
  if (++walk->links > MAX_LINKS)
    return -ELOOP;
  int r = link->ops->readlink ? link->ops->readlink (link, &pfs_caller_self, &target) : -EINVAL;
  if (r < 0)
    return r;
  walk->todo = g_strconcat (target, "/", rest, NULL);
  if (*target != '/')
    return 1;
  /* It leaves the tree (to /proc/<pid>): the kernel walks the rest of the way. */
  return fstatat (AT_FDCWD, walk->todo, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Walks one component. Returns 1 if there is more to do, else the walk's result. */
static int
step (TreeWalk *walk)
{
  g_auto (GStrv) parts = g_strsplit (walk->todo + strspn (walk->todo, "/"), "/", 2);
  const char *name = parts[0];
  if (!name)
    return 0;
  g_free (walk->todo);
  walk->todo = g_strdup (parts[1] ? parts[1] + strspn (parts[1], "/") : "");
  if (g_str_equal (name, "."))
    return 1;
  if (g_str_equal (name, "..")) {
    if (walk->stack->len > 1)
      g_ptr_array_set_size (walk->stack, (int) walk->stack->len - 1);
    return 1;
  }
  PfsEntry entry = { 0 };
  int r = look_up (walk, name, &entry);
  if (r < 0)
    return r;
  g_autoptr (PfsNode) node = entry.node;
  if (!*walk->todo)
    return 0;
  if (S_ISLNK (entry.attr.st_mode))
    return follow (walk, node);
  if (!S_ISDIR (entry.attr.st_mode))
    return -ENOTDIR;
  g_ptr_array_add (walk->stack, g_steal_pointer (&node));
  return 1;
}

int
pfs_walk_exists (PfsTree *tree, const char *path)
{
  g_auto (TreeWalk) walk = { .stack = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_node_unref),
                             .todo = g_strdup (path) };
  g_ptr_array_add (walk.stack, pfs_node_ref (pfs_tree_top (tree)));
  int r = 1;
  while (r > 0)
    r = step (&walk);
  return r;
}
