/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "../tsan/wrap.h"

/* What others wait for as for a mutex: the thread holds n more of them. */
void pfs_held_add (int n);
bool pfs_held_any (void);
/* Aborts if the thread holds a mutex. */
void pfs_none_held (const char *call);
/* Files of that folder are asked under locks: it is a /proc. */
void pfs_held_proc (const char *dir);

#define ALONE(name, ...) \
  { \
    pfs_none_held (#name); \
    return __real_##name (__VA_ARGS__); \
  }
