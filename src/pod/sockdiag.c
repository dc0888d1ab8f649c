/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sock_diag(7); net/unix/diag.c of the kernel. UNIX_DIAG_VFS gives the device as the kernel's own dev_t
 * (include/linux/kdev_t.h: major << 20 | minor), in another encoding than stat(2), and of the superblock: see
 * pfs_proc_is_on_device(). Needs no capability in one's own network namespace. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "peerfs/base/fd.h"
#include "sock.h"

#define STATE_LISTEN 10        /* TCP_LISTEN, include/net/tcp_states.h */
#define REPLY_SIZE (64 * 1024) /* the kernel fills at most 32 KiB at once */

static bool
is_wanted (const struct unix_diag_msg *msg)
{
  bool listens = msg->udiag_state == STATE_LISTEN;

  return msg->udiag_type == SOCK_DGRAM
         || (listens && (msg->udiag_type == SOCK_STREAM || msg->udiag_type == SOCK_SEQPACKET));
}

static int
request_dump (int fd)
{
  static const struct {
    struct nlmsghdr header;
    struct unix_diag_req request;
  } message = {
    .header = {
      .nlmsg_len = sizeof message,
      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
    },
    .request = {
      .sdiag_family = AF_UNIX,
      .udiag_states = UINT32_MAX,
      .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS,
    },
  };

  return TEMP_FAILURE_RETRY (send (fd, &message, sizeof message, 0)) < 0 ? -errno : 0;
}

/* Others' sockets may be many: they cost no memory. */
static void
add_message (GHashTable *held, GPtrArray *bound, const struct nlmsghdr *header)
{
  const struct unix_diag_msg *msg = NLMSG_DATA (header);
  const struct unix_diag_vfs *vfs = NULL;
  const char *name = NULL;
  size_t name_len = 0;

  if (header->nlmsg_len < NLMSG_LENGTH (sizeof *msg) || !is_wanted (msg))
    return;
  PfsUnixSocket *s = g_hash_table_lookup (held, GUINT_TO_POINTER (msg->udiag_ino));
  if (!s || s->path)
    return;
  int len = (int) (header->nlmsg_len - NLMSG_LENGTH (sizeof *msg));
  for (const struct rtattr *a = (const struct rtattr *) (msg + 1); RTA_OK (a, len); a = RTA_NEXT (a, len)) {
    if (a->rta_type == UNIX_DIAG_NAME) {
      name = RTA_DATA (a);
      name_len = RTA_PAYLOAD (a);
    } else if (a->rta_type == UNIX_DIAG_VFS && RTA_PAYLOAD (a) >= sizeof *vfs) {
      vfs = RTA_DATA (a);
    }
  }
  /* Abstract names begin with NUL; an unbound socket has none. */
  if (!vfs || name_len == 0 || name[0] == '\0' || name_len > sizeof (struct sockaddr_un))
    return;

  s->type = msg->udiag_type;
  s->path = g_strndup (name, name_len);
  s->file_dev = makedev (vfs->udiag_vfs_dev >> 20, vfs->udiag_vfs_dev & 0xfffff);
  s->file_inode = vfs->udiag_vfs_ino;
  g_ptr_array_add (bound, s);
}

/* 1 at the end of the dump, 0 if more follows. */
static int
add_reply (GHashTable *held, GPtrArray *bound, const char *reply, size_t len)
{
  const struct nlmsghdr *header = (const struct nlmsghdr *) reply;

  for (; NLMSG_OK (header, len); header = NLMSG_NEXT (header, len)) {
    if (header->nlmsg_type == NLMSG_DONE)
      return 1;
    if (header->nlmsg_type == NLMSG_ERROR) {
      const struct nlmsgerr *error = NLMSG_DATA (header);
      if (header->nlmsg_len < NLMSG_LENGTH (sizeof *error) || error->error >= 0)
        return -EBADMSG;
      return error->error;
    }
    if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY)
      add_message (held, bound, header);
  }
  return 0;
}

static int
dump (int netlink_fd, GHashTable *held, GPtrArray *bound)
{
  g_autofree char *reply = g_malloc (REPLY_SIZE);

  int r = request_dump (netlink_fd);
  while (r == 0) {
    struct sockaddr_nl from = { 0 };
    socklen_t from_len = sizeof from;
    ssize_t n = TEMP_FAILURE_RETRY (recvfrom (netlink_fd, reply, REPLY_SIZE, 0, (struct sockaddr *) &from, &from_len));
    if (n <= 0)
      return n < 0 ? -errno : -EBADMSG;
    if (from.nl_pid == 0) /* only the kernel's answers count */
      r = add_reply (held, bound, reply, (size_t) n);
  }
  return MIN (r, 0);
}

static int
netlink_open (void)
{
  int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  return fd < 0 ? -errno : fd;
}

/* The thread ends inside the other namespace: nothing has to be restored, so nothing can fail to be. */
static gpointer
netlink_open_inside (gpointer data)
{
  int netns_fd = GPOINTER_TO_INT (data);
  int r = setns (netns_fd, CLONE_NEWNET) < 0 ? -errno : netlink_open ();
  return GINT_TO_POINTER (r);
}

/* A netlink socket in the network namespace of the process, or -errno. */
static int
netlink_open_for (int pid_fd)
{
  pfs_autofd netns = openat (pid_fd, "ns/net", O_RDONLY | O_CLOEXEC);
  struct stat own, theirs;

  if (netns < 0 || fstat (netns, &theirs) < 0)
    return errno == ENOENT ? -ESRCH : -errno;
  if (stat ("/proc/self/ns/net", &own) == 0 && own.st_ino == theirs.st_ino && own.st_dev == theirs.st_dev)
    return netlink_open ();

  g_autoptr (GError) error = NULL;
  GThread *thread = g_thread_try_new ("netns", netlink_open_inside, GINT_TO_POINTER (netns), &error);
  return thread ? GPOINTER_TO_INT (g_thread_join (thread)) : -EAGAIN;
}

int
pfs_sockdiag_dump (int pid_fd, GHashTable *held, GPtrArray *bound)
{
  pfs_autofd netlink = netlink_open_for (pid_fd);

  int r = netlink < 0 ? netlink : dump (netlink, held, bound);
  return r == -ENOENT ? -EOPNOTSUPP : r; /* the kernel has no unix_diag */
}
