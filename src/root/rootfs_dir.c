/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories of a peer, listed from their own descriptor. Offsets are the filesystem's own, so that they are as stable
 * as there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "rootfs_private.h"

#define BUFFER_SIZE (32 * 1024)

/* What getdents64(2) gives. */
typedef struct {
  uint64_t ino;
  int64_t next;
  unsigned short length;
  unsigned char type;
  char name[];
} Dirent;

typedef struct {
  GRecMutex lock;      /* of one open directory; under it a thread may wait for the mount. No GMutex: test/held/ */
  size_t filled, used; /* bytes of the buffer */
  off_t at;            /* the offset of the entry at `used` */
  dev_t dev;
  char buffer[BUFFER_SIZE] __attribute__ ((aligned (8)));
} Stream;

static Stream *
stream_new (dev_t dev)
{
  Stream *stream = g_malloc (sizeof *stream);

  g_rec_mutex_init (&stream->lock);
  stream->filled = stream->used = 0;
  stream->at = 0;
  stream->dev = dev;
  return stream;
}

static void
stream_free (gpointer priv)
{
  Stream *stream = priv;

  g_rec_mutex_clear (&stream->lock);
  g_free (stream);
}

/* The kernel may keep a listing for as long as it may keep names. Then it asks again, and gets all attributes too. It
 * compares the directory's time itself. So it gets no listing to keep if the last change is so recent that another one
 * could have the same time. */
static guint
listing_flags (PfsNode *dir, const PfsFound *found)
{
  uint32_t ms = (uint32_t) (g_get_monotonic_time () / 1000) | 1;
  struct timespec now;

  clock_gettime (CLOCK_REALTIME_COARSE, &now);
  if ((found->mount->flags & (PFS_MOUNT_VOLATILE | PFS_MOUNT_REMOTE)) || now.tv_sec - found->st.stx_mtime.tv_sec < 2)
    return 0;
  g_mutex_lock (&dir->tree->lock);
  uint32_t since = pfs_rootnode (dir)->version;
  bool keep = since != 0 && ms - since < dir->tree->options.entry_timeout * 1000;
  if (!keep)
    pfs_rootnode (dir)->version = ms;
  g_mutex_unlock (&dir->tree->lock);
  return PFS_FILE_CACHE_DIR | (keep ? PFS_FILE_KEEP_CACHE : 0u);
}

int
pfs_rootfs_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  g_autoptr (PfsDirFd) dirfd = NULL;
  pfs_autofd fd = -1;
  g_auto (PfsFound) found = { .mount = NULL };
  char number[PFS_FD_NAME_MAX];

  if (!S_ISDIR (PFS_ROOTNODE_TYPE (pfs_rootnode (dir))))
    return -ENOTDIR;
  int r = pfs_rootfs_dir (dir, &dirfd);
  if (r < 0)
    return r;
  r = pfs_rootfs_statx (pfs_rootfs_of (dir), dirfd->fd, "", false, &found);
  if (r < 0)
    return r;
  {
    pfs_auto_creds const PfsCaller *as = NULL;
    r = pfs_rootfs_owner_may (&found, S_IRUSR, who) ? 0 : pfs_creds_take (who, &as);
    if (r < 0)
      return r;
    /* To open "." in it would take the right to search it; a listing takes the right to read alone. */
    fd = openat (dir->tree->roots->self_fds, pfs_fd_name (dirfd->fd, number), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
      return -errno;
  }
  guint file_flags = listing_flags (dir, &found) | pfs_mount_file_flags (found.mount);
  r = pfs_rootfs_file_new (dir, pfs_fd_steal (&fd), O_RDONLY | O_DIRECTORY, file_flags, ret);
  if (r < 0)
    return r;
  (*ret)->priv = stream_new (found.mount->dev);
  (*ret)->priv_free = stream_free;
  return 0;
}

static int
fill (PfsFile *dir, Stream *stream, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  int r = dir->file_flags & PFS_FILE_AS_CALLER ? pfs_creds_take (who, &as) : 0;

  if (r < 0)
    return r;
  long n = syscall (SYS_getdents64, dir->fd, stream->buffer, sizeof stream->buffer);

  if (n < 0)
    return -errno;
  stream->filled = (size_t) n;
  stream->used = 0;
  return n > 0;
}

static int
seek_to (PfsFile *dir, Stream *stream, off_t offset)
{
  if (offset == stream->at)
    return 0;
  if (lseek (dir->fd, offset, SEEK_SET) < 0)
    return -errno;
  stream->filled = stream->used = 0;
  stream->at = offset;
  return 0;
}

static bool
is_dot (const char *name)
{
  return strcmp (name, ".") == 0 || strcmp (name, "..") == 0;
}

/* The node's number, or its parent's, as getattr tells it: what the kernel lists may be the number of an overlay's
 * layer (and ".." of root/ is out of the container). */
static uint64_t
number_of (PfsNode *node, bool parent)
{
  g_mutex_lock (&node->tree->lock);
  g_autoptr (PfsNode) of = pfs_node_ref_locked (parent ? node->parent : node);
  g_mutex_unlock (&node->tree->lock);
  bool generated = !of->ops->fs || (of->flags & PFS_ROOTNODE_TOP);
  return generated ? pfs_node_ino (of) : pfs_rootnode (of)->shown_ino;
}

/* The number of a file that the caller may not ask for: an overlay of several filesystems does not list which of them a
 * file is on. */
static uint64_t
listed_number (PfsFile *dir, const Stream *stream, const Dirent *d)
{
  g_auto (PfsFound) found = { .mount = NULL };

  if (pfs_rootfs_statx (pfs_rootfs_of (dir->node), dir->fd, d->name, false, &found) < 0)
    return pfs_rootfs_ino (stream->dev, d->ino);
  return pfs_rootfs_ino (found.mount->dev, found.st.stx_ino);
}

/* A name whose attributes cannot be had (gone meanwhile, a dead mount), or only by a walk, is listed all the same. With
 * search (see pfs_rootfs_lookup_at()) they are wanted. */
static bool
emit_one (PfsFile *dir, const Stream *stream, const Dirent *d, const PfsCaller *search, const PfsCaller *who,
          PfsEmit emit, gpointer data)
{
  PfsNode *node = dir->node;
  mode_t type = DTTOIF (d->type);
  PfsEntry entry;

  if (is_dot (d->name))
    return emit (d->name, number_of (node, d->name[1] == '.'), S_IFDIR, d->next, NULL, data);
  if (d->type != DT_UNKNOWN && pfs_rootfs_is_link (node->tree, type))
    type = S_IFLNK;
  if (search && pfs_rootfs_lookup_at (node, dir->fd, d->name, false, search, who, &entry) == 0) {
    bool taken = emit (d->name, entry.attr.st_ino, entry.attr.st_mode, d->next, &entry, data);

    if (!taken)
      pfs_node_unref (entry.node);
    return taken;
  }
  return emit (d->name, listed_number (dir, stream, d), type, d->next, NULL, data);
}

int
pfs_rootfs_readdir (PfsFile *dir, off_t offset, bool plus, const PfsCaller *who, PfsEmit emit, gpointer data)
{
  Stream *stream = dir->priv;
  const PfsCaller *search = plus ? pfs_rootfs_searcher (dir->fd, !(dir->file_flags & PFS_FILE_AS_CALLER), who) : NULL;
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&stream->lock);

  int r = pfs_rootfs_check (pfs_rootfs_of (dir->node));
  if (r == 0)
    r = seek_to (dir, stream, offset);
  while (r == 0) {
    if (stream->used == stream->filled) {
      r = fill (dir, stream, who);
      if (r <= 0)
        break;
      r = 0;
    }
    const Dirent *d = (const Dirent *) (stream->buffer + stream->used);
    if (!emit_one (dir, stream, d, search, who, emit, data))
      break;
    stream->used += d->length;
    stream->at = d->next;
  }
  return r == -ENOENT ? 0 : pfs_file_error (dir, r);
}
