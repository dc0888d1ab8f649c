/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads that a process may make wait for as long as it likes. The scan waits for each a second at most, and begins none
 * while too many of those that it no longer waits for have not come back. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct PfsPatience PfsPatience;
/* On a thread of its own. 0 or -errno; *ret is the caller's. */
typedef int (*PfsPatientRead) (int fd, int other, GBytes **ret);

PfsPatience *pfs_patience_new (void);
/* Threads that have not come back keep it. */
void pfs_patience_unref (PfsPatience *patience);
/* Takes over both descriptors. What `read` returned; -ETIMEDOUT: it has not; -EAGAIN: there is no thread for it. */
int pfs_patience_read (PfsPatience *patience, PfsPatientRead read, int fd, int other, GBytes **ret);

/* May one more be begun? */
bool pfs_patience_is_left (PfsPatience *patience);
/* Closes what may be a file whose server a process is: close(2) waits for that. To be asked for only if patience is
 * left, before the descriptor is taken. 0; -ETIMEDOUT: it goes on. */
int pfs_patience_close (PfsPatience *patience, int fd);
