/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Through which processes a socket's file is reached, their mounts tell; and by which name it is shown. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "peerfs/base/fd.h"
#include "sock.h"

#define VIEWS_MAX 64 /* different roots in one container */

static void
finder_clear (PfsSocketFinder *f)
{
  g_clear_pointer (&f->dirs, g_hash_table_unref);
  g_clear_pointer (&f->starts, g_hash_table_unref);
  g_clear_pointer (&f->by_pid, g_hash_table_unref);
  g_clear_pointer (&f->views, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsSocketFinder, finder_clear)

/* --- what a holder sees --- */

static const PfsView *
view_load (PfsSocketFinder *f, pid_t pid)
{
  g_autofree char *name = g_strdup_printf ("%d", (int) pid);
  pfs_autofd fd = openat (f->scan->proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
  uint64_t mount, inode;
  PfsView *view = NULL;

  pfs_autofd root = fd < 0 ? -errno : pfs_view_open_root (fd, &mount, &inode);
  pfs_socket_note_shortage (f, root);
  if (root < 0)
    return NULL;
  for (guint i = 0; i < f->views->len; i++) {
    const PfsView *known = f->views->pdata[i];
    if (known->mount == mount && known->inode == inode)
      return known;
  }
  int r = f->views->len < VIEWS_MAX ? pfs_view_new (fd, &view) : -ENOSPC;
  pfs_socket_note_shortage (f, r);
  if (r == 0)
    g_ptr_array_add (f->views, view);
  return view;
}

static const PfsView *
view_of (PfsSocketFinder *f, pid_t pid)
{
  gpointer view;

  if (!g_hash_table_lookup_extended (f->by_pid, GINT_TO_POINTER (pid), NULL, &view)) {
    view = (gpointer) view_load (f, pid);
    g_hash_table_insert (f->by_pid, GINT_TO_POINTER (pid), view);
  }
  return view;
}

/* --- the ways to a file --- */

static void
way_clear (gpointer data)
{
  g_ref_string_release (((PfsSocketWay *) data)->physical);
}

/* Most processes see it at the same place. */
static void
add_way (GArray *ways, PfsProcessId process, const char *path)
{
  const PfsSocketWay *last = ways->len > 0 ? &g_array_index (ways, PfsSocketWay, ways->len - 1) : NULL;
  bool same = last && strcmp (last->physical, path) == 0;
  PfsSocketWay way = { process, same ? g_ref_string_acquire (last->physical) : g_ref_string_new (path) };

  g_array_append_val (ways, way);
}

/* main_path: where the main process sees the file; NULL if it does not. */
static GArray *
ways_to (PfsSocketFinder *f, const PfsUnixSocket *socket, const PfsSocketPlace *place, const char *main_path,
         bool held_by_main)
{
  GArray *ways = g_array_new (FALSE, FALSE, sizeof (PfsSocketWay));

  g_array_set_clear_func (ways, way_clear);
  for (int others = 0; others < 2; others++)
    for (guint i = 0; i < socket->holders->len; i++) {
      PfsProcessId process = g_array_index (socket->holders, PfsSocketHolder, i).process;
      const PfsView *view = view_of (f, process.pid);
      bool other = view != f->views->pdata[0];
      const char *path = !other ? main_path : view ? pfs_view_path (view, place->text, place->mount) : NULL;
      if (path && other == (others == 1))
        add_way (ways, process, path);
    }
  if (main_path && !held_by_main)
    add_way (ways, (PfsProcessId) { f->scan->main_pid, f->scan->main_start }, main_path);
  return ways;
}

/* --- by which name --- */

/* A path without "." and "..", as its text alone tells, and without leading '/'. NULL if nothing is left. */
static char *
lexical_path (const char *path)
{
  g_autofree char *canonical = g_canonicalize_filename (path + strspn (path, "/") - 1, "/");

  return canonical[1] ? g_strdup (canonical + 1) : NULL;
}

/* The path as bound, if that leads to the file (links followed), else the physical one. */
static char *
path_shown (PfsSocketFinder *f, const PfsUnixSocket *socket, const char *main_path)
{
  bool as_bound = socket->path[0] == '/'
                  && (strcmp (socket->path, main_path) == 0 || pfs_socket_guess_leads (f, socket->path, main_path));
  char *path = as_bound ? lexical_path (socket->path) : NULL;

  return path ? path : g_strdup (main_path + 1);
}

/* --- all --- */

static void
socket_free (gpointer data)
{
  PfsSocket *s = data;

  g_free (s->path);
  g_clear_pointer (&s->ways, g_array_unref);
  g_free (s);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsSocket, socket_free)

static bool
is_held_by (const PfsUnixSocket *socket, pid_t pid)
{
  for (guint i = 0; i < socket->holders->len; i++)
    if (g_array_index (socket->holders, PfsSocketHolder, i).process.pid == pid)
      return true;
  return false;
}

/* Completes the place, and tells where the main process sees it: g_free; NULL if it does not. */
static char *
locate (PfsSocketFinder *f, PfsUnixSocket *socket)
{
  const PfsView *main_view = f->views->pdata[0];
  PfsSocketPlace *place = &socket->place;
  char *main_path = NULL;

  if (place->known > 0)
    return g_strdup (pfs_view_path (main_view, place->text, place->mount));
  pfs_socket_note_shortage (f, place->known);
  if (place->known < 0 && pfs_socket_guess_file (f, socket, &main_path, &place->mount))
    place->text = g_strconcat (main_view->root, main_path, NULL);
  return main_path;
}

static void
find_one (PfsSocketFinder *f, PfsUnixSocket *socket, GPtrArray *found)
{
  g_autofree char *main_path = locate (f, socket);

  if (!socket->place.text)
    return;
  g_autoptr (PfsSocket) s = g_new0 (PfsSocket, 1);
  s->inode = socket->inode;
  s->type = socket->type;
  s->outside = !main_path;
  s->holder = g_array_index (socket->holders, PfsSocketHolder, 0).process;
  s->held_by_main = is_held_by (socket, f->scan->main_pid);
  s->ways = ways_to (f, socket, &socket->place, main_path, s->held_by_main);
  if (s->ways->len == 0)
    return;
  s->path = main_path ? path_shown (f, socket, main_path)
                      : g_strdup (g_array_index (s->ways, PfsSocketWay, 0).physical + 1);
  g_ptr_array_add (found, g_steal_pointer (&s));
}

int
pfs_sockets_find (const PfsSocketScan *scan, GPtrArray *sockets, GPtrArray **ret)
{
  g_auto (PfsSocketFinder) f = {
    .scan = scan,
    .views = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_view_free),
    .by_pid = g_hash_table_new (NULL, NULL),
    .starts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free),
  };
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (socket_free);
  PfsView *main_view;

  int r = pfs_view_new (scan->main_fd, &main_view);
  if (r < 0)
    return r;
  g_ptr_array_add (f.views, main_view);
  for (guint i = 0; i < sockets->len; i++)
    find_one (&f, sockets->pdata[i], found);
  if (f.shortage < 0)
    return f.shortage;
  *ret = g_steal_pointer (&found);
  return 0;
}
