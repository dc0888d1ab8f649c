/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The number of nodes is bounded, however many files a caller walks over. */
#pragma once

#include "private.h"

/* Before there are threads: it sets how they get memory. */
void pfs_trim_init (PfsSession *session);
/* A node may have been added. Cheap. */
void pfs_trim_poke (PfsSession *session);
/* Containers have ended: nothing of them is to be remembered. */
void pfs_trim_ended (PfsSession *session);
/* The kernel forgot n nodes: their memory goes back to the system. Cheap. */
void pfs_trim_forgot (PfsSession *session, size_t n);
