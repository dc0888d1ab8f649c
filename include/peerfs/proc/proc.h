/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A /proc behind a directory descriptor: the kernel's, another PID namespace's, a saved copy or a test's fixture. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "peerfs/parse/stat.h"

typedef struct {
  gint refs;
  int fd;     /* of its directory */
  char *path; /* absolute, as links into it must spell it */
  bool live;  /* it is a procfs, not a saved copy */
  bool own;   /* that of our own PID namespace: only then do its pids mean anything to pidfd_open(2) */
} PfsProc;

/* Opens dir. *ret is owned by the caller (pfs_proc_unref). Returns 0 or -errno: that of open(2), -ENOTDIR, or
 * -ENODATA if the folder shows no process at all. */
int pfs_proc_open (const char *dir, PfsProc **ret);
PfsProc *pfs_proc_ref (PfsProc *proc);
void pfs_proc_unref (PfsProc *proc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsProc, pfs_proc_unref)

/* --- the processes that it shows --- */

/* The pid that a directory of /proc is named after, or 0 for any other name. */
pid_t pfs_pid_of_name (const char *name);

/* procfs gives the directory of a process a new inode number whenever it makes one. It throws the old one away when
 * the process is reaped (fs/proc/base.c: proc_pid_make_inode(), proc_flush_pid(); fs/inode.c: get_next_ino()). So a
 * pid with the number it had is the process it was. The number may also change under memory pressure: then compare
 * the start time. Numbers of a saved copy say nothing. */
typedef struct {
  guint64 ino; /* of /proc/<pid> */
  pid_t pid;
} PfsPidEntry;

/* Appends an entry for each process to entries, a GArray of PfsPidEntry, by pid. One getdents64(2) for many of them;
 * nothing else is read. 0 or -errno. */
int pfs_proc_list_pids (const PfsProc *proc, GArray *entries);

/* Opens /proc/<pid> with flags (O_PATH or O_RDONLY). Returns a descriptor owned by the caller, or -errno. */
int pfs_proc_open_pid (const PfsProc *proc, pid_t pid, int flags);

/* Reads and parses the stat file of a pid below a /proc; if pid is 0, of the process whose directory dirfd is. 0 or
 * -errno: -ESRCH, -ENOENT once it has ended. */
int pfs_proc_stat_at (int dirfd, pid_t pid, PfsStat *ret);

static inline bool
pfs_stat_is_dead (const PfsStat *stat)
{
  return stat->state == 'Z' || stat->state == 'X' || stat->state == 'x';
}

/* Reads and parses a status file (proc_pid_status(5)): name is its path below the directory dirfd, "status" for that of
 * a process. Clear *ret as pfs_status_parse() says. 0 or -errno. */
int pfs_proc_status_at (int dirfd, const char *name, PfsStatus *ret);

/* Is the process that has the pid alive? A zombie is not, nor a leader that has ended before its threads: it has no
 * root (ENOENT). Returns 1, 0 if it has ended, or -errno if that cannot be told. */
int pfs_proc_pid_alive (const PfsProc *proc, pid_t pid);

/* Is it a thread of io_uring(7)'s? It works with the credentials of the thread that submitted a request. But
 * capget(2) and its status file tell its own, perhaps of a time when its process had more. True also if that cannot
 * be told. proc_fd is a /proc of our own PID namespace. */
bool pfs_proc_is_worker (int proc_fd, pid_t pid);

/* --- one process, pinned --- */

/* A process pinned by a descriptor of its directory and, if possible, by a pidfd. The directory's files fail with
 * ESRCH once the process has ended, even if the pid is used again. Immutable; shared between threads; refcounted. */
typedef struct {
  gint refs;
  pid_t pid;
  int fd;    /* of /proc/<pid>, O_RDONLY|O_DIRECTORY */
  int pidfd; /* -1 if there is none. Readable once the process has ended */
  bool live; /* of its PfsProc */
} PfsProcess;

/* Pins pid if it is still the process that started at start_time (ticks). -ESRCH if it is not. */
int pfs_process_open (PfsProc *proc, pid_t pid, uint64_t start_time, PfsProcess **ret);
PfsProcess *pfs_process_ref (PfsProcess *process);
void pfs_process_unref (PfsProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsProcess, pfs_process_unref)

/* False once the process has ended (zombies have). */
bool pfs_process_alive (const PfsProcess *process);

/* The device numbers that the kernel prints (maps, unix_diag, mountinfo) are those of the superblock. stat(2) may give
 * others: each layer of an overlay without xino and each btrfs subvolume has a pseudo device. What ties the two is the
 * mount: statx(2) tells its id and mountinfo that id's superblock. True if the file fd, whose st_dev is given, lies on
 * the superblock of the device dev. pid_fd is the directory of a process that sees its mount. */
bool pfs_proc_is_on_device (int pid_fd, int fd, dev_t st_dev, dev_t dev);
