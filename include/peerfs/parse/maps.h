/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of /proc/<pid>/maps (proc_pid_maps(5)): which files a process has mapped. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PFS_MAPS_MAX (64 * 1024 * 1024) /* bytes to read of it */
/* What is kept of it: as many files as there may be mappings (65,530, vm.max_map_count), and bytes of their paths. */
#define PFS_MAPS_FILES_MAX 65536u
#define PFS_MAPS_PATHS_MAX (4u * 1024 * 1024)

typedef struct {
  char *path;          /* as mapped, absolute, "\012" undone, without " (deleted)" */
  uint64_t start, end; /* the first mapping of that object: its name in map_files is "%lx-%lx" */
  unsigned int major, minor;
  uint64_t inode;
  bool deleted;
} PfsMapping;

/* A line of it, without newline. Is that a mapped file? Anonymous memory, [heap], /dev/zero and other things without an
 * inode, SysV segments and memfds (their names start with "/memfd:" or "/SYSV" and are always deleted) are none, nor is
 * a malformed line. ret->path is to be freed with g_free(). */
bool pfs_maps_parse_line (const char *line, size_t len, PfsMapping *ret);

/* The distinct mapped files (device, inode, path) of as many lines as are added. */
typedef struct PfsMappedFiles PfsMappedFiles;

PfsMappedFiles *pfs_mapped_files_new (void);
void pfs_mapped_files_free (PfsMappedFiles *files);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsMappedFiles, pfs_mapped_files_free)
/* False: it is one too many, and no further one is taken. */
bool pfs_mapped_files_add (PfsMappedFiles *files, const char *line, size_t len);
/* All of them, sorted by path, in address order within one path: PfsMapping (g_ptr_array_unref frees them); none are
 * left. */
GPtrArray *pfs_mapped_files_steal (PfsMappedFiles *files);
