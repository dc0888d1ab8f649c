/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Trees made of paths: what sockets/ and maps/files show. A scan gives objects with a path each; the directories above
 * them exist only because some path leads through them.
 *
 * A path tree is one scan's result, immutable once its aliases are in, shared by reference. The node at its top keeps
 * the last one for a short while, so that an `ls -l` costs one scan and not one for each name. */
#pragma once

#include "peerfs/tree/kinds.h"

typedef struct PfsPathTree PfsPathTree;

/* The path of a leaf, without leading '/'; borrowed from it. */
typedef const char *(*PfsPathTreePath) (gconstpointer leaf);

/* A path tree of leaves, of which it takes over the reference and keeps those whose path has valid components only. Two
 * leaves of one path: the first stays. A leaf whose path another one uses as a directory is dropped: hiding it hides
 * one object, hiding the directory would hide all below it. (Only deleted and replaced files can collide so.) */
PfsPathTree *pfs_path_tree_new (GPtrArray *leaves, PfsPathTreePath path_of);
PfsPathTree *pfs_path_tree_ref (PfsPathTree *path_tree);
void pfs_path_tree_unref (PfsPathTree *path_tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsPathTree, pfs_path_tree_unref)

guint pfs_path_tree_size (const PfsPathTree *path_tree);
gconstpointer pfs_path_tree_nth (const PfsPathTree *path_tree, guint i);

/* Shows leaf under name at the top too; where the top has that name already, the alias is hidden. Before sharing. */
void pfs_path_tree_alias (PfsPathTree *path_tree, const char *name, gconstpointer leaf);

typedef enum {
  PFS_PATH_TREE_NONE,
  PFS_PATH_TREE_DIR,
  PFS_PATH_TREE_LEAF,
} PfsPathTreeType;

/* Whether a leaf is there at all for the one who asks; so is a directory that has such a leaf. */
typedef bool (*PfsPathTreeSee) (gconstpointer leaf, gpointer data);

typedef struct {
  PfsPathTreeSee see; /* NULL: everything is */
  gpointer data;
} PfsPathTreeEyes;

bool pfs_path_tree_sees (const PfsPathTreeEyes *eyes, gconstpointer leaf);

/* What name is in directory dir ("" is the top). *ret_leaf (borrowed from the path tree) is set for leaves only. */
PfsPathTreeType pfs_path_tree_find (const PfsPathTree *path_tree, const char *dir, const char *name,
                                    const PfsPathTreeEyes *eyes, gconstpointer *ret_leaf);

/* Calls func for each name in dir, once, in the order of the paths; aliases come last. */
typedef void (*PfsPathTreeFunc) (const char *name, PfsPathTreeType type, gconstpointer leaf, gpointer data);
void pfs_path_tree_foreach (const PfsPathTree *path_tree, const char *dir, const PfsPathTreeEyes *eyes,
                            PfsPathTreeFunc func, gpointer data);

/* --- nodes --- */

typedef struct PfsPathTreeTop PfsPathTreeTop;

/* What differs between sockets/ and maps/files. */
typedef struct {
  /* Scans the top's container. Returns 0 or -errno. */
  int (*scan) (PfsNode *top, PfsPathTree **ret);
  /* The leaf's key in the node table: its name, '/', and what tells this object from another of the same name, so that
   * a leaf's node never changes its meaning (g_free). */
  char *(*key) (const char *name, gconstpointer leaf);
  const PfsNodeOps *leaf_ops; /* of a link */
  PfsNodeInit leaf_init;      /* data is the leaf, valid during the call */
  /* Whether this caller may see the leaf: 1, 0, or -errno where that cannot be told now. NULL: whoever got here may.
   * With it, the top is entered by those who may enter the main process or see a leaf. verdicts (pid -> answer) is the
   * kind's own, for one request. */
  int (*may_see) (PfsContainer *c, gconstpointer leaf, const PfsCaller *who, GHashTable *verdicts);
} PfsPathTreeKind;

/* A directory of one. */
typedef struct {
  PfsPeerNode peer;
  PfsPathTreeTop *top; /* itself or an ancestor: borrowed */
} PfsPathTreeDir;

struct PfsPathTreeTop {
  PfsPathTreeDir dir;
  const PfsPathTreeKind *kind;
  GRecMutex scanning; /* held during a scan, which asks no file system that may not answer */
  GMutex lock;        /* guards what follows; not held while scanning */
  PfsPathTree *path_tree;
  gint64 taken; /* g_get_monotonic_time() when its scan began */
  gint64 took;  /* how long it was */
};

/* To be called by the init and finalize of a kind whose struct is (or begins with) a PfsPathTreeTop. */
void pfs_path_tree_top_init (PfsNode *node, const PfsPathTreeKind *kind);
void pfs_path_tree_top_finalize (PfsNode *node);

/* The operations of the directories. getattr says root-owned 0755: a copied mode, such as /tmp's 1777, would make
 * fs.protected_symlinks refuse the links in it. */
int pfs_path_tree_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret);
int pfs_path_tree_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret);
int pfs_path_tree_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret);
