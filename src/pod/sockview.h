/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process sees from its root, as its mountinfo tells: no file system is asked for anything. */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct {
  int root_fd;           /* O_PATH */
  uint64_t mount, inode; /* of its root: two processes with equal ones see the same */
  char *root;            /* the root's path as /proc prints it; "" for "/" */
  GHashTable *mounts;    /* "<parent's id>:<mount point>" -> id */
  GHashTable *devices;   /* id -> dev_t of the superblock */
  GHashTable *remote;    /* a set of the mount points that may not answer; our own mount is one */
} PfsView;

/* The view of the process whose directory pid_fd is. 0 or -errno: -ESRCH once it has ended. */
int pfs_view_new (int pid_fd, PfsView **ret);
void pfs_view_free (PfsView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsView, pfs_view_free)

/* Opens a process's root (O_PATH) and tells its mount and inode, without more. The descriptor, or -errno as above. */
int pfs_view_open_root (int pid_fd, uint64_t *ret_mount, uint64_t *ret_inode);

/* The path from the view's root of the file that /proc prints as text and that lies on the mount: a part of text, or
 * NULL if the view does not reach it or shows something else in its place. */
const char *pfs_view_path (const PfsView *view, const char *text, uint64_t mount);

/* The path from the view's root of a directory that /proc prints as text, "" for the root itself. NULL if text is
 * not below the root. It may be another directory's. */
const char *pfs_view_below (const PfsView *view, const char *text);
