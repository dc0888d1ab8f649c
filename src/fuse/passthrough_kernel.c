/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel passthrough (FUSE_PASSTHROUGH, Linux 6.9, Documentation/filesystems/fuse-passthrough.rst): read, write and mmap
 * of a regular file go to the peer's file without entering the daemon.
 *
 * The kernel takes one backing file for an inode at a time, and while it has one, every open of the inode has to name it
 * (else it fails with EIO). It does the I/O with the credentials that registered the backing file, so it is registered
 * as the caller; one whose writes would have another effect gets direct I/O through the daemon, which goes before. */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/ioctl.h>

#include "private.h"

struct PfsPassthrough {
  GMutex lock;
  GHashTable *nodes;            /* PfsNode -> Backing: those with an open file */
};

typedef struct {
  int id;                       /* 0: the open files of this node go through the daemon, cached by the kernel */
  guint opens;
  PfsCaller who;                /* whose credentials the backing file has; owns its groups */
} Backing;

static void
backing_free (gpointer data)
{
  Backing *backing = data;

  g_free ((gpointer) backing->who.groups);
  g_free (backing);
}

const char *
pfs_passthrough_build (void)
{
  return "built in";
}

PfsPassthrough *
pfs_passthrough_new (struct fuse_conn_info *conn)
{
  if (!(conn->capable & FUSE_CAP_PASSTHROUGH))
    return NULL;
  conn->want |= FUSE_CAP_PASSTHROUGH;
  conn->max_backing_stack_depth = 1;    /* the root of a container is an overlay: one filesystem on top of another */

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

static int
register_as (fuse_req_t req, int fd, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;

  /* The kernel lets only CAP_SYS_ADMIN register a file. */
  if (pfs_creds_take (who, &as) < 0 || pfs_creds_allow (who, CAP_SYS_ADMIN) < 0)
    return 0;
  int id = fuse_passthrough_open (req, fd);
  return id > 0 ? id : 0;
}

/* Values of PfsFile.file_flags beyond PfsFileFlags: the file counts among its node's opens. */
#define FILE_COUNTED (1u << 16)

/* Whether a write drops setuid and setgid bits depends on CAP_FSETID and on the groups of who writes. */
static bool
writes_alike (const PfsCaller *a, const PfsCaller *b)
{
  if (a->uid == 0 || b->uid == 0)
    return a->uid == b->uid;
  return a->uid == b->uid && a->gid == b->gid && a->n_groups == b->n_groups
         && (a->n_groups == 0 || memcmp (a->groups, b->groups, a->n_groups * sizeof *a->groups) == 0);
}

/* Only writes are not everybody's. The kernel opens the backing file with the flags of the open: it would go on to
 * append when F_SETFL has taken O_APPEND away. */
static bool
is_for_daemon (const Backing *backing, const PfsFile *file, const PfsCaller *who)
{
  return (file->flags & O_ACCMODE) != O_RDONLY && ((file->flags & O_APPEND) || !writes_alike (&backing->who, who));
}

static Backing *
backing_new (fuse_req_t req, const PfsFile *file, const PfsCaller *who)
{
  Backing *backing = g_new0 (Backing, 1);

  backing->id = register_as (req, file->fd, who);
  backing->who = *who;
  backing->who.groups = g_memdup2 (who->groups, who->n_groups * sizeof *who->groups);
  return backing;
}

void
pfs_passthrough_open (PfsPassthrough *passthrough, fuse_req_t req, PfsFile *file, const PfsCaller *who,
                      struct fuse_file_info *fi)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&passthrough->lock);
  Backing *backing = g_hash_table_lookup (passthrough->nodes, file->node);

  if (!backing) {
    backing = backing_new (req, file, who);
    g_hash_table_insert (passthrough->nodes, file->node, backing);
  }
  if (backing->id > 0 && is_for_daemon (backing, file, who))
    fi->direct_io = 1;
  backing->opens++;
  file->file_flags |= FILE_COUNTED;
  fi->backing_id = backing->id;
  if (backing->id > 0)
    fi->keep_cache = 0;
}

void
pfs_passthrough_close (PfsPassthrough *passthrough, struct fuse_session *fuse, PfsFile *file)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&passthrough->lock);
  Backing *backing;

  if (!(file->file_flags & FILE_COUNTED))
    return;
  backing = g_hash_table_lookup (passthrough->nodes, file->node);
  if (--backing->opens > 0)
    return;
  /* As fuse_passthrough_close() does, for which there may be no request any more. */
  if (backing->id > 0)
    ioctl (fuse_session_fd (fuse), FUSE_DEV_IOC_BACKING_CLOSE, &backing->id);
  g_hash_table_remove (passthrough->nodes, file->node);
}
