/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#define MAX_LINKS 40 /* as the kernel: path_resolution(7) */

typedef struct {
  GPtrArray *stack; /* references of the directories from the top to here */
  GQueue todo;      /* components still to walk: char * */
  guint links;
} TreeWalk;

static void
walk_clear (TreeWalk *walk)
{
  g_clear_pointer (&walk->stack, g_ptr_array_unref);
  g_queue_clear_full (&walk->todo, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TreeWalk, walk_clear)

/* Puts the components of path before the pending ones. */
static void
push_path (TreeWalk *walk, const char *path)
{
  g_auto (GStrv) parts = g_strsplit (path, "/", -1);
  for (guint i = g_strv_length (parts); i-- > 0;) {
    if (*parts[i] && !g_str_equal (parts[i], "."))
      g_queue_push_head (&walk->todo, g_strdup (parts[i]));
  }
}

/* After a link that leaves the tree (to /proc/<pid>), the kernel walks the rest of the way. */
static int
exists_outside (TreeWalk *walk, const char *target)
{
  g_autoptr (GString) path = g_string_new (target);
  for (GList *l = walk->todo.head; l; l = l->next)
    g_string_append_printf (path, "/%s", (const char *) l->data);
  struct stat st;
  return fstatat (AT_FDCWD, path->str, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

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
  g_autofree char *target = NULL;
  if (++walk->links > MAX_LINKS)
    return -ELOOP;
  int r = link->ops->readlink ? link->ops->readlink (link, &pfs_caller_self, &target) : -EINVAL;
  if (r < 0)
    return r;
  if (*target == '/')
    return exists_outside (walk, target);
  push_path (walk, target);
  return 1;
}

/* Walks one component. Returns 1 if there is more to do, else the walk's result. */
static int
step (TreeWalk *walk, const char *name)
{
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
  bool last = g_queue_is_empty (&walk->todo);
  if (last)
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
                             .todo = G_QUEUE_INIT };
  g_ptr_array_add (walk.stack, pfs_node_ref (pfs_tree_top (tree)));
  push_path (&walk, path);
  int r = 1;
  while (r > 0 && !g_queue_is_empty (&walk.todo)) {
    g_autofree char *name = g_queue_pop_head (&walk.todo);
    r = step (&walk, name);
  }
  return r > 0 ? 0 : r;
}
