/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a thread reads into: kept, for a mebibyte anew for each request is a mapping to be made, filled, taken away. */
#pragma once

#include <stddef.h>

/* The calling thread's, of that size at least, aligned as O_DIRECT wants it. NULL: no memory. */
void *pfs_read_buffer (size_t size);
/* Frees it, until it is asked for again. */
void pfs_read_buffer_drop (void);
