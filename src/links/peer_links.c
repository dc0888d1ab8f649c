/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer_links.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "folder.h"
#include "peerfs/base/fd.h"
#include "peerfs/pod/sockets.h"

#define PIDS_MAX 4096u    /* links in one pids/ */
#define HOLDERS_MAX 64u   /* processes of one container that are watched for their end, */
#define HOLDER_FD_MAX 768 /* while there are descriptors left */

static char *
target_through (const PfsPeerLinks *links, pid_t pid, const char *below)
{
  return g_strdup_printf ("%s/%d%s", links->container->proc->path, (int) pid, below);
}

/* --- what stays the same --- */

static int
put_process_link (PfsPeerLinks *links, const char *name, const char *below)
{
  g_autofree char *target = target_through (links, links->main->pid, below);
  return pfs_folder_put_link (links->dirfd, name, target);
}

static int
fill (PfsPeerLinks *links)
{
  g_autofree char *id = g_strconcat (links->container->cgroup.id, "\n", NULL);
  g_autofree char *pid = g_strdup_printf ("%d\n", (int) links->main->pid);
  int r = pfs_folder_put_link (links->dirfd, PFS_PEER_LINKS_MARK, links->name);

  if (r == 0)
    r = pfs_folder_put_text (links->dirfd, "id", id);
  if (r == 0)
    r = pfs_folder_put_text (links->dirfd, "pid", pid);
  if (r == 0)
    r = put_process_link (links, "root", "/root");
  if (r == 0)
    r = put_process_link (links, "proc", "");
  return r;
}

/* --- pids/ and sockets/ --- */

/* path -> target */
static GHashTable *
link_set_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

/* Makes the folder have the links of wanted (taken over) and no others; *have are those it has. Returns the first
 * failure, and leaves out what failed: it is tried again the next time. *have stays if the folder cannot be opened. */
static int
update_folder (PfsPeerLinks *links, const char *name, GHashTable **have, GHashTable *wanted)
{
  g_autoptr (GHashTable) unused = wanted;
  GHashTableIter iter;
  gpointer path, target;
  int fd = -1;
  int result = pfs_folder_open (links->dirfd, name, false, &fd);
  pfs_autofd dirfd = fd;

  if (result < 0)
    return result;
  g_autoptr (GHashTable) before = *have;
  *have = g_steal_pointer (&unused);
  g_hash_table_iter_init (&iter, before);
  while (g_hash_table_iter_next (&iter, &path, NULL))
    if (!g_hash_table_contains (wanted, path))
      pfs_folder_remove_link_below (dirfd, path);
  g_hash_table_iter_init (&iter, wanted);
  while (g_hash_table_iter_next (&iter, &path, &target)) {
    bool there = g_strcmp0 (g_hash_table_lookup (before, path), target) == 0;
    int r = there ? 0 : pfs_folder_put_link_below (dirfd, path, target);
    if (r < 0)
      g_hash_table_iter_remove (&iter);
    result = result < 0 ? result : r;
  }
  return result;
}

static int
update_pids (PfsPeerLinks *links)
{
  g_autoptr (GArray) pids = pfs_container_pids (links->container);
  GHashTable *wanted = link_set_new ();

  for (guint i = 0; i < pids->len && i < PIDS_MAX; i++) {
    pid_t pid = g_array_index (pids, pid_t, i);
    g_hash_table_insert (wanted, g_strdup_printf ("%d", (int) pid), target_through (links, pid, ""));
  }
  return update_folder (links, "pids", &links->pids, wanted);
}

/* True if a link may lead through the process. It is watched from then on, if there is room. */
static bool
holder_lives (const PfsPeerLinks *links, GPtrArray *holders, const PfsProcessId *process)
{
  g_autoptr (PfsProcess) pin = NULL;

  if (process->pid == links->main->pid)
    return true;
  for (guint i = 0; i < holders->len; i++) {
    const PfsProcess *holder = holders->pdata[i];
    if (holder->pid == process->pid && pfs_process_alive (holder))
      return true;
  }
  int r = pfs_process_open (links->container->proc, process->pid, process->start_time, &pin);
  if (r == 0 && pin->pidfd < HOLDER_FD_MAX && holders->len < HOLDERS_MAX)
    g_ptr_array_add (holders, g_steal_pointer (&pin));
  return r != -ESRCH;
}

static char *
socket_target (const PfsPeerLinks *links, GPtrArray *holders, const PfsSocket *socket)
{
  for (guint i = 0; i < socket->ways->len; i++) {
    const PfsSocketWay *way = &g_array_index (socket->ways, PfsSocketWay, i);
    g_autofree char *below = g_strconcat ("/root", way->physical, NULL);
    if (holder_lives (links, holders, &way->process))
      return target_through (links, way->process.pid, below);
  }
  return NULL;
}

/* Adds a link for each socket, and one for its short name, if no other path begins with that. */
static void
add_sockets (const PfsPeerLinks *links, GPtrArray *holders, GPtrArray *sockets, GHashTable *wanted)
{
  g_autoptr (GHashTable) tops = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < sockets->len; i++) {
    const PfsSocket *socket = sockets->pdata[i];
    char *target = socket_target (links, holders, socket);
    if (target)
      g_hash_table_insert (wanted, g_strdup (socket->path), target);
    g_hash_table_add (tops, g_strndup (socket->path, strcspn (socket->path, "/")));
  }
  for (guint i = 0; i < sockets->len; i++) {
    const PfsSocket *socket = sockets->pdata[i];
    const char *target = g_hash_table_lookup (wanted, socket->path), *slash = strrchr (socket->path, '/');
    if (target && socket->short_name && slash && !g_hash_table_contains (tops, slash + 1))
      g_hash_table_insert (wanted, g_strdup (slash + 1), g_strdup (target));
  }
}

static bool
holder_ended (const PfsPeerLinks *links)
{
  for (guint i = 0; i < links->holders->len; i++)
    if (!pfs_process_alive (links->holders->pdata[i]))
      return true;
  return false;
}

/* A container that we may not look into has an empty sockets/. Names that do not fit in a folder are left out. For want
 * of descriptors or memory the links stay as they are, but not if one leads through a process that has ended. */
static void
update_sockets (PfsPeerLinks *links)
{
  GPtrArray *holders = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_process_unref);
  g_autoptr (GPtrArray) sockets = NULL;

  int r = pfs_sockets_list (links->container, true, &sockets);
  if (pfs_is_shortage (r) && !holder_ended (links)) {
    g_ptr_array_unref (holders);
    return;
  }
  GHashTable *wanted = link_set_new ();
  if (r == 0)
    add_sockets (links, holders, sockets, wanted);
  g_ptr_array_unref (links->holders);
  links->holders = holders;
  (void) update_folder (links, "sockets", &links->sockets, wanted);
}

/* --- the whole --- */

int
pfs_peer_links_update (PfsPeerLinks *links, bool sockets)
{
  if (sockets || holder_ended (links))
    update_sockets (links);
  return update_pids (links);
}

static void
add_pollfd (gpointer process, gpointer fds)
{
  struct pollfd fd = { .fd = ((const PfsProcess *) process)->pidfd, .events = POLLIN };

  g_array_append_val ((GArray *) fds, fd);
}

void
pfs_peer_links_poll (const PfsPeerLinks *links, GArray *fds)
{
  add_pollfd (links->main, fds);
  g_ptr_array_foreach (links->holders, add_pollfd, fds);
}

int
pfs_peer_links_new (PfsContainer *c, int dirfd, const char *name, PfsPeerLinks **ret)
{
  PfsProcess *main_process;
  int r = pfs_container_main (c, &main_process);

  if (r < 0)
    return r;
  PfsPeerLinks *links = g_new0 (PfsPeerLinks, 1);
  links->container = pfs_container_ref (c);
  links->main = main_process;
  links->name = g_strdup (name);
  links->dirfd = -1;
  links->pids = link_set_new ();
  links->sockets = link_set_new ();
  links->holders = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_process_unref);
  r = pfs_folder_remove (dirfd, name);
  if (r == 0)
    r = pfs_folder_open (dirfd, name, false, &links->dirfd);
  if (r == 0)
    r = fill (links);
  if (r == 0)
    r = pfs_peer_links_update (links, true);
  if (r < 0)
    pfs_peer_links_free (links);
  else
    *ret = links;
  return r;
}

void
pfs_peer_links_free (PfsPeerLinks *links)
{
  pfs_container_unref (links->container);
  pfs_process_unref (links->main);
  pfs_fd_cleanup (&links->dirfd);
  g_hash_table_unref (links->pids);
  g_hash_table_unref (links->sockets);
  g_ptr_array_unref (links->holders);
  g_free (links->name);
  g_free (links);
}
