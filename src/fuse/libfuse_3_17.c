/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libfuse 3.17 adds to the requests that 3.14 knows. */
#include "libfuse.h"
#include "ops.h"
#include "private.h"

/* With V2 the kernel remembers that a file has no capabilities; else it asks for that attribute before every write.
 * Without export a file handle opens nothing (open_by_handle_at(2)): a handle would pass by the folders above it. */
unsigned int
pfs_libfuse_wanted (void)
{
  return FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_HANDLE_KILLPRIV_V2 | FUSE_CAP_NO_EXPORT_SUPPORT;
}

bool
pfs_libfuse_handles (const struct fuse_conn_info *conn)
{
  return !(conn->want & FUSE_CAP_NO_EXPORT_SUPPORT);
}

void
pfs_libfuse_extend (struct fuse_lowlevel_ops *ops)
{
  ops->tmpfile = pfs_op_tmpfile;
}
