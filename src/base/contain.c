/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links of a peer's tree, rewritten so that they stay in it wherever it is mounted. */
#include "peerfs/base/inroot.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "resolve.h"

/* What counts in a link's content: the ".." components at its start, and its last "..". */
typedef struct {
  guint leading;             /* how many ".." it begins with */
  const char *after_leading; /* behind these, without leading '/' */
  const char *rest;          /* behind the last ".." of all, likewise */
  const char *last;          /* the last component */
} Target;

static Target
target_split (const char *target)
{
  const char *start = target + strspn (target, "/");
  Target t = { .after_leading = start, .rest = start, .last = start };
  bool only_dots = true;

  for (const char *p = start, *next; *p; p = next) {
    size_t len = strcspn (p, "/");

    next = p + len + strspn (p + len, "/");
    t.last = p;
    if (len == 2 && p[0] == '.' && p[1] == '.') {
      t.rest = next;
      t.leading += only_dots;
      t.after_leading = only_dots ? next : t.after_leading;
    } else {
      only_dots = only_dots && len == 1 && p[0] == '.';
    }
  }
  return t;
}

/* So many "..", then down, which may be empty, then rest. */
static int
finish_target (guint ups, const char *down, const char *rest, char **ret_target)
{
  g_autoptr (GString) out = g_string_new (NULL);

  while (ups-- > 0)
    g_string_append (out, "../");
  g_string_append_printf (out, "%s%s%s", down, *down ? "/" : "", rest);
  if (out->len == 0)
    g_string_append_c (out, '.');
  else if (!*rest)
    g_string_truncate (out, out->len - 1);
  if (out->len >= PATH_MAX)
    return -ENAMETOOLONG;
  *ret_target = g_string_free (g_steal_pointer (&out), FALSE);
  return 0;
}

/* How long the part is that both paths have in common, in whole components. */
static size_t
common_length (const char *a, const char *b)
{
  size_t common = 0;

  for (size_t i = 0;; i++) {
    if ((a[i] == '/' || !a[i]) && (b[i] == '/' || !b[i]))
      common = i;
    if (a[i] != b[i] || !a[i])
      return common;
  }
}

/* If ".." follows another component, that may be a link. So this resolves the part before rest (the head) and puts the
 * physical path in its place: a peer could redirect a ".." that is left to the caller's kernel. If the head does not
 * resolve, the result fails with the same error at the same place. */
static int
contain_resolved (int rootfd, const char *dir, const char *target, const char *rest, const PfsAvoid *avoid,
                  char **ret_target)
{
  g_autofree char *head = g_strndup (target, (gsize) (rest - target));
  g_autofree char *reached = NULL, *failed = NULL;

  if (rootfd < 0)
    return -EAGAIN;
  int r = pfs_inroot_resolve_link (rootfd, dir, head, avoid, &reached, &failed);
  /* These the caller's kernel gets too. */
  if (r < 0 && r != -ENOENT && r != -ENOTDIR && r != -EACCES && r != -ENAMETOOLONG)
    return r;
  size_t common = common_length (dir, reached);
  g_autofree char *path = g_strconcat (reached, failed ? "/" : NULL, failed, NULL);
  const char *down = path + common + (path[common] == '/');
  return finish_target (pfs_inroot_depth (dir + common), down, r == 0 ? rest : ".", ret_target);
}

int
pfs_inroot_contain (int rootfd, const char *dir, const char *target, const PfsAvoid *avoid, char **ret_target)
{
  Target t = target_split (target);
  int r;

  if (t.rest == target) {
    *ret_target = g_strdup (target);
    return 0;
  }
  dir += strcmp (dir, "/") == 0;
  guint depth = pfs_inroot_depth (dir);
  if (t.rest > t.after_leading)
    r = contain_resolved (rootfd, dir, target, t.rest, avoid, ret_target);
  else
    r = finish_target (target[0] == '/' ? depth : MIN (t.leading, depth), "", t.after_leading, ret_target);
  /* The physical path is the shortest one; the last component need not be resolved. */
  return r == -ENAMETOOLONG && t.last > t.rest ? contain_resolved (rootfd, dir, target, t.last, avoid, ret_target) : r;
}
