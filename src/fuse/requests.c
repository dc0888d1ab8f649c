/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of requests under way. */
#include "requests.h"

#include <string.h>

#include "jobs.h"

#define STALLED_MS 1000 /* what has waited for so long may do so for ever */
#define SOON_MS 1       /* until the second try; the longer one waits, the longer it waits for the next try */
#define LATE_MS 50

static GPrivate mine_key; /* of PfsRequest */

gint64
pfs_now (void)
{
  return g_get_monotonic_time () / 1000;
}

PfsRequest *
pfs_request_mine (void)
{
  return g_private_get (&mine_key);
}

PfsNode *
pfs_request_held_node (uint64_t number)
{
  const PfsRequest *mine = pfs_request_mine ();

  for (guint i = 0; mine && i < G_N_ELEMENTS (mine->nodes); i++)
    if (mine->nodes[i] && mine->nodes[i]->number == number)
      return mine->nodes[i];
  return NULL;
}

void
pfs_request_process (PfsJobs *jobs, PfsRequest *request, const struct fuse_buf *buf)
{
  g_private_set (&mine_key, request);
  fuse_session_process_buf (jobs->session->fuse, buf);
  g_private_set (&mine_key, NULL);
}

void
pfs_request_let_go (PfsRequest *request)
{
  for (guint i = 0; i < 2; i++) {
    g_clear_pointer (&request->files[i], pfs_file_unref);
    if (request->nodes[i])
      pfs_node_forget (request->nodes[i], 1);
  }
}

bool
pfs_request_lets_go (const PfsRequest *request)
{
  uint32_t opcode = request->in ? request->in->opcode : 0;

  return opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR || opcode == FUSE_FLUSH;
}

bool
pfs_request_locks_directory (const PfsRequest *request)
{
  static const uint8_t opcodes[] = {
    FUSE_LOOKUP,  FUSE_READDIR, FUSE_READDIRPLUS, FUSE_CREATE, FUSE_MKNOD,  FUSE_MKDIR,
    FUSE_SYMLINK, FUSE_LINK,    FUSE_UNLINK,      FUSE_RMDIR,  FUSE_RENAME, FUSE_RENAME2,
  };

  return request->in && request->place.remote && request->in->opcode <= UINT8_MAX
         && memchr (opcodes, (int) request->in->opcode, sizeof opcodes);
}

void
pfs_requests_tend_from_locked (PfsJobs *jobs, gint64 when)
{
  if (when >= jobs->tend_at)
    return;
  jobs->tend_at = when;
  pfs_eventfd_raise (jobs->wake);
}

void
pfs_request_add_locked (PfsJobs *jobs, PfsRequest *request)
{
  if (!request->link.data) {
    request->link.data = request;
    g_queue_push_tail_link (&jobs->requests, &request->link);
  }
  if (pfs_request_locks_directory (request))
    pfs_requests_tend_from_locked (jobs, request->since + PFS_LOCKED_MS);
}

PfsCount
pfs_requests_count_locked (PfsJobs *jobs, const PfsNodeMount *place)
{
  gint64 now = pfs_now ();
  PfsCount count = { 0 };

  for (GList *link = jobs->requests.head; link; link = link->next) {
    const PfsRequest *request = link->data;
    bool same = request->place.container == place->container && !request->later;
    bool same_mount = same && request->place.mount == place->mount;
    bool stalled = now - request->since >= STALLED_MS;

    count.here += request->here;
    count.here_of_container += request->here && same;
    count.in_container += same;
    count.on_mount += same_mount;
    count.stalled_in_container += stalled && same;
    count.stalled_on_mount += stalled && same_mount;
  }
  return count;
}

void
pfs_request_later_locked (PfsJobs *jobs, PfsRequest *request)
{
  gint64 now = pfs_now ();

  request->later = true;
  request->due = now + CLAMP ((now - request->asked) / 8, SOON_MS, LATE_MS);
  pfs_request_add_locked (jobs, request);
  pfs_requests_tend_from_locked (jobs, request->interrupted ? now : request->due);
}
