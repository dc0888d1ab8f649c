/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests and capabilities that came later: libfuse_3_14.c or libfuse_3_17.c. */
#pragma once

#include "private.h"

/* FUSE_CAP_*: the file system drops setuid bits and file capabilities by itself; from 3.17 on, files have no handles.
 */
unsigned int pfs_libfuse_wanted (void);
/* After INIT: does the kernel open file handles of this file system? */
bool pfs_libfuse_handles (const struct fuse_conn_info *conn);
void pfs_libfuse_extend (struct fuse_lowlevel_ops *ops);
