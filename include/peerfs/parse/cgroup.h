/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of /proc/<pid>/cgroup (cgroups(7)): which container a process belongs to. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define PFS_CGROUP_MAX (64 * 1024) /* more than that is not read */
#define PFS_ID_MAX 128             /* longest container id, with its NUL */
#define PFS_CHAIN_MAX 4096         /* PATH_MAX: no path that the kernel prints holds more */

typedef struct {
  char id[PFS_ID_MAX];       /* container id; "" if there is none */
  char chain[PFS_CHAIN_MAX]; /* the ids of all containers on the path, outermost first, '/' between; before them ".."
                                outside of our own cgroup namespace. A container that makes a cgroup below its own can
                                choose the last id, but not those before it */
  unsigned int depth;        /* how many ids that is */
  char runtime[16];          /* its name in the table of src/parse/runtime.c, or "k8s" or "unknown"; "" without id */
  char pod_uid[64];          /* canonical, '-' separated; "" if the path names no pod */
  char outer_pod[64]; /* the outermost pod's uid: a container that makes a cgroup below its own cannot choose it */
  bool beside_us;     /* in the same parent cgroup as ours: of our own pod, if we are of one */
  char machine[64];   /* LXC's or nspawn's machine, Nomad's task; else "" */
  bool outside; /* one of its paths leads out of our own cgroup namespace ("/../other"): it is not of our container */
} PfsCgroup;

/* Finds the container in len bytes of a cgroup file, v1, v2 or hybrid. Returns true and fills *ret if there is one,
 * else false with *ret zeroed but for outside. A form that it does not know is no container. */
bool pfs_cgroup_parse (const char *content, size_t len, PfsCgroup *ret);

/* Is the program called as one that holds the namespaces of a pod: Kubernetes' pause, or podman's catatonit? */
bool pfs_runtime_is_sandbox (const char *comm);
