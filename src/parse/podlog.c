/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BuildPodLogsDirectory() of Kubernetes' pkg/kubelet/kuberuntime/helpers.go; none of the three parts has a '_' in
 * it. */
#include "peerfs/parse/podlog.h"

#include "bytes.h"

/* RFC 1123, as the API server demands of pods' names: labels with dots between them, of any length together. */
static bool
is_subdomain (Bytes b)
{
  Bytes label;

  if (b.len == 0 || b.p[b.len - 1] == '.')
    return false;
  while (bytes_split (&b, '.', &label))
    if (!bytes_is_label (label))
      return false;
  return true;
}

bool
pfs_podlog_parse (const char *name, PfsPodLog *ret)
{
  Bytes rest = bytes_of (name, strlen (name)), namespace, pod;
  PfsPodLog log = { .uid = "" };

  if (!bytes_split (&rest, '_', &namespace) || namespace.len >= sizeof log.namespace || !bytes_is_label (namespace)
      || !bytes_split (&rest, '_', &pod) || pod.len >= sizeof log.pod || !is_subdomain (pod)
      || !bytes_is_pod_uid (rest))
    return false;
  memcpy (log.namespace, namespace.p, namespace.len);
  memcpy (log.pod, pod.p, pod.len);
  memcpy (log.uid, rest.p, rest.len);
  *ret = log;
  return true;
}

bool
pfs_podlog_is_uid (const char *text)
{
  return bytes_is_pod_uid (bytes_of (text, strlen (text)));
}
