/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where fuse_log() goes, and from which level on. */
#pragma once

#include "peerfs/fuse/session.h"

void pfs_log_to_stderr (const PfsMountOptions *options);
/* Once the daemon is detached, and has no stderr any more. Connects at once: the sandbox forbids that later. */
void pfs_log_to_syslog (const PfsMountOptions *options);
/* libfuse explains a failed mount on stderr by itself; the user gets one line, ours. */
void pfs_log_nowhere (void);
