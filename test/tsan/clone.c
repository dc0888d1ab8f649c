/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ThreadSanitizer takes clone(2) for a fork: from then on it ignores what the calling thread orders. But with CLONE_VM
 * that is also the parent, which shares the memory. glibc's other name of the function is not intercepted. */
/* clang-format off: CMake reads the lines that begin with WRAP. */
#include "wrap.h"

int __clone (int (*func) (void *data), void *stack, int flags, void *data, ...);

WRAP (int, clone, int (*func) (void *data), void *stack, int flags, void *data)
{
  return __clone (func, stack, flags, data);
}
