/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the fuzz targets share. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One input; called by libFuzzer, or by replay.c. */
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A promise of the interface that must hold for every input. */
#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf (stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition);                                 \
      __builtin_trap ();                                                                                               \
    }                                                                                                                  \
  } while (0)
