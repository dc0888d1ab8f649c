/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a thread reads into. It is kept: a new mebibyte for each request would be mapped, filled and unmapped. */
#pragma once

#include <stddef.h>

/* The calling thread's, of that size at least, aligned as O_DIRECT wants it. NULL: no memory. */
void *pfs_read_buffer (size_t size);
/* Frees it, until it is asked for again. */
void pfs_read_buffer_drop (void);
