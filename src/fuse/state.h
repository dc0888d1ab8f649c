/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What SIGUSR1 asks for: the state of the daemon, for support. */
#pragma once

#include "private.h"

/* Before there are threads, which must not get the signal: a descriptor (signalfd(2)) that is readable once it has
 * come. -1: errno. */
int pfs_state_fd_new (void);
/* Logs the state if the signal has come. */
void pfs_state_answer (PfsSession *session);
