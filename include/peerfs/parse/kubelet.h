/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kubelet's mounts and folders tell of a container and its pod. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* True for a UUID, or a static pod's 32 digits, as cgroups and the kubelet's folders have it. */
bool pfs_is_pod_uid (const char *text);

/* The kubelet's bind mount for a container: root ends in pods/<uid>/containers/<NAME>/<8 hex>. */
typedef struct {
  char name[64];             /* a DNS label */
  char pod_uid[64];          /* canonical */
  char instance[9];          /* the 8 hex digits, new at every start */
  char folder[256];          /* the kubelet's, with its pods: ".../pods"; "" if it is longer */
  unsigned int major, minor; /* of its filesystem */
} PfsKubeletMount;

/* Finds it among all lines that something speaks for: own, our own container's mount (NULL if we have none), if both
 * are of one pod; the default path /dev/termination-log; pod_uid, the pod's uid in the cgroup (NULL or "" if unknown).
 * The earlier in this list, the better; of equals the last line. Never below /volumes/, never at a mount point in some
 * rootfs/. Returns false, *ret zeroed, if there is none. */
bool pfs_mountinfo_kubelet (GBytes *content, const char *pod_uid, const PfsKubeletMount *own, PfsKubeletMount *ret);

/* True if both are of one folder of one filesystem. A mount that a container makes for itself is not in the kubelet's
 * folder, unless the container can write there. False if one is NULL or has no name. */
bool pfs_kubelet_same_node (const PfsKubeletMount *a, const PfsKubeletMount *b);

/* The same, and of one pod. */
bool pfs_kubelet_same_pod (const PfsKubeletMount *a, const PfsKubeletMount *b);

/* The name of a folder /var/log/pods/<namespace>_<pod>_<uid> as these three strings (g_strfreev); NULL if it is no such
 * one. Kubernetes has to take both names. */
char **pfs_podlog_parse (const char *name);
