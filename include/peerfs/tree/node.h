/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tree consists of. The kernel knows a node by a number, which says nothing else. Each kind of node has one
 * small table of operations. Nodes know nothing of FUSE requests.
 *
 * Lifetimes: a node lives while the kernel remembers it (nlookup), or its children, its open files or an operation
 * under way hold a reference. Nodes of one parent and name, or for files of one device and inode, are the same node.
 * One mutex guards the table; it is never held across I/O. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "peerfs/base/creds.h"
#include "peerfs/pod/table.h"

typedef struct PfsTree PfsTree;
typedef struct PfsNode PfsNode;
typedef struct PfsFile PfsFile;
typedef struct PfsNodeOps PfsNodeOps;
typedef struct PfsPeerChild PfsPeerChild; /* peer.h */

typedef struct {
  bool read_only;      /* -o ro: EROFS for every change */
  bool raw_symlinks;   /* -o symlinks=raw */
  bool special_nodes;  /* -o special=node */
  double attr_timeout; /* seconds, below root/ and for attributes that are fixed; everything else is 0 */
  double entry_timeout;
} PfsTreeOptions;

/* --- the tree --- */

/* The kind of node that serves NAME/root, of the layer above: pfs_root_kind of root/rootfs.h. */
typedef struct {
  void (*attach) (PfsTree *tree); /* makes what it keeps of a tree */
  void (*detach) (PfsTree *tree); /* lets go of that, and of all nodes held */
  PfsNode *(*new) (PfsNode *peer, const char *name);
  /* An open file of another kind ends with its container, as those of root/ do: 0, or -EIO if that has ended already.
   * To be undone by the kind's close. */
  int (*hold) (PfsFile *file);
  void (*let_go) (PfsFile *file);
} PfsRootKind;

/* A tree over the table (it takes a reference). options is copied. */
PfsTree *pfs_tree_new (PfsTable *table, const PfsTreeOptions *options, const PfsRootKind *root);
void pfs_tree_free (PfsTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsTree, pfs_tree_free)

PfsNode *pfs_tree_top (const PfsTree *tree); /* borrowed; never forgotten */
size_t pfs_tree_size (PfsTree *tree);        /* nodes in the table now */

/* The node of that number, borrowed: it stays while the kernel remembers it, as it does while a request about it waits
 * for an answer. If there is none any more: one that is never forgotten, and -ESTALE whatever it is asked for. */
PfsNode *pfs_tree_node (PfsTree *tree, uint64_t number);
#define PFS_NODE_TOP 1 /* the number of the top, FUSE_ROOT_ID */

/* --- what operations give back --- */

/* One answer to lookup: a reference to the node (pfs_node_unref), its attributes and for how long they hold. */
typedef struct {
  PfsNode *node;
  struct stat attr;
  double attr_timeout, entry_timeout;
} PfsEntry;

typedef enum {
  PFS_FILE_DIRECT_IO = 1 << 0,  /* its size is not known, or a lie: read until nothing comes */
  PFS_FILE_KEEP_CACHE = 1 << 1, /* unchanged since the kernel cached it */
  PFS_FILE_CACHE_DIR = 1 << 2,
  PFS_FILE_AS_CALLER = 1 << 3, /* the reader's or writer's credentials may matter: act with the caller's */
} PfsFileFlags;

/* Something opened: a file or directory of a peer (fd), or a snapshot (content, listing). Refcounted. */
struct PfsFile {
  gint refs;
  PfsNode *node;    /* a reference */
  int fd;           /* -1 if there is none */
  int flags;        /* those of open(2) */
  guint file_flags; /* PfsFileFlags */
  uint64_t caps;    /* of the caller that opened it */
  GBytes *content;  /* for generated files, else NULL */
  GArray *listing;  /* of PfsListed: for generated directories, else NULL */
  void *priv;       /* of the kind */
  GDestroyNotify priv_free;
  GList link;    /* in the list of what is open in a container (rootfs) */
  PfsNode *root; /* whose list that is, if it is no file of root/ itself: a reference */
};

/* New with refs 1 and a reference to node; takes over fd (-1: none), content and listing (NULL: none). */
PfsFile *pfs_file_new (PfsNode *node, int fd, GBytes *content, GArray *listing);
PfsFile *pfs_file_ref (PfsFile *file);
/* False: the last reference is gone. It is in its kind's list until ops->close has taken it out. */
bool pfs_file_ref_unless_dying (PfsFile *file);
void pfs_file_unref (PfsFile *file); /* the last one calls ops->close, closes and frees */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsFile, pfs_file_unref)

/* Bytes of memory that the file keeps for as long as it is open: its content or its listing. */
size_t pfs_file_size_held (const PfsFile *file);

/* A generated directory: the names it had when it was opened, so that offsets are stable. A GArray of PfsListed. */
typedef struct {
  char *name;
  mode_t type;
  uint64_t ino;
} PfsListed;

GArray *pfs_listing_new (void);
void pfs_listing_add (GArray *listing, const char *name, mode_t type, uint64_t ino);

/* --- a kind of node --- */

/* For how many seconds the kernel may believe attributes; 0: not at all. Those of a gate or a link change with its
 * process, seldom: they hold as long as one walk over a path takes, which looks the name up and gets them along. */
#define PFS_ATTR_BRIEF 0.1
#define PFS_ATTR_FIXED G_MAXDOUBLE

/* Every function may be NULL: -ENOTDIR, -EINVAL or -EISDIR as fits. All return 0 or -errno, run on any thread, without
 * a lock held, and leave outputs untouched on failure. */
struct PfsNodeOps {
  double attr_life;             /* of nodes that are no files of a peer; attr_timeout at most */
  bool gated;                   /* it is, or is below, what takes the right to look into the container */
  mode_t mode;                  /* type and permissions, for pfs_peer_getattr() */
  bool owned;                   /* likewise: it belongs to the main process's user, not to root */
  const PfsPeerChild *children; /* for pfs_peer_lookup() and pfs_peer_opendir(); ends with a NULL name */
  int (*content) (PfsNode *node, const PfsCaller *who, GBytes **ret); /* for the two of pfs_peer_content_*() */
  size_t size;                      /* of the node's struct, whose first member is the PfsNode */
  void (*finalize) (PfsNode *node); /* frees what the struct owns beyond PfsNode; may be NULL */

  /* file is an open file of the node, or NULL. st_ino must be pfs_node_ino() (or rootfs's own). */
  int (*getattr) (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret);
  int (*lookup) (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret);
  int (*readlink) (PfsNode *node, const PfsCaller *who, char **ret_target);
  int (*open) (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret);
  int (*opendir) (PfsNode *dir, const PfsCaller *who, PfsFile **ret);
  void (*close) (PfsFile *file);

  bool fs; /* a file of a peer, see root/rootfs.h; else every change is -EROFS (or -EPERM) */
};

struct PfsNode {
  const PfsNodeOps *ops;
  PfsTree *tree;
  PfsNode *parent;  /* a reference; NULL for the top. Guarded by the tree's lock (rename) */
  char *name;       /* guarded likewise */
  uint64_t nlookup; /* guarded likewise */
  uint64_t number;  /* by which the kernel knows it; fixed */
  gint refs;
  guint32 flags;  /* of the kind; fixed once the node can be found */
  guint32 tables; /* those it is in; guarded likewise */
};

PfsNode *pfs_node_ref (PfsNode *node);
void pfs_node_unref (PfsNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsNode, pfs_node_unref)

/* A reference to the node of that parent, name and kind: the one in the table, or a new one, zeroed. init (may be NULL)
 * fills that, before others see it. The table is locked then: init calls nothing of this header. */
typedef void (*PfsNodeInit) (PfsNode *node, gpointer data);
PfsNode *pfs_node_child (PfsNode *parent, const char *name, const PfsNodeOps *ops, PfsNodeInit init, gpointer data);

/* The kernel remembers the node once more (a lookup was answered), or n times less. */
void pfs_node_remember (PfsNode *node);
void pfs_node_forget (PfsNode *node, uint64_t n);

/* A stable inode number for a generated node, made of its path. The highest bit is that of peers' files. */
#define PFS_INO_MAX (UINT64_MAX >> 1)
uint64_t pfs_node_ino (const PfsNode *node);
uint64_t pfs_ino_hash (uint64_t parent_ino, const char *name, size_t len);

/* Fills *ret for a generated node: type and permissions, owner, size, one link, the given time for all three. */
void pfs_node_stat (const PfsNode *node, mode_t mode, uid_t uid, gid_t gid, off_t size, const struct timespec *when,
                    struct stat *ret);

/* An entry for the child, whose reference it takes over, also on failure. Its name holds for no time. */
int pfs_entry_of (PfsNode *child, const PfsCaller *who, PfsEntry *ret);
/* ops->attr_life, attr_timeout at most. */
double pfs_node_attr_life (const PfsNode *node);
