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
#include "resolve.h"

#define LINKS_MAX 40             /* MAXSYMLINKS of the kernel, include/linux/namei.h */
#define STEPS_MAX (PATH_MAX / 2) /* components that come out of links: as many as one path may have */
#define STEP_REOPEN 32           /* components of a path that is opened at once, and takes about as long as a step */

static int
openat2_in_root (int dirfd, const char *path, int flags, uint64_t resolve)
{
  struct open_how how = {
    .flags = (uint64_t) (flags | O_CLOEXEC),
    .resolve = resolve | RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  long fd = syscall (SYS_openat2, dirfd, path, &how, sizeof how);

  /* EXDEV: somebody moved the file out of the root meanwhile. */
  return fd >= 0 ? (int) fd : errno == EXDEV ? -ENOENT : -errno;
}

/* A path too long for one system call is opened in pieces, each up to the last '/' that fits. */
int
pfs_inroot_open (int rootfd, const char *path, int flags)
{
  pfs_autofd dir = -1;

  path += strspn (path, "/");
  while (strnlen (path, PATH_MAX) == PATH_MAX) {
    const char *slash = memrchr (path, '/', PATH_MAX - 1);
    if (!slash)
      return -ENAMETOOLONG;
    g_autofree char *piece = g_strndup (path, (gsize) (slash - path));
    int next = openat2_in_root (dir >= 0 ? dir : rootfd, piece, O_PATH | O_DIRECTORY, 0);
    if (next < 0)
      return next;
    pfs_fd_cleanup (&dir);
    dir = next;
    path = slash + strspn (slash, "/");
  }
  return openat2_in_root (dir >= 0 ? dir : rootfd, *path ? path : ".", flags, 0);
}

/* Resolves a path in a peer's tree, one component at a time. */
typedef struct {
  int rootfd;
  const PfsAvoid *avoid;
  GHashTable *mount_points; /* of avoid; NULL before they are needed */
  GHashTable *closed;       /* physical paths that do not exist; may be NULL */
  char *path;               /* of the directory reached: "" for the root, else "/a/b" */
  int fd;                   /* of that directory; -1 if it has to be opened by its path */
  int above;                /* of the directory above it; -1 likewise */
  bool at_avoid;            /* it is on the device to avoid */
  bool is_dir;              /* false after any other file: no component may follow */
  guint links, steps;
  char *text, *rest; /* what is still to be resolved is the end of text that begins at rest */
  char *failed;      /* the component that failed; NULL if the directory reached says enough */
} Resolver;

static void
resolver_clear (Resolver *at)
{
  pfs_fd_cleanup (&at->fd);
  pfs_fd_cleanup (&at->above);
  g_free (at->path);
  g_free (at->text);
  g_free (at->failed);
  g_clear_pointer (&at->mount_points, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Resolver, resolver_clear)

/* Takes over all three. */
static void
reach (Resolver *at, char *path, int fd, int above)
{
  pfs_fd_cleanup (&at->fd);
  pfs_fd_cleanup (&at->above);
  g_free (at->path);
  at->path = path;
  at->fd = fd;
  at->above = above;
  at->at_avoid = false;
}

/* Puts text, and its components, before what is still to be resolved. */
static void
resolve_first (Resolver *at, const char *text)
{
  char *all = g_strconcat (text, at->rest, NULL);

  g_free (at->text);
  at->text = at->rest = all;
}

/* Has autofs to mount something before the name can be opened? The mount that it lies on says so. */
static bool
is_automount (Resolver *at, const char *name)
{
  g_autofree char *path = g_strconcat (at->path, "/", name, NULL);
  gpointer automount = NULL;

  if (!at->mount_points)
    at->mount_points = at->avoid->mount_points (at->avoid->data);
  while (*path && !g_hash_table_lookup_extended (at->mount_points, path, NULL, &automount))
    *strrchr (path, '/') = '\0';
  return GPOINTER_TO_INT (automount);
}

/* Opens a name in the directory reached; -EAGAIN for an automount. That is never the ".." of another directory, which
 * may have been moved. Linux before 5.12 has no RESOLVE_CACHED (EINVAL), and waits. */
static int
open_name (Resolver *at, const char *name)
{
  bool by_path = at->fd < 0;
  g_autofree char *path = by_path ? g_strconcat (at->path, "/", name, NULL) : g_strdup (name);
  int dirfd = by_path ? at->rootfd : at->fd;
  int fd = -EINVAL;

  if (by_path)
    at->steps += pfs_inroot_depth (path) / STEP_REOPEN;
  if (at->avoid && at->avoid->mount_points)
    fd = openat2_in_root (dirfd, path, O_PATH | O_NOFOLLOW, RESOLVE_CACHED);
  if (fd == -EINVAL || fd == -ENAMETOOLONG || (fd == -EAGAIN && !is_automount (at, name)))
    fd = pfs_inroot_open (dirfd, path, O_PATH | O_NOFOLLOW);
  return fd;
}

/* "." and ".." need search permission, like any other name. */
static int
stay_or_go_up (Resolver *at, bool up)
{
  pfs_autofd fd = at->at_avoid ? -EAGAIN : open_name (at, ".");

  if (fd < 0 && fd != -EAGAIN)
    return fd;
  if (up && *at->path)
    reach (at, g_strndup (at->path, (gsize) (strrchr (at->path, '/') - at->path)), pfs_fd_steal (&at->above), -1);
  return 0;
}

static int
follow (Resolver *at, int linkfd)
{
  g_autofree char *target = NULL;

  if (++at->links > LINKS_MAX)
    return -ELOOP;
  int r = pfs_readlink_at (linkfd, "", &target);
  if (r < 0)
    return r;
  if (target[0] == '\0')
    return -ENOENT;
  resolve_first (at, target);
  if (target[0] == '/')
    reach (at, g_strdup (""), -1, -1);
  return 0;
}

static int
go_down (Resolver *at, const char *name)
{
  g_autofree char *path = g_strconcat (at->path, "/", name, NULL);
  struct statx st;

  if (at->at_avoid || (at->closed && g_hash_table_contains (at->closed, path)))
    return -ENOENT;
  pfs_autofd fd = open_name (at, name);
  if (fd == -EAGAIN) { /* taken for a directory, without a descriptor */
    reach (at, g_steal_pointer (&path), -1, -1);
    return 0;
  }
  if (fd < 0)
    return fd;
  if (statx (fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
    return -errno;
  if (S_ISLNK (st.stx_mode))
    return follow (at, fd);
  reach (at, g_steal_pointer (&path), pfs_fd_steal (&fd), pfs_fd_steal (&at->fd));
  at->at_avoid = at->avoid && makedev (st.stx_dev_major, st.stx_dev_minor) == at->avoid->device;
  at->is_dir = S_ISDIR (st.stx_mode);
  return 0;
}

/* Takes the next component; NULL at the end. A trailing '/' counts as "." after it, and "." over and over as one. */
static char *
take_name (Resolver *at)
{
  char *left = at->rest, *start = left + strspn (left, "/");
  size_t len = strcspn (start, "/");

  at->rest = start + len;
  while (len == 1 && start[0] == '.' && strncmp (at->rest, "/./", 3) == 0)
    at->rest += 2;
  if (len > 0)
    return g_strndup (start, len);
  return start > left ? g_strdup (".") : NULL;
}

static int
resolve (Resolver *at)
{
  for (;;) {
    g_autofree char *name = take_name (at);
    int r;

    if (!name)
      return 0;
    bool up = strcmp (name, "..") == 0;
    if (at->links > 0 && ++at->steps > STEPS_MAX)
      r = -ELOOP;
    else if (!at->is_dir)
      r = -ENOTDIR;
    else
      r = up || strcmp (name, ".") == 0 ? stay_or_go_up (at, up) : go_down (at, name);
    if (r < 0) {
      at->failed = at->is_dir && !up ? g_steal_pointer (&name) : NULL;
      return r;
    }
  }
}

static Resolver
resolver_at_root (int rootfd, const char *path)
{
  char *text = g_strdup (path);

  return (
      Resolver) { rootfd, .path = g_strdup (""), .fd = -1, .above = -1, .is_dir = true, .text = text, .rest = text };
}

int
pfs_inroot_physical (int rootfd, const char *path, GHashTable *closed, char **ret_physical)
{
  g_auto (Resolver) at = resolver_at_root (rootfd, path);

  at.closed = closed;
  int r = resolve (&at);
  if (r == 0)
    *ret_physical = g_strdup (*at.path ? at.path : "/");
  return r;
}

int
pfs_inroot_resolve_link (int rootfd, const char *dir, const char *text, const PfsAvoid *avoid, char **ret_path,
                         char **ret_failed)
{
  g_auto (Resolver) at = resolver_at_root (rootfd, text);

  at.avoid = avoid;
  at.links = 1;
  if (text[0] != '/') {
    /* If the caller may not reach dir, resolving that finds the closed component. */
    int fd = pfs_inroot_open (rootfd, dir, O_PATH | O_DIRECTORY);
    if (fd >= 0) {
      reach (&at, g_strdup (dir), fd, -1);
    } else {
      resolve_first (&at, "/");
      resolve_first (&at, dir);
    }
  }
  int r = resolve (&at);
  *ret_path = g_steal_pointer (&at.path);
  *ret_failed = g_steal_pointer (&at.failed);
  return r;
}
