/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which component of a cgroup's path names a container, and of which runtime. */
#pragma once

#include "bytes.h"
#include "peerfs/parse/cgroup.h"

/* One component of a path, and what is known when it is looked at. */
typedef struct {
  Bytes parent, component, next; /* next is empty at the end of the path */
  Bytes above;                   /* the path before component */
  char pod_uid[64];              /* of the innermost pod so far */
  bool parent_is_pod, is_pod;
} PfsCgroupStep;

/* Fills id, runtime and machine of *ret and zeroes the rest if the component names a container; else *ret is as before,
 * or undefined after a form that almost fits. */
bool pfs_runtime_match (const PfsCgroupStep *step, PfsCgroup *ret);
