/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of statx(2) that older headers of the C library lack. */
#pragma once

#include <linux/stat.h>
#include <sys/stat.h>

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U /* Linux 6.8, include/uapi/linux/stat.h: never used again after an unmount */
#endif
