/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of /proc/<pid>/maps (proc_pid_maps(5)): which files a process has mapped. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PFS_MAPS_MAX (16 * 1024 * 1024) /* 65,530 mappings (vm.max_map_count) of paths of 180 bytes */

typedef struct {
  char *path;                   /* as mapped, absolute, "\012" undone, without " (deleted)" */
  uint64_t start, end;          /* the first mapping of that object: its name in map_files is "%lx-%lx" */
  unsigned int major, minor;
  uint64_t inode;
  bool deleted;
} PfsMapping;

/* The distinct mapped files (device, inode, path) of the content, sorted by path, in address order within one path.
 * Anonymous memory, [heap], /dev/zero and other things without an inode, SysV segments and memfds (their names start
 * with "/memfd:" or "/SYSV" and are always deleted) are left out. *ret is a GPtrArray of PfsMapping
 * (g_ptr_array_unref frees all). Malformed lines are skipped. Never fails. */
GPtrArray *pfs_maps_parse (const char *content, size_t len);
