/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel tells the place of a socket's file. pidfd_getfd(2) takes the socket from a holder, ioctl SIOCUNIXFILE
 * gives a descriptor of the very file, whatever its name was, and /proc/self/fd prints its path. That takes
 * CAP_SYS_PTRACE over the holder and CAP_NET_ADMIN over the network namespace.
 *
 * Meanwhile the holder may have put another file under that number, and its server may be the peer. To close that file
 * waits for the server, and nothing ends such a wait, not even SIGKILL. So a thread asks, which may be left alone. A
 * process ends only with all its threads. So a process without peers' files has another one ask, which may outlive it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/un.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "sock.h"

#define STACK_SIZE (256 * 1024) /* of the process that asks */

typedef struct {
  gint refs;
  GHashTable *held;   /* owns the sockets */
  GPtrArray *sockets; /* of PfsUnixSocket */
  bool apart;
  PfsSocketPlace *places; /* of the sockets; only those from next on are written */
  gint next;              /* atomic: the socket that is asked for */
  gint left;              /* atomic: nobody wants to know any more */
  int pidfd;              /* of the holder asked last */
  pid_t pidfd_of;
} Ask;

static Ask *
ask_new (const PfsSocketScan *scan, GHashTable *held, GPtrArray *sockets, guint from)
{
  Ask *ask = g_new0 (Ask, 1);

  *ask = (Ask) { .refs = 2, .apart = scan->apart, .next = (gint) from, .pidfd = -1 };
  ask->held = g_hash_table_ref (held);
  ask->sockets = g_ptr_array_ref (sockets);
  ask->places = g_new0 (PfsSocketPlace, sockets->len);
  return ask;
}

static void
ask_unref (gpointer data)
{
  Ask *ask = data;

  if (!g_atomic_int_dec_and_test (&ask->refs))
    return;
  for (guint i = 0; i < ask->sockets->len; i++)
    g_free (ask->places[i].text);
  g_free (ask->places);
  g_ptr_array_unref (ask->sockets);
  g_hash_table_unref (ask->held);
  g_free (ask);
}

/* --- on the thread that may wait, or in a process of its own --- */

static int
take (Ask *ask, const PfsSocketHolder *holder)
{
  if (ask->pidfd < 0 || ask->pidfd_of != holder->process.pid) {
    pfs_fd_cleanup (&ask->pidfd);
    ask->pidfd = (int) syscall (SYS_pidfd_open, holder->process.pid, 0);
    ask->pidfd_of = holder->process.pid;
  }
  return ask->pidfd < 0 ? -1 : (int) syscall (SYS_pidfd_getfd, ask->pidfd, holder->fd, 0);
}

/* A descriptor of the socket's file, or -errno. Only a socket is asked for anything. */
static int
file_of (Ask *ask, const PfsSocketHolder *holder, uint32_t inode)
{
  pfs_autofd fd = take (ask, holder);
  socklen_t size = sizeof (int);
  struct stat st;
  int domain;

  if (fd < 0)
    return -errno;
  if (getsockopt (fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || fstat (fd, &st) < 0 || st.st_ino != inode)
    return -ESTALE;
  int file = ioctl (fd, SIOCUNIXFILE);
  return file < 0 ? -errno : file;
}

/* What was renamed over a second link of itself is printed as deleted too: then it is not known. */
static int
place_of (int file, PfsSocketPlace *ret)
{
  static const char deleted[] = " (deleted)";
  g_autofree char *name = g_strdup_printf ("/proc/self/fd/%d", file);
  g_autofree char *text = NULL;
  struct statx st;

  int r = pfs_readlink_at (AT_FDCWD, name, &text);
  if (r == 0 && statx (file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID | STATX_NLINK, &st) < 0)
    r = -errno;
  if (r < 0)
    return r;
  if (st.stx_nlink == 0)
    return 0;
  if (g_str_has_suffix (text, deleted) || !(st.stx_mask & STATX_MNT_ID))
    return -ENOENT;
  ret->text = g_steal_pointer (&text);
  ret->mount = st.stx_mnt_id;
  return 1;
}

static int
ask_one (Ask *ask, const PfsUnixSocket *socket, PfsSocketPlace *ret)
{
  int r = -ENOENT;

  for (guint i = 0; i < socket->holders->len && r < 0 && r != -EPERM; i++) {
    pfs_autofd file = file_of (ask, &g_array_index (socket->holders, PfsSocketHolder, i), socket->inode);
    r = file < 0 ? file : place_of (file, ret);
  }
  return r;
}

/* If one is refused (EPERM), all are. */
static int
ask_all (Ask *ask)
{
  int r = 0;

  for (guint i = (guint) ask->next; i < ask->sockets->len && r != -EPERM && !g_atomic_int_get (&ask->left); i++) {
    r = ask_one (ask, ask->sockets->pdata[i], &ask->places[i]);
    ask->places[i].known = r;
    g_atomic_int_inc (&ask->next);
  }
  pfs_fd_cleanup (&ask->pidfd);
  ask->pidfd = -1;
  return 0;
}

static int
be_process (gpointer data)
{
  return close_range (0, ~0U, 0) < 0 ? 1 : ask_all (data);
}

/* The process has our memory, and this thread's while it waits; but its descriptors are its own. */
static int
ask_in_process (Ask *ask)
{
  g_autofree char *stack = g_malloc (STACK_SIZE);
  pid_t pid = clone (be_process, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK, ask);

  if (pid < 0)
    return -errno;
  while (waitpid (pid, NULL, __WCLONE) < 0 && errno == EINTR)
    continue;
  return 0;
}

static int
run (gpointer data)
{
  Ask *ask = data;

  return ask->apart ? ask_in_process (ask) : ask_all (ask);
}

/* --- on the caller's thread --- */

void
pfs_sockets_ask (const PfsSocketScan *scan, GHashTable *held, GPtrArray *sockets)
{
  int r = -ETIMEDOUT;

  for (guint from = 0; r == -ETIMEDOUT && from < sockets->len; from++) {
    Ask *ask = ask_new (scan, held, sockets, from);
    r = pfs_patience_run (scan->patience, scan->peer, run, ask, ask_unref, &ask->next);
    g_atomic_int_set (&ask->left, 1);
    for (guint next = (guint) g_atomic_int_get (&ask->next); from < next; from++) {
      PfsUnixSocket *socket = sockets->pdata[from];
      socket->place = ask->places[from];
      ask->places[from].text = NULL;
    }
    ask_unref (ask);
  }
}
