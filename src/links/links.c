/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folder of links, kept up to date.
 *
 * A container's folder is filled in STAGE, where no reader finds it. It gets its name in DIR, a link, after a scan that
 * still knows its main process by that pid. When the process ends, the name goes at once, before the kernel gives the
 * pid to another process. */
#include "peerfs/links/links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "folder.h"
#include "peer_links.h"
#include "peerfs/base/fd.h"

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

/* --- scans --- */

static void
say_taken (Links *links, const char *name, int r)
{
  if (!g_hash_table_add (links->warned, g_strdup (name)))
    return;
  g_autofree char *text = g_strdup_printf ("cannot make %s: %s; remove what is there", name, g_strerror (-r));
  links->warn (text);
}

static gboolean
has_ended (gpointer container, gpointer peer, gpointer data)
{
  (void) container, (void) data;
  return !pfs_process_alive (((PfsPeerLinks *) peer)->main);
}

/* A scan with these containers does not confirm it. */
static gboolean
is_stale (gpointer container, gpointer peer, gpointer containers)
{
  const PfsPeerLinks *links = peer;
  g_autofree char *name = pfs_container_name (container);

  return !g_ptr_array_find (containers, container, NULL) || strcmp (name, links->name) != 0
         || pfs_container_pid (container) != links->main->pid || !pfs_process_alive (links->main);
}

/* Returns true if any was added. */
static bool
stage_new (Links *links, GPtrArray *containers)
{
  bool any = false;

  for (guint i = 0; i < containers->len; i++) {
    PfsPeerLinks *peer;

    if (g_hash_table_contains (links->peers, containers->pdata[i]))
      continue;
    int r = pfs_peer_links_new (containers->pdata[i], links->dirfd, links->stage, &peer);
    g_autofree char *name = pfs_container_name (containers->pdata[i]);
    if (r == 0)
      g_hash_table_insert (links->peers, peer->container, peer);
    else if (r != -ESRCH)
      say_taken (links, name, r);
    any = any || r == 0;
  }
  return any;
}

/* *ret_more: another scan has to confirm what is new. */
static int
scan (Links *links, bool *ret_more)
{
  g_autoptr (GPtrArray) containers = NULL;
  bool sockets = links->scans++ % SOCKETS_SCANS == 0;
  GHashTableIter iter;
  gpointer peer;
  int r = pfs_table_list (links->table, &containers);

  if (r < 0)
    return r;
  /* All of them before others get their names. */
  g_hash_table_foreach_remove (links->peers, is_stale, containers);
  g_hash_table_iter_init (&iter, links->peers);
  while (g_hash_table_iter_next (&iter, NULL, &peer)) {
    r = pfs_peer_links_publish (peer);
    if (r < 0)
      say_taken (links, ((PfsPeerLinks *) peer)->name, r);
    pfs_peer_links_update (peer, sockets);
  }
  *ret_more = stage_new (links, containers);
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
  return fd < 0 ? -errno : pfs_folder_open (fd, name, 0755, ret);
}

static int
open_all (Links *links, const char *dir, char **ret_error)
{
  int r = open_dir (dir, &links->dirfd);
  if (r == -EPERM)
    return fail (ret_error, dir, "others may write to it; give a folder in it, which peerfs makes");
  if (r == -ELOOP)
    return fail (ret_error, dir, "a link is on the way, which others may have made; give the path without (realpath)");
  /* Others may follow names into it, but neither list nor lock it. */
  if (r == 0)
    r = pfs_folder_open (links->dirfd, PFS_STAGE, 0711, &links->stage);
  if (r == -EPERM)
    return fail (ret_error, dir, "its folder " PFS_STAGE " is not peerfs's; remove it");
  if (r < 0)
    return fail (ret_error, dir, g_strerror (-r));
  if (flock (links->stage, LOCK_EX | LOCK_NB) < 0)
    return fail (ret_error, dir, errno == EWOULDBLOCK ? "another peerfs does so" : g_strerror (errno));
  return 0;
}

/* Removes what a killed run left. */
static int
clear_old (const Links *links)
{
  g_autoptr (GPtrArray) names = pfs_folder_names (links->dirfd);
  g_autoptr (GPtrArray) folders = names ? pfs_folder_names (links->stage) : NULL;

  if (!folders)
    return -errno;
  for (guint i = 0; i < names->len; i++)
    pfs_peer_links_retract (links->dirfd, names->pdata[i]);
  for (guint i = 0; i < folders->len; i++)
    pfs_folder_remove (links->stage, folders->pdata[i]);
  return 0;
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

/* Sleeps for that time, or until a process that a link leads through has ended. Returns true if a signal came. */
static bool
sleep_until_news (Links *links, int signals, int ms)
{
  g_autoptr (GArray) fds = g_array_new (FALSE, FALSE, sizeof (struct pollfd));
  struct pollfd signal = { .fd = signals, .events = POLLIN };
  GHashTableIter iter;
  gpointer peer;

  g_array_append_val (fds, signal);
  g_hash_table_iter_init (&iter, links->peers);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    pfs_peer_links_poll (peer, fds);
  return poll ((struct pollfd *) (void *) fds->data, fds->len, ms) > 0 && g_array_index (fds, struct pollfd, 0).revents;
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
  bool more = false;

  if (open_all (&links, dir, ret_error) < 0)
    return -1;
  pfs_autofd signals = open_signals ();
  int r = signals < 0 ? -errno : clear_old (&links);
  while (r == 0) {
    g_hash_table_foreach_remove (links.peers, has_ended, NULL);
    r = scan (&links, &more);
    if (r == 0 && sleep_until_news (&links, signals, more ? 0 : SCAN_MS))
      break;
  }
  g_hash_table_remove_all (links.peers);
  pfs_folder_remove (links.dirfd, PFS_STAGE);
  return r < 0 ? fail (ret_error, dir, g_strerror (-r)) : 0;
}
