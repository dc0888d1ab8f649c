/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of the kubelet's folders of logs, /var/log/pods/<namespace>_<pod>_<uid>: which pod has which uid. */
#pragma once

#include <stdbool.h>

#define PFS_POD_UID_MAX 37 /* with its NUL */

typedef struct {
  char namespace[64];        /* a DNS label */
  char pod[254];             /* a DNS subdomain */
  char uid[PFS_POD_UID_MAX]; /* a UUID, or a static pod's 32 digits; as cgroups and the kubelet's mounts have it */
} PfsPodLog;

/* Returns true and fills *ret if name is such a folder's, else false with *ret untouched. Kubernetes has to take both
 * names. */
bool pfs_podlog_parse (const char *name, PfsPodLog *ret);

/* True for a uid as above. */
bool pfs_podlog_is_uid (const char *text);
