/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a caller's kernel does with the links it is shown: a walk from the tree's root that knows of no jail. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "peerfs/base/read.h"

/* How a process chrooted to rootfd opens the path. */
static inline int
kernel_open (int rootfd, const char *path, uint64_t flags)
{
  struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
  long fd;

  do
    fd = syscall (SYS_openat2, rootfd, path, &how, sizeof how);
  while (fd < 0 && errno == EAGAIN); /* something was renamed somewhere while it took a ".." */
  return fd < 0 ? -errno : (int) fd;
}

#define CALLER_LEFT_THE_TREE (-100000)

typedef struct {
  GPtrArray *names; /* the directory reached, or the file */
  GString *pending;
  int links;
} Caller;

static inline char *
caller_path (const Caller *c)
{
  GString *path = g_string_new (c->names->len ? NULL : "/");

  for (guint i = 0; i < c->names->len; i++)
    g_string_append_printf (path, "/%s", (char *) c->names->pdata[i]);
  return g_string_free (path, FALSE);
}

/* Reads the link as the daemon would show it, and puts it before what is left. */
static inline int
caller_follow (Caller *c, int rootfd, int dirfd, const char *name)
{
  g_autofree char *dir = caller_path (c);
  g_autofree char *raw = NULL;
  g_autofree char *shown = NULL;

  if (++c->links > 40)
    return -ELOOP;
  int r = pfs_readlink_at (dirfd, name, &raw);
  if (r == 0)
    r = pfs_inroot_contain (rootfd, dir, raw, 0, &shown);
  if (r < 0)
    return r;
  if (shown[0] == '/' || shown[0] == '\0' || strlen (shown) >= PATH_MAX)
    return CALLER_LEFT_THE_TREE;
  if (c->pending->len)
    g_string_prepend_c (c->pending, '/');
  g_string_prepend (c->pending, shown);
  return 0;
}

static inline int
caller_step (Caller *c, int rootfd, const char *name)
{
  g_autofree char *dir = caller_path (c);
  pfs_autofd fd = pfs_inroot_open (rootfd, dir, O_PATH | O_DIRECTORY);
  struct stat st;

  if (fd < 0)
    return fd;
  if (strcmp (name, ".") == 0)
    return 0;
  if (strcmp (name, "..") == 0) {
    if (c->names->len == 0)
      return CALLER_LEFT_THE_TREE;
    g_ptr_array_set_size (c->names, (gint) c->names->len - 1);
    return 0;
  }
  if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return -errno;
  if (S_ISLNK (st.st_mode))
    return caller_follow (c, rootfd, fd, name);
  g_ptr_array_add (c->names, g_strdup (name));
  return 0;
}

/* An O_PATH descriptor of what path (below the root) leads to, or -errno, or CALLER_LEFT_THE_TREE. */
static inline int
caller_open (int rootfd, const char *path)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  Caller c = { names, g_string_new (path), 0 };
  int r = 0;

  while (r == 0 && c.pending->len > 0) {
    size_t skip = strspn (c.pending->str, "/");
    size_t len = strcspn (c.pending->str + skip, "/");
    g_autofree char *name = len ? g_strndup (c.pending->str + skip, len) : g_strdup (".");

    g_string_erase (c.pending, 0, (gssize) (skip + len));
    r = caller_step (&c, rootfd, name);
  }
  g_string_free (c.pending, TRUE);
  if (r < 0)
    return r;
  g_autofree char *reached = caller_path (&c);
  return pfs_inroot_open (rootfd, reached, O_PATH);
}
