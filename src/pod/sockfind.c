/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a socket's file is, the kernel tells: ioctl SIOCUNIXFILE of a descriptor that pidfd_getfd(2) takes from a
 * holder gives one of the very file, whatever its name was, and /proc/self/fd prints its path. That takes
 * CAP_SYS_PTRACE over the holder and CAP_NET_ADMIN over the network namespace; else there are guesses. Through which
 * processes that file is reached, their mounts tell. No file system is asked for anything, so that a dead one hides
 * nothing on others. */
#include "sockfind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/un.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "sockguess.h"

#define VIEWS_MAX 64 /* different roots in one container */

typedef struct {
  const PfsSocketScan *scan;
  PfsView *main_view;
  GHashTable *views; /* "<mount>:<inode>" of a root -> PfsView or NULL; without main_view */
  GHashTable *seen;  /* pid -> its PfsView, borrowed, or NULL */
  PfsSocketGuess *guess;
  int pidfd; /* of the holder asked last */
  pid_t pidfd_of;
  bool refused; /* the kernel does not tell us, or the peer keeps us waiting */
} Finder;

static void
view_free (gpointer view)
{
  if (view)
    pfs_view_free (view);
}

static void
finder_clear (Finder *f)
{
  pfs_fd_cleanup (&f->pidfd);
  g_clear_pointer (&f->guess, pfs_socket_guess_free);
  g_clear_pointer (&f->main_view, pfs_view_free);
  g_clear_pointer (&f->views, g_hash_table_unref);
  g_clear_pointer (&f->seen, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Finder, finder_clear)

/* --- where the file is --- */

typedef struct {
  char *text; /* its path as /proc prints it */
  uint64_t mount;
  char *main_path; /* where the main process sees it; NULL where it does not */
} Place;

static void
place_clear (Place *place)
{
  g_free (place->text);
  g_free (place->main_path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

static int
getfd (Finder *f, const PfsSocketHolder *holder)
{
  if (f->pidfd < 0 || f->pidfd_of != holder->process.pid) {
    pfs_fd_cleanup (&f->pidfd);
    f->pidfd = (int) syscall (SYS_pidfd_open, holder->process.pid, 0);
    f->pidfd_of = holder->process.pid;
  }
  return f->pidfd < 0 ? -1 : (int) syscall (SYS_pidfd_getfd, f->pidfd, holder->fd, 0);
}

/* A descriptor of the socket's file, or -errno. The number may be another descriptor's by now: also one of a file whose
 * server the peer is. Only sockets are asked for anything, and closed, here. */
static int
file_of (Finder *f, const PfsSocketHolder *holder, uint32_t inode)
{
  pfs_autofd fd = getfd (f, holder);
  socklen_t size = sizeof (int);
  struct stat st;
  int domain;

  if (fd < 0)
    return -errno;
  if (getsockopt (fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
    return pfs_patience_close (f->scan->patience, pfs_fd_steal (&fd)) == 0 ? -ESTALE : -ETIMEDOUT;
  if (fstat (fd, &st) < 0 || st.st_ino != inode)
    return -ESTALE;
  int file = ioctl (fd, SIOCUNIXFILE);
  return file < 0 ? -errno : file;
}

/* 1, or 0 where no name is left of the file, or -errno where it is not known: what was renamed over a second link of
 * itself is printed as deleted too. */
static int
place_of (int file, Place *ret)
{
  static const char deleted[] = " (deleted)";
  g_autofree char *name = g_strdup_printf ("/proc/self/fd/%d", file);
  g_autofree char *text = NULL;
  struct statx st;

  int r = pfs_readlink_at (AT_FDCWD, name, &text);
  if (r == 0 && statx (file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID | STATX_NLINK, &st) < 0)
    r = -errno;
  if (r < 0)
    return r;
  if (st.stx_nlink == 0)
    return 0;
  if (g_str_has_suffix (text, deleted) || !(st.stx_mask & STATX_MNT_ID))
    return -ENOENT;
  ret->text = g_steal_pointer (&text);
  ret->mount = st.stx_mnt_id;
  return 1;
}

static int
ask_kernel (Finder *f, const PfsUnixSocket *socket, Place *ret)
{
  PfsPatience *patience = f->scan->patience;
  int r = -EPERM;

  for (guint i = 0; patience && !f->refused && i < socket->holders->len && pfs_patience_is_left (patience); i++) {
    pfs_autofd file = file_of (f, &g_array_index (socket->holders, PfsSocketHolder, i), socket->inode);
    f->refused = file == -EPERM || file == -ETIMEDOUT;
    r = file < 0 ? file : place_of (file, ret);
    if (r >= 0)
      break;
  }
  return r;
}

static bool
locate (Finder *f, const PfsUnixSocket *socket, Place *ret)
{
  int r = ask_kernel (f, socket, ret);

  if (r >= 0) {
    ret->main_path = r > 0 ? g_strdup (pfs_view_path (f->main_view, ret->text, ret->mount)) : NULL;
    return r > 0;
  }
  if (!pfs_socket_guess_file (f->guess, socket, &ret->main_path, &ret->mount))
    return false;
  ret->text = g_strconcat (f->main_view->root, ret->main_path, NULL);
  return true;
}

/* --- who sees it there --- */

static PfsView *
view_load (Finder *f, pid_t pid)
{
  g_autofree char *name = g_strdup_printf ("%d", (int) pid);
  pfs_autofd fd = openat (f->scan->proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  uint64_t mount, inode;
  gpointer view = NULL;

  if (fd < 0 || pfs_view_root_of (fd, &mount, &inode) < 0)
    return NULL;
  if (mount == f->main_view->mount && inode == f->main_view->inode)
    return f->main_view;
  g_autofree char *key = g_strdup_printf ("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, mount, inode);
  if (g_hash_table_lookup_extended (f->views, key, NULL, &view) || g_hash_table_size (f->views) >= VIEWS_MAX)
    return view;
  PfsView *made = NULL;
  if (pfs_view_new (fd, &made) < 0)
    return NULL;
  g_hash_table_insert (f->views, g_steal_pointer (&key), made);
  return made;
}

static PfsView *
view_of (Finder *f, pid_t pid)
{
  gpointer view;

  if (!g_hash_table_lookup_extended (f->seen, GINT_TO_POINTER (pid), NULL, &view)) {
    view = view_load (f, pid);
    g_hash_table_insert (f->seen, GINT_TO_POINTER (pid), view);
  }
  return view;
}

static void
way_clear (gpointer data)
{
  g_ref_string_release (((PfsSocketWay *) data)->physical);
}

static void
add_way (GArray *ways, PfsProcessId process, const char *path)
{
  PfsSocketWay way = { .process = process };

  if (ways->len > 0 && strcmp (g_array_index (ways, PfsSocketWay, ways->len - 1).physical, path) == 0)
    way.physical = g_ref_string_acquire (g_array_index (ways, PfsSocketWay, ways->len - 1).physical);
  else
    way.physical = g_ref_string_new (path);
  g_array_append_val (ways, way);
}

static GArray *
ways_to (Finder *f, const PfsUnixSocket *socket, const Place *place, bool *ret_held_by_main)
{
  GArray *ways = g_array_new (FALSE, FALSE, sizeof (PfsSocketWay));

  g_array_set_clear_func (ways, way_clear);
  *ret_held_by_main = false;
  for (int others = 0; others < 2; others++)
    for (guint i = 0; i < socket->holders->len; i++) {
      PfsProcessId process = g_array_index (socket->holders, PfsSocketHolder, i).process;
      const PfsView *view = view_of (f, process.pid);
      bool other = view != f->main_view;
      const char *path = !other ? place->main_path : view ? pfs_view_path (view, place->text, place->mount) : NULL;
      *ret_held_by_main |= process.pid == f->scan->main_pid;
      if (path && other == (others == 1))
        add_way (ways, process, path);
    }
  if (place->main_path && !*ret_held_by_main)
    add_way (ways, (PfsProcessId) { f->scan->main_pid, f->scan->main_start }, place->main_path);
  return ways;
}

/* --- by which name --- */

/* A path without "." and "..", as its text alone tells, and without leading '/'. NULL where nothing is left. */
static char *
lexical_path (const char *path)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  for (; *(path += strspn (path, "/")); path += strcspn (path, "/")) {
    g_autofree char *name = g_strndup (path, strcspn (path, "/"));
    if (strcmp (name, ".") == 0)
      continue;
    if (strcmp (name, "..") != 0)
      g_ptr_array_add (names, g_steal_pointer (&name));
    else if (names->len > 0)
      g_ptr_array_set_size (names, (gint) names->len - 1);
  }
  if (names->len == 0)
    return NULL;
  g_ptr_array_add (names, NULL);
  return g_strjoinv ("/", (char **) names->pdata);
}

/* As bound where that leads there, links followed, else where it is. */
static char *
path_shown (Finder *f, const PfsUnixSocket *socket, const char *main_path)
{
  bool as_bound = socket->path[0] == '/'
                  && (strcmp (socket->path, main_path) == 0
                      || pfs_socket_guess_leads (f->guess, socket->path, main_path));
  char *path = as_bound ? lexical_path (socket->path) : NULL;

  return path ? path : g_strdup (main_path + 1);
}

static void
socket_free (gpointer data)
{
  PfsSocket *s = data;

  g_free (s->path);
  g_clear_pointer (&s->ways, g_array_unref);
  g_free (s);
}

static void
find_one (Finder *f, const PfsUnixSocket *socket, GPtrArray *found)
{
  g_auto (Place) place = { 0 };

  if (!locate (f, socket, &place))
    return;
  PfsSocket *s = g_new0 (PfsSocket, 1);
  s->inode = socket->inode;
  s->type = socket->type;
  s->outside = !place.main_path;
  s->holder = g_array_index (socket->holders, PfsSocketHolder, 0).process;
  s->ways = ways_to (f, socket, &place, &s->held_by_main);
  if (s->ways->len == 0) {
    socket_free (s);
    return;
  }
  s->path = place.main_path ? path_shown (f, socket, place.main_path)
                            : g_strdup (g_array_index (s->ways, PfsSocketWay, 0).physical + 1);
  g_ptr_array_add (found, s);
}

int
pfs_sockets_find (const PfsSocketScan *scan, GPtrArray *sockets, GPtrArray **ret)
{
  g_auto (Finder) f = { .scan = scan, .pidfd = -1 };
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (socket_free);

  int r = pfs_view_new (scan->main_fd, &f.main_view);
  if (r < 0)
    return r;
  f.views = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, view_free);
  f.seen = g_hash_table_new (NULL, NULL);
  f.guess = pfs_socket_guess_new (scan->proc_fd, scan->main_fd, f.main_view);
  for (guint i = 0; i < sockets->len; i++)
    find_one (&f, sockets->pdata[i], found);
  *ret = g_steal_pointer (&found);
  return 0;
}
