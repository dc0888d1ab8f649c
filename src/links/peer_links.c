/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer_links.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "folder.h"
#include "peerfs/base/fd.h"
#include "peerfs/pod/sockets.h"

#define PIDS_MAX 4096u         /* links in one pids/ */
#define HOLDERS_MAX 64u        /* processes of one container that are watched for their end, */
#define HOLDER_FD_MAX 768      /* while there are descriptors left */
#define SOCKETS_NEW ".sockets" /* sockets/ before it gets its name */

static char *
proc_target (const PfsPeerLinks *links, pid_t pid, const char *below)
{
  return g_strdup_printf ("%s/%d%s", pfs_proc_path (pfs_container_proc (links->container)), (int) pid, below);
}

/* --- what stays the same --- */

static int
put_process_link (PfsPeerLinks *links, const char *name, const char *below)
{
  g_autofree char *target = proc_target (links, links->pid, below);
  return pfs_folder_put_link (links->dirfd, name, target);
}

static int
put_line (PfsPeerLinks *links, const char *name, const char *value)
{
  g_autofree char *line = g_strconcat (value, "\n", NULL);
  return pfs_folder_put_text (links->dirfd, name, line);
}

static int
fill (PfsPeerLinks *links)
{
  g_autofree char *pid = g_strdup_printf ("%d", (int) links->pid);
  int r = put_line (links, "id", pfs_container_id (links->container));

  if (r == 0)
    r = put_line (links, "pid", pid);
  if (r == 0)
    r = put_process_link (links, "root", "/root");
  if (r == 0)
    r = put_process_link (links, "proc", "");
  return r;
}

/* --- pids/ --- */

static void
drop_ended_pids (PfsPeerLinks *links, int dirfd, GHashTable *now)
{
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, links->pids);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    char name[16];

    if (g_hash_table_contains (now, key))
      continue;
    g_snprintf (name, sizeof name, "%d", GPOINTER_TO_INT (key));
    unlinkat (dirfd, name, 0);
    g_hash_table_iter_remove (&iter);
  }
}

static int
update_pids (PfsPeerLinks *links)
{
  g_autoptr (GArray) pids = pfs_container_pids (links->container);
  g_autoptr (GHashTable) now = g_hash_table_new (NULL, NULL);
  int fd = -1;
  int r = pfs_folder_open (links->dirfd, "pids", false, &fd);
  pfs_autofd dirfd = fd;

  for (guint i = 0; i < pids->len && i < PIDS_MAX; i++)
    g_hash_table_add (now, GINT_TO_POINTER (g_array_index (pids, pid_t, i)));
  if (r == 0)
    drop_ended_pids (links, dirfd, now);
  for (guint i = 0; r == 0 && i < pids->len && i < PIDS_MAX; i++) {
    pid_t pid = g_array_index (pids, pid_t, i);
    char name[16];

    if (!g_hash_table_add (links->pids, GINT_TO_POINTER (pid)))
      continue;
    g_autofree char *target = proc_target (links, pid, "");
    g_snprintf (name, sizeof name, "%d", (int) pid);
    r = pfs_folder_put_link (dirfd, name, target);
    if (r < 0)
      g_hash_table_remove (links->pids, GINT_TO_POINTER (pid));
  }
  return r;
}

/* --- sockets/ --- */

static void
holder_clear (gpointer data)
{
  pfs_fd_cleanup (&((PfsHolder *) data)->pidfd);
}

static GArray *
holders_new (void)
{
  GArray *holders = g_array_new (FALSE, FALSE, sizeof (PfsHolder));

  g_array_set_clear_func (holders, holder_clear);
  return holders;
}

/* True if a link may lead through the process. It is watched from then on, if there is room. */
static bool
holder_lives (const PfsPeerLinks *links, GArray *holders, const PfsProcessId *process)
{
  g_autoptr (PfsProcess) pin = NULL;

  if (process->pid == links->pid)
    return true;
  for (guint i = 0; i < holders->len; i++) {
    const PfsProcessId *known = &g_array_index (holders, PfsHolder, i).process;
    if (known->pid == process->pid && known->start_time == process->start_time)
      return true;
  }
  int r = pfs_process_open (pfs_container_proc (links->container), process->pid, process->start_time, &pin);
  PfsHolder holder = { *process, r == 0 ? fcntl (pfs_process_pidfd (pin), F_DUPFD_CLOEXEC, 0) : -1 };
  if (holder.pidfd >= 0 && holder.pidfd < HOLDER_FD_MAX && holders->len < HOLDERS_MAX)
    g_array_append_val (holders, holder);
  else
    holder_clear (&holder);
  return r != -ESRCH;
}

static const PfsSocketWay *
way_of (const PfsPeerLinks *links, GArray *holders, const PfsSocket *socket)
{
  for (guint i = 0; i < socket->ways->len; i++) {
    const PfsSocketWay *way = &g_array_index (socket->ways, PfsSocketWay, i);
    if (holder_lives (links, holders, &way->process))
      return way;
  }
  return NULL;
}

static bool
holder_ended (const PfsPeerLinks *links)
{
  for (guint i = 0; i < links->holders->len; i++) {
    struct pollfd fd = { .fd = g_array_index (links->holders, PfsHolder, i).pidfd, .events = POLLIN };
    if (poll (&fd, 1, 0) == 1)
      return true;
  }
  return false;
}

static void
add_socket (GString *out, const char *name, const char *target)
{
  g_string_append (out, name);
  g_string_append_c (out, '\0');
  g_string_append (out, target);
  g_string_append_c (out, '\0');
}

/* Pairs of a name and a target, each with a NUL behind it. Canonical names come first, so that a short one that is a
 * folder's name fails. -errno if the sockets cannot be read. */
static int
list_sockets (PfsPeerLinks *links, GArray *holders, GBytes **ret)
{
  g_autoptr (GPtrArray) sockets = NULL;
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GString) aliases = g_string_new (NULL);

  int r = pfs_sockets_list (links->container, &sockets);
  if (r < 0)
    return r;
  for (guint i = 0; i < sockets->len; i++) {
    const PfsSocket *socket = sockets->pdata[i];
    const PfsSocketWay *way = way_of (links, holders, socket);
    if (!way)
      continue;
    g_autofree char *below = g_strconcat ("/root", way->physical, NULL);
    g_autofree char *target = proc_target (links, way->process.pid, below);
    const char *slash = strrchr (socket->path, '/');

    add_socket (out, socket->path, target);
    if (socket->short_name && slash)
      add_socket (aliases, slash + 1, target);
  }
  g_string_append_len (out, aliases->str, (gssize) aliases->len);
  *ret = g_bytes_new (out->str, out->len);
  return 0;
}

/* Puts the new sockets/ in the old one's place at once. Leaves out names that do not fit in a folder. */
static int
put_sockets (PfsPeerLinks *links, GBytes *sockets)
{
  size_t len;
  const char *text = g_bytes_get_data (sockets, &len);
  const char *end = len ? text + len : text;
  int fd = -1;

  int r = pfs_folder_remove (links->dirfd, SOCKETS_NEW);
  if (r == 0)
    r = pfs_folder_open (links->dirfd, SOCKETS_NEW, false, &fd);
  pfs_autofd dirfd = fd;
  while (r == 0 && text < end) {
    const char *target = text + strlen (text) + 1;

    (void) pfs_folder_put_link_below (dirfd, text, target);
    text = target + strlen (target) + 1;
  }
  if (r < 0)
    return r;
  if (renameat2 (links->dirfd, SOCKETS_NEW, links->dirfd, "sockets", RENAME_EXCHANGE) == 0)
    return pfs_folder_remove (links->dirfd, SOCKETS_NEW);
  return renameat (links->dirfd, SOCKETS_NEW, links->dirfd, "sockets") < 0 ? -errno : 0;
}

/* A container that we may not look into has an empty sockets/. */
static int
update_sockets (PfsPeerLinks *links)
{
  GArray *holders = holders_new ();
  g_autoptr (GBytes) now = NULL;

  if (list_sockets (links, holders, &now) < 0)
    now = g_bytes_new (NULL, 0);
  g_array_unref (links->holders);
  links->holders = holders;
  if (links->sockets && g_bytes_equal (links->sockets, now))
    return 0;
  int r = put_sockets (links, now);
  if (r == 0) {
    g_clear_pointer (&links->sockets, g_bytes_unref);
    links->sockets = g_steal_pointer (&now);
  }
  return r;
}

/* --- the whole --- */

int
pfs_peer_links_update (PfsPeerLinks *links, bool sockets)
{
  int r = update_pids (links);

  return r == 0 && (sockets || holder_ended (links)) ? update_sockets (links) : r;
}

void
pfs_peer_links_poll (const PfsPeerLinks *links, GArray *fds)
{
  struct pollfd fd = { .fd = links->pidfd, .events = POLLIN };

  g_array_append_val (fds, fd);
  for (guint i = 0; i < links->holders->len; i++) {
    fd.fd = g_array_index (links->holders, PfsHolder, i).pidfd;
    g_array_append_val (fds, fd);
  }
}

bool
pfs_peer_links_ended (const PfsPeerLinks *links)
{
  struct pollfd poll_fd = { .fd = links->pidfd, .events = POLLIN };

  return links->pidfd >= 0 && poll (&poll_fd, 1, 0) == 1;
}

bool
pfs_peer_links_hold (const PfsPeerLinks *links)
{
  return !pfs_container_ended (links->container) && !pfs_peer_links_ended (links)
         && pfs_container_pid (links->container) == links->pid;
}

/* Another process may have got the pid before it was pinned here: a later scan tells. */
static int
open_pidfd (PfsContainer *c, pid_t pid)
{
  return pfs_proc_is_own (pfs_container_proc (c)) ? (int) syscall (SYS_pidfd_open, pid, 0) : -1;
}

int
pfs_peer_links_new (PfsContainer *c, int dirfd, const char *name, PfsPeerLinks **ret)
{
  PfsPeerLinks *links = g_new0 (PfsPeerLinks, 1);

  links->container = pfs_container_ref (c);
  links->pid = pfs_container_pid (c);
  links->pidfd = open_pidfd (c, links->pid);
  links->name = g_strdup (name);
  links->dirfd = -1;
  links->pids = g_hash_table_new (NULL, NULL);
  links->holders = holders_new ();
  int r = links->pid > 0 ? pfs_folder_remove (dirfd, name) : -ESRCH;
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
  pfs_fd_cleanup (&links->pidfd);
  pfs_fd_cleanup (&links->dirfd);
  g_hash_table_unref (links->pids);
  g_array_unref (links->holders);
  g_clear_pointer (&links->sockets, g_bytes_unref);
  g_free (links->name);
  g_free (links);
}
