/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to libfuse before 3.17: no O_TMPFILE, and file handles cannot be done without. */
#include "libfuse.h"
#include "private.h"

unsigned int
pfs_libfuse_wanted (void)
{
  return FUSE_CAP_HANDLE_KILLPRIV;
}

bool
pfs_libfuse_handles (const struct fuse_conn_info *conn)
{
  (void) conn;
  return true;
}

void
pfs_libfuse_extend (struct fuse_lowlevel_ops *ops)
{
  (void) ops;
}
