/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the sources of root/ share. Each uses only those before it: mount_kind, mount; rootfs_identity; held,
 * open_files, open_path (what is held); rootfs_link, rootfs_lookup; the operations; rootfs. */
#pragma once

#include <sys/stat.h>

#include "peerfs/tree/kinds.h"
#include "peerfs/root/rootfs.h"
#include "peerfs/tree/tree.h"

typedef struct PfsRootfs PfsRootfs;
typedef struct PfsRoots PfsRoots;

/* One filesystem at one mount of a container. On overlayfs files and directories of one mount differ in their device.
 */
typedef struct {
  gint refs; /* the last one goes with the tree locked */
  PfsRootfs *rootfs;
  uint64_t id; /* STATX_MNT_ID */
  dev_t dev;
  guint flags;
  char *line;       /* before Linux 6.8, what mountinfo says of it; else NULL */
  gint shows_files; /* of an overlay: files have been seen on this device, not directories alone; atomic */
} PfsMount;

#define PFS_MOUNT_VOLATILE (1u << 0) /* sysfs and the like: sizes are lies, nothing may be cached */
#define PFS_MOUNT_REMOTE (1u << 1)   /* attributes have to be asked for; statx may wait */
#define PFS_MOUNT_PROC (1u << 2)     /* procfs: not served */
#define PFS_MOUNT_OVERLAY (1u << 3)  /* directories on its own device: files may have another */
#define PFS_MOUNT_LOCAL (1u << 4)    /* nothing depends on who reads or writes what is open */

/* PfsFileFlags of what is open there. */
static inline guint
pfs_mount_file_flags (const PfsMount *mount)
{
  return (mount->flags & PFS_MOUNT_VOLATILE ? PFS_FILE_DIRECT_IO : 0u)
         | (mount->flags & PFS_MOUNT_LOCAL ? 0u : PFS_FILE_AS_CALLER);
}

PfsMount *pfs_mount_ref (PfsMount *mount);
void pfs_mount_unref (PfsMount *mount); /* not with the tree locked */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsMount, pfs_mount_unref)

/* What statx(2) found:  g_auto (PfsFound) found = { .mount = NULL }; */
typedef struct {
  struct statx st;
  PfsMount *mount; /* that it lies on: a reference */
} PfsFound;

static inline void
pfs_found_clear (PfsFound *found)
{
  g_clear_pointer (&found->mount, pfs_mount_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsFound, pfs_found_clear)

/* An O_PATH descriptor of a directory. Refcounted. */
typedef struct {
  int fd;
  PfsMount *mount; /* that it was found to lie on: a reference */
  gint64 searched; /* PfsRootfs.lived_at when the daemon's user was its owner, and could search it; the tree's lock */
} PfsDirFd;

void pfs_dir_fd_unref (PfsDirFd *dir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsDirFd, pfs_dir_fd_unref)

#define PFS_HELD_DIRS 48
#define PFS_HELD_IDLE (G_USEC_PER_SEC / 2) /* then a directory is held no more */

/* A directory that is held; all 0: none. */
typedef struct {
  PfsNode *node;
  PfsDirFd *dir;
  gint64 used; /* g_get_monotonic_time() */
} PfsHeldDir;

/* What root/ keeps of a tree. The tree's lock guards the two lists. */
struct PfsRoots {
  dev_t own_device; /* st_dev of our own mount */
  int self_fds;     /* /proc/self/fd: O_PATH descriptors are reopened through it */
  int nothing;      /* a descriptor of nothing to be had, to put in the place of others */
  PfsHeldDir dirs[PFS_HELD_DIRS];
  GPtrArray *all; /* of PfsRootfs, borrowed */
  PfsRunFunc run_func;
  gpointer run_data;
  PfsHeldFunc held_func;
  gpointer held_data;
};

/* The filesystem of one container instance, and what is held of it. Refcounted (g_atomic_rc_box_acquire()); its top
 * node has a reference. The tree's lock guards what follows top. */
struct PfsRootfs {
  PfsTree *tree;
  PfsContainer *container; /* a reference */
  PfsNode *top;            /* borrowed */
  bool ended;
  PfsProcess *process; /* whose root is in use; NULL while nothing is held */
  gint64 lived_at;     /* when it was last known to live, as g_get_monotonic_time() */
  GQueue files;        /* of PfsFile: all that is open */
  GHashTable *mounts;  /* a set of PfsMount, borrowed */
  /* Before Linux 6.8: */
  int mount_table;   /* the process's open mountinfo, or -1 */
  guint64 changes;   /* how often that was seen to have changed */
  GHashTable *lines; /* of it, by the number of the mount; does not change. NULL: not read yet */
  guint64 lines_at;  /* `changes` when they were read */
};

/* The real type of the file is kept in the flags (S_IFMT >> 12). */
#define PFS_ROOTNODE_TYPE(n) (((n)->node.flags & 0xfu) << 12)
#define PFS_ROOTNODE_TOP (1u << 4) /* root/ itself */

typedef struct {
  PfsNode node;
  PfsRootfs *rootfs;
  PfsMount *mount; /* a reference; NULL for a top that was not opened yet. May change with ino if a file is copied up;
                    * like what follows it is guarded by the tree's lock */
  uint64_t ino;
  uint64_t shown_ino; /* the number that callers were told first; fixed: pfs_rootnode_attr() */
  int64_t btime;      /* nanoseconds; 0 if the filesystem has none */
  GList *open;        /* of PfsFile, borrowed: those that are open on this node */
  uint32_t version;   /* of the content, when the kernel last began to cache it; for a directory that time
                       * itself (milliseconds); 0: never */
} PfsRootNode;

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

/* own_mount.c */

/* A node that stands for what lies there and is cut off: a reference. */
PfsNode *pfs_own_mount_new (PfsNode *dir, int dirfd, const char *name);
bool pfs_is_own_mount (const PfsNode *node);

/* mount_kind.c */

/* The content of mountinfo of the container's main process (g_bytes_unref); empty if it cannot be read. */
GBytes *pfs_rootfs_mountinfo (PfsRootfs *rootfs);
/* PFS_MOUNT_* of the mount that fd/name ("": fd) lies on; st is what statx(2) says of that. 0, or -errno if it cannot
 * be told now: what a mount is must be known before anything of it is served. */
int pfs_rootfs_mount_kind (PfsRootfs *rootfs, int fd, const char *name, const struct statx *st, guint *ret);

/* mount.c */

/* For PfsRootfs.mounts. */
GHashTable *pfs_mounts_new (void);
/* When its process is held no more. */
void pfs_mount_table_close_locked (PfsRootfs *rootfs);
/* statx(2) of fd/name ("": fd itself) without following links or automounts. -EXDEV: it is cut off, see own_mount.c.
 * With wait, a remote filesystem is asked; else what the kernel knows of it is given. */
int pfs_rootfs_statx (PfsRootfs *rootfs, int fd, const char *name, bool wait, PfsFound *ret);
/* May the caller do that (S_IRUSR) for being the owner, as the daemon is? Then the kernel asks for no capability
 * (acl_permission_check() in fs/namei.c): what the daemon does there is done as by the caller. */
bool pfs_rootfs_owner_may (const PfsFound *found, mode_t right, const PfsCaller *who);
/* For how many seconds the kernel may believe the attributes of a file of that mode there. */
double pfs_rootfs_attr_timeout (const PfsTree *tree, const PfsMount *mount, mode_t mode);
/* May directories there get another number each time the kernel has forgotten them? */
bool pfs_mount_may_renumber (PfsMount *mount);

/* rootfs_identity.c */

/* For PfsTree.by_inode. */
guint pfs_rootnode_hash (gconstpointer node);
gboolean pfs_rootnode_equal (gconstpointer a, gconstpointer b);
/* 0 if statx, which returned r, found the node's own file; else -ESTALE. A directory's node takes its new number. */
int pfs_rootfs_own (PfsNode *node, int r, PfsFound *found);
/* The node by that mount and number, borrowed; NULL: none is known. */
PfsNode *pfs_rootfs_known_locked (PfsTree *tree, const PfsFound *found);
/* The node of what statx found under that name: a reference. */
PfsNode *pfs_rootfs_intern (PfsNode *dir, const char *name, PfsFound *found);
/* After an operation that may have copied the file up (overlayfs): the node is still the same file. */
void pfs_rootfs_refresh (PfsNode *node, int fd);
/* Some open file of the node, as a reference; NULL: there is none. */
PfsFile *pfs_rootfs_any_file (PfsNode *node);
/* Is a file of that type shown as a link? */
bool pfs_rootfs_is_link (const PfsTree *tree, mode_t type);
/* Does each name of such a file have a node of its own? What a rewritten link says depends on where it is. */
bool pfs_rootfs_has_own_nodes (const PfsTree *tree, mode_t type);
uint64_t pfs_rootfs_ino (dev_t dev, uint64_t ino);
void pfs_rootfs_attr (const struct statx *st, struct stat *ret);
/* The same for the node's own file. A directory keeps the number that it was shown with, also if its overlay numbers it
 * anew: a walk compares where it comes back to with where it was (fts(3)). */
void pfs_rootnode_attr (const PfsRootNode *node, const struct statx *st, struct stat *ret);

/* held.c */

void pfs_rootfs_unref (PfsRootfs *rootfs);
/* The process whose root is in use: the one that was, while it lives; else the next main process, and what was opened
 * through the old one is not used again. -ESTALE once the container has ended. */
int pfs_rootfs_process (PfsRootfs *rootfs, PfsProcess **ret);
/* -EIO once the container has ended. */
int pfs_rootfs_check (PfsRootfs *rootfs);
/* A reference to the directory's descriptor, if it is held; else NULL. */
PfsDirFd *pfs_held_dir_locked (PfsNode *node);
/* A reference to a new one. Takes over fd, which was opened through the process, and is held in the place of the one
 * that was not used for longest. */
PfsDirFd *pfs_held_dir_new (PfsNode *node, const PfsProcess *process, int fd, PfsMount *mount);
void pfs_held_drop_dirs (PfsTree *tree); /* all; for tests too */

/* open_files.c */

/* Into the list of what is open in the container, and out of it. 0, or -EIO once that has ended: to be taken out all
 * the same. */
int pfs_rootfs_attach (PfsRootfs *rootfs, PfsFile *file);
void pfs_rootfs_detach (PfsRootfs *rootfs, PfsFile *file);
/* Takes over fd; -EIO (fd closed) once the container has ended. Others may find the file at once. */
int pfs_rootfs_file_new (PfsNode *node, int fd, int flags, guint file_flags, PfsFile **ret);
void pfs_rootfs_close (PfsFile *file);

/* open_path.c: every function needs the daemon's own credentials. */

/* A descriptor of the directory, found to be the node's: 0, or -ESTALE if it is another, or the container has ended. */
int pfs_rootfs_dir (PfsNode *dir, PfsDirFd **ret);
/* The same if pfs_rootfs_process() has just given the process. */
int pfs_rootfs_dir_of (PfsNode *dir, PfsProcess *process, PfsDirFd **ret);
/* The parent's descriptor and the node's name in it (g_free). Not for root/ itself. */
int pfs_rootfs_parent (PfsNode *node, PfsDirFd **ret_dir, char **ret_name);
/* A descriptor of the node itself, or -errno: of an open file (a duplicate), or O_PATH by its parent and name; checked.
 * file and ret_found (what statx tells of it) may be NULL. */
int pfs_rootfs_open_path (PfsNode *node, PfsFile *file, PfsFound *ret_found);
/* The node's path below root/, with a leading '/'. */
char *pfs_rootfs_path (PfsNode *node);

/* rootfs_link.c */

int pfs_rootfs_readlink (PfsNode *node, const PfsCaller *who, char **ret);
/* What does a file of that type in the directory show as its target? Directories on the way are searched as the caller:
 * else its own link would tell it what lies behind a closed one. Without walk, -EAGAIN if the way has to be searched.
 */
int pfs_rootfs_target (PfsNode *dir, int dirfd, const char *name, mode_t type, bool walk, const PfsCaller *who,
                       char **ret);
/* The attributes of what is shown as a link in that directory: target is its content, NULL if it is too long. */
void pfs_rootfs_link_attr (int dirfd, const char *target, struct stat *attr);

/* rootfs_lookup.c */

/* The entry for what statx found under that name: its node is found or made, attributes filled. A link whose
 * size takes a walk is asked for it in its own name, by getattr; without wait, it is -EAGAIN. */
int pfs_rootfs_entry (PfsNode *dir, int dirfd, const char *name, PfsFound *found, bool wait, const PfsCaller *who,
                      PfsEntry *ret);
int pfs_rootfs_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret);
/* As lookup, with the directory's descriptor at hand, which is searched by the right of `search`. With wait, see
 * pfs_rootfs_statx(); without, -EAGAIN for a link whose size takes a walk. */
int pfs_rootfs_lookup_at (PfsNode *dir, int dirfd, const char *name, bool wait, const PfsCaller *search,
                          const PfsCaller *who, PfsEntry *ret);
/* By whose right the caller searches the directory: its own; the daemon's if that is the same, and its own is not known
 * yet. local: it lies on a mount that asks no server about the caller (PFS_MOUNT_LOCAL). */
const PfsCaller *pfs_rootfs_searcher (int dirfd, bool local, const PfsCaller *who);

/* rootfs_attr.c */

int pfs_rootfs_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret);

/* rootfs_open.c */
int pfs_rootfs_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret);

/* rootfs_dir.c */
int pfs_rootfs_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret);

/* rootfs_modify.c */

/* A descriptor of the directory, for a change of that name in it (NULL: of none): as pfs_rootfs_dir(), -EROFS, or an
 * error of the name. */
int pfs_rootfs_writable_dir (PfsNode *dir, const char *name, PfsDirFd **ret);
/* The mode for a new file in that directory: a default ACL of it takes the place of the caller's umask (acl(5)). */
mode_t pfs_rootfs_mode (int dirfd, mode_t mode, const PfsCaller *who);
