/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A socket's name is the path of its file at bind(2), as its process saw it then. The guesses are:
 * - that path in the container;
 * - that path below the root of a holder (bound after chroot);
 * - a relative path below the working directory of a holder or of the main process, or below a holder's PWD;
 * - any name in each of these directories (bound as front.sock.558.tmp and renamed to front.sock).
 * A guess is believed only if the very file is there. Mounts that may not answer are not looked into. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "peerfs/base/name.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/environ.h"
#include "sock.h"

#define DIRS_MAX 64           /* kept open */
#define DIR_MAX 4096          /* entries read of one directory */
#define READ_MAX (256 * 1024) /* entries read of all directories */
#define ENVIRON_MAX (64 * 1024)

typedef struct {
  char *physical; /* NULL if it cannot be looked at */
  int fd;
  GHashTable *names; /* low 32 bits of a socket's inode -> name; NULL before it was read */
} Dir;

static void
dir_free (gpointer data)
{
  Dir *dir = data;

  pfs_fd_cleanup (&dir->fd);
  g_clear_pointer (&dir->names, g_hash_table_unref);
  g_free (dir->physical);
  g_free (dir);
}

static const PfsView *
main_view (const PfsSocketFinder *finder)
{
  return finder->views->pdata[0];
}

/* --- directories --- */

/* The directory of an absolute path. */
static Dir *
dir_of (PfsSocketFinder *finder, const char *path)
{
  size_t len = (size_t) (strrchr (path, '/') - path);
  g_autofree char *key = len > 0 ? g_strndup (path, len) : g_strdup ("/");

  if (!finder->dirs)
    finder->dirs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, dir_free);
  Dir *dir = g_hash_table_lookup (finder->dirs, key);
  if (dir)
    return dir;
  if (g_hash_table_size (finder->dirs) >= DIRS_MAX)
    g_hash_table_remove_all (finder->dirs);
  dir = g_new0 (Dir, 1);
  dir->fd = -1;
  int r = pfs_inroot_physical (main_view (finder)->root_fd, key, main_view (finder)->remote, &dir->physical);
  if (r == 0)
    r = dir->fd = pfs_inroot_open (main_view (finder)->root_fd, dir->physical, O_PATH | O_DIRECTORY);
  pfs_socket_note_shortage (finder, r);
  g_hash_table_insert (finder->dirs, g_steal_pointer (&key), dir);
  return dir;
}

/* stat(2) may give another device than that of the superblock, which mountinfo tells. */
static bool
is_file_of (PfsSocketFinder *finder, const Dir *dir, const char *name, const PfsUnixSocket *socket, uint64_t *ret_mount)
{
  const unsigned int mask = STATX_TYPE | STATX_INO | STATX_MNT_ID;
  struct statx st;

  if (statx (dir->fd, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, mask, &st) < 0 || !S_ISSOCK (st.stx_mode)
      || (uint32_t) st.stx_ino != socket->file_inode)
    return false;
  gpointer device = g_hash_table_lookup (main_view (finder)->devices, (gpointer) (uintptr_t) st.stx_mnt_id);
  *ret_mount = st.stx_mnt_id;
  return makedev (st.stx_dev_major, st.stx_dev_minor) == socket->file_dev || (uintptr_t) device == socket->file_dev;
}

static void
dir_read (PfsSocketFinder *finder, Dir *dir)
{
  guint budget = MIN (DIR_MAX, READ_MAX - finder->entries_read);
  struct dirent *entry;
  struct stat st;

  dir->names = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  int fd = openat (dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir (fd);
  if (!stream) {
    pfs_socket_note_shortage (finder, -errno);
    pfs_fd_cleanup (&fd);
    return;
  }
  for (; budget > 0 && (entry = readdir (stream)); budget--, finder->entries_read++)
    if ((entry->d_type == DT_SOCK || entry->d_type == DT_UNKNOWN)
        && fstatat (dir->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK (st.st_mode))
      g_hash_table_insert (dir->names, GUINT_TO_POINTER ((guint32) st.st_ino), g_strdup (entry->d_name));
  closedir (stream);
}

static char *
path_in (const Dir *dir, const char *name)
{
  return g_strconcat (dir->physical, dir->physical[1] ? "/" : "", name, NULL);
}

/* Is the socket's file at path (in the container, absolute) or beside that? */
static bool
is_at (PfsSocketFinder *finder, const PfsUnixSocket *socket, const char *path, char **ret_path, uint64_t *ret_mount)
{
  const char *name = strrchr (path, '/') + 1;
  Dir *dir = dir_of (finder, path);

  if (dir->fd < 0)
    return false;
  if (!pfs_name_valid (name) || !is_file_of (finder, dir, name, socket, ret_mount)) {
    if (!dir->names)
      dir_read (finder, dir);
    name = g_hash_table_lookup (dir->names, GUINT_TO_POINTER (socket->file_inode));
    if (!name || !is_file_of (finder, dir, name, socket, ret_mount))
      return false;
  }
  *ret_path = path_in (dir, name);
  return true;
}

/* --- where it may be --- */

/* What "<pid>/cwd", "<pid>/root", or PWD in "<pid>/environ" says, as a path in the container. */
static char *
start_of (PfsSocketFinder *finder, const char *name)
{
  g_autoptr (GBytes) content = NULL;
  g_autofree char *text = NULL;
  gsize len;

  if (!g_str_has_suffix (name, "/environ"))
    return pfs_readlink_at (finder->scan->proc_fd, name, &text) == 0
               ? g_strdup (pfs_view_below (main_view (finder), text))
               : NULL;
  int r = pfs_read_prefix_at (finder->scan->proc_fd, name, ENVIRON_MAX, &content);
  pfs_socket_note_shortage (finder, r);
  if (r < 0)
    return NULL;
  g_autoptr (PfsEnviron) env = pfs_environ_parse (content);
  const char *value = pfs_environ_value (env, "PWD", &len);
  return value && len > 0 && value[0] == '/' ? g_strndup (value, len) : NULL;
}

/* Is it below what that file of the process names? */
static bool
is_below (PfsSocketFinder *finder, const PfsUnixSocket *socket, pid_t pid, const char *file, char **ret_path,
          uint64_t *ret_mount)
{
  g_autofree char *name = g_strdup_printf ("%d/%s", (int) pid, file);
  gpointer start;

  if (!g_hash_table_lookup_extended (finder->starts, name, NULL, &start)) {
    start = start_of (finder, name);
    g_hash_table_insert (finder->starts, g_steal_pointer (&name), start);
  }
  g_autofree char *path = start ? g_strconcat (start, "/", socket->path, NULL) : NULL;
  return path && is_at (finder, socket, path, ret_path, ret_mount);
}

bool
pfs_socket_guess_file (PfsSocketFinder *finder, const PfsUnixSocket *socket, char **ret_path, uint64_t *ret_mount)
{
  bool absolute = socket->path[0] == '/';

  if (absolute && is_at (finder, socket, socket->path, ret_path, ret_mount))
    return true;
  for (guint i = 0; i < socket->holders->len; i++) {
    pid_t pid = g_array_index (socket->holders, PfsSocketHolder, i).process.pid;
    if (is_below (finder, socket, pid, absolute ? "root" : "cwd", ret_path, ret_mount)
        || (!absolute && is_below (finder, socket, pid, "environ", ret_path, ret_mount)))
      return true;
  }
  return !absolute && is_below (finder, socket, finder->scan->main_pid, "cwd", ret_path, ret_mount);
}

bool
pfs_socket_guess_leads (PfsSocketFinder *finder, const char *path, const char *physical)
{
  const Dir *dir = dir_of (finder, path);
  g_autofree char *found = dir->physical ? path_in (dir, strrchr (path, '/') + 1) : NULL;

  return g_strcmp0 (found, physical) == 0;
}
