/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel passthrough: passthrough_kernel.c or passthrough_none.c. */
#pragma once

#include "private.h"

/* What this build and this kernel can do, for --version: g_free. */
char *pfs_passthrough_describe (void);
/* At INIT: asks the kernel for it. NULL where it is not to be had. */
PfsPassthrough *pfs_passthrough_new (struct fuse_conn_info *conn);
void pfs_passthrough_free (PfsPassthrough *passthrough);
/* A regular file was opened for who. Where the kernel can do its I/O, *fi says so; else it is left as it is. */
void pfs_passthrough_open (PfsPassthrough *passthrough, struct fuse_session *fuse, PfsFile *file, const PfsCaller *who,
                           struct fuse_file_info *fi);
void pfs_passthrough_close (PfsPassthrough *passthrough, struct fuse_session *fuse, PfsFile *file);
