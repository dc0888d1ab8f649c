/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folder of links, kept up to date.
 *
 * A container's folder is filled in STAGE, which no reader looks at. It gets its name by one rename(2), after a scan
 * that still knows its main process by that pid. When the process ends, the name goes by one rename(2) too, before the
 * kernel gives the pid to another process. */
#include "peerfs/links/links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "folder.h"
#include "peer_links.h"
#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"

#define STAGE ".peerfs" /* our own folder: new and old folders of containers */
#define GONE ".gone"    /* an old one in it */
#define SCAN_MS 200
#define SOCKETS_SCANS 5u /* one of so many scans looks at sockets/ */

typedef struct {
  PfsTable *table;
  void (*warn) (const char *text);
  int dirfd, stage;
  GHashTable *peers;  /* PfsContainer -> PfsPeerLinks, which has the reference */
  GHashTable *warned; /* names that others have taken */
  guint scans;
} Links;

/* --- names in DIR --- */

/* Does the folder have our mark of that name? A copy of it, or one that somebody else made, has not. */
static bool
is_ours (Links *links, const char *name)
{
  g_autofree char *mark = g_strconcat (name, "/" PFS_PEER_LINKS_MARK, NULL);
  g_autofree char *marked = NULL;

  return pfs_readlink_at (links->dirfd, mark, &marked) == 0 && g_str_equal (marked, name);
}

/* Moves the name into STAGE and removes it there, if it is a folder that we made. */
static void
retract (const char *name, gpointer data)
{
  Links *links = data;

  if (is_ours (links, name) && renameat (links->dirfd, name, links->stage, GONE) == 0)
    pfs_folder_remove (links->stage, GONE);
}

static int
publish (Links *links, PfsPeerLinks *peer)
{
  peer->published = renameat2 (links->stage, peer->name, links->dirfd, peer->name, RENAME_NOREPLACE) == 0;
  return peer->published ? 0 : -errno;
}

static void
say_taken (Links *links, const char *name, int r)
{
  if (g_hash_table_contains (links->warned, name))
    return;
  g_hash_table_add (links->warned, g_strdup (name));
  g_autofree char *text = g_strdup_printf ("cannot make %s: %s; remove what is there", name, g_strerror (-r));
  links->warn (text);
}

/* --- scans --- */

static bool
is_confirmed (const PfsPeerLinks *peer, GPtrArray *containers)
{
  g_autofree char *name = pfs_container_name (peer->container);

  return g_ptr_array_find (containers, peer->container, NULL) && strcmp (name, peer->name) == 0
         && !pfs_container_ended (peer->container) && pfs_process_alive (peer->main)
         && pfs_container_pid (peer->container) == peer->main->pid;
}

/* Removes those that a scan with these containers does not confirm, before others get their names. NULL: those that
 * have ended. */
static void
drop_stale (Links *links, GPtrArray *containers)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, links->peers);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    PfsPeerLinks *peer = value;

    if (containers ? is_confirmed (peer, containers) : pfs_process_alive (peer->main))
      continue;
    if (peer->published)
      retract (peer->name, links);
    else
      pfs_folder_remove (links->stage, peer->name);
    g_hash_table_iter_remove (&iter);
  }
}

/* Returns true if any was added. */
static bool
stage_new (Links *links, GPtrArray *containers)
{
  bool any = false;

  for (guint i = 0; i < containers->len; i++) {
    PfsPeerLinks *peer;
    g_autofree char *name = pfs_container_name (containers->pdata[i]);

    if (g_hash_table_contains (links->peers, containers->pdata[i]) || g_str_equal (name, STAGE)
        || g_str_equal (name, GONE))
      continue;
    int r = pfs_peer_links_new (containers->pdata[i], links->stage, name, &peer);
    if (r == 0)
      g_hash_table_insert (links->peers, peer->container, peer);
    else if (r != -ESRCH)
      say_taken (links, name, r);
    any = any || r == 0;
  }
  return any;
}

static void
publish_staged (Links *links)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, links->peers);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    PfsPeerLinks *peer = value;
    int r = peer->published ? 0 : publish (links, peer);

    if (r < 0) {
      say_taken (links, peer->name, r);
      pfs_folder_remove (links->stage, peer->name);
      g_hash_table_iter_remove (&iter);
    }
  }
}

static int
scan (Links *links)
{
  g_autoptr (GPtrArray) containers = NULL;
  g_autoptr (GPtrArray) again = NULL;
  bool sockets = links->scans++ % SOCKETS_SCANS == 0;
  GHashTableIter iter;
  gpointer peer;
  int r = pfs_table_list (links->table, &containers);

  if (r < 0)
    return r;
  drop_stale (links, containers);
  g_hash_table_iter_init (&iter, links->peers);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    pfs_peer_links_update (peer, sockets);
  if (!stage_new (links, containers))
    return 0;
  r = pfs_table_list (links->table, &again);
  if (r < 0)
    return r;
  drop_stale (links, again);
  publish_staged (links);
  return 0;
}

/* --- the folder itself --- */

static int
fail (char **ret_error, const char *dir, const char *what)
{
  *ret_error = g_strdup_printf ("cannot keep links in %s: %s", dir, what);
  return -1;
}

/* No link on the way is followed, and a '/' at the end would have the last one followed: DIR is in a volume that peers
 * share, as a rule, and a link of theirs would lead to another folder of ours. */
static int
open_dir (const char *dir, int *ret)
{
  struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
  g_autofree char *path = g_strdup (dir);

  for (size_t len = strlen (path); len > 1 && path[len - 1] == '/'; len--)
    path[len - 1] = '\0';
  g_autofree char *above = g_path_get_dirname (path), *name = g_path_get_basename (path);
  pfs_autofd fd = (int) syscall (SYS_openat2, AT_FDCWD, above, &how, sizeof how);
  return fd < 0 ? -errno : pfs_folder_open (fd, name, false, ret);
}

static int
open_all (Links *links, const char *dir, char **ret_error)
{
  int r = open_dir (dir, &links->dirfd);
  if (r == -EPERM)
    return fail (ret_error, dir, "others may write to it; give a folder in it, which peerfs makes");
  if (r == -ELOOP)
    return fail (ret_error, dir, "a link is on the way, which others may have made; give the path without (realpath)");
  if (r == 0)
    r = pfs_folder_open (links->dirfd, STAGE, true, &links->stage);
  if (r == -EPERM)
    return fail (ret_error, dir, "its folder " STAGE " is not peerfs's; remove it");
  if (r < 0)
    return fail (ret_error, dir, g_strerror (-r));
  if (flock (links->stage, LOCK_EX | LOCK_NB) < 0)
    return fail (ret_error, dir, errno == EWOULDBLOCK ? "another peerfs does so" : g_strerror (errno));
  return 0;
}

static void
clear_all (Links *links)
{
  g_hash_table_remove_all (links->peers);
  pfs_folder_foreach (links->dirfd, retract, links);
}

static void
remove_staged (const char *name, gpointer data)
{
  pfs_folder_remove (((Links *) data)->stage, name);
}

static int
open_signals (void)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGTERM);
  sigaddset (&set, SIGINT);
  sigaddset (&set, SIGHUP);
  sigprocmask (SIG_BLOCK, &set, NULL);
  return signalfd (-1, &set, SFD_CLOEXEC);
}

/* Sleeps until it is time for a scan, or a process that a link leads through has ended. Returns true if a signal
 * came. */
static bool
sleep_until_news (Links *links, int signals)
{
  g_autoptr (GArray) fds = g_array_new (FALSE, FALSE, sizeof (struct pollfd));
  struct pollfd signal = { .fd = signals, .events = POLLIN };
  GHashTableIter iter;
  gpointer peer;

  g_array_append_val (fds, signal);
  g_hash_table_iter_init (&iter, links->peers);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    pfs_peer_links_poll (peer, fds);
  return poll ((struct pollfd *) (void *) fds->data, fds->len, SCAN_MS) > 0
         && g_array_index (fds, struct pollfd, 0).revents;
}

static void
close_all (Links *links)
{
  g_hash_table_unref (links->peers);
  g_hash_table_unref (links->warned);
  pfs_fd_cleanup (&links->stage);
  pfs_fd_cleanup (&links->dirfd);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Links, close_all)

int
pfs_links_run (PfsTable *table, const char *dir, void (*warn) (const char *text), char **ret_error)
{
  g_auto (Links) links = {
    .table = table,
    .warn = warn,
    .dirfd = -1,
    .stage = -1,
    .peers = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) pfs_peer_links_free),
    .warned = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL),
  };
  int r = 0;

  if (open_all (&links, dir, ret_error) < 0)
    return -1;
  pfs_autofd signals = open_signals ();
  if (signals < 0)
    return fail (ret_error, dir, g_strerror (errno));
  clear_all (&links);
  pfs_folder_foreach (links.stage, remove_staged, &links);
  do {
    drop_stale (&links, NULL);
    r = scan (&links);
  } while (r == 0 && !sleep_until_news (&links, signals));
  clear_all (&links);
  pfs_folder_remove (links.dirfd, STAGE);
  return r < 0 ? fail (ret_error, dir, g_strerror (-r)) : 0;
}
