/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIGTERM, SIGINT and SIGHUP end the session, within two seconds even where a caller hangs. */
#pragma once

#include "private.h"

int pfs_signals_set (PfsSession *session);
void pfs_signals_remove (PfsSession *session);
