/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sockets of a network namespace, which a pod's containers share, belong to whose processes hold them open. */
#include "peerfs/pod/sockets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "peerfs/base/fd.h"
#include "sock.h"
#include "state.h"

#define FDS_MAX (1024 * 1024) /* descriptors looked at of one process */
#define HOLDERS_MAX 8         /* kept of one socket, the oldest: master and workers */

/* The inode of "socket:[4711]"; 0 for other links. */
static uint32_t
socket_inode (const char *link)
{
  return g_str_has_prefix (link, "socket:[") ? (uint32_t) strtoul (link + strlen ("socket:["), NULL, 10) : 0;
}

static void
add_holder (GHashTable *all, GPtrArray *held, uint32_t inode, const PfsSocketHolder *holder)
{
  PfsUnixSocket *s = inode ? g_hash_table_lookup (all, GUINT_TO_POINTER (inode)) : NULL;

  if (!s)
    return;
  if (!s->holders) {
    s->holders = g_array_new (FALSE, FALSE, sizeof *holder);
    g_ptr_array_add (held, s);
  }
  guint n = s->holders->len;
  if (n < HOLDERS_MAX
      && (n == 0 || g_array_index (s->holders, PfsSocketHolder, n - 1).process.pid != holder->process.pid))
    g_array_append_val (s->holders, *holder);
}

/* Marks in all what the process holds. 0 or -errno. */
static int
add_process (int proc_fd, PfsProcessId process, GHashTable *all, GPtrArray *held)
{
  PfsSocketHolder holder = { .process = process };
  char name[24], link[64];
  struct dirent *entry;

  g_snprintf (name, sizeof name, "%d/fd", (int) process.pid);
  int fd = openat (proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (!dir) {
    int r = -errno;
    pfs_fd_cleanup (&fd);
    return r;
  }
  for (guint n = 0; n < FDS_MAX && (entry = readdir (dir)); n++) {
    ssize_t len = readlinkat (fd, entry->d_name, link, sizeof link - 1);
    if (len <= 0)
      continue;
    link[len] = '\0';
    holder.fd = atoi (entry->d_name);
    add_holder (all, held, socket_inode (link), &holder);
  }
  closedir (dir);
  return 0;
}

/* --- processes by age --- */

static int
age_order (gconstpointer a, gconstpointer b)
{
  const PfsProcessId *x = a, *y = b;

  if (x->start_time != y->start_time)
    return x->start_time < y->start_time ? -1 : 1;
  return (x->pid > y->pid) - (x->pid < y->pid);
}

static GArray *
processes_by_age (const PfsSocketScan *scan)
{
  GArray *processes = g_array_new (FALSE, FALSE, sizeof (PfsProcessId));
  char name[16];
  PfsStat stat;

  for (guint i = 0; i < scan->n_pids; i++) {
    g_snprintf (name, sizeof name, "%d", (int) scan->pids[i]);
    pfs_autofd fd = openat (scan->proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || pfs_proc_stat_at (fd, &stat) < 0)
      continue;
    PfsProcessId process = { scan->pids[i], stat.start_time };
    g_array_append_val (processes, process);
  }
  g_array_sort (processes, age_order);
  return processes;
}

/* --- names --- */

static int
socket_order (gconstpointer a, gconstpointer b)
{
  const PfsSocket *x = *(const PfsSocket *const *) a, *y = *(const PfsSocket *const *) b;
  int r = strcmp (x->path, y->path);

  if (r == 0)
    r = x->outside - y->outside;
  return r ? r : age_order (&x->holder, &y->holder);
}

static void
sort_unique (GPtrArray *sockets)
{
  guint kept = 0;

  g_ptr_array_sort (sockets, socket_order);
  for (guint i = 0; i < sockets->len; i++) {
    PfsSocket *s = sockets->pdata[i];
    if (kept > 0 && strcmp (((PfsSocket *) sockets->pdata[kept - 1])->path, s->path) == 0)
      continue;
    sockets->pdata[i] = sockets->pdata[kept];
    sockets->pdata[kept++] = s;
  }
  g_ptr_array_set_size (sockets, (gint) MIN (kept, PFS_SOCKETS_MAX));
}

static const char *
last_name (const PfsSocket *s)
{
  const char *slash = strrchr (s->path, '/');
  return slash ? slash + 1 : s->path;
}

/* A socket keeps its short name while others of that name come and go: one of the main process, else the one whose
 * holder is the oldest, else the first by path. */
static void
give_short_names (GPtrArray *sorted)
{
  g_autoptr (GHashTable) owners = g_hash_table_new (g_str_hash, g_str_equal);
  GHashTableIter iter;
  gpointer owner;

  for (guint i = 0; i < sorted->len; i++) {
    PfsSocket *s = sorted->pdata[i];
    const PfsSocket *first = g_hash_table_lookup (owners, last_name (s));
    if (!first || s->held_by_main > first->held_by_main
        || (s->held_by_main == first->held_by_main && age_order (&s->holder, &first->holder) < 0))
      g_hash_table_replace (owners, (gpointer) last_name (s), s);
  }
  g_hash_table_iter_init (&iter, owners);
  while (g_hash_table_iter_next (&iter, NULL, &owner))
    ((PfsSocket *) owner)->short_name = true;
}

/* --- all --- */

int
pfs_sockets_scan (const PfsSocketScan *scan, GPtrArray **ret)
{
  g_autoptr (GHashTable) all = NULL;
  g_autoptr (GPtrArray) held = g_ptr_array_new ();
  g_autoptr (GPtrArray) found = NULL;
  g_autoptr (GArray) processes = NULL;
  bool denied = false, looked = false;

  int r = pfs_sockdiag_dump (scan->main_fd, &all);
  if (r < 0)
    return r;
  processes = processes_by_age (scan);
  for (guint i = 0; i < processes->len; i++) {
    r = add_process (scan->proc_fd, g_array_index (processes, PfsProcessId, i), all, held);
    denied |= r == -EACCES || r == -EPERM;
    looked |= r == 0;
  }
  if (denied && !looked)
    return -EACCES;
  if (held->len > PFS_SOCKETS_MAX)
    g_ptr_array_set_size (held, PFS_SOCKETS_MAX);
  if (scan->patience)
    pfs_sockets_ask (scan, all, held);
  r = pfs_sockets_find (scan, held, &found);
  if (r < 0)
    return r;
  sort_unique (found);
  give_short_names (found);
  *ret = g_steal_pointer (&found);
  return 0;
}

static int
list_of (PfsContainer *c, const GArray *pids, GPtrArray **ret)
{
  PfsProc *proc = pfs_container_proc (c);
  g_autoptr (PfsProcess) process = NULL;
  PfsStat stat;

  int r = pfs_container_main (c, &process);
  if (r >= 0)
    r = pfs_proc_stat_at (pfs_process_fd (process), &stat);
  if (r < 0)
    return r == -ENOENT ? -ESRCH : r;
  const PfsSocketScan scan = {
    .proc_fd = pfs_proc_fd (proc),
    .patience = pfs_proc_is_own (proc) ? c->table->patience : NULL,
    .peer = c->serial,
    .apart = c->table->may_fork,
    .main_fd = pfs_process_fd (process),
    .main_pid = pfs_process_pid (process),
    .main_start = stat.start_time,
    .pids = (const pid_t *) pids->data,
    .n_pids = pids->len,
  };
  return pfs_sockets_scan (&scan, ret);
}

int
pfs_sockets_list (PfsContainer *c, GPtrArray **ret)
{
  g_autoptr (GArray) pids = NULL;

  int r = pfs_container_pids_now (c, &pids);
  return r < 0 ? r : list_of (c, pids, ret);
}

int
pfs_sockets_list_known (PfsContainer *c, GPtrArray **ret)
{
  g_autoptr (GArray) pids = pfs_container_pids (c);

  return list_of (c, pids, ret);
}

int
pfs_sockets_holder (PfsContainer *c, const char *name, PfsProcess **ret)
{
  g_autoptr (GPtrArray) sockets = NULL;
  const PfsSocket *found = NULL;

  int r = pfs_sockets_list (c, &sockets);
  if (r < 0)
    return r;
  for (guint i = 0; i < sockets->len; i++) {
    const PfsSocket *s = sockets->pdata[i];
    if (strcmp (s->path, name) == 0 || (!found && s->short_name && strcmp (last_name (s), name) == 0))
      found = s;
  }
  if (!found)
    return -ENOENT;
  return pfs_process_open (pfs_container_proc (c), found->holder.pid, found->holder.start_time, ret);
}
