/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sockets of a network namespace, which a pod's containers share, belong to whose processes hold them open. */
#include "peerfs/proc/sockets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "peerfs/base/fd.h"
#include "sockfind.h"

#define FDS_MAX (1024 * 1024)   /* descriptors looked at of one process */
#define HOLDERS_MAX 8           /* kept of one socket: master and workers */

/* The inode of "socket:[4711]"; 0 for other links. */
static uint32_t
socket_inode (const char *link, size_t len)
{
  static const char prefix[] = "socket:[";
  guint64 inode = 0;

  if (len < sizeof prefix || strncmp (link, prefix, sizeof prefix - 1) != 0)
    return 0;
  for (size_t i = sizeof prefix - 1; i < len && g_ascii_isdigit (link[i]); i++)
    inode = inode * 10 + (guint64) (link[i] - '0');
  return inode <= UINT32_MAX ? (uint32_t) inode : 0;
}

static void
add_holder (GHashTable *all, GPtrArray *held, uint32_t inode, pid_t pid)
{
  PfsUnixSocket *s = inode ? g_hash_table_lookup (all, GUINT_TO_POINTER (inode)) : NULL;

  if (!s)
    return;
  if (!s->holders) {
    s->holders = g_array_new (FALSE, FALSE, sizeof (pid_t));
    g_ptr_array_add (held, s);
  }
  guint n = s->holders->len;
  if (n < HOLDERS_MAX && (n == 0 || g_array_index (s->holders, pid_t, n - 1) != pid))
    g_array_append_val (s->holders, pid);
}

/* Marks in all what the process holds. 0 or -errno. */
static int
add_process (int proc_fd, pid_t pid, GHashTable *all, GPtrArray *held)
{
  char name[24], link[64];
  struct dirent *entry;

  g_snprintf (name, sizeof name, "%d/fd", (int) pid);
  int fd = openat (proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  DIR *dir = fdopendir (fd);
  if (!dir) {
    int r = -errno;
    close (fd);
    return r;
  }
  for (guint n = 0; n < FDS_MAX && (entry = readdir (dir)); n++) {
    if (!g_ascii_isdigit (entry->d_name[0]))
      continue;
    ssize_t len = readlinkat (fd, entry->d_name, link, sizeof link);
    if (len > 0)
      add_holder (all, held, socket_inode (link, (size_t) len), pid);
  }
  closedir (dir);
  return 0;
}

static int
socket_order (gconstpointer a, gconstpointer b)
{
  const PfsSocket *x = *(const PfsSocket *const *) a, *y = *(const PfsSocket *const *) b;
  int r = strcmp (x->path, y->path);

  return r ? r : strcmp (x->physical, y->physical);
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

int
pfs_sockets_scan (const PfsSocketScan *scan, GPtrArray **ret)
{
  g_autoptr (GHashTable) all = NULL;
  g_autoptr (GPtrArray) held = g_ptr_array_new ();
  g_autoptr (GPtrArray) found = NULL;
  bool denied = false, looked = false;

  int r = pfs_sockdiag_dump (scan->main_fd, &all);
  if (r < 0)
    return r == -ENOENT || r == -EINVAL ? -ESRCH : r;
  for (guint i = 0; i < scan->n_pids; i++) {
    r = add_process (scan->proc_fd, scan->pids[i], all, held);
    denied |= r == -EACCES || r == -EPERM;
    looked |= r == 0;
  }
  if (denied && !looked)
    return -EACCES;
  if (held->len > PFS_SOCKETS_MAX)
    g_ptr_array_set_size (held, PFS_SOCKETS_MAX);
  r = pfs_sockets_find (scan, held, &found);
  if (r < 0)
    return r;
  sort_unique (found);
  *ret = g_steal_pointer (&found);
  return 0;
}

int
pfs_sockets_list (PfsContainer *c, GPtrArray **ret)
{
  g_autoptr (PfsPin) pin = NULL;
  g_autoptr (GArray) pids = NULL;

  int r = pfs_container_pids_now (c, &pids);
  if (r >= 0)
    r = pfs_container_main (c, &pin);
  if (r < 0)
    return r;
  const PfsSocketScan scan = {
    .proc_fd = pfs_proc_fd (pfs_container_proc (c)),
    .main_fd = pfs_pin_fd (pin),
    .pids = (const pid_t *) pids->data,
    .n_pids = pids->len,
  };
  return pfs_sockets_scan (&scan, ret);
}
