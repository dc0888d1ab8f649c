/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a socket's file may be, for those of whom the kernel does not tell. */
#pragma once

#include "sockdiag.h"
#include "sockview.h"

typedef struct PfsSocketGuess PfsSocketGuess;

/* Guesses in the container whose main process is main_fd (of /proc/<pid>) and sees main_view; all are borrowed. */
PfsSocketGuess *pfs_socket_guess_new (int proc_fd, int main_fd, const PfsView *main_view);
void pfs_socket_guess_free (PfsSocketGuess *guess);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsSocketGuess, pfs_socket_guess_free)

/* The socket's file, as its path in the container (g_free; every link resolved, with leading '/') and its mount. */
bool pfs_socket_guess_file (PfsSocketGuess *guess, const PfsUnixSocket *socket, char **ret_path, uint64_t *ret_mount);

/* True where path, absolute, leads to the physical path, every link followed. Looks at no mount that may not answer. */
bool pfs_socket_guess_leads (PfsSocketGuess *guess, const char *path, const char *physical);
