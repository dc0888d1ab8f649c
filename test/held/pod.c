/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See held.c: what in /proc is waited for as for a lock, and which folders are a /proc. */
/* clang-format off: CMake reads the lines that begin with WRAP. */
#include "../../src/pod/state.h"
#include "held.h"

WRAP (int, pfs_proc_open, const char *dir, PfsProc **ret)
{
  int r = __real_pfs_proc_open (dir, ret);

  if (r == 0) {
    pfs_held_proc (dir);
    pfs_held_proc ("/proc");
  }
  return r;
}

/* All who list or look for a container wait for the scan that is under way. */
WRAP (int, pfs_table_scan, PfsTable *table)
{
  pfs_held_add (1);
  int r = __real_pfs_table_scan (table);
  pfs_held_add (-1);
  return r;
}
