/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mountpoint, from its check to the unmount. 0 (or a descriptor), or -1 with *ret_error for the user. */
#pragma once

#include "private.h"

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
