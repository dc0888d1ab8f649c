/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For a libfuse without kernel passthrough: the daemon does all I/O. */
#include "passthrough.h"
#include "private.h"

char *
pfs_passthrough_describe (void)
{
  return g_strdup ("not built in (libfuse older than 3.17)");
}

PfsPassthrough *
pfs_passthrough_new (struct fuse_conn_info *conn)
{
  (void) conn;
  return NULL;
}

void
pfs_passthrough_free (PfsPassthrough *passthrough)
{
  (void) passthrough;
}

void
pfs_passthrough_open (PfsPassthrough *passthrough, struct fuse_session *fuse, PfsFile *file, const PfsCaller *who,
                      struct fuse_file_info *fi)
{
  (void) passthrough, (void) fuse, (void) file, (void) who, (void) fi;
}

void
pfs_passthrough_close (PfsPassthrough *passthrough, struct fuse_session *fuse, PfsFile *file)
{
  (void) passthrough, (void) fuse, (void) file;
}
