/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Becoming a peer's user without coming into the peer's hands.
 *
 * A process may trace another one of its uid and gid, and so read its memory, descriptors and root. The kernel refuses
 * that if the other has a capability that it lacks (ptrace(2), "Ptrace access mode checking"). So the command keeps one
 * that nothing is asked for or that does no harm, as an ambient one, which programs inherit. No peer may be able to get
 * it. */
#pragma once

#include "app.h"
#include "peerfs/parse/stat.h"

/* The capabilities that a process without the right to trace us can have or get. Pure. */
uint64_t pfs_become_threat (const PfsStatus *process);

/* Returns the number of a capability in permitted that processes with those of threat cannot get, or -1. Pure. */
int pfs_become_choose_guard (uint64_t permitted, uint64_t threat);

/* Takes the ids of user on this process. Afterwards it is not dumpable until it executes a program. *ret_changed: it
 * was another user before. Returns PFS_EXIT_DONE, or another exit status after telling the user. */
int pfs_become (PfsTable *table, const PfsOptions *options, const PfsStatus *user, bool *ret_changed);
