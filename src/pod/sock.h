/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the sockets of a container tell one another. sockdiag has the kernel's list of all. sockask asks
 * the kernel where their files are; sockguess guesses. sockfind tells through which processes a file is reached, by
 * what each sees (sockview). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "peerfs/base/fd.h"
#include "peerfs/pod/sockets.h"
#include "peerfs/proc/patience.h"

/* What is needed of a container, so that it can be tested without a table of containers. */
typedef struct {
  int proc_fd;           /* of /proc */
  PfsPatience *patience; /* NULL: its pids are not those of our own namespace, by which the kernel can be asked */
  uint64_t peer;         /* for patience */
  bool apart;            /* the kernel is asked in a process of its own */
  int main_fd;           /* of /proc/<main pid> */
  pid_t main_pid;
  uint64_t main_start; /* its start time */
  const pid_t *pids;   /* all its processes */
  guint n_pids;
} PfsSocketScan;

/* As pfs_sockets_list(). */
int pfs_sockets_scan (const PfsSocketScan *scan, GPtrArray **ret);

/* A process that has the socket open, and as which of its descriptors. */
typedef struct {
  PfsProcessId process;
  int fd;
} PfsSocketHolder;

/* Where the kernel says that the file is. */
typedef struct {
  int known;      /* 1; 0: no name is left of it; -errno: the kernel does not say */
  char *text;     /* its path as /proc prints it */
  uint64_t mount; /* what it lies on */
} PfsSocketPlace;

typedef struct {
  uint32_t inode;  /* of the socket, as "socket:[%u]" in a process's fd */
  GArray *holders; /* of PfsSocketHolder, the oldest first */
  char *path;      /* sun_path, any bytes but NUL; it and what follows only if the socket has a file */
  int type;
  dev_t file_dev;      /* of the superblock */
  uint32_t file_inode; /* its low 32 bits: the kernel gives no more */
  PfsSocketPlace place;
} PfsUnixSocket;

/* Completes those of the sockets held that have a file and can be connected to (bound datagram sockets, listening
 * others), and adds them to bound. held: inode (GUINT_TO_POINTER) -> PfsUnixSocket. pid_fd is the directory of a
 * process: all sockets of its network namespace are asked for by sock_diag(7). If that is not ours, a thread of its
 * own does so inside it. Returns 0 or -errno. */
int pfs_sockdiag_dump (int pid_fd, GHashTable *held, GPtrArray *bound);

/* Asks the kernel for the place of each of the sockets, which held owns. A peer that keeps us waiting
 * is left alone after a second, and the place of that socket stays unknown. */
void pfs_sockets_ask (const PfsSocketScan *scan, GHashTable *held, GPtrArray *sockets);

/* Gives those sockets whose files can be found, as a GPtrArray of PfsSocket: unsorted, without short names. 0 or
 * -errno. */
int pfs_sockets_find (const PfsSocketScan *scan, GPtrArray *sockets, GPtrArray **ret);

/* What a process sees from its root, as its mountinfo tells: no file system is asked for anything. */
typedef struct {
  int root_fd;           /* O_PATH */
  uint64_t mount, inode; /* of its root: two processes with equal ones see the same */
  char *root;            /* the root's path as /proc prints it; "" for "/" */
  GHashTable *mounts;    /* "<parent's id>:<mount point>" -> id */
  GHashTable *devices;   /* id -> dev_t of the superblock */
  GHashTable *remote;    /* a set of the mount points that may not answer; our own mount is one */
} PfsView;

/* The view of the process whose directory pid_fd is. 0 or -errno: -ESRCH once it has ended. */
int pfs_view_new (int pid_fd, PfsView **ret);
void pfs_view_free (PfsView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsView, pfs_view_free)

/* Opens a process's root (O_PATH) and tells its mount and inode, without more. The descriptor, or -errno as above. */
int pfs_view_open_root (int pid_fd, uint64_t *ret_mount, uint64_t *ret_inode);

/* The path from the view's root of the file that /proc prints as text and that lies on the mount: a part of text, or
 * NULL if the view does not reach it or shows something else in its place. */
const char *pfs_view_path (const PfsView *view, const char *text, uint64_t mount);

/* The path from the view's root of a directory that /proc prints as text, "" for the root itself. NULL if text is
 * not below the root. It may be another directory's. */
const char *pfs_view_below (const PfsView *view, const char *text);

/* What is known while files are looked for. */
typedef struct {
  const PfsSocketScan *scan;
  GPtrArray *views;   /* of PfsView: the main process's, and others */
  GHashTable *by_pid; /* pid -> its view, borrowed, or NULL */
  GHashTable *dirs;   /* for guesses; NULL before the first: absolute path -> what is known of that directory */
  GHashTable *starts; /* "<pid>/cwd", "<pid>/root", "<pid>/environ" -> a path in the container, or NULL */
  guint entries_read;
  int shortage; /* -errno, if something was not found for want of descriptors or memory; else 0 */
} PfsSocketFinder;

static inline void
pfs_socket_note_shortage (PfsSocketFinder *finder, int r)
{
  if (pfs_is_shortage (r))
    finder->shortage = r;
}

/* The guess of the socket's file, as its path in the container (g_free; every link resolved, with leading '/') and its
 * mount. */
bool pfs_socket_guess_file (PfsSocketFinder *finder, const PfsUnixSocket *socket, char **ret_path, uint64_t *ret_mount);

/* True if path, absolute, leads to the physical path, every link followed. */
bool pfs_socket_guess_leads (PfsSocketFinder *finder, const char *path, const char *physical);
