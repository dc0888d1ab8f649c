/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "peerfs/pod/table.h"

/* The mountinfo of the whole mount namespace of an open process directory, of a container with the serial number peer.
 * Needs CAP_SYS_ADMIN there. Returns 0 or -errno, as pfs_patience_run() if it makes us wait; *ret is the caller's. */
int pfs_namespace_mountinfo (PfsTable *table, guint64 peer, int piddir, GBytes **ret);
