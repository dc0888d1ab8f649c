/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A socket's name says where its file was when it was bound, as its process saw it then. Where it may be now is a list
 * of guesses, and each is believed only if the very file is there: sun_path as it is in the container; below the root
 * of a holder that has another one (bound after chroot); below the cwd of a holder where it is relative; and in each of
 * these directories under any name (bound as front.sock.558.tmp and renamed to front.sock). The guesses are sorted by
 * directory, so each directory is opened, and if need be read, once. */
#include "sockfind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "peerfs/base/name.h"
#include "peerfs/base/read.h"
#include "peerfs/proc/mountdev.h"
#include "peerfs/proc/sockets.h"

#define HOLDERS_MAX 8           /* whose cwd and root are tried for one socket */
#define DIR_MAX 4096            /* entries read of one directory */
#define READ_MAX (256 * 1024)   /* entries read of all directories */

typedef struct {
  const PfsUnixSocket *socket;
  guint index;                  /* of the socket */
  char *dir;                    /* in the container, absolute */
  char *base;
  bool as_bound;
} Guess;

typedef struct {
  const PfsSocketScan *scan;
  PfsMountDevs *devs;
  int root_fd;
  char *root_text;              /* the container's root as /proc prints it; "" for "/" */
  GArray *guesses;
  GPtrArray *found;             /* of PfsSocket */
  GHashTable *done;             /* indexes of sockets found */
  GHashTable *starts;           /* "<pid>/cwd", "<pid>/root" -> holder_path() or NULL */
  guint entries_read;

  char *dir;                    /* the directory at hand */
  int dir_fd;
  char *physical;
  GPtrArray *names;             /* of its sockets; NULL before it was read */
  GHashTable *by_inode;         /* low 32 bits -> name, borrowed from names */
} Finder;

static void
guess_clear (gpointer data)
{
  Guess *guess = data;

  g_free (guess->dir);
  g_free (guess->base);
}

static void
dir_leave (Finder *f)
{
  pfs_fd_cleanup (&f->dir_fd);
  f->dir_fd = -1;
  g_clear_pointer (&f->dir, g_free);
  g_clear_pointer (&f->physical, g_free);
  g_clear_pointer (&f->names, g_ptr_array_unref);
  g_clear_pointer (&f->by_inode, g_hash_table_unref);
}

static void
finder_clear (Finder *f)
{
  dir_leave (f);
  pfs_fd_cleanup (&f->root_fd);
  g_clear_pointer (&f->devs, pfs_mount_devs_free);
  g_clear_pointer (&f->guesses, g_array_unref);
  g_clear_pointer (&f->found, g_ptr_array_unref);
  g_clear_pointer (&f->done, g_hash_table_unref);
  g_clear_pointer (&f->starts, g_hash_table_unref);
  g_free (f->root_text);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Finder, finder_clear)

static void
socket_free (gpointer data)
{
  PfsSocket *s = data;

  g_free (s->path);
  g_free (s->physical);
  g_free (s);
}

/* --- guesses --- */

static void
add_guess (Finder *f, const PfsUnixSocket *socket, guint index, char *path, bool as_bound)
{
  g_autofree char *owned = path;
  char *slash = strrchr (path, '/');

  if (!slash || !pfs_name_valid (slash + 1))
    return;
  Guess guess = {
    .socket = socket,
    .index = index,
    .dir = slash == path ? g_strdup ("/") : g_strndup (path, (gsize) (slash - path)),
    .base = g_strdup (slash + 1),
    .as_bound = as_bound,
  };
  g_array_append_val (f->guesses, guess);
}

/* The path within the container that a holder's cwd or root has, as the kernel prints it: from the root of the mount
 * namespace, which may be above the container's root. NULL where it is outside, or only looks like a path. */
static char *
holder_path (Finder *f, const char *name)
{
  g_autofree char *text = NULL;
  struct stat shown, meant;
  size_t len = strlen (f->root_text);

  if (pfs_readlink_at (f->scan->proc_fd, name, &text) < 0 || strncmp (text, f->root_text, len) != 0
      || text[len] != (text[len] ? '/' : '\0') || text[0] != '/')
    return NULL;
  /* It may be deleted, or be in another mount namespace. */
  pfs_autofd fd = pfs_inroot_open (f->root_fd, text + len, O_PATH | O_DIRECTORY);
  if (fd < 0 || fstat (fd, &shown) < 0 || fstatat (f->scan->proc_fd, name, &meant, 0) < 0
      || shown.st_ino != meant.st_ino || shown.st_dev != meant.st_dev)
    return NULL;
  const char *inside = text + len;
  return g_strdup (inside[0] && inside[1] ? inside : "");
}

static const char *
holder_start (Finder *f, pid_t pid, const char *link)
{
  char *name = g_strdup_printf ("%d/%s", (int) pid, link);
  gpointer start;

  if (g_hash_table_lookup_extended (f->starts, name, NULL, &start)) {
    g_free (name);
  } else {
    start = holder_path (f, name);
    g_hash_table_insert (f->starts, name, start);
  }
  return start;
}

static void
guess_socket (Finder *f, const PfsUnixSocket *socket, guint index)
{
  bool absolute = socket->path[0] == '/';

  if (absolute)
    add_guess (f, socket, index, g_strdup (socket->path), true);
  for (guint i = 0; i < socket->holders->len && i < HOLDERS_MAX; i++) {
    pid_t pid = g_array_index (socket->holders, pid_t, i);
    const char *start = holder_start (f, pid, absolute ? "root" : "cwd");
    if (start && (!absolute || *start))
      add_guess (f, socket, index, g_strconcat (start, absolute ? "" : "/", socket->path, NULL), false);
  }
}

static int
guess_order (gconstpointer a, gconstpointer b)
{
  const Guess *x = a, *y = b;
  int r = strcmp (x->dir, y->dir);

  if (r == 0)
    r = y->as_bound - x->as_bound;
  return r ? r : strcmp (x->base, y->base);
}

/* --- files --- */

static int
dir_enter (Finder *f, const char *dir)
{
  g_autofree char *physical = NULL;

  if (f->dir && strcmp (f->dir, dir) == 0)
    return f->dir_fd >= 0 ? 0 : -ENOENT;
  dir_leave (f);
  f->dir = g_strdup (dir);
  int r = pfs_inroot_physical_avoiding (f->root_fd, dir, pfs_mount_devs_own (f->devs), &physical);
  if (r < 0)
    return r;
  int fd = pfs_inroot_open (f->root_fd, physical, O_PATH | O_DIRECTORY);
  if (fd < 0)
    return fd;
  f->dir_fd = fd;
  f->physical = g_steal_pointer (&physical);
  return 0;
}

static bool
is_socket_file (Finder *f, const char *name, const PfsUnixSocket *socket)
{
  struct stat st;

  if (fstatat (f->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK (st.st_mode))
    return false;
  if (!socket->has_file)
    return true;
  return (uint32_t) st.st_ino == socket->file_inode
         && pfs_mount_devs_match (f->devs, f->dir_fd, name, AT_SYMLINK_NOFOLLOW, st.st_dev, socket->file_dev);
}

static void
dir_read (Finder *f)
{
  guint budget = MIN (DIR_MAX, READ_MAX - f->entries_read);
  struct stat st;

  f->names = g_ptr_array_new_with_free_func (g_free);
  f->by_inode = g_hash_table_new (NULL, NULL);
  int fd = openat (f->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (!dir) {
    pfs_fd_cleanup (&fd);
    return;
  }
  struct dirent *entry;
  while (budget > 0 && (entry = readdir (dir))) {
    budget--;
    f->entries_read++;
    if ((entry->d_type != DT_SOCK && entry->d_type != DT_UNKNOWN)
        || fstatat (f->dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK (st.st_mode))
      continue;
    char *name = g_strdup (entry->d_name);
    g_ptr_array_add (f->names, name);
    g_hash_table_insert (f->by_inode, GUINT_TO_POINTER ((guint32) st.st_ino), name);
  }
  closedir (dir);
}

/* The name in the directory at hand that the socket's file has now, or NULL. */
static const char *
current_name (Finder *f, const Guess *guess)
{
  if (is_socket_file (f, guess->base, guess->socket))
    return guess->base;
  if (!guess->socket->has_file)
    return NULL;
  if (!f->names)
    dir_read (f);
  const char *name = g_hash_table_lookup (f->by_inode, GUINT_TO_POINTER (guess->socket->file_inode));
  return name && is_socket_file (f, name, guess->socket) ? name : NULL;
}

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

static void
try_guess (Finder *f, const Guess *guess)
{
  if (g_hash_table_contains (f->done, GUINT_TO_POINTER (guess->index + 1)) || dir_enter (f, guess->dir) < 0)
    return;
  const char *name = current_name (f, guess);
  if (!name)
    return;
  char *physical = g_strconcat (f->physical, f->physical[1] ? "/" : "", name, NULL);
  char *path = lexical_path (guess->as_bound && name == guess->base ? guess->socket->path : physical);
  PfsSocket *s = g_new0 (PfsSocket, 1);
  s->path = path ? path : g_strdup (name);
  s->physical = physical;
  s->type = guess->socket->type;
  g_ptr_array_add (f->found, s);
  g_hash_table_add (f->done, GUINT_TO_POINTER (guess->index + 1));
}

int
pfs_sockets_find (const PfsSocketScan *scan, GPtrArray *sockets, GPtrArray **ret)
{
  g_auto (Finder) f = { .scan = scan, .root_fd = -1, .dir_fd = -1 };

  f.root_fd = openat (scan->main_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (f.root_fd < 0)
    return errno == ENOENT ? -ESRCH : -errno;
  int r = pfs_readlink_at (scan->main_fd, "root", &f.root_text);
  if (r < 0)
    return r == -ENOENT ? -ESRCH : r;
  if (strcmp (f.root_text, "/") == 0)
    f.root_text[0] = '\0';
  f.devs = pfs_mount_devs_new (scan->main_fd);
  f.guesses = g_array_new (FALSE, FALSE, sizeof (Guess));
  g_array_set_clear_func (f.guesses, guess_clear);
  f.found = g_ptr_array_new_with_free_func (socket_free);
  f.done = g_hash_table_new (NULL, NULL);
  f.starts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  for (guint i = 0; i < sockets->len; i++)
    guess_socket (&f, sockets->pdata[i], i);
  g_array_sort (f.guesses, guess_order);
  for (guint i = 0; i < f.guesses->len; i++)
    try_guess (&f, &g_array_index (f.guesses, Guess, i));
  *ret = g_steal_pointer (&f.found);
  return 0;
}
