/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel passthrough (FUSE_PASSTHROUGH, Linux 6.9, Documentation/filesystems/fuse-passthrough.rst): read, write and
 * mmap of a regular file go to the peer's file without entering the daemon.
 *
 * The kernel takes one backing file for an inode at a time. While it has one, every open of the inode has to name it,
 * or fails with EIO. It does the I/O with the credentials that registered the backing file, so it is registered as the
 * caller. A caller whose writes would have another effect gets direct I/O through the daemon, which
 * takes precedence.
 *
 * What cannot be registered (on an overlay of an overlay, say) is open for direct I/O, as without passthrough. Such
 * opens and those of a backing file that is registered later get along, for the kernel caches nothing for either. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "private.h"

struct PfsPassthrough {
  GMutex lock;       /* guards the rest */
  bool refused;      /* the kernel lets us register no file at all */
  GHashTable *nodes; /* PfsNode -> Backing: those with an open file that is passed through */
};

typedef struct {
  int id;
  guint opens;
  bool own;      /* it has the daemon's credentials */
  PfsCaller who; /* else it has this caller's; owns its groups */
} Backing;

static void
backing_free (gpointer data)
{
  Backing *backing = data;

  g_free ((gpointer) backing->who.groups);
  g_free (backing);
}

/* The kernel offers it to all, but wants CAP_SYS_ADMIN of the initial user namespace, whose number is fixed. */
static bool
in_user_namespace (void)
{
  struct stat st;

  return stat ("/proc/self/ns/user", &st) == 0 && st.st_ino != 0xeffffffdu;
}

char *
pfs_passthrough_describe (void)
{
  struct utsname kernel = { 0 };
  int major = 0, minor = 0;

  if (!PFS_LIBFUSE_3_17)
    return g_strdup ("not built in (libfuse older than 3.17)");
  uname (&kernel);
  if (sscanf (kernel.release, "%d.%d", &major, &minor) != 2 || major < 6 || (major == 6 && minor < 9))
    return g_strdup_printf ("built in, but Linux %s has none (6.9 and later do)", kernel.release);
  if (in_user_namespace ())
    return g_strdup ("built in, but not to be had in a user namespace");
  return g_strdup_printf ("built in, and Linux %s has it", kernel.release);
}

PfsPassthrough *
pfs_passthrough_new (struct fuse_conn_info *conn)
{
  if (!(conn->capable & FUSE_CAP_PASSTHROUGH) || in_user_namespace ())
    return NULL;
  conn->want |= FUSE_CAP_PASSTHROUGH;
#if PFS_LIBFUSE_3_17
  conn->max_backing_stack_depth = 1; /* the root of a container is an overlay: one filesystem on top of another */
#endif
  PfsPassthrough *passthrough = g_new0 (PfsPassthrough, 1);
  g_mutex_init (&passthrough->lock);
  passthrough->nodes = g_hash_table_new_full (NULL, NULL, NULL, backing_free);
  return passthrough;
}

void
pfs_passthrough_free (PfsPassthrough *passthrough)
{
  g_hash_table_unref (passthrough->nodes);
  g_mutex_clear (&passthrough->lock);
  g_free (passthrough);
}

/* Not by fuse_passthrough_open(), which writes a line for each file that cannot be: it is no error. */
static int
register_as (PfsSession *session, int fd, const PfsCaller *who)
{
  struct fuse_backing_map map = { .fd = fd };
  pfs_auto_creds const PfsCaller *as = NULL;

  /* The kernel lets only CAP_SYS_ADMIN register a file. */
  if (pfs_creds_take (who, &as) < 0 || pfs_creds_allow (who, CAP_SYS_ADMIN) < 0)
    return 0;
  int id = ioctl (fuse_session_fd (session->fuse), FUSE_DEV_IOC_BACKING_OPEN, &map);
  if (id < 0 && errno == EPERM) {
    session->passthrough->refused = true;
    fuse_log (FUSE_LOG_WARNING, "event=refused passthrough=off error=\"%s\"\n", g_strerror (EPERM));
  }
  return MAX (id, 0);
}

/* Values of PfsFile.file_flags beyond PfsFileFlags: the file counts among its node's opens. */
#define FILE_COUNTED (1u << 16)

/* Whether a write drops setuid and setgid bits depends on the writer's CAP_FSETID and groups. */
static bool
writes_alike (const PfsCaller *a, const PfsCaller *b)
{
  const uint64_t fsetid = PFS_CAP_BIT (CAP_FSETID);

  if ((a->caps | b->caps) & fsetid)
    return a->caps & b->caps & fsetid;
  return a->uid == b->uid && a->gid == b->gid && a->n_groups == b->n_groups
         && (a->n_groups == 0 || memcmp (a->groups, b->groups, a->n_groups * sizeof *a->groups) == 0);
}

/* Reads are alike for all callers. The kernel opens the backing file with the flags of the open: it would go on to
 * append when F_SETFL has taken O_APPEND away. */
static bool
is_for_daemon (const Backing *backing, const PfsFile *file, const PfsCaller *who)
{
  if ((file->flags & O_ACCMODE) == O_RDONLY)
    return false;
  return (file->flags & O_APPEND) || (backing->own ? who->switching : !writes_alike (&backing->who, who));
}

/* NULL: it cannot be passed through. If the caller reads, and its capabilities did not matter, they are not asked for:
 * then only a caller with all of ours may write through it. */
static Backing *
backing_new (PfsSession *session, const PfsFile *file, const PfsCaller *who)
{
  bool own = who->learn != NULL;
  int id = session->passthrough->refused ? 0 : register_as (session, file->fd, own ? &pfs_caller_self : who);

  if (id == 0)
    return NULL;
  Backing *backing = g_new0 (Backing, 1);
  backing->id = id;
  backing->own = own;
  backing->who = *who;
  backing->who.groups = g_memdup2 (who->groups, who->n_groups * sizeof *who->groups);
  return backing;
}

void
pfs_passthrough_open (PfsSession *session, PfsFile *file, const PfsCaller *who, struct fuse_file_info *fi)
{
  PfsPassthrough *passthrough = session->passthrough;

  if (!passthrough)
    return;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&passthrough->lock);
  Backing *backing = g_hash_table_lookup (passthrough->nodes, file->node);

  if (!backing) {
    backing = backing_new (session, file, who);
    if (!backing)
      return;
    g_hash_table_insert (passthrough->nodes, file->node, backing);
  }
  fi->direct_io = is_for_daemon (backing, file, who);
#if PFS_LIBFUSE_3_17
  fi->backing_id = backing->id;
#endif
  backing->opens++;
  file->file_flags |= FILE_COUNTED;
}

void
pfs_passthrough_close (PfsSession *session, PfsFile *file)
{
  PfsPassthrough *passthrough = session->passthrough;
  int id = 0;

  if (!(file->file_flags & FILE_COUNTED))
    return;
  g_mutex_lock (&passthrough->lock);
  Backing *backing = g_hash_table_lookup (passthrough->nodes, file->node);
  if (--backing->opens == 0) {
    id = backing->id;
    g_hash_table_remove (passthrough->nodes, file->node);
  }
  g_mutex_unlock (&passthrough->lock);
  /* As fuse_passthrough_close() does, for which there may be no request any more. Without the lock: it can be the last
   * close of the peer's file. */
  if (id > 0)
    ioctl (fuse_session_fd (session->fuse), FUSE_DEV_IOC_BACKING_CLOSE, &id);
}
