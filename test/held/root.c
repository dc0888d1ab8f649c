/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See held.c: what asks a peer's file system by functions of our own. */
/* clang-format off: CMake reads the lines that begin with WRAP. */
#include "../../src/root/rootfs_private.h"
#include "held.h"

WRAP (int, pfs_rootfs_statx, PfsRootfs *rootfs, int fd, const char *name, bool wait, PfsFound *ret)
  ALONE (pfs_rootfs_statx, rootfs, fd, name, wait, ret)
WRAP (int, pfs_rootfs_dir, PfsNode *dir, PfsDirFd **ret) ALONE (pfs_rootfs_dir, dir, ret)
WRAP (int, pfs_rootfs_open_path, PfsNode *node, PfsFile *file, PfsFound *ret_found)
  ALONE (pfs_rootfs_open_path, node, file, ret_found)
