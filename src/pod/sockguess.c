/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A socket's name says where its file was when it was bound, as its process saw it then. Where it may be now is a list
 * of guesses, and each is believed only if the very file is there: the name as it is in the container; below the root
 * of a holder that has another one (bound after chroot); a relative one below where a holder or the main process is, or
 * where the holder was started (PWD); and in each of these directories under any name (bound as front.sock.558.tmp and
 * renamed to front.sock). Mounts that may not answer are not looked into. */
#include "sockguess.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "peerfs/base/name.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/environ.h"
#include "peerfs/proc/mountdev.h"

#define DIRS_MAX 64           /* kept open */
#define DIR_MAX 4096          /* entries read of one directory */
#define READ_MAX (256 * 1024) /* entries read of all directories */
#define ENVIRON_MAX (64 * 1024)

typedef struct {
  char *physical; /* NULL where it cannot be looked at */
  int fd;
  GHashTable *names; /* low 32 bits of a socket's inode -> name; NULL before it was read */
} Dir;

struct PfsSocketGuess {
  int proc_fd;
  int main_fd;
  const PfsView *view;
  PfsMountDevs *devs;
  GHashTable *dirs;   /* absolute path -> Dir */
  GHashTable *starts; /* "<pid>/cwd", "<pid>/root", "<pid>/environ" -> a path in the container, or NULL */
  guint entries_read;
};

static void
dir_free (gpointer data)
{
  Dir *dir = data;

  pfs_fd_cleanup (&dir->fd);
  g_clear_pointer (&dir->names, g_hash_table_unref);
  g_free (dir->physical);
  g_free (dir);
}

PfsSocketGuess *
pfs_socket_guess_new (int proc_fd, int main_fd, const PfsView *main_view)
{
  PfsSocketGuess *guess = g_new0 (PfsSocketGuess, 1);

  guess->proc_fd = proc_fd;
  guess->main_fd = main_fd;
  guess->view = main_view;
  guess->devs = pfs_mount_devs_new (main_fd);
  guess->dirs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, dir_free);
  guess->starts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return guess;
}

void
pfs_socket_guess_free (PfsSocketGuess *guess)
{
  pfs_mount_devs_free (guess->devs);
  g_hash_table_unref (guess->dirs);
  g_hash_table_unref (guess->starts);
  g_free (guess);
}

/* --- directories --- */

static Dir *
dir_get (PfsSocketGuess *guess, const char *path, size_t len)
{
  g_autofree char *key = len > 0 ? g_strndup (path, len) : g_strdup ("/");
  Dir *dir = g_hash_table_lookup (guess->dirs, key);

  if (dir)
    return dir;
  if (g_hash_table_size (guess->dirs) >= DIRS_MAX)
    g_hash_table_remove_all (guess->dirs);
  dir = g_new0 (Dir, 1);
  dir->fd = -1;
  if (pfs_inroot_physical (guess->view->root_fd, key, guess->view->remote, &dir->physical) == 0)
    dir->fd = pfs_inroot_open (guess->view->root_fd, dir->physical, O_PATH | O_DIRECTORY);
  g_hash_table_insert (guess->dirs, g_steal_pointer (&key), dir);
  return dir;
}

static bool
is_file_of (PfsSocketGuess *guess, const Dir *dir, const char *name, const PfsUnixSocket *socket)
{
  struct stat st;

  return fstatat (dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK (st.st_mode)
         && (uint32_t) st.st_ino == socket->file_inode
         && pfs_mount_devs_match (guess->devs, dir->fd, name, AT_SYMLINK_NOFOLLOW, st.st_dev, socket->file_dev);
}

static void
dir_read (PfsSocketGuess *guess, Dir *dir)
{
  guint budget = MIN (DIR_MAX, READ_MAX - guess->entries_read);
  struct stat st;

  dir->names = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  int fd = openat (dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir (fd);
  if (!stream) {
    pfs_fd_cleanup (&fd);
    return;
  }
  struct dirent *entry;
  while (budget > 0 && (entry = readdir (stream))) {
    budget--;
    guess->entries_read++;
    if ((entry->d_type == DT_SOCK || entry->d_type == DT_UNKNOWN)
        && fstatat (dir->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK (st.st_mode))
      g_hash_table_insert (dir->names, GUINT_TO_POINTER ((guint32) st.st_ino), g_strdup (entry->d_name));
  }
  closedir (stream);
}

/* The socket's name in the directory of path now, or NULL. */
static const char *
current_name (PfsSocketGuess *guess, Dir *dir, const char *base, const PfsUnixSocket *socket)
{
  if (pfs_name_valid (base) && is_file_of (guess, dir, base, socket))
    return base;
  if (!dir->names)
    dir_read (guess, dir);
  const char *name = g_hash_table_lookup (dir->names, GUINT_TO_POINTER (socket->file_inode));
  return name && is_file_of (guess, dir, name, socket) ? name : NULL;
}

static char *
path_of (const Dir *dir, const char *name)
{
  return g_strconcat (dir->physical, dir->physical[1] ? "/" : "", name, NULL);
}

static bool
try_path (PfsSocketGuess *guess, const PfsUnixSocket *socket, const char *path, char **ret_path, uint64_t *ret_mount)
{
  const char *slash = strrchr (path, '/');
  struct statx st;

  if (!slash)
    return false;
  Dir *dir = dir_get (guess, path, (size_t) (slash - path));
  const char *name = dir->fd >= 0 ? current_name (guess, dir, slash + 1, socket) : NULL;
  if (!name || statx (dir->fd, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0)
    return false;
  *ret_path = path_of (dir, name);
  *ret_mount = st.stx_mnt_id;
  return true;
}

/* --- where it may be --- */

/* What a link of a process says, as a path in the container. */
static char *
start_of_link (const PfsSocketGuess *guess, int dir_fd, const char *name)
{
  g_autofree char *text = NULL;

  return pfs_readlink_at (dir_fd, name, &text) == 0 ? g_strdup (pfs_view_below (guess->view, text)) : NULL;
}

static char *
start_of_environ (const PfsSocketGuess *guess, const char *name)
{
  g_autoptr (GBytes) content = NULL;
  gsize len;

  if (pfs_read_prefix_at (guess->proc_fd, name, ENVIRON_MAX, &content) < 0)
    return NULL;
  g_autoptr (PfsEnviron) env = pfs_environ_parse (content);
  const char *value = pfs_environ_value (env, "PWD", &len);
  return value && len > 0 && value[0] == '/' ? g_strndup (value, len) : NULL;
}

static const char *
start (PfsSocketGuess *guess, pid_t pid, const char *file)
{
  g_autofree char *name = g_strdup_printf ("%d/%s", (int) pid, file);
  gpointer found;

  if (!g_hash_table_lookup_extended (guess->starts, name, NULL, &found)) {
    bool environ = strcmp (file, "environ") == 0;
    found = environ ? start_of_environ (guess, name) : start_of_link (guess, guess->proc_fd, name);
    g_hash_table_insert (guess->starts, g_steal_pointer (&name), found);
  }
  return found;
}

static bool
try_below (PfsSocketGuess *guess, const PfsUnixSocket *socket, const char *dir, char **ret_path, uint64_t *ret_mount)
{
  if (!dir)
    return false;
  g_autofree char *path = g_strconcat (dir, "/", socket->path, NULL);
  return try_path (guess, socket, path, ret_path, ret_mount);
}

bool
pfs_socket_guess_file (PfsSocketGuess *guess, const PfsUnixSocket *socket, char **ret_path, uint64_t *ret_mount)
{
  static const char *const relative_to[] = { "cwd", "environ", NULL }, *const absolute_to[] = { "root", NULL };
  bool absolute = socket->path[0] == '/';

  if (absolute && try_path (guess, socket, socket->path, ret_path, ret_mount))
    return true;
  for (guint i = 0; i < socket->holders->len; i++) {
    pid_t pid = g_array_index (socket->holders, PfsSocketHolder, i).process.pid;
    for (const char *const *file = absolute ? absolute_to : relative_to; *file; file++)
      if (try_below (guess, socket, start (guess, pid, *file), ret_path, ret_mount))
        return true;
  }
  g_autofree char *cwd = absolute ? NULL : start_of_link (guess, guess->main_fd, "cwd");
  return try_below (guess, socket, cwd, ret_path, ret_mount);
}

bool
pfs_socket_guess_leads (PfsSocketGuess *guess, const char *path, const char *physical)
{
  const char *slash = strrchr (path, '/');
  const Dir *dir = slash ? dir_get (guess, path, (size_t) (slash - path)) : NULL;

  if (!dir || !dir->physical)
    return false;
  g_autofree char *found = path_of (dir, slash + 1);
  return strcmp (found, physical) == 0;
}
