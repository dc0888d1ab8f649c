/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The name and home of a uid, from passwd(5) of this container, else of a peer. A peer's file is hostile. */
#pragma once

#include <glib.h>
#include <sys/types.h>

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
