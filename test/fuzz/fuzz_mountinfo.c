/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "fuzz.h"
#include "peerfs/base/name.h"
#include "peerfs/parse/kubelet.h"
#include "peerfs/parse/mountinfo.h"

#define POD "121157b5-c67d-4c3e-9052-cb27bbb711fb"

static void
check_kubelet (const PfsKubeletMount *mount)
{
  size_t len = strlen (mount->pod_uid), name_len = strlen (mount->name);

  MUST (pfs_name_valid (mount->name) && name_len <= 63);
  MUST (strspn (mount->name, "abcdefghijklmnopqrstuvwxyz0123456789-") == name_len);
  MUST (mount->name[0] != '-' && mount->name[name_len - 1] != '-');
  MUST (len == 32 || len == 36);
  MUST (strspn (mount->pod_uid, "0123456789abcdef-") == len);
  MUST (strspn (mount->instance, "0123456789abcdef") == 8 && mount->instance[8] == '\0');
}

/* A line is there that ends as the answer says. */
static bool
has_origin (GBytes *content, const PfsKubeletMount *mount)
{
  g_autofree char *tail = g_strdup_printf ("/pods/%s/containers/%s/%s", mount->pod_uid, mount->name, mount->instance);
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line))
    if (g_str_has_suffix (line.root, tail) && !strstr (line.mount_point, "/rootfs/"))
      return true;
  return false;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) content = g_bytes_new (data, size);
  g_autoptr (GBytes) begin = g_bytes_new (data, MIN (size, 4096));
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  static const PfsKubeletMount zero;
  PfsKubeletMount mount, ours;
  bool has_root = false;
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line)) {
    MUST (line.mount_point[0] == '/' && *line.root && *line.fstype);
    MUST (strlen (line.root) + strlen (line.mount_point) + strlen (line.options) + strlen (line.fstype)
              + strlen (line.source) + strlen (line.super_options)
          < size);
    has_root = has_root || strcmp (line.mount_point, "/") == 0;
    g_autofree char *type = pfs_mountinfo_fstype (begin, line.major, line.minor);
    MUST (type || size > 4096);
    if (size > 4096)
      break;
  }

  g_autofree char *key = pfs_mountinfo_root (content);
  MUST (key ? has_root || size > 4096 : !has_root);

  memset (&mount, 0xaa, sizeof mount);
  memset (&ours, 0xaa, sizeof ours);
  bool at_default = pfs_mountinfo_kubelet (content, NULL, NULL, &mount);
  bool with_pod = pfs_mountinfo_kubelet (content, POD, NULL, &ours);
  MUST (with_pod || !at_default);
  MUST (at_default || memcmp (&mount, &zero, sizeof mount) == 0);
  MUST (with_pod || memcmp (&ours, &zero, sizeof ours) == 0);
  if (at_default) {
    check_kubelet (&mount);
    MUST (has_origin (content, &mount));
  }
  if (with_pod) {
    check_kubelet (&ours);
    MUST (has_origin (content, &ours));
  }
  return 0;
}
