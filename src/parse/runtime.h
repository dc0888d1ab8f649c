/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which component of a cgroup's path names a container, and of which runtime. */
#pragma once

#include "peerfs/parse/cgroup.h"

/* One component of a path, and what is known when it is looked at. */
typedef struct {
  char **path, **component;         /* all of them, NULL terminated, and this one */
  const char *name, *parent, *next; /* of it, the one above and the one below; "" if there is none */
  bool parent_is_pod, is_pod;
} PfsCgroupStep;

/* Fills id, runtime and machine of *ret if the component names a container; else they are undefined. */
bool pfs_runtime_match (const PfsCgroupStep *step, PfsCgroup *ret);
