/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/base/inroot.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"

#define LINKS_MAX 40             /* MAXSYMLINKS of the kernel, include/linux/namei.h */
#define STEPS_MAX (PATH_MAX / 2) /* components that come out of links: as many as one path may have */
#define STEP_REOPEN 32           /* components of a path that is opened at once, and takes about as long as a step */
#define FDS_MAX 8

static int
openat2_in_root (int dirfd, const char *path, int flags)
{
  struct open_how how = {
    .flags = (uint64_t) (flags | O_CLOEXEC),
    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  long fd = syscall (SYS_openat2, dirfd, path, &how, sizeof how);

  if (fd >= 0)
    return (int) fd;
  /* EXDEV: somebody moved the file out of the root during the walk. */
  return errno == EXDEV ? -ENOENT : -errno;
}

/* The length of the first piece of a path that is too long for one system call: up to the last '/' that fits. */
static size_t
piece_length (const char *path)
{
  size_t len = strnlen (path, PATH_MAX);

  if (len < PATH_MAX)
    return len;
  const char *slash = memrchr (path, '/', PATH_MAX - 1);
  return slash ? (size_t) (slash - path) : 0;
}

int
pfs_inroot_open (int rootfd, const char *path, int flags)
{
  pfs_autofd dir = -1;

  while (*path == '/')
    path++;
  while (strnlen (path, PATH_MAX) == PATH_MAX) {
    char piece[PATH_MAX];
    size_t len = piece_length (path);

    if (len == 0)
      return -ENAMETOOLONG;
    memcpy (piece, path, len);
    piece[len] = '\0';

    int next = openat2_in_root (dir >= 0 ? dir : rootfd, piece, O_PATH | O_DIRECTORY);
    if (next < 0)
      return next;
    pfs_fd_cleanup (&dir);
    dir = next;
    for (path += len; *path == '/'; path++)
      continue;
  }
  return openat2_in_root (dir >= 0 ? dir : rootfd, *path ? path : ".", flags);
}

/* A walk through a peer's tree, one component at a time. */
typedef struct {
  int rootfd;
  PfsAvoid avoid;
  GHashTable *closed; /* physical paths that do not exist; may be NULL */
  int fds[FDS_MAX];   /* of the last directories on the way; the walk is in the last one. None: in the root */
  guint n_fds;
  bool at_avoid; /* that directory is on the device to avoid */
  bool is_dir;   /* false after any other file: no component may follow */
  guint links, steps;
  GPtrArray *names; /* the components of the directory reached */
  GString *pending; /* the rest of the path, behind the first `taken` bytes */
  gsize taken;
  char *failed; /* the component that failed; NULL if the directory reached says enough */
} Walk;

static void
walk_drop_fd (Walk *walk)
{
  pfs_fd_cleanup (&walk->fds[--walk->n_fds]);
}

static void
walk_clear (Walk *walk)
{
  while (walk->n_fds > 0)
    walk_drop_fd (walk);
  g_ptr_array_unref (walk->names);
  g_string_free (walk->pending, TRUE);
  g_free (walk->failed);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Walk, walk_clear)

static void
walk_init (Walk *walk, int rootfd, PfsAvoid avoid, const char *path)
{
  *walk = (Walk) {
    .rootfd = rootfd,
    .avoid = avoid,
    .is_dir = true,
    .names = g_ptr_array_new_with_free_func (g_free),
    .pending = g_string_new (path),
  };
}

static int
walk_fd (const Walk *walk)
{
  return walk->n_fds > 0 ? walk->fds[walk->n_fds - 1] : walk->rootfd;
}

static void
walk_push_fd (Walk *walk, int fd)
{
  if (walk->n_fds == FDS_MAX) {
    pfs_fd_cleanup (&walk->fds[0]);
    memmove (walk->fds, walk->fds + 1, sizeof walk->fds - sizeof walk->fds[0]);
    walk->n_fds--;
  }
  walk->fds[walk->n_fds++] = fd;
}

static void
walk_to_root (Walk *walk)
{
  while (walk->n_fds > 0)
    walk_drop_fd (walk);
  walk->at_avoid = false;
  g_ptr_array_set_size (walk->names, 0);
}

static char *
join_names (GPtrArray *names, guint from)
{
  GString *path = g_string_new (NULL);

  for (guint i = from; i < names->len; i++)
    g_string_append_printf (path, "%s%s", i > from ? "/" : "", (char *) names->pdata[i]);
  return g_string_free (path, FALSE);
}

/* "." and ".." need search permission, like any other name. */
static int
walk_stay (const Walk *walk)
{
  if (walk->at_avoid)
    return 0;
  pfs_autofd fd = openat (walk_fd (walk), ".", O_PATH | O_CLOEXEC);
  return fd < 0 ? -errno : 0;
}

/* Opens the path of the directory reached in one call. */
static int
walk_reopen (Walk *walk)
{
  g_autofree char *path = join_names (walk->names, 0);
  int fd = pfs_inroot_open (walk->rootfd, path, O_PATH | O_DIRECTORY);

  if (fd < 0)
    return fd;
  walk->steps += walk->names->len / STEP_REOPEN;
  walk_push_fd (walk, fd);
  return 0;
}

/* Goes back to the directory that the walk came by, or opens it by its path: ".." of a moved directory could lead
 * anywhere. */
static int
walk_up (Walk *walk)
{
  int r = walk_stay (walk);

  if (r < 0 || walk->names->len == 0)
    return r;
  g_ptr_array_set_size (walk->names, walk->names->len - 1);
  walk_drop_fd (walk);
  walk->at_avoid = false;
  return walk->n_fds > 0 || walk->names->len == 0 ? 0 : walk_reopen (walk);
}

static int
walk_link (Walk *walk, int linkfd)
{
  g_autofree char *target = NULL;

  if (++walk->links > LINKS_MAX)
    return -ELOOP;
  int r = pfs_readlink_at (linkfd, "", &target);
  if (r < 0)
    return r;
  if (target[0] == '\0')
    return -ENOENT;
  g_string_erase (walk->pending, 0, (gssize) walk->taken);
  walk->taken = 0;
  if (walk->pending->len > 0)
    g_string_prepend_c (walk->pending, '/');
  g_string_prepend (walk->pending, target);
  if (walk->pending->len > 64 * PATH_MAX)
    return -ENAMETOOLONG;
  if (target[0] == '/')
    walk_to_root (walk);
  return 0;
}

static bool
is_closed (const Walk *walk, const char *name)
{
  if (!walk->closed || g_hash_table_size (walk->closed) == 0)
    return false;
  g_autofree char *dir = join_names (walk->names, 0);
  g_autofree char *path = g_strconcat (*dir ? "/" : "", dir, "/", name, NULL);
  return g_hash_table_contains (walk->closed, path);
}

static int
walk_down (Walk *walk, const char *name)
{
  struct statx st;

  if (walk->at_avoid || is_closed (walk, name))
    return -ENOENT;
  pfs_autofd fd = openat (walk_fd (walk), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  if (statx (fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
    return -errno;
  if (S_ISLNK (st.stx_mode))
    return walk_link (walk, fd);

  walk->at_avoid = walk->avoid && makedev (st.stx_dev_major, st.stx_dev_minor) == walk->avoid;
  walk->is_dir = S_ISDIR (st.stx_mode);
  g_ptr_array_add (walk->names, g_strdup (name));
  walk_push_fd (walk, pfs_fd_steal (&fd));
  return 0;
}

/* Takes the next component off the rest of the path; NULL at the end. A trailing '/' counts as "." after it. */
static char *
walk_take (Walk *walk)
{
  const char *left = walk->pending->str + walk->taken;
  const char *start = left + strspn (left, "/");
  size_t len = strcspn (start, "/");

  walk->taken = (gsize) (start + len - walk->pending->str);
  if (len > 0)
    return g_strndup (start, len);
  return start > left ? g_strdup (".") : NULL;
}

static int
walk_run (Walk *walk)
{
  for (;;) {
    g_autofree char *name = walk_take (walk);
    int r;

    if (!name)
      return 0;
    if (walk->links > 0 && ++walk->steps > STEPS_MAX)
      r = -ELOOP;
    else if (!walk->is_dir)
      r = -ENOTDIR;
    else if (strcmp (name, ".") == 0)
      r = walk_stay (walk);
    else if (strcmp (name, "..") == 0)
      r = walk_up (walk);
    else
      r = walk_down (walk, name);
    if (r < 0) {
      walk->failed = walk->is_dir && strcmp (name, "..") != 0 ? g_steal_pointer (&name) : NULL;
      return r;
    }
  }
}

int
pfs_inroot_physical_avoiding (int rootfd, const char *path, GHashTable *closed, char **ret_physical)
{
  g_auto (Walk) walk = { .n_fds = 0 };

  walk_init (&walk, rootfd, 0, path);
  walk.closed = closed;
  int r = walk_run (&walk);
  if (r < 0)
    return r;
  g_autofree char *joined = join_names (walk.names, 0);
  *ret_physical = g_strconcat ("/", joined, NULL);
  return 0;
}

int
pfs_inroot_physical (int rootfd, const char *path, char **ret_physical)
{
  return pfs_inroot_physical_avoiding (rootfd, path, NULL, ret_physical);
}

/* A link's content in three parts: ".." components at its start, up to and including its last "..", and the rest. */
typedef struct {
  bool absolute;
  guint leading; /* how many ".." it begins with */
  const char *after_leading;
  const char *rest; /* behind the last ".." of all, without leading '/' */
} Target;

static Target
target_split (const char *target)
{
  Target t = { .absolute = target[0] == '/' };
  bool only_dots = true;

  t.after_leading = t.rest = target + strspn (target, "/");
  for (const char *p = target; *(p += strspn (p, "/"));) {
    size_t len = strcspn (p, "/");
    const char *next = p + len + strspn (p + len, "/");

    if (len == 2 && p[0] == '.' && p[1] == '.') {
      t.rest = next;
      if (only_dots) {
        t.leading++;
        t.after_leading = next;
      }
    } else if (len != 1 || p[0] != '.') {
      only_dots = false;
    }
    p += len;
  }
  return t;
}

static int
finish_target (GString *out, const char *rest, char **ret_target)
{
  g_autofree char *result = NULL;

  if (*rest)
    g_string_append (out, rest);
  else if (out->len == 0)
    g_string_append_c (out, '.');
  else if (out->str[out->len - 1] == '/')
    g_string_truncate (out, out->len - 1);
  result = g_string_free (out, FALSE);
  if (strlen (result) >= PATH_MAX)
    return -ENAMETOOLONG;
  *ret_target = g_steal_pointer (&result);
  return 0;
}

static GString *
climb (guint times)
{
  GString *out = g_string_new (NULL);

  while (times-- > 0)
    g_string_append (out, "../");
  return out;
}

static GPtrArray *
split_names (const char *path)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);

  for (; *(path += strspn (path, "/")); path += strcspn (path, "/"))
    g_ptr_array_add (names, g_strndup (path, strcspn (path, "/")));
  return names;
}

/* True if the target, with the way up before it, may reach PATH_MAX. */
static bool
may_be_too_long (const Target *t, size_t depth)
{
  return 3 * (t->absolute ? depth : MIN (t->leading, depth)) + strlen (t->after_leading) >= PATH_MAX;
}

static size_t
count_names (const char *path)
{
  size_t n = 0;

  for (; *(path += strspn (path, "/")); path += strcspn (path, "/"))
    n++;
  return n;
}

bool
pfs_inroot_contain_walks (const char *dir, const char *target)
{
  Target t = target_split (target);

  return t.rest > t.after_leading || may_be_too_long (&t, count_names (dir));
}

/* True for an error that the caller's kernel gets too, at the last component of the walk. */
static bool
fails_again (int r)
{
  return r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -ENAMETOOLONG;
}

/* Begins the walk in that directory, which is no link. If the caller may not reach it, the walk finds the closed
 * component. */
static void
walk_start (Walk *walk, GPtrArray *dir)
{
  for (guint i = 0; i < dir->len; i++)
    g_ptr_array_add (walk->names, g_strdup (dir->pdata[i]));
  if (dir->len == 0 || walk_reopen (walk) == 0)
    return;
  g_autofree char *path = join_names (dir, 0);
  g_string_prepend_c (walk->pending, '/');
  g_string_prepend (walk->pending, path);
  walk_to_root (walk);
}

/* If ".." follows another component, that may be a link. So this resolves the part up to the last ".." (the head) and
 * puts the physical path in its place: a peer could redirect a ".." that is left to the caller's kernel. If the head
 * does not resolve, the result fails with the same error at the same place. */
static int
contain_walked (int rootfd, GPtrArray *dir, const char *target, const Target *t, PfsAvoid avoid, char **ret_target)
{
  g_autofree char *head = g_strndup (target, (gsize) (t->rest - target));
  g_auto (Walk) walk = { .n_fds = 0 };
  guint common = 0;

  walk_init (&walk, rootfd, avoid, head);
  walk.links = 1; /* the link that has this content */
  if (!t->absolute)
    walk_start (&walk, dir);
  int r = walk_run (&walk);
  if (r < 0 && !fails_again (r))
    return r;
  while (common < dir->len && common < walk.names->len && strcmp (dir->pdata[common], walk.names->pdata[common]) == 0)
    common++;

  GString *out = climb (dir->len - common);
  g_autofree char *down = join_names (walk.names, common);
  g_string_append (out, down);
  if (*down)
    g_string_append_c (out, '/');
  if (r == 0)
    return finish_target (out, t->rest, ret_target);
  if (walk.failed)
    g_string_append_printf (out, "%s/", walk.failed);
  return finish_target (out, ".", ret_target);
}

/* The last component, with the '/' after it: at least this is outside of the head. */
static const char *
last_component (const char *path)
{
  const char *end = path + strlen (path);

  while (end > path && end[-1] == '/')
    end--;
  while (end > path && end[-1] != '/')
    end--;
  return end;
}

int
pfs_inroot_contain (int rootfd, const char *dir, const char *target, PfsAvoid avoid, char **ret_target)
{
  Target t = target_split (target);

  if (!t.absolute && t.rest == target) {
    *ret_target = g_strdup (target);
    return 0;
  }
  g_autoptr (GPtrArray) names = split_names (dir);
  /* The physical path is the shortest one. */
  if (may_be_too_long (&t, names->len))
    t.rest = MAX (t.rest, last_component (target));
  if (t.rest > t.after_leading)
    return contain_walked (rootfd, names, target, &t, avoid, ret_target);
  return finish_target (climb (t.absolute ? names->len : MIN (t.leading, names->len)), t.after_leading, ret_target);
}
