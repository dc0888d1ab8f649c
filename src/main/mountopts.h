/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The value of -o: peerfs's own options, those of the kernel, and those that mount(8) leaves for others. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "options.h"

/* Applies a comma separated list to *options, in order: the last word counts. "\," is a comma within a value (as in
 * libfuse). Unknown ones are an error; sloppy (mount -s) ignores them. Returns false with *error set at the first wrong
 * one. */
bool pfs_mountopts_apply (PfsOptions *options, const char *list, bool sloppy, GError **error);

/* Sets --pod POD; NULL: --node. Returns false with *error set if that is no pod, or another scope was given before. */
bool pfs_mountopts_set_scope (PfsOptions *options, const char *pod, GError **error);

/* Parses a finite number of seconds, not negative. */
bool pfs_mountopts_seconds (const char *value, double *ret);
