/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real sockets of this process and of children, asked of the real /proc. A scan is given the pids that a container
 * would have, so "another container" is just another set of pids. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>
#include <glib.h>
#include <glib/gstdio.h>

#include "../../../src/pod/sock.h"
#include "peerfs/base/fd.h"
#include "peerfs/pod/sockets.h"

typedef struct {
  char *dir;   /* absolute, removed with all below it */
  GArray *fds; /* closed at the end */
} Fixture;

static int
setup (void **state)
{
  Fixture *f = g_new0 (Fixture, 1);
  g_autofree char *made = g_dir_make_tmp ("pfs-sockets-XXXXXX", NULL);

  f->dir = realpath (made, NULL);
  f->fds = g_array_new (FALSE, FALSE, sizeof (int));
  *state = f;
  return 0;
}

static int
teardown (void **state)
{
  Fixture *f = *state;
  g_autofree char *quoted = g_shell_quote (f->dir);
  g_autofree char *command = g_strdup_printf ("rm -rf %s", quoted);

  for (guint i = 0; i < f->fds->len; i++)
    close (g_array_index (f->fds, int, i));
  g_array_unref (f->fds);
  assert_int_equal (system (command), 0);
  free (f->dir);
  g_free (f);
  return 0;
}

/* --- sockets --- */

static int
bind_at (const char *path, int type)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  size_t len = strlen (path);
  int fd = socket (AF_UNIX, type | SOCK_CLOEXEC, 0);

  assert_true (fd >= 0);
  assert_true (len <= sizeof address.sun_path);
  memcpy (address.sun_path, path, len);
  if (bind (fd, (struct sockaddr *) &address, (socklen_t) (offsetof (struct sockaddr_un, sun_path) + len)) < 0)
    fail_msg ("bind %s: %s", path, strerror (errno));
  return fd;
}

static int
listen_at (const char *path, int type)
{
  int fd = bind_at (path, type);

  if (type != SOCK_DGRAM)
    assert_int_equal (listen (fd, 5), 0);
  return fd;
}

static int
keep (Fixture *f, int fd)
{
  g_array_append_val (f->fds, fd);
  return fd;
}

static char *
at (Fixture *f, const char *name)
{
  return g_build_filename (f->dir, name, NULL);
}

static void
keep_listening (Fixture *f, const char *name, int type)
{
  g_autofree char *path = at (f, name);
  keep (f, listen_at (path, type));
}

/* --- children --- */

typedef void (*ChildFunc) (Fixture *f, gpointer data);

/* A child that has done func and then only exists, until child_end(). */
static pid_t
child_start (Fixture *f, ChildFunc func, gpointer data)
{
  int ready[2];
  char byte;

  assert_int_equal (pipe (ready), 0);
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    func (f, data);
    if (write (ready[1], "x", 1) != 1)
      _exit (1);
    for (;;)
      pause ();
  }
  close (ready[1]);
  ssize_t n = read (ready[0], &byte, 1);
  close (ready[0]);
  assert_int_equal (n, 1);
  return pid;
}

static void
child_end (pid_t pid)
{
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

/* --- scans --- */

/* The kernel tells where a socket is, asked by a thread or by another process; or guesses do. */
static bool with_kernel = true, apart;

static int
scan_pids (pid_t main_pid, const pid_t *pids, guint n, GPtrArray **ret)
{
  pfs_autofd proc_fd = open ("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  PfsPatience *patience = pfs_patience_new ();
  char name[16];

  g_snprintf (name, sizeof name, "%d", (int) main_pid);
  pfs_autofd main_fd = openat (proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const PfsSocketScan scan = {
    .proc_fd = proc_fd,
    .patience = with_kernel ? patience : NULL,
    .apart = apart,
    .main_fd = main_fd,
    .main_pid = main_pid,
    .pids = pids,
    .n_pids = n,
  };
  int r = pfs_sockets_scan (&scan, ret);
  pfs_patience_unref (patience);
  return r;
}

static GPtrArray *
scan (pid_t pid)
{
  GPtrArray *sockets = NULL;

  assert_int_equal (scan_pids (pid, &pid, 1, &sockets), 0);
  return sockets;
}

/* The paths, as far as they are below the fixture's directory, without it; sorted, joined by '|'. */
static char *
names (Fixture *f, GPtrArray *sockets)
{
  GString *all = g_string_new (NULL);

  for (guint i = 0; i < sockets->len; i++) {
    const PfsSocket *s = sockets->pdata[i];
    if (g_str_has_prefix (s->path, f->dir + 1))
      g_string_append_printf (all, "%s%s", all->len ? "|" : "", s->path + strlen (f->dir));
  }
  return g_string_free (all, FALSE);
}

static void
assert_names (Fixture *f, pid_t pid, const char *expected)
{
  g_autoptr (GPtrArray) sockets = scan (pid);
  g_autofree char *found = names (f, sockets);

  assert_string_equal (found, expected);
}

static const PfsSocket *
find (Fixture *f, GPtrArray *sockets, const char *name)
{
  g_autofree char *path = at (f, name);

  for (guint i = 0; i < sockets->len; i++)
    if (strcmp (((PfsSocket *) sockets->pdata[i])->path, path + 1) == 0)
      return sockets->pdata[i];
  fail_msg ("no %s", name);
  return NULL;
}

static void
assert_physical (const PfsSocket *s, const char *physical)
{
  assert_string_equal (g_array_index (s->ways, PfsSocketWay, 0).physical, physical);
}

/* --- tests --- */

static void
test_kinds (void **state)
{
  Fixture *f = *state;
  g_autofree char *stream = at (f, "stream");
  g_autofree char *bound = at (f, "bound");
  g_autofree char *dgram = at (f, "dgram");
  g_autofree char *connected = at (f, "connected");

  keep (f, listen_at (stream, SOCK_STREAM));
  keep (f, bind_at (bound, SOCK_STREAM));
  keep (f, bind_at (dgram, SOCK_DGRAM));
  keep_listening (f, "seq", SOCK_SEQPACKET);

  struct sockaddr_un to = { .sun_family = AF_UNIX };
  g_strlcpy (to.sun_path, dgram, sizeof to.sun_path);
  int fd = keep (f, bind_at (connected, SOCK_DGRAM));
  assert_int_equal (connect (fd, (struct sockaddr *) &to, sizeof to), 0);

  g_autoptr (GPtrArray) sockets = scan (getpid ());
  g_autofree char *found = names (f, sockets);
  assert_string_equal (found, "connected|dgram|seq|stream");
  assert_int_equal (find (f, sockets, "stream")->type, SOCK_STREAM);
  assert_int_equal (find (f, sockets, "dgram")->type, SOCK_DGRAM);
  assert_int_equal (find (f, sockets, "seq")->type, SOCK_SEQPACKET);
  assert_physical (find (f, sockets, "stream"), stream);
}

static void
hold_accepted (Fixture *f, gpointer data)
{
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  g_autofree char *path = at (f, "server");
  int listener = listen_at (path, SOCK_STREAM);
  int client = socket (AF_UNIX, SOCK_STREAM, 0);

  (void) data;
  g_strlcpy (to.sun_path, path, sizeof to.sun_path);
  if (connect (client, (struct sockaddr *) &to, sizeof to) < 0 || accept (listener, NULL, NULL) < 0)
    _exit (1);
  close (listener);
}

/* An accepted connection repeats its listener's name and file, but is nothing to connect to. */
static void
test_accepted (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_accepted, NULL);

  assert_names (f, pid, "");
  child_end (pid);
}

static void
test_deleted_and_abstract (void **state)
{
  Fixture *f = *state;
  g_autofree char *path = at (f, "gone");
  struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0pfs-test" };

  keep (f, listen_at (path, SOCK_STREAM));
  assert_int_equal (unlink (path), 0);
  int fd = keep (f, socket (AF_UNIX, SOCK_STREAM, 0));
  assert_int_equal (bind (fd, (struct sockaddr *) &address, offsetof (struct sockaddr_un, sun_path) + 9), 0);
  assert_int_equal (listen (fd, 1), 0);

  g_autoptr (GPtrArray) sockets = scan (getpid ());
  for (guint i = 0; i < sockets->len; i++)
    assert_null (strstr (((PfsSocket *) sockets->pdata[i])->path, "pfs-test"));
  assert_names (f, getpid (), "");
}

static void
hold_relative (Fixture *f, gpointer data)
{
  g_autofree char *dir = at (f, "spool");

  (void) data;
  if (mkdir (dir, 0700) < 0 || chdir (dir) < 0)
    _exit (1);
  listen_at ("private.sock", SOCK_STREAM);
  listen_at ("../up.sock", SOCK_STREAM);
}

static void
test_relative (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_relative, NULL);
  g_autofree char *link = at (f, "spool/private.sock");

  assert_names (f, pid, "spool/private.sock|up.sock");
  g_autoptr (GPtrArray) sockets = scan (pid);
  assert_physical (find (f, sockets, "spool/private.sock"), link);
  child_end (pid);
}

static void
test_renamed (void **state)
{
  Fixture *f = *state;
  g_autofree char *before = at (f, "front.sock.558.tmp");
  g_autofree char *after = at (f, "front.sock");
  g_autofree char *other = at (f, "other.sock");

  keep (f, listen_at (other, SOCK_STREAM));
  keep (f, listen_at (before, SOCK_STREAM));
  assert_int_equal (rename (before, after), 0);
  assert_names (f, getpid (), "front.sock|other.sock");

  /* Also if another socket has taken the old name. */
  keep (f, listen_at (before, SOCK_STREAM));
  assert_names (f, getpid (), "front.sock|front.sock.558.tmp|other.sock");
}

static void
hold_stream (Fixture *f, gpointer data)
{
  g_autofree char *path = at (f, data);
  unlink (path);
  listen_at (path, SOCK_STREAM);
}

/* Two containers with the same path in one volume: only the one whose socket is there now shows it. */
static void
test_replaced_by_another (void **state)
{
  Fixture *f = *state;
  pid_t first = child_start (f, hold_stream, "same");
  assert_names (f, first, "same");

  pid_t second = child_start (f, hold_stream, "same");
  assert_names (f, first, "");
  assert_names (f, second, "same");
  child_end (first);
  child_end (second);
}

static void
test_replaced_by_other_things (void **state)
{
  Fixture *f = *state;
  g_autofree char *file = at (f, "file");
  g_autofree char *link = at (f, "link");
  g_autofree char *target = at (f, "target");

  keep_listening (f, "file", SOCK_STREAM);
  keep_listening (f, "link", SOCK_STREAM);
  keep (f, bind_at (target, SOCK_STREAM));
  assert_int_equal (unlink (file), 0);
  assert_true (g_file_set_contents (file, "x", 1, NULL));
  assert_int_equal (unlink (link), 0);
  assert_int_equal (symlink ("target", link), 0);
  assert_names (f, getpid (), "");
}

static void
hold_inherited (Fixture *f, gpointer data)
{
  (void) f;
  (void) data;
}

static void
test_holders (void **state)
{
  Fixture *f = *state;
  GPtrArray *sockets;
  g_autofree char *path = at (f, "shared");
  int fd = listen_at (path, SOCK_STREAM);
  pid_t worker = child_start (f, hold_inherited, NULL);
  pid_t pids[] = { getpid (), worker };

  assert_int_equal (scan_pids (getpid (), pids, 2, &sockets), 0);
  g_autofree char *found = names (f, sockets);
  assert_string_equal (found, "shared");
  g_ptr_array_unref (sockets);

  close (fd);
  assert_names (f, getpid (), "");
  assert_names (f, worker, "shared");
  child_end (worker);
}

static void
test_hostile_names (void **state)
{
  Fixture *f = *state;
  g_autofree char *forged = at (f, "a\n0000: 00000002 0 00010000 0001 01 9 b");
  g_autofree char *bytes = at (f, "\x01\xff %s");

  keep (f, listen_at (forged, SOCK_STREAM));
  keep (f, listen_at (bytes, SOCK_STREAM));
  assert_names (f, getpid (), "\x01\xff %s|a\n0000: 00000002 0 00010000 0001 01 9 b");
}

/* sun_path may be full, without a NUL. */
static void
test_longest_name (void **state)
{
  Fixture *f = *state;
  struct sockaddr_un address;
  g_autofree char *fill = g_strnfill (sizeof address.sun_path - strlen (f->dir) - 1, 'x');

  keep_listening (f, fill, SOCK_STREAM);
  assert_names (f, getpid (), fill);
}

static void
test_through_links (void **state)
{
  Fixture *f = *state;
  g_autofree char *run = at (f, "run");
  g_autofree char *var = at (f, "var");
  g_autofree char *link = at (f, "var/run");
  g_autofree char *physical = at (f, "run/x.sock");

  assert_int_equal (mkdir (run, 0755), 0);
  assert_int_equal (mkdir (var, 0755), 0);
  assert_int_equal (symlink (run, link), 0);
  keep_listening (f, "var/run/x.sock", SOCK_STREAM);
  keep_listening (f, "var/.//../run/y.sock", SOCK_STREAM);

  g_autoptr (GPtrArray) sockets = scan (getpid ());
  g_autofree char *found = names (f, sockets);
  assert_string_equal (found, "run/y.sock|var/run/x.sock");
  assert_physical (find (f, sockets, "var/run/x.sock"), physical);
}

static void
hold_jailed (Fixture *f, gpointer data)
{
  g_autofree char *jail = at (f, "jail");

  (void) data;
  if (mkdir (jail, 0755) < 0 || chroot (jail) < 0 || chdir ("/") < 0)
    _exit (1);
  listen_at ("/in.sock", SOCK_STREAM);
}

static void
test_chrooted (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_jailed, NULL);
  pid_t pids[] = { getpid (), pid };
  GPtrArray *sockets;

  assert_int_equal (scan_pids (getpid (), pids, 2, &sockets), 0);
  g_autofree char *found = names (f, sockets);
  assert_string_equal (found, "jail/in.sock");
  g_ptr_array_unref (sockets);
  child_end (pid);
}

/* A container whose root is a jail: paths are the jail's own. */
static void
test_root_of_container (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_jailed, NULL);
  g_autoptr (GPtrArray) sockets = scan (pid);

  assert_int_equal (sockets->len, 1);
  assert_string_equal (((PfsSocket *) sockets->pdata[0])->path, "in.sock");
  assert_physical (sockets->pdata[0], "/in.sock");
  child_end (pid);
}

static void
hold_in_netns (Fixture *f, gpointer data)
{
  if (unshare (CLONE_NEWNET) < 0)
    _exit (1);
  hold_stream (f, data);
}

static void
test_other_netns (void **state)
{
  Fixture *f = *state;
  struct stat before, after;

  assert_int_equal (stat ("/proc/thread-self/ns/net", &before), 0);
  pid_t pid = child_start (f, hold_in_netns, "netns.sock");
  assert_names (f, pid, "netns.sock");
  assert_int_equal (stat ("/proc/thread-self/ns/net", &after), 0);
  assert_int_equal (before.st_ino, after.st_ino);
  child_end (pid);
}

/* An overlay of two filesystems without xino: stat(2) gives another device than the kernel prints. */
static void
hold_on_overlay (Fixture *f, gpointer data)
{
  static const char *const dirs[] = { "lower", "fs", "fs/upper", "fs/work", "mnt" };
  g_autofree char *fs = at (f, "fs");
  g_autofree char *mnt = at (f, "mnt");
  g_autofree char *options = g_strdup_printf ("xino=off,lowerdir=%s/lower,upperdir=%s/fs/upper,workdir=%s/fs/work",
                                              f->dir, f->dir, f->dir);

  (void) data;
  if (unshare (CLONE_NEWNS) < 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    _exit (1);
  for (guint i = 0; i < G_N_ELEMENTS (dirs); i++) {
    g_autofree char *dir = at (f, dirs[i]);
    if (mkdir (dir, 0755) < 0 || (i == 1 && mount ("tmpfs", fs, "tmpfs", 0, NULL) < 0))
      _exit (1);
  }
  if (mount ("overlay", mnt, "overlay", 0, options) < 0)
    _exit (1);
  hold_stream (f, "mnt/a.sock");
  hold_stream (f, "mnt/b.tmp");
  g_autofree char *before = at (f, "mnt/b.tmp");
  g_autofree char *after = at (f, "mnt/b.sock");
  if (rename (before, after) < 0)
    _exit (1);
}

static void
test_overlay (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_on_overlay, NULL);

  assert_names (f, pid, "mnt/a.sock|mnt/b.sock");
  child_end (pid);
}

static void
test_dead_process (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_stream, "dead");
  pfs_autofd proc_fd = open ("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  char name[16];
  GPtrArray *sockets;

  g_snprintf (name, sizeof name, "%d", (int) pid);
  pfs_autofd main_fd = openat (proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  child_end (pid);
  const PfsSocketScan dead = { .proc_fd = proc_fd, .main_fd = main_fd, .pids = &pid, .n_pids = 1 };
  assert_int_equal (pfs_sockets_scan (&dead, &sockets), -ESRCH);
}

/* --- by what the kernel alone tells --- */

static void
hold_moved (Fixture *f, gpointer data)
{
  g_autofree char *from = at (f, "from");
  g_autofree char *to = at (f, "to");
  g_autofree char *old = at (f, "from/dir");
  g_autofree char *new = at (f, "to/renamed");

  (void) data;
  if (mkdir (from, 0755) < 0 || mkdir (to, 0755) < 0 || mkdir (old, 0755) < 0 || chdir (old) < 0)
    _exit (1);
  listen_at ("relative", SOCK_STREAM);
  if (chdir ("/") < 0 || rename (old, new) < 0)
    _exit (1);
  hold_stream (f, "from/here");
  g_autofree char *here = at (f, "from/here");
  g_autofree char *there = at (f, "to/there (deleted)");
  if (rename (here, there) < 0)
    _exit (1);
}

/* Renamed into another directory, the directory renamed, bound by a relative name before a chdir. A name that ends as
 * if it were deleted is looked for where it was bound. */
static void
test_moved (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_moved, NULL);
  assert_names (f, pid, with_kernel ? "to/renamed/relative" : "");

  g_autofree char *odd = at (f, "to/there (deleted)");
  g_autofree char *plain = at (f, "to/there");
  assert_int_equal (rename (odd, plain), 0);
  assert_names (f, pid, with_kernel ? "to/renamed/relative|to/there" : "");
  child_end (pid);
}

static void
hold_linked (Fixture *f, gpointer data)
{
  g_autofree char *tmp = at (f, "tmp");
  g_autofree char *final = at (f, "final");

  hold_stream (f, "tmp");
  (void) data;
  if (link (tmp, final) < 0 || unlink (tmp) < 0)
    _exit (1);
}

/* The kernel prints such a file as deleted. */
static void
test_linked (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_linked, NULL);

  assert_names (f, pid, "final");
  child_end (pid);
}

/* As daemons do that were started in the directory: ssh-agent -a NAME, dbus-daemon --address=unix:path=NAME. */
static void
test_relative_daemon (void **state)
{
  Fixture *f = *state;
  int ready[2];
  char byte;

  assert_int_equal (pipe (ready), 0);
  pid_t pid = fork ();
  if (pid == 0) {
    g_autofree char *program = g_strdup_printf (
        "import socket,os; s=socket.socket(socket.AF_UNIX); s.bind('agent'); s.listen(); os.chdir('/'); "
        "os.write(%d,b'x'); __import__('signal').pause()",
        ready[1]);
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (chdir (f->dir) == 0)
      execle ("/usr/bin/env", "env", g_strconcat ("PWD=", f->dir, NULL), "python3", "-c", program, NULL,
              (char *[]) { "PATH=/usr/bin:/bin", NULL });
    _exit (1);
  }
  close (ready[1]);
  ssize_t n = read (ready[0], &byte, 1);
  close (ready[0]);
  assert_int_equal (n, 1);
  assert_names (f, pid, "agent");
  child_end (pid);
}

static void
hold_elsewhere (Fixture *f, gpointer data)
{
  (void) data;
  if (unshare (CLONE_NEWNS) < 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
      || mount ("tmpfs", f->dir, "tmpfs", 0, NULL) < 0)
    _exit (1);
  hold_stream (f, "private");
}

/* A holder with mounts of its own: the only way to its socket is through itself. */
static void
test_other_mounts (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_elsewhere, NULL);
  pid_t pids[] = { getpid (), pid };
  GPtrArray *sockets;

  assert_int_equal (scan_pids (getpid (), pids, 2, &sockets), 0);
  g_autofree char *found = names (f, sockets);
  assert_string_equal (found, with_kernel ? "private" : "");
  if (with_kernel) {
    const PfsSocket *s = find (f, sockets, "private");
    g_autofree char *path = at (f, "private");
    assert_true (s->outside);
    assert_int_equal (s->ways->len, 1);
    assert_int_equal (g_array_index (s->ways, PfsSocketWay, 0).process.pid, pid);
    assert_physical (s, path);
  }
  g_ptr_array_unref (sockets);
  child_end (pid);
}

static void
hold_hidden (Fixture *f, gpointer data)
{
  if (unshare (CLONE_NEWNS) < 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    _exit (1);
  hold_stream (f, data);
  if (mount ("tmpfs", f->dir, "tmpfs", 0, NULL) < 0)
    _exit (1);
}

/* What has been mounted over is not there, nor is what has come in its place that socket. */
static void
test_mounted_over (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_hidden, "hidden");

  assert_names (f, pid, "");
  child_end (pid);
}

/* --- who leads there, and by which name --- */

/* The holders lead to it, the oldest first; last the main process, if it is none of them. */
static void
test_ways (void **state)
{
  Fixture *f = *state;
  GPtrArray *sockets;
  pid_t old = child_start (f, hold_stream, "old");
  g_autofree char *path = at (f, "both");
  int fd = listen_at (path, SOCK_STREAM);
  pid_t worker = child_start (f, hold_inherited, NULL);
  close (fd);
  pid_t pids[] = { getpid (), worker, old };

  assert_int_equal (scan_pids (getpid (), pids, 3, &sockets), 0);
  const PfsSocket *s = find (f, sockets, "both");
  assert_false (s->held_by_main);
  assert_int_equal (s->holder.pid, worker);
  assert_int_equal (s->ways->len, 2);
  assert_int_equal (g_array_index (s->ways, PfsSocketWay, 0).process.pid, worker);
  assert_int_equal (g_array_index (s->ways, PfsSocketWay, 1).process.pid, getpid ());
  g_ptr_array_unref (sockets);

  assert_int_equal (scan_pids (old, pids, 3, &sockets), 0);
  s = find (f, sockets, "old");
  assert_true (s->held_by_main);
  assert_int_equal (s->ways->len, 1);
  g_ptr_array_unref (sockets);
  child_end (worker);
  child_end (old);
}

/* Which of the sockets named local-0 the short name means. */
static char *
short_name (Fixture *f, pid_t main_pid, const pid_t *pids, guint n)
{
  GPtrArray *sockets;
  GString *owners = g_string_new (NULL);

  assert_int_equal (scan_pids (main_pid, pids, n, &sockets), 0);
  for (guint i = 0; i < sockets->len; i++) {
    const PfsSocket *s = sockets->pdata[i];
    if (s->short_name && g_str_has_suffix (s->path, "/local-0"))
      g_string_append (owners, s->path + strlen (f->dir));
  }
  g_ptr_array_unref (sockets);
  return g_string_free (owners, FALSE);
}

static void
assert_short_name (Fixture *f, pid_t main_pid, const pid_t *pids, guint n, const char *expected)
{
  g_autofree char *found = short_name (f, main_pid, pids, n);
  assert_string_equal (found, expected);
}

static void
test_short_name (void **state)
{
  Fixture *f = *state;
  static const char *const dirs[] = { "a", "b", "c" };
  for (guint i = 0; i < G_N_ELEMENTS (dirs); i++) {
    g_autofree char *dir = at (f, dirs[i]);
    assert_int_equal (mkdir (dir, 0755), 0);
  }
  pid_t oldest = child_start (f, hold_stream, "c/local-0");
  g_usleep (20000);
  pid_t second = child_start (f, hold_stream, "b/local-0");
  g_usleep (20000);
  pid_t third = child_start (f, hold_stream, "a/local-0");
  pid_t pids[] = { getpid (), third, second, oldest };

  assert_short_name (f, getpid (), pids, 4, "c/local-0");
  assert_short_name (f, getpid (), pids, 3, "b/local-0");
  assert_short_name (f, third, pids, 4, "a/local-0");
  g_autofree char *mine = at (f, "b/x");
  assert_int_equal (mkdir (mine, 0755), 0);
  keep_listening (f, "b/x/local-0", SOCK_STREAM);
  assert_short_name (f, getpid (), pids, 4, "b/x/local-0");
  child_end (oldest);
  child_end (second);
  child_end (third);
}

static void
hold_many (Fixture *f, gpointer data)
{
  guint n = GPOINTER_TO_UINT (data);
  struct rlimit limit = { n + 100, n + 100 };

  if (setrlimit (RLIMIT_NOFILE, &limit) < 0 || chdir (f->dir) < 0)
    _exit (1);
  for (guint i = 0; i < n; i++) {
    char name[32];
    g_snprintf (name, sizeof name, "s%05u", i);
    listen_at (name, SOCK_STREAM);
    if (i % 4 == 3 && unlink (name) < 0)
      _exit (1);
  }
}

/* 10,000 sockets, relative ones, a quarter of them deleted, so that each of those has its directory searched. */
static void
test_many (void **state)
{
  Fixture *f = *state;
  pid_t pid = child_start (f, hold_many, GUINT_TO_POINTER (10000));
  clock_t start = clock ();
  g_autoptr (GPtrArray) sockets = scan (pid);
  clock_t spent = clock () - start;

  child_end (pid);
  print_message ("10,000 sockets: %d ms of processor time\n", (int) (spent * 1000 / CLOCKS_PER_SEC));
  assert_int_equal (sockets->len, 7500);
  assert_true (spent < 5 * CLOCKS_PER_SEC);
}

#define DESCRIPTORS 12000

/* So many descriptors; the last one is the socket's. */
static void
hold_descriptors (Fixture *f, gpointer data)
{
  const struct rlimit limit = { DESCRIPTORS, DESCRIPTORS };
  g_autofree char *path = at (f, data);
  int fd = listen_at (path, SOCK_STREAM);

  if (setrlimit (RLIMIT_NOFILE, &limit) < 0 || dup2 (fd, DESCRIPTORS - 1) < 0 || close (fd) < 0)
    _exit (1);
  while (dup (STDIN_FILENO) >= 0)
    continue;
}

/* A peer's many descriptors delay others only so far: 65,536 are looked at, the oldest process first, and of each
 * process the first ones. */
static void
test_many_descriptors (void **state)
{
  Fixture *f = *state;
  static char *const names_of_old[] = { "a", "b", "c", "d", "e", "f", "g" };
  pid_t pids[G_N_ELEMENTS (names_of_old) + 1];
  GPtrArray *sockets;
  guint n = 0;

  for (; n < G_N_ELEMENTS (names_of_old); n++)
    pids[n] = child_start (f, hold_descriptors, names_of_old[n]);
  pids[n++] = child_start (f, hold_stream, "young");
  assert_int_equal (scan_pids (pids[0], pids, n, &sockets), 0);
  g_autofree char *found = names (f, sockets);
  assert_string_equal (found, "a|b|c|d|e|young");
  g_ptr_array_unref (sockets);
  for (guint i = 0; i < n; i++)
    child_end (pids[i]);
}

/* In a network namespace of its own: the kernel leaves sockets out of a list while others there end. */
int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_kinds, setup, teardown),
    cmocka_unit_test_setup_teardown (test_accepted, setup, teardown),
    cmocka_unit_test_setup_teardown (test_deleted_and_abstract, setup, teardown),
    cmocka_unit_test_setup_teardown (test_relative, setup, teardown),
    cmocka_unit_test_setup_teardown (test_renamed, setup, teardown),
    cmocka_unit_test_setup_teardown (test_replaced_by_another, setup, teardown),
    cmocka_unit_test_setup_teardown (test_replaced_by_other_things, setup, teardown),
    cmocka_unit_test_setup_teardown (test_holders, setup, teardown),
    cmocka_unit_test_setup_teardown (test_hostile_names, setup, teardown),
    cmocka_unit_test_setup_teardown (test_longest_name, setup, teardown),
    cmocka_unit_test_setup_teardown (test_through_links, setup, teardown),
    cmocka_unit_test_setup_teardown (test_chrooted, setup, teardown),
    cmocka_unit_test_setup_teardown (test_root_of_container, setup, teardown),
    cmocka_unit_test_setup_teardown (test_other_netns, setup, teardown),
    cmocka_unit_test_setup_teardown (test_overlay, setup, teardown),
    cmocka_unit_test_setup_teardown (test_dead_process, setup, teardown),
    cmocka_unit_test_setup_teardown (test_moved, setup, teardown),
    cmocka_unit_test_setup_teardown (test_linked, setup, teardown),
    cmocka_unit_test_setup_teardown (test_relative_daemon, setup, teardown),
    cmocka_unit_test_setup_teardown (test_other_mounts, setup, teardown),
    cmocka_unit_test_setup_teardown (test_mounted_over, setup, teardown),
    cmocka_unit_test_setup_teardown (test_ways, setup, teardown),
    cmocka_unit_test_setup_teardown (test_short_name, setup, teardown),
    cmocka_unit_test_setup_teardown (test_many, setup, teardown),
    cmocka_unit_test_setup_teardown (test_many_descriptors, setup, teardown),
  };
  if (unshare (CLONE_NEWNET) < 0) {
    perror ("unshare");
    return 1;
  }
  int failed = cmocka_run_group_tests_name ("the kernel tells", tests, NULL, NULL);
  apart = true;
  failed += cmocka_run_group_tests_name ("the kernel tells another process", tests, NULL, NULL);
  with_kernel = false;
  return failed + cmocka_run_group_tests_name ("guesses", tests, NULL, NULL);
}
