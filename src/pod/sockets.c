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

/* Descriptors looked at of one container, the oldest process first: they cost some microseconds each, and a command
 * that lists all containers waits for each. */
#define FDS_MAX 65536
#define FDS_FEW 16    /* of each process all the same, those that it opened first */
#define HOLDERS_MAX 8 /* kept of one socket, the oldest: master and workers */

/* --- what is held --- */

static void
unix_socket_free (gpointer data)
{
  PfsUnixSocket *s = data;

  g_free (s->path);
  g_free (s->place.text);
  g_array_unref (s->holders);
  g_free (s);
}

static void
add_holder (GHashTable *held, uint32_t inode, const PfsSocketHolder *holder)
{
  PfsUnixSocket *s = g_hash_table_lookup (held, GUINT_TO_POINTER (inode));

  if (!s) {
    s = g_new0 (PfsUnixSocket, 1);
    s->inode = inode;
    s->place.known = -ENODATA;
    s->holders = g_array_new (FALSE, FALSE, sizeof *holder);
    g_hash_table_insert (held, GUINT_TO_POINTER (inode), s);
  }
  guint n = s->holders->len;
  if (n < HOLDERS_MAX
      && (n == 0 || g_array_index (s->holders, PfsSocketHolder, n - 1).process.pid != holder->process.pid))
    g_array_append_val (s->holders, *holder);
}

/* Adds the sockets that the process has open. 0 or -errno. */
static int
add_process (int proc_fd, PfsProcessId process, GHashTable *held, guint *budget)
{
  static const char prefix[] = "socket:[";
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
  for (guint left = MAX (*budget, FDS_FEW); left > 0 && (entry = readdir (dir)); left--, *budget -= *budget > 0) {
    ssize_t len = readlinkat (fd, entry->d_name, link, sizeof link - 1);
    link[MAX (len, 0)] = '\0';
    holder.fd = atoi (entry->d_name);
    if (g_str_has_prefix (link, prefix))
      add_holder (held, (uint32_t) strtoul (link + strlen (prefix), NULL, 10), &holder);
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

/* 0 or -errno. */
static int
processes_by_age (const PfsSocketScan *scan, GArray **ret)
{
  g_autoptr (GArray) processes = g_array_new (FALSE, FALSE, sizeof (PfsProcessId));
  PfsStat stat;

  for (guint i = 0; i < scan->n_pids; i++) {
    int r = pfs_proc_stat_at (scan->proc_fd, scan->pids[i], &stat);
    if (pfs_is_shortage (r))
      return r;
    if (r < 0)
      continue;
    PfsProcessId process = { scan->pids[i], stat.start_time };
    g_array_append_val (processes, process);
  }
  g_array_sort (processes, age_order);
  *ret = g_steal_pointer (&processes);
  return 0;
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

  for (guint i = 0; i < sorted->len; i++) {
    PfsSocket *s = sorted->pdata[i];
    PfsSocket *first = g_hash_table_lookup (owners, last_name (s));
    if (!first || s->held_by_main > first->held_by_main
        || (s->held_by_main == first->held_by_main && age_order (&s->holder, &first->holder) < 0)) {
      if (first)
        first->short_name = false;
      s->short_name = true;
      g_hash_table_replace (owners, (gpointer) last_name (s), s);
    }
  }
}

/* --- all --- */

int
pfs_sockets_scan (const PfsSocketScan *scan, GPtrArray **ret)
{
  g_autoptr (GHashTable) held = g_hash_table_new_full (NULL, NULL, NULL, unix_socket_free);
  g_autoptr (GPtrArray) bound = g_ptr_array_new ();
  g_autoptr (GPtrArray) found = NULL;
  g_autoptr (GArray) processes = NULL;
  bool denied = false, looked = false;
  guint budget = FDS_MAX;

  int r = processes_by_age (scan, &processes);
  if (r < 0)
    return r;
  for (guint i = 0; i < processes->len; i++) {
    r = add_process (scan->proc_fd, g_array_index (processes, PfsProcessId, i), held, &budget);
    if (pfs_is_shortage (r))
      return r;
    denied |= r == -EACCES || r == -EPERM;
    looked |= r == 0;
  }
  if (denied && !looked)
    return -EACCES;
  r = g_hash_table_size (held) > 0 ? pfs_sockdiag_dump (scan->main_fd, held, bound) : 0;
  if (r < 0)
    return r;
  if (bound->len > PFS_SOCKETS_MAX)
    g_ptr_array_set_size (bound, PFS_SOCKETS_MAX);
  if (scan->patience)
    pfs_sockets_ask (scan, held, bound);
  r = pfs_sockets_find (scan, bound, &found);
  if (r < 0)
    return r;
  sort_unique (found);
  give_short_names (found);
  *ret = g_steal_pointer (&found);
  return 0;
}

int
pfs_sockets_list (PfsContainer *c, bool rescan, GPtrArray **ret)
{
  g_autoptr (GArray) pids = rescan ? NULL : pfs_container_pids (c);
  g_autoptr (PfsProcess) process = NULL;
  PfsStat stat;

  int r = rescan ? pfs_container_pids_now (c, &pids) : 0;
  if (r >= 0)
    r = pfs_container_main (c, &process);
  if (r >= 0)
    r = pfs_proc_stat_at (process->fd, 0, &stat);
  if (r < 0)
    return r == -ENOENT ? -ESRCH : r;
  const PfsSocketScan scan = {
    .proc_fd = c->proc->fd,
    .patience = c->proc->own ? c->table->patience : NULL,
    .peer = c->serial,
    .apart = c->table->options.may_fork,
    .main_fd = process->fd,
    .main_pid = process->pid,
    .main_start = stat.start_time,
    .pids = (const pid_t *) pids->data,
    .n_pids = pids->len,
  };
  return pfs_sockets_scan (&scan, ret);
}

int
pfs_sockets_holder (PfsContainer *c, const char *name, PfsProcess **ret)
{
  g_autoptr (GPtrArray) sockets = NULL;
  const PfsSocket *found = NULL;

  int r = pfs_sockets_list (c, true, &sockets);
  if (r < 0)
    return r;
  for (guint i = 0; i < sockets->len; i++) {
    const PfsSocket *s = sockets->pdata[i];
    if (strcmp (s->path, name) == 0 || (!found && s->short_name && strcmp (last_name (s), name) == 0))
      found = s;
  }
  if (!found)
    return -ENOENT;
  return pfs_process_open (c->proc, found->holder.pid, found->holder.start_time, ret);
}
