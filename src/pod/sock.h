/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the sockets of a container tell one another: the kernel's list of all (sockdiag), where their files
 * are, as the kernel says (sockask) or else by guesses (sockguess), and through which processes a file is reached
 * (sockfind). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "peerfs/pod/sockets.h"
#include "peerfs/proc/patience.h"
#include "sockview.h"

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
  uint32_t inode; /* of the socket, as "socket:[%u]" in a process's fd */
  int type;
  char *path;          /* sun_path, any bytes but NUL */
  dev_t file_dev;      /* of the superblock */
  uint32_t file_inode; /* its low 32 bits: the kernel gives no more */
  GArray *holders;     /* of PfsSocketHolder, the oldest first; NULL before one is found */
  PfsSocketPlace place;
} PfsUnixSocket;

/* All sockets with a file of the network namespace of the process whose directory pid_fd is: bound datagram sockets and
 * listening others. A GHashTable of inode (GUINT_TO_POINTER) to PfsUnixSocket, which it owns. Asks the kernel by
 * sock_diag(7), from a thread of its own inside that namespace if it is not ours. Returns 0 or -errno. */
int pfs_sockdiag_dump (int pid_fd, GHashTable **ret);

/* Asks the kernel for the place of each of the sockets, which have holders. all owns them. A peer that keeps us waiting
 * is left alone after a second, and the place of that socket stays unknown. */
void pfs_sockets_ask (const PfsSocketScan *scan, GHashTable *all, GPtrArray *sockets);

/* Gives those sockets whose files can be found, as a GPtrArray of PfsSocket: unsorted, without short names. 0 or
 * -errno. */
int pfs_sockets_find (const PfsSocketScan *scan, GPtrArray *sockets, GPtrArray **ret);

/* Guesses in the container whose main process sees view; both are borrowed. */
typedef struct PfsSocketGuess PfsSocketGuess;
PfsSocketGuess *pfs_socket_guess_new (const PfsSocketScan *scan, const PfsView *view);
void pfs_socket_guess_free (PfsSocketGuess *guess);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsSocketGuess, pfs_socket_guess_free)

/* The socket's file, as its path in the container (g_free; every link resolved, with leading '/') and its mount. */
bool pfs_socket_guess_file (PfsSocketGuess *guess, const PfsUnixSocket *socket, char **ret_path, uint64_t *ret_mount);

/* True if path, absolute, leads to the physical path, every link followed. */
bool pfs_socket_guess_leads (PfsSocketGuess *guess, const char *path, const char *physical);
