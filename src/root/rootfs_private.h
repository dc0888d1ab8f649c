/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the sources of root/ share. */
#pragma once

#include <sys/stat.h>

#include "fdcache.h"
#include "peerfs/tree/kinds.h"
#include "peerfs/root/rootfs.h"
#include "peerfs/tree/tree.h"

typedef struct PfsRootfs PfsRootfs;
typedef struct PfsRoots PfsRoots;

/* One filesystem at one mount of a container. On overlayfs files and directories of one mount differ in their device.
 */
struct PfsMount {
  gint refs; /* the last one goes with the rootfs's mounts_lock held */
  PfsRootfs *rootfs;
  uint64_t id; /* STATX_MNT_ID */
  dev_t dev;
  guint flags;
  char *line;       /* what mountinfo said of it; NULL if it said nothing, and from Linux 6.8 on */
  gint shows_files; /* of an overlay: files have been seen on this device, not directories alone; atomic */
};

#define PFS_MOUNT_VOLATILE (1u << 0) /* sysfs and the like: sizes are lies, nothing may be cached */
#define PFS_MOUNT_REMOTE (1u << 1)   /* attributes have to be asked for; statx may wait */
#define PFS_MOUNT_PROC (1u << 2)     /* procfs: not served */
#define PFS_MOUNT_LOCAL (1u << 4)    /* nothing depends on who reads or writes what is open */
#define PFS_MOUNT_OVERLAY (1u << 3)  /* directories on its own device: files may have another */

/* PfsFileFlags of what is open there. */
static inline guint
pfs_mount_file_flags (const PfsMount *mount)
{
  return (mount->flags & PFS_MOUNT_VOLATILE ? PFS_FILE_DIRECT_IO : 0u)
         | (mount->flags & PFS_MOUNT_LOCAL ? 0u : PFS_FILE_AS_CALLER);
}

/* What root/ keeps of a tree. */
struct PfsRoots {
  PfsFdCache *fds;
  dev_t own_device; /* st_dev of our own mount */
  int self_fds;     /* /proc/self/fd: O_PATH descriptors are reopened through it */
  int nothing;      /* a descriptor of nothing to be had, to put in the place of others */
  GMutex lock;      /* guards the list below; taken before a rootfs's own lock */
  GPtrArray *all;   /* of PfsRootfs, borrowed */
  PfsRunFunc run_func;
  gpointer run_data;
  PfsHeldFunc held_func;
  gpointer held_data;
};

#define PFS_RECENT_MOUNTS 64

/* The filesystem of one container instance. Lives as long as its top node; guarded by lock. */
struct PfsRootfs {
  PfsTree *tree;
  PfsContainer *container; /* a reference */
  PfsNode *top;            /* borrowed */
  GMutex lock;
  GMutex mounts_lock;                  /* guards what follows, down to recent; no other lock is taken with it held */
  GHashTable *mounts;                  /* a set of PfsMount: those that something holds a reference to */
  PfsMount *recent[PFS_RECENT_MOUNTS]; /* references, that the last ones seen need not be asked about again */
  guint n_recent;
  guint64 mounts_checked; /* mount_changes when the mounts were compared with mountinfo last */
  PfsMount *anchor;       /* of the top node, whose own is known only once it is opened */
  PfsProcess *pin;        /* the process whose root is in use; NULL while nothing is held */
  int mount_table;        /* its open mountinfo, before Linux 6.8, or -1 */
  guint64 mount_changes;  /* how often that was seen to have changed */
  GQueue files;           /* of PfsFile: all that is open */
  bool ended;
};

/* The real type of the file is kept in the flags (S_IFMT >> 12). */
#define PFS_ROOTNODE_TYPE(n) (((n)->node.flags & 0xfu) << 12)
#define PFS_ROOTNODE_TOP (1u << 4) /* root/ itself */

typedef struct {
  PfsNode node;
  PfsRootfs *rootfs;
  PfsMount *mount; /* a reference; may change with ino where a file is copied up; like what follows it is guarded by
                    * the tree's lock */
  uint64_t ino;
  uint64_t shown_ino; /* the number that callers were told first: pfs_rootnode_attr() */
  int64_t btime;      /* nanoseconds; 0 where the filesystem has none */
  GList *open;        /* of PfsFile, borrowed: those that are open on this node; likewise */
  uint32_t version;   /* of the content, when the kernel last began to cache it; for a directory that time
                       * itself (milliseconds); 0: never. Likewise */
} PfsRootNode;

extern const PfsNodeOps pfs_own_mount_ops;      /* an empty directory: our own mount or procfs, seen in a peer */
extern const PfsNodeOps pfs_own_mount_file_ops; /* a file of them, mounted elsewhere: not to be opened */
/* The one that stands for what lies there: a reference. */
PfsNode *pfs_own_mount_new (PfsNode *dir, int dirfd, const char *name);

static inline PfsRootNode *
pfs_rootnode (PfsNode *node)
{
  return (PfsRootNode *) node;
}

static inline PfsRootfs *
pfs_rootfs_of (PfsNode *node)
{
  return pfs_rootnode (node)->rootfs;
}

/* rootfs_mount.c */

PfsMount *pfs_mount_ref (PfsMount *mount);
void pfs_mount_unref (PfsMount *mount);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsMount, pfs_mount_unref)

/* statx(2) of fd/name ("": fd itself) without following links or automounts, and the mount it lies on.
 * What is cut off is -EXDEV: our own mount, which is not asked for anything, and procfs. With wait, a remote filesystem
 * is asked for fresh attributes; else what the kernel knows of it is given. *ret_mount is a reference. */
int pfs_rootfs_statx (PfsRootfs *rootfs, int fd, const char *name, bool wait, struct statx *ret, PfsMount **ret_mount);
/* May he do that (S_IRUSR, S_IXUSR) for being the owner, as the daemon is? Then no capability of his has to be known:
 * the kernel asks for none (acl_permission_check() in fs/namei.c), and whatever the daemon does there is done as by
 * him. */
bool pfs_rootfs_owner_may (const PfsMount *mount, const struct statx *st, mode_t right, const PfsCaller *who);
/* For how long the kernel may believe the attributes of a file of that mode there, in seconds. */
double pfs_rootfs_attr_timeout (const PfsTree *tree, const PfsMount *mount, mode_t mode);
/* May directories there get another inode number each time the kernel has forgotten them? An overlay of several
 * filesystems numbers them so. */
bool pfs_mount_may_renumber (PfsMount *mount);
guint pfs_mount_hash (gconstpointer mount);
gboolean pfs_mount_equal (gconstpointer a, gconstpointer b);
uint64_t pfs_rootfs_ino (dev_t dev, uint64_t ino);
void pfs_rootfs_attr (const struct statx *st, struct stat *ret);
/* The same for the node's own file. A directory keeps the number that it was shown with, also if its overlay numbers it
 * anew: a walk compares where it comes back to with where it was (fts(3)). */
void pfs_rootnode_attr (const PfsRootNode *node, const struct statx *st, struct stat *ret);
int64_t pfs_statx_btime (const struct statx *st);

/* mount_table.c */

/* The content of mountinfo of the container's main process: 0 or -errno. */
int pfs_rootfs_mountinfo (PfsRootfs *rootfs, GBytes **ret);

/* How often the mounts of the container were seen to have changed; it counts as a change if nobody has looked for a
 * while. */
guint64 pfs_mount_table_changes (PfsRootfs *rootfs);
/* With the rootfs's lock held, where its pin is let go of. */
void pfs_mount_table_drop_locked (PfsRootfs *rootfs);
/* What tells the mount of that number from others that may get it (g_free); NULL if mountinfo does not name it. */
char *pfs_mount_table_line (const char *mountinfo, gsize len, uint64_t id);
/* Forgets all mounts that are not there any more, or are others, if that was not done since as many changes. What is
 * known of their files is found no more. */
void pfs_mount_table_check (PfsRootfs *rootfs, guint64 changes);

/* rootfs_identity.c */

/* For PfsTree.by_inode. */
guint pfs_rootnode_hash (gconstpointer node);
gboolean pfs_rootnode_equal (gconstpointer a, gconstpointer b);
/* Is what statx found the node's own file? A directory's node follows where that has got another number. */
bool pfs_rootfs_same (PfsRootNode *node, PfsMount *mount, const struct statx *st);
bool pfs_rootfs_same_locked (PfsRootNode *node, const PfsMount *mount, const struct statx *st);
/* Would the node be below itself there? */
bool pfs_rootnode_is_above_locked (const PfsNode *node, const PfsNode *below);
/* The node of what statx found under that name: a reference. */
PfsNode *pfs_rootfs_intern (PfsNode *dir, const char *name, const struct statx *st, PfsMount *mount);
/* After an operation that may have copied the file up (overlayfs): the node is still the same file. */
void pfs_rootfs_refresh (PfsNode *node, int fd);
/* Some open file of the node, as a reference; NULL where there is none. */
PfsFile *pfs_rootfs_any_file (PfsNode *node);
/* Is a file of that type shown as a link? */
bool pfs_rootfs_is_link (const PfsTree *tree, mode_t type);
/* Does each name of such a file have a node of its own? What a rewritten link says depends on where it is. */
bool pfs_rootfs_has_own_nodes (const PfsTree *tree, mode_t type);

/* rootfs_hold.c */

/* The process whose root is in use: the one that was, while it lives, else the container's next main process. What was
 * opened through the old one is not used again. -ESTALE once the container has ended. */
int pfs_rootfs_live_pin (PfsRootfs *rootfs, PfsProcess **ret);
/* -EIO once the container has ended. */
int pfs_rootfs_check (PfsRootfs *rootfs);
/* To be called if something is held where nothing was held before. */
void pfs_rootfs_tell_held (PfsTree *tree);
/* Into the list of what is open in the container, which is watched from then on; and out of it, if it is there.
 * 0, or -EIO once the container has ended. */
int pfs_rootfs_attach (PfsRootfs *rootfs, PfsFile *file);
void pfs_rootfs_detach (PfsRootfs *rootfs, PfsFile *file);
/* Takes over fd; -EIO (fd closed) once the container has ended. Others may find the file at once: what file_flags say
 * does not change any more. */
int pfs_rootfs_file_new (PfsNode *node, int fd, int flags, guint file_flags, PfsFile **ret);
void pfs_rootfs_close (PfsFile *file);

/* rootfs_dirfd.c: every function needs the daemon's own credentials. */

/* A descriptor of the directory, found to be the node's: 0, -ESTALE where it is not, -EIO once the container ended. */
int pfs_rootfs_dir (PfsNode *dir, PfsDirFd **ret);
/* The parent's descriptor and the node's name in it (g_free). Not for root/ itself. */
int pfs_rootfs_parent (PfsNode *node, PfsDirFd **ret_dir, char **ret_name);
/* A descriptor of the node itself: of an open file (a duplicate), or O_PATH by its parent and name; checked. */
int pfs_rootfs_pin (PfsNode *node, PfsFile *file, int *ret_fd);
/* The same of a regular file, with what statx tells of it. *ret_mount is a reference. */
int pfs_rootfs_pin_regular (PfsNode *node, int *ret_fd, struct statx *ret_st, PfsMount **ret_mount);
/* The node's path below root/, with a leading '/'. */
char *pfs_rootfs_path (PfsNode *node);
/* The descriptor of the container's root, and (where ret_pid is not NULL) the process whose root it is. */
int pfs_rootfs_top (PfsRootfs *rootfs, PfsDirFd **ret, pid_t *ret_pid);

/* rootfs_link.c */

int pfs_rootfs_readlink (PfsNode *node, const PfsCaller *who, char **ret);
/* What does a file of that type show as its target, given its directory? Directories on the way are searched as the
 * caller: else a link of his own would tell him what lies where he may not look.
 * Without walk, -EAGAIN where the peer's tree has to be looked at for it: that takes its time. */
int pfs_rootfs_target (PfsNode *dir, int dirfd, const char *name, mode_t type, bool walk, const PfsCaller *who,
                       char **ret);
/* The attributes of what is shown as a link in that directory: target is its content, NULL where it is too long. */
void pfs_rootfs_link_attr (int dirfd, const char *target, struct stat *attr);

/* rootfs_lookup.c */

/* The entry for what statx found under that name: its node is found or made, attributes filled. A link whose
 * size takes a walk is asked for it in its own name, by getattr; without wait, it is -EAGAIN. */
int pfs_rootfs_entry (PfsNode *dir, int dirfd, const char *name, const struct statx *st, PfsMount *mount, bool wait,
                      const PfsCaller *who, PfsEntry *ret);
int pfs_rootfs_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret);
/* As lookup, with the directory's descriptor at hand, which is searched by the right of `search`. With wait, see
 * pfs_rootfs_statx(); without, -EAGAIN for a link whose size takes a walk. */
int pfs_rootfs_lookup_at (PfsNode *dir, int dirfd, const char *name, bool wait, const PfsCaller *search,
                          const PfsCaller *who, PfsEntry *ret);
/* By whose right the caller searches the directory: his own; the daemon's if that is the same, and his is not known
 * yet. local: it lies on a mount that asks no server about the caller (PFS_MOUNT_LOCAL). */
const PfsCaller *pfs_rootfs_searcher (int dirfd, bool local, const PfsCaller *who);

/* rootfs_attr.c */

int pfs_rootfs_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret);
int pfs_rootfs_setattr (PfsNode *node, PfsFile *file, const struct stat *attr, unsigned int set, const PfsCaller *who,
                        struct stat *ret);
int pfs_rootfs_statfs (PfsNode *node, const PfsCaller *who, struct statvfs *ret);

/* rootfs_open.c */
int pfs_rootfs_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret);
int pfs_rootfs_create (PfsNode *dir, const char *name, mode_t mode, int flags, const PfsCaller *who, PfsEntry *ret,
                       PfsFile **ret_file);
int pfs_rootfs_tmpfile (PfsNode *dir, mode_t mode, int flags, const PfsCaller *who, PfsEntry *ret, PfsFile **ret_file);

/* rootfs_dir.c */
int pfs_rootfs_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret);
int pfs_rootfs_readdir (PfsFile *dir, off_t offset, bool plus, const PfsCaller *who, PfsEmit emit, gpointer data);

/* rootfs_modify.c */

/* The mode for a new file in that directory: a default ACL of it takes the place of the caller's umask (acl(5)). */
mode_t pfs_rootfs_mode (int dirfd, mode_t mode, const PfsCaller *who);
int pfs_rootfs_mknod (PfsNode *dir, const char *name, mode_t mode, dev_t rdev, const PfsCaller *who, PfsEntry *ret);
int pfs_rootfs_mkdir (PfsNode *dir, const char *name, mode_t mode, const PfsCaller *who, PfsEntry *ret);
int pfs_rootfs_symlink (PfsNode *dir, const char *name, const char *target, const PfsCaller *who, PfsEntry *ret);
int pfs_rootfs_link (PfsNode *node, PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret);
int pfs_rootfs_remove (PfsNode *dir, const char *name, bool directory, const PfsCaller *who);
int pfs_rootfs_rename (PfsNode *dir, const char *name, PfsNode *new_dir, const char *new_name, unsigned int flags,
                       const PfsCaller *who);

/* rootfs_xattr.c */
ssize_t pfs_rootfs_getxattr (PfsNode *node, const char *name, void *value, size_t size, const PfsCaller *who);
ssize_t pfs_rootfs_listxattr (PfsNode *node, char *list, size_t size, const PfsCaller *who);
int pfs_rootfs_setxattr (PfsNode *node, const char *name, const void *value, size_t size, int flags,
                         const PfsCaller *who);
int pfs_rootfs_removexattr (PfsNode *node, const char *name, const PfsCaller *who);
