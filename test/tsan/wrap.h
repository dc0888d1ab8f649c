/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* WRAP (TYPE, NAME, PARAMETERS...) begins the function that is called in place of NAME, which is __real_NAME to it. One
 * line each: src/CMakeLists.txt reads them. */
#pragma once

#define WRAP(type, name, ...) \
  type __real_##name (__VA_ARGS__); \
  type __wrap_##name (__VA_ARGS__); \
  type __wrap_##name (__VA_ARGS__)
