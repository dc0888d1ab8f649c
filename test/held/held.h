/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../tsan/wrap.h"

/* Aborts if the thread holds a mutex. */
void pfs_none_held (const char *call);

#define ALONE(name, ...) \
  { \
    pfs_none_held (#name); \
    return __real_##name (__VA_ARGS__); \
  }
