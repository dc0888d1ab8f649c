/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a uid is: passwd(5) of this container, else of a peer, whose file is hostile. */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct {
  char *name; /* NULL: nobody knows */
  char *home; /* absolute; never NULL after pfs_passwd_look_up() */
} PfsPasswd;

/* The first line of content for that uid, if it has a plain name and a plain absolute home. True if there is one. */
gboolean pfs_passwd_find (GBytes *content, uid_t uid, PfsPasswd *ret);

/* As etc/passwd of our own root says, else as that below peer_root (a descriptor; -1: none). A home that the peer's
 * says counts only if it can be nobody's but ours: below it lies no mount, no link leads there; else it is "/". Clear
 * with pfs_passwd_clear(). */
void pfs_passwd_look_up (uid_t uid, int peer_root, PfsPasswd *ret);
void pfs_passwd_clear (PfsPasswd *passwd);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsPasswd, pfs_passwd_clear)
