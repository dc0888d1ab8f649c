/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A /proc made of plain files in a temporary directory. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "peerfs/proc/proc.h"

typedef struct {
  char *dir;
  PfsProc *proc;
  struct PfsTable *table; /* of the tests of pod */
} Fixture;

static inline void
fixture_put (Fixture *f, pid_t pid, const char *file, const char *content)
{
  g_autofree char *dir = g_strdup_printf ("%s/%d", f->dir, pid);
  g_autofree char *path = g_strdup_printf ("%s/%s", dir, file);

  assert_return_code (g_mkdir_with_parents (dir, 0755), errno);
  assert_true (g_file_set_contents (path, content, -1, NULL));
}

static inline void
fixture_state (Fixture *f, pid_t pid, const char *comm, guint64 start, char state)
{
  g_autofree char *stat = g_strdup_printf ("%d (%s) %c 0 %d %d 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 %" G_GUINT64_FORMAT
                                           " 1000 10 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n",
                                           pid, comm, state, pid, pid, start);
  fixture_put (f, pid, "stat", stat);
}

static inline void
fixture_process (Fixture *f, pid_t pid, const char *comm, guint64 start, const char *cgroup, const char *mountinfo)
{
  fixture_state (f, pid, comm, start, 'S');
  fixture_put (f, pid, "cgroup", cgroup);
  fixture_put (f, pid, "mountinfo", mountinfo);
}

static inline int
fixture_remove_one (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void) st;
  (void) type;
  (void) ftw;
  return remove (path);
}

static inline void
fixture_kill (Fixture *f, pid_t pid)
{
  g_autofree char *dir = g_strdup_printf ("%s/%d", f->dir, pid);
  assert_return_code (nftw (dir, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS), errno);
}

static inline int
fixture_setup (void **state)
{
  Fixture *f = g_new0 (Fixture, 1);
  f->dir = g_dir_make_tmp ("pfs-proc-XXXXXX", NULL);
  *state = f;
  return f->dir ? 0 : -1;
}

static inline int
fixture_close (void **state)
{
  Fixture *f = *state;
  g_clear_pointer (&f->proc, pfs_proc_unref);
  nftw (f->dir, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (f->dir);
  g_free (f);
  return 0;
}
