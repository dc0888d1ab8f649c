/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the sources of the fuse layer share. */
#pragma once

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <errno.h>
#include <fuse_lowlevel.h>
#include <glib.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "peerfs/fuse/session.h"
#include "peerfs/tree/kinds.h"
#include "peerfs/root/rootfs.h"

/* libfuse 3.17 knows requests and capabilities that 3.14 lacks. */
#ifdef FUSE_CAP_PASSTHROUGH
#define PFS_LIBFUSE_3_17 1
#else
#define PFS_LIBFUSE_3_17 0
#define FUSE_CAP_PASSTHROUGH 0u
#define FUSE_CAP_HANDLE_KILLPRIV_V2 0u
#define FUSE_CAP_NO_EXPORT_SUPPORT 0u
#endif

#ifndef FUSE_DEV_IOC_BACKING_OPEN /* Linux 6.9, include/uapi/linux/fuse.h */
struct fuse_backing_map {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
#define FUSE_DEV_IOC_BACKING_OPEN _IOW (FUSE_DEV_IOC_MAGIC, 1, struct fuse_backing_map)
#define FUSE_DEV_IOC_BACKING_CLOSE _IOW (FUSE_DEV_IOC_MAGIC, 2, uint32_t)
#endif

#define PFS_IO_MAX (256u * 1024) /* bytes of one request: what cp(1) reads and writes at once */

typedef struct PfsPassthrough PfsPassthrough;
typedef struct PfsJanitor PfsJanitor;
typedef struct PfsLocks PfsLocks;
typedef struct PfsJobs PfsJobs;

typedef struct {
  const PfsMountOptions *options;
  PfsTable *table;   /* borrowed */
  char *mountpoint;  /* absolute, without links */
  int mountpoint_fd; /* -1, or of what it was when it was checked, O_PATH; later of nothing, see its mount */
  dev_t device;      /* st_dev of the mount; 0 if it is not known */
  guint64 mount_id;  /* STATX_MNT_ID_UNIQUE; 0 before Linux 6.8 */
  gint mounted;      /* atomic: there is a mount to be taken away */
  pid_t pid;
  uid_t uid; /* the daemon's own: threads change only what file systems see of them */
  gid_t gid;
  uint64_t caps; /* what its threads may use */
  char user_ns[PFS_USER_NS_MAX];
  int proc_fd;  /* /proc */
  int state_fd; /* readable once SIGUSR1 has come */
  PfsTree *tree;
  struct fuse_session *fuse;
  PfsPassthrough *passthrough; /* NULL if it is not in use */
  PfsJobs *jobs;
  PfsJanitor *janitor;
  PfsLocks *locks;
  guint nodes_max; /* beyond them the kernel is asked to forget some: trim.c */
  gint forgotten;  /* nodes since memory was given back: trim.c; atomic */
  GMutex lock;
  GHashTable *files;      /* set of the PfsFile that the kernel knows; guarded by lock, as what follows */
  GHashTable *open_files; /* container -> what of them is its own; files.c */
  guint n_open_files;     /* of all containers */
  guint open_files_max;   /* RLIMIT_NOFILE */
} PfsSession;

/* The errno for a result, 0 or -errno. Errors from 512 on are the kernel's own (include/linux/errno.h). It lets them
 * out now and then: NFS does, and any lock that a FUSE server says is interrupted. An answer with one is not taken, and
 * the caller would wait for ever. */
static inline int
pfs_error_to_tell (int r)
{
  const int enotsupp = 524;

  if (r > -512)
    return -r;
  return r == -enotsupp ? EOPNOTSUPP : EIO;
}

/* Makes an eventfd(2) readable. For signal handlers too. */
static inline void
pfs_eventfd_raise (int fd)
{
  const uint64_t one = 1;

  if (write (fd, &one, sizeof one) < 0)
    return; /* EAGAIN: it is readable already */
}

/* And no longer so; it must not block (EFD_NONBLOCK). */
static inline void
pfs_eventfd_clear (int fd)
{
  uint64_t count;

  while (read (fd, &count, sizeof count) > 0)
    continue;
}

/* --- the operations of libfuse's table: ops.c, ops_file.c, ops_io.c, locks.c --- */

extern const struct fuse_lowlevel_ops pfs_ops;

void pfs_op_open (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void pfs_op_create (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void pfs_op_tmpfile (fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi);
void pfs_op_release (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void pfs_op_opendir (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void pfs_op_readdir (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void pfs_op_readdirplus (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);

void pfs_op_read (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void pfs_op_write (fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi);
void pfs_op_fsync (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void pfs_op_fallocate (fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *fi);
void pfs_op_lseek (fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void pfs_op_copy_file_range (fuse_req_t req, fuse_ino_t ino_in, off_t off_in, struct fuse_file_info *fi_in,
                             fuse_ino_t ino_out, off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags);
/* Frees what the calling thread reads into, until it reads again. */
void pfs_read_buffer_drop (void);

void pfs_op_flush (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void pfs_op_getlk (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock);
void pfs_op_setlk (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock, int sleep);
void pfs_op_flock (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op);

/* --- passthrough.c --- */

/* What this build and this kernel can do, for --version: g_free. */
char *pfs_passthrough_describe (void);
/* At INIT: asks the kernel for it. NULL: it is not to be had. */
PfsPassthrough *pfs_passthrough_new (struct fuse_conn_info *conn);
void pfs_passthrough_free (PfsPassthrough *passthrough);
/* A regular file was opened for who. If the kernel can do its I/O, *fi says so; else it is left as it is. */
void pfs_passthrough_open (PfsSession *session, PfsFile *file, const PfsCaller *who, struct fuse_file_info *fi);
void pfs_passthrough_close (PfsSession *session, PfsFile *file);

/* --- mountpoint.c, mountwalk.c: the mountpoint, from its check to the unmount. 0 (or a descriptor), or -1 with
 * *ret_error for the user --- */

/* *ret_error = that message, and returns -1. */
int pfs_fail (char **ret_error, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Opens the mountpoint (O_PATH, the caller's) on a way that others cannot bend, and clears dead mounts at its end. */
int pfs_mountwalk_open (const char *path, char **ret_error);
/* The path of what it is open on (g_free), or NULL. */
char *pfs_fd_path (int fd);
/* Checks that a mount is possible, gives session->mountpoint and session->mountpoint_fd. */
int pfs_mountpoint_prepare (PfsSession *session, char **ret_error);
/* Mounts on that very directory. 0 or what libfuse says. */
int pfs_mountpoint_mount (PfsSession *session);
/* Right after the mount: by what to know it again. */
void pfs_mountpoint_remember (PfsSession *session);
/* Takes the session's mount away, never another. Others may have unmounted ours, and what lay below it, or was mounted
 * since, is not ours. False if it stays, with errno. For signal handlers too. */
bool pfs_mountpoint_clear (PfsSession *session);

/* --- signals.c: SIGTERM, SIGINT and SIGHUP end the session, within two seconds even if a caller hangs --- */

int pfs_signals_set (PfsSession *session);
void pfs_signals_remove (void);

/* --- janitor.c: the thread that lets go of what is idle or has ended, and says what SIGUSR1 asks for --- */

/* NULL: no thread is to be had. */
PfsJanitor *pfs_janitor_start (PfsSession *session);
void pfs_janitor_stop (PfsJanitor *janitor);
/* Before there are threads, which must not get the signal: a descriptor (signalfd(2)) that is readable once it has
 * come. -1: errno. */
int pfs_state_fd_new (void);

/* --- trim.c: the number of nodes is bounded, however many files a caller walks over --- */

/* Before there are threads: it sets how they get memory. */
void pfs_trim_init (PfsSession *session);
/* A node may have been added. Cheap. */
void pfs_trim_poke (PfsSession *session);
/* Containers have ended: nothing of them is to be remembered. */
void pfs_trim_ended (PfsSession *session);
/* The kernel forgot n nodes: their memory goes back to the system. Cheap. */
void pfs_trim_forgot (PfsSession *session, size_t n);

/* --- sandbox.c --- */

/* Gives up every privilege that is not in use from here on; for good, in all threads. 0 or -errno. */
int pfs_sandbox_enter (void);
