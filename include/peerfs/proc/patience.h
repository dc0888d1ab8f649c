/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work that a peer may keep waiting for as long as it likes. It has a thread of its own. The caller waits a second for
 * a sign of life, then it leaves the thread alone. A peer that has two such threads gets no other; so it takes none
 * from other peers. */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct PfsPatience PfsPatience;
/* 0 or -errno. */
typedef int (*PfsPatientFunc) (gpointer data);

PfsPatience *pfs_patience_new (void);
/* Threads that have not come back keep it. */
void pfs_patience_unref (PfsPatience *patience);

/* Calls func on its thread. data is a reference that unref drops afterwards. peer tells one peer from another.
 * progress: what func increases atomically from time to time; may be NULL. Returns what func returned. -ETIMEDOUT: for
 * a second it has neither come back nor made progress; it goes on. Without a call, -EBUSY: too many threads have not
 * come back; -EAGAIN: there is no thread. */
int pfs_patience_run (PfsPatience *patience, uint64_t peer, PfsPatientFunc func, gpointer data, GDestroyNotify unref,
                      const gint *progress);
