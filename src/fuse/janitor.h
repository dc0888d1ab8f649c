/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread that lets go of what is idle or has ended. */
#pragma once

#include "private.h"

PfsJanitor *pfs_janitor_start (PfsSession *session);
void pfs_janitor_stop (PfsJanitor *janitor);
