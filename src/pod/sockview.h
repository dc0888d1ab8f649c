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
  GHashTable *remote;    /* a set of the mount points whose server may not answer; our own mount is one */
} PfsView;

/* The view of the process whose directory pid_fd is. 0 or -errno: -ESRCH once it has ended. */
int pfs_view_new (int pid_fd, PfsView **ret);
void pfs_view_free (PfsView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsView, pfs_view_free)

/* The mount and inode of a process's root, without more. 0 or -errno. */
int pfs_view_root_of (int pid_fd, uint64_t *ret_mount, uint64_t *ret_inode);

/* The path from the view's root of the file that /proc prints as text and that lies on the mount: a part of text, or
 * NULL if the view does not reach it or shows something else in its place. */
const char *pfs_view_path (const PfsView *view, const char *text, uint64_t mount);

/* The path from the view's root of a directory that /proc prints as text, "" for the root itself. NULL if text is
 * not below the root. It may be another directory's. */
const char *pfs_view_below (const PfsView *view, const char *text);
