/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations of libfuse's table: ops.c, ops_dir.c, ops_file.c, ops_io.c, ops_modify.c, locks.c. */
#pragma once

#include "private.h"

extern const struct fuse_lowlevel_ops pfs_ops;

void pfs_op_opendir (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void pfs_op_readdir (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void pfs_op_readdirplus (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void pfs_op_open (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void pfs_op_create (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void pfs_op_tmpfile (fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi);
void pfs_op_read (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void pfs_op_write (fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi);
void pfs_op_flush (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void pfs_op_getlk (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock);
void pfs_op_setlk (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock, int sleep);
void pfs_op_flock (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op);
void pfs_op_release (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void pfs_op_fsync (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void pfs_op_fallocate (fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *fi);
void pfs_op_lseek (fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void pfs_op_copy_file_range (fuse_req_t req, fuse_ino_t ino_in, off_t off_in, struct fuse_file_info *fi_in,
                             fuse_ino_t ino_out, off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags);
void pfs_op_mknod (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void pfs_op_mkdir (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void pfs_op_symlink (fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void pfs_op_link (fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void pfs_op_unlink (fuse_req_t req, fuse_ino_t parent, const char *name);
void pfs_op_rmdir (fuse_req_t req, fuse_ino_t parent, const char *name);
void pfs_op_rename (fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
                    unsigned int flags);
void pfs_op_getxattr (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void pfs_op_listxattr (fuse_req_t req, fuse_ino_t ino, size_t size);
void pfs_op_setxattr (fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags);
void pfs_op_removexattr (fuse_req_t req, fuse_ino_t ino, const char *name);
