/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of --as: which process is meant, whose name and home its user has, and to become that user. */
#pragma once

#include "app.h"
#include "peerfs/parse/stat.h"

/* --- target.c --- */

/* The process that --as means: NAME (its main process), NAME/sockets/X (the one that listens there), NAME/pids/PID. */
typedef struct {
  PfsStatus status;
  int root; /* of that process, O_PATH; -1 if we may not enter it */
} PfsTarget;

/* Finds options->target. Returns PFS_EXIT_DONE, or another exit status after telling the user.
 * Clear with pfs_target_clear(). */
int pfs_target_find (PfsTable *table, GPtrArray *containers, const PfsOptions *options, PfsTarget *ret);
void pfs_target_clear (PfsTarget *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsTarget, pfs_target_clear)

/* --- passwd.c: the name and home of a uid, from passwd(5) of this container, else of a peer. A peer's file is
 * hostile. --- */

typedef struct {
  char *name; /* NULL: unknown */
  char *home; /* absolute; never NULL after pfs_passwd_look_up() */
} PfsPasswd;

/* The first line of content for that uid, if it has a plain name and a plain absolute home. True if there is one. */
gboolean pfs_passwd_find (GBytes *content, uid_t uid, PfsPasswd *ret);

/* Looks in etc/passwd of our own root, else in that below peer_root (a descriptor; -1: none). A home from the peer's
 * file counts only if it is on our own root file system: no mount and no link on the way. Else it is "/". Clear with
 * pfs_passwd_clear(). */
void pfs_passwd_look_up (uid_t uid, int peer_root, PfsPasswd *ret);
void pfs_passwd_clear (PfsPasswd *passwd);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsPasswd, pfs_passwd_clear)

/* --- become.c: becoming a peer's user without coming into the peer's hands ---
 *
 * A process may trace another one of its uid and gid, and so read its memory, descriptors and root. The kernel refuses
 * that if the other has a capability that it lacks (ptrace(2), "Ptrace access mode checking"). So the command keeps
 * one as an ambient capability, which programs inherit. It is one that nothing is asked for, or that does no harm, and
 * that no peer can get. */

/* The capabilities that a process without the right to trace us can have or get. Pure. */
uint64_t pfs_become_threat (const PfsStatus *process);

/* Returns the number of a capability in permitted that processes with those of threat cannot get, or -1. Pure. */
int pfs_become_choose_guard (uint64_t permitted, uint64_t threat);

/* Takes the ids of user on this process. Afterwards it is not dumpable until it executes a program. *ret_changed: it
 * was another user before. Returns PFS_EXIT_DONE, or another exit status after telling the user. */
int pfs_become (PfsTable *table, const PfsOptions *options, const PfsStatus *user, bool *ret_changed);
