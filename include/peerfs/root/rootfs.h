/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* root/: a container's filesystem.
 *
 * A node is a mount, an inode number and a birth time, plus the parent and name by which it was last seen. It has no
 * descriptor: one for each node would be too many for a walk, and would keep the peer's mounts busy. An operation opens
 * the parent by its path below /proc/<pid>/root and checks that it found that very inode. Else it is -ESTALE, and the
 * kernel looks the path up again.
 *
 * Held are the process whose root is in use, what callers have open, and a few directories, for half a second after
 * their last use. Nothing is held of a container that has ended. */
#pragma once

#include <stdbool.h>
#include <sys/statvfs.h>

#include "peerfs/tree/node.h"

/* For pfs_tree_new(). */
extern const PfsRootKind pfs_root_kind;

/* Which fields of a setattr are meant, as FUSE_SET_ATTR_* of libfuse (fuse_lowlevel.h); fuse/ asserts that they agree.
 */
typedef enum {
  PFS_SET_MODE = 1 << 0,
  PFS_SET_UID = 1 << 1,
  PFS_SET_GID = 1 << 2,
  PFS_SET_SIZE = 1 << 3,
  PFS_SET_ATIME = 1 << 4,
  PFS_SET_MTIME = 1 << 5,
  PFS_SET_ATIME_NOW = 1 << 7,
  PFS_SET_MTIME_NOW = 1 << 8,
} PfsSetAttr;

/* One name of a directory. entry is NULL unless attributes were asked for and could be had; its node reference is the
 * callee's only if it returns true. False: no room, stop before this one. */
typedef bool (*PfsEmit) (const char *name, uint64_t ino, mode_t type, off_t next, PfsEntry *entry, gpointer data);

/* getxattr(2), listxattr(2), setxattr(2) or removexattr(2). Size 0 asks for the length. */
typedef struct {
  enum { PFS_XATTR_GET, PFS_XATTR_LIST, PFS_XATTR_SET, PFS_XATTR_REMOVE } what;
  const char *name;
  void *out;         /* of get and list */
  const void *value; /* of set */
  size_t size;
  int flags; /* of set */
} PfsXattr;

/* What only nodes of root/ can (PfsNodeOps.fs). As there: 0 or -errno, outputs untouched on failure, any thread, no
 * lock held. */

int pfs_rootfs_setattr (PfsNode *node, PfsFile *file, const struct stat *attr, unsigned int set, const PfsCaller *who,
                        struct stat *ret);
int pfs_rootfs_statfs (PfsNode *node, const PfsCaller *who, struct statvfs *ret);
int pfs_rootfs_create (PfsNode *dir, const char *name, mode_t mode, int flags, const PfsCaller *who, PfsEntry *ret,
                       PfsFile **ret_file);
int pfs_rootfs_tmpfile (PfsNode *dir, mode_t mode, int flags, const PfsCaller *who, PfsEntry *ret, PfsFile **ret_file);
/* What has a name and no content, of the mode's type: a directory, a link (to target), a special or an empty file. */
int pfs_rootfs_make (PfsNode *dir, const char *name, mode_t mode, dev_t rdev, const char *target, const PfsCaller *who,
                     PfsEntry *ret);
int pfs_rootfs_link (PfsNode *node, PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret);
int pfs_rootfs_remove (PfsNode *dir, const char *name, bool directory, const PfsCaller *who);
int pfs_rootfs_rename (PfsNode *dir, const char *name, PfsNode *new_dir, const char *new_name, unsigned int flags,
                       const PfsCaller *who);
/* The length of the attribute or list, 0 for a change, or -errno. */
ssize_t pfs_rootfs_xattr (PfsNode *node, const PfsXattr *call, const PfsCaller *who);
/* Calls emit for the entries from offset on (0, or a `next` given before); with plus, with their attributes. */
int pfs_rootfs_readdir (PfsFile *dir, off_t offset, bool plus, const PfsCaller *who, PfsEmit emit, gpointer data);

/* For how long the kernel may believe these attributes of the node, in seconds. */
double pfs_node_attr_timeout (const PfsNode *node, const struct stat *attr);

/* Where a node lies, to find those that wait for the same thing. */
typedef struct {
  PfsContainer *container; /* borrowed from the node; NULL: none */
  const void *mount;       /* below root/, to be compared alone; else NULL */
  bool remote;             /* a server is asked there (FUSE, NFS), which may not answer */
  bool is_peer;            /* it is the container's own directory, whose attributes ask nobody */
} PfsNodeMount;
PfsNodeMount pfs_node_mount (PfsNode *node);
/* The node of that number (not the top's), as the kernel knew it once more (pfs_node_remember()), and its place; or
 * NULL. */
PfsNode *pfs_tree_remember_node (PfsTree *tree, uint64_t number, PfsNodeMount *ret_mount);
/* Its container alone, at the price of no lock. Borrowed. */
PfsContainer *pfs_node_mount_container (PfsNode *node);

/* 0, or -EIO once the container of an open file has ended: of root/, or one that is held. */
int pfs_file_check (const PfsFile *file);

/* Opens an open file of root/ once more, with the daemon's rights. It ends with its container as any other. */
int pfs_file_reopen (const PfsFile *file, int flags, PfsFile **ret);

/* What a call on its descriptor came to: -EIO in the place of -EBADF if the container ended meanwhile. */
int pfs_file_error (const PfsFile *file, int r);

/* Our own mount's device, before the first request: what lies on it is an empty directory, never asked for anything. */
void pfs_tree_set_own_device (PfsTree *tree, dev_t own);

/* A name the kernel may be asked to forget. Owns both; pfs_name_free(). */
typedef struct {
  PfsNode *parent;
  char *name;
} PfsName;
void pfs_name_free (gpointer name);

/* Up to max names of nodes that nothing but the kernel's memory keeps, but no generated directories; and of those below
 * the directories of containers that have ended: a GPtrArray of PfsName. */
GPtrArray *pfs_tree_idle_names (PfsTree *tree, guint max);
GPtrArray *pfs_tree_ended_names (PfsTree *tree, guint max);

/* --- what is held of containers, for the thread that lets go of it --- */

/* The main processes of all containers of which anything is held: a GPtrArray of PfsProcess references.
 * *ret_deadline: when the next idle descriptor is due (g_get_monotonic_time(), microseconds; G_MAXINT64: never). */
GPtrArray *pfs_tree_held (PfsTree *tree, gint64 *ret_deadline);

/* Called, with no lock held, if something is held after nothing was. */
typedef void (*PfsHeldFunc) (gpointer data);
void pfs_tree_set_held_func (PfsTree *tree, PfsHeldFunc func, gpointer data);

/* Has func called with file (a reference to it that func drops), about what lies on the node's file system, which may
 * not answer: on a thread that no other caller waits for. Without a PfsRunFunc it is called at once. */
typedef void (*PfsRunFunc) (PfsNode *node, void (*func) (gpointer file), gpointer file, gpointer data);
void pfs_tree_set_run_func (PfsTree *tree, PfsRunFunc func, gpointer data);

/* Closes what has been idle, and everything of containers that have ended: files that are still open fail with EIO from
 * now on. Calls ended (may be NULL) for each container that was found to have ended. */
typedef void (*PfsEndedFunc) (PfsContainer *container, gpointer data);
void pfs_tree_sweep (PfsTree *tree, PfsEndedFunc ended, gpointer data);
