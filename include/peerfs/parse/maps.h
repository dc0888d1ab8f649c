/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of /proc/<pid>/maps (proc_pid_maps(5)): which files a process has mapped. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PFS_MAPS_MAX (64 * 1024 * 1024) /* bytes to read of it */
/* Bounds of what is kept: as many files as there may be mappings (65,530, vm.max_map_count), and bytes of their
 * paths. */
#define PFS_MAPS_FILES_MAX 65536u
#define PFS_MAPS_PATHS_MAX (4u * 1024 * 1024)

typedef struct {
  char *path;          /* as mapped, absolute, "\012" undone, without " (deleted)" */
  uint64_t start, end; /* the first mapping of that object: its name in map_files is "%lx-%lx" */
  unsigned int major, minor;
  uint64_t inode;
  bool deleted;
} PfsMapping;

/* The distinct mapped files (device, inode, path) of as many lines as are added. Anonymous memory, [heap], /dev/zero
 * and others without an inode are none. Nor are SysV segments and memfds (names that start with "/SYSV" or "/memfd:",
 * always deleted), and malformed lines. */
typedef struct PfsMappedFiles PfsMappedFiles;

PfsMappedFiles *pfs_mapped_files_new (void);
void pfs_mapped_files_free (PfsMappedFiles *files);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsMappedFiles, pfs_mapped_files_free)
/* Adds a line, without newline. Returns false if it is one file too many; then no further one is taken. */
bool pfs_mapped_files_add (PfsMappedFiles *files, const char *line, size_t len);
/* Takes all of them out: an array of PfsMapping (g_ptr_array_unref frees them), sorted by path, then by address. */
GPtrArray *pfs_mapped_files_steal (PfsMappedFiles *files);
