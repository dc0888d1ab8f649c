/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the sources of the fuse layer share. */
#pragma once

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <fuse_lowlevel.h>
#include <glib.h>
#include <unistd.h>

#include "peerfs/fuse/session.h"
#include "peerfs/tree/kinds.h"
#include "peerfs/root/rootfs.h"

typedef struct PfsPassthrough PfsPassthrough;
typedef struct PfsJanitor PfsJanitor;
typedef struct PfsLocks PfsLocks;
typedef struct PfsJobs PfsJobs;

typedef struct {
  const PfsMountOptions *options;
  PfsTable *table;   /* borrowed */
  char *mountpoint;  /* absolute, without links */
  int mountpoint_fd; /* -1, or of what it was when it was checked, O_PATH; later of nothing, see its mount */
  dev_t device;      /* st_dev of the mount; 0 where it is not known */
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
  PfsPassthrough *passthrough; /* NULL where it is not in use */
  PfsJobs *jobs;
  PfsJanitor *janitor;
  PfsLocks *locks;
  gint forgotten; /* nodes since memory was given back: trim.c; atomic */
  GMutex lock;
  GHashTable *files;      /* the PfsFile that the kernel knows -> its container; guarded by lock, as what follows */
  GHashTable *open_files; /* container -> what of them is its own; request.c */
  guint n_open_files;     /* of all containers */
  guint open_files_max;   /* RLIMIT_NOFILE */
} PfsSession;

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

/* --- ops.c and its neighbours: requests --- */
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

/* --- request.c --- */

/* Who sent the request. groups is read only if they mean anything beside his capabilities. */
typedef struct {
  PfsCaller who; /* the first */
  gid_t *groups;
  fuse_req_t req;
} PfsRequester;

PfsRequester pfs_requester (fuse_req_t req);
/* The same, but his capabilities are learnt only if they matter. For requests that change nothing: if he is killed
 * before that, and another process has got his number, nobody sees the answer. */
PfsRequester pfs_requester_reading (fuse_req_t req);
void pfs_requester_clear (PfsRequester *requester);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsRequester, pfs_requester_clear)

static inline PfsSession *
pfs_request_session (fuse_req_t req)
{
  return fuse_req_userdata (req);
}

/* What the kernel names by a number; of a file, that is our pointer (NULL: no file). The kernel tells nobody the
 * numbers of files, but those of nodes (name_to_handle_at(2)). A number that is no node's gives one where every
 * operation is -ESTALE. */
PfsNode *pfs_request_node (fuse_req_t req, fuse_ino_t ino);
static inline PfsFile *
pfs_request_file (const struct fuse_file_info *fi)
{
  return fi ? (PfsFile *) (uintptr_t) fi->fh : NULL;
}

/* Each answers the request, once. r: 0 or -errno. An entry's reference is taken over. */
void pfs_reply (fuse_req_t req, int r);
void pfs_reply_entry (fuse_req_t req, int r, PfsEntry *entry);
void pfs_entry_param (const PfsEntry *entry, struct fuse_entry_param *ret);

/* The kernel gets the file (its reference is taken over) by an open or create. -ENOMEM: what is open in its container
 * keeps too much memory already; then the file is gone. */
int pfs_session_add_file (PfsSession *session, PfsFile *file);
/* May one more be opened? Else -EMFILE: a container may take half of the descriptors that others have left, so that its
 * callers cannot take them all. */
int pfs_session_may_open (PfsSession *session, PfsNode *node);
void pfs_session_drop_file (PfsSession *session, PfsFile *file);
/* A descriptor that is opened beside those of files, for the container's callers, counts as theirs do. False: it does
 * not fit. */
bool pfs_session_add_descriptor (PfsSession *session, PfsContainer *container);
void pfs_session_drop_descriptor (PfsSession *session, PfsContainer *container);

/* --- mountwalk.c, mountpoint.c: 0 (or a descriptor), or -1 with *ret_error for the user --- */

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
/* Takes the session's mount away, never another: somebody else may have unmounted it, and what lay below it, or was
 * mounted since, is not ours. False where it stays, with errno. For signal handlers too. */
bool pfs_mountpoint_clear (PfsSession *session);

/* --- loop.c, jobs.c, tend.c and requests.c: what is under way, and who does it; see requests.h --- */

/* NULL: errno says why. */
PfsJobs *pfs_jobs_new (PfsSession *session);
void pfs_jobs_free (PfsJobs *jobs);
/* Returns when the session has ended: 0, or the -errno that ended it. *ret_idle: no request is being answered any more.
 * Else some wait for what may never come, and the process has to end. */
int pfs_loop_run (PfsJobs *jobs, bool *ret_idle);
/* Whoever ends the session (fuse_session_exit()) has to make it readable: eventfd(2). */
int pfs_loop_ended_fd (const PfsJobs *jobs);
/* Calls func about what lies on the node's file system: here, or as a job of a mount that may not answer. func keeps
 * the node by a reference of its own. */
void pfs_jobs_run (PfsJobs *jobs, PfsNode *node, void (*func) (gpointer data), gpointer data);
/* Calls func as a job, unless it is under way already. */
void pfs_jobs_start (PfsJobs *jobs, void (*func) (gpointer data), gpointer data);
gint64 pfs_now (void); /* milliseconds */

/* 0, -EAGAIN: not yet, or another -errno. */
typedef int (*PfsRetry) (gpointer data);
/* The request that the calling thread is about to answer has to wait: it is tried again and again, and answered with
 * what comes of it, or -EINTR. Takes over data, which free_data frees. -ENOLCK: too many wait; nothing is taken over.
 */
int pfs_request_retry (PfsJobs *jobs, fuse_req_t req, PfsRetry retry, gpointer data, GDestroyNotify free_data);
/* What they wait for may be there. */
void pfs_requests_poke (PfsJobs *jobs);
/* The node of that number, if the request that the calling thread is answering keeps it; else NULL. */
PfsNode *pfs_request_held_node (uint64_t number);

/* --- janitor.c: the thread that lets go of what is idle or has ended --- */
PfsJanitor *pfs_janitor_start (PfsSession *session);
void pfs_janitor_stop (PfsJanitor *janitor);

/* --- trim.c: the number of nodes is bounded, however many files a caller walks over --- */

/* Before there are threads: it sets how they get memory. */
void pfs_trim_init (void);
/* A node may have been added. Cheap. */
void pfs_trim_poke (PfsSession *session);
/* Containers have ended: nothing of them is to be remembered. */
void pfs_trim_ended (PfsSession *session);
/* The kernel forgot n nodes: their memory goes back to the system. Cheap. */
void pfs_trim_forgot (PfsSession *session, size_t n);

/* --- signals.c: SIGTERM, SIGINT and SIGHUP end the session, within two seconds even where a caller hangs --- */
int pfs_signals_set (PfsSession *session);
void pfs_signals_remove (PfsSession *session);

/* --- sandbox.c --- */

/* Gives up every privilege that is not in use from here on; for good, in all threads. 0 or -errno. */
int pfs_sandbox_enter (void);

/* --- locks.c --- */
PfsLocks *pfs_locks_new (PfsSession *session);
void pfs_locks_free (PfsLocks *locks);
/* Has anybody a POSIX lock on the node? */
bool pfs_locks_any (PfsLocks *locks, PfsNode *node);
/* The last close of a file: the locks of an open file description end with it. */
void pfs_locks_release (PfsLocks *locks, const PfsFile *file);

/* --- libfuse_3_14.c or libfuse_3_17.c: requests and capabilities that came later --- */

/* FUSE_CAP_*: the file system drops setuid bits and file capabilities by itself; from 3.17 on, files have no handles.
 */
unsigned int pfs_libfuse_wanted (void);
/* After INIT: does the kernel open file handles of this file system? */
bool pfs_libfuse_handles (const struct fuse_conn_info *conn);
void pfs_libfuse_extend (struct fuse_lowlevel_ops *ops);

/* --- passthrough_kernel.c or passthrough_none.c --- */

/* What this build and this kernel can do, for --version: g_free. */
char *pfs_passthrough_describe (void);
/* At INIT: asks the kernel for it. NULL where it is not to be had. */
PfsPassthrough *pfs_passthrough_new (struct fuse_conn_info *conn);
void pfs_passthrough_free (PfsPassthrough *passthrough);
/* A regular file was opened for who. Where the kernel can do its I/O, *fi says so; else it is left as it is. */
void pfs_passthrough_open (PfsPassthrough *passthrough, struct fuse_session *fuse, PfsFile *file, const PfsCaller *who,
                           struct fuse_file_info *fi);
void pfs_passthrough_close (PfsPassthrough *passthrough, struct fuse_session *fuse, PfsFile *file);
