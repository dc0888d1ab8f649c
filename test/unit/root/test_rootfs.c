/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* root/: which node a name leads to, whatever the peer does to its files meanwhile. */
#include "roots.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

static void
test_identity (void **state)
{
  Roots *r = *state;
  struct stat st, real;

  peer_dir (r, "a");
  peer_file (r, "a/one", "1");
  peer_file (r, "a/two", "2");
  assert_return_code (linkat (r->fd, "a/one", r->fd, "other", 0), errno);
  g_autoptr (PfsNode) one = roots_get (r, "a/one");
  g_autoptr (PfsNode) again = roots_get (r, "a/one");
  g_autoptr (PfsNode) two = roots_get (r, "a/two");
  g_autoptr (PfsNode) other = roots_get (r, "other");
  assert_ptr_equal (one, again);
  assert_ptr_equal (one, other);
  assert_ptr_not_equal (one, two);

  assert_int_equal (roots_getattr (one, &st), 0);
  assert_return_code (fstatat (r->fd, "a/one", &real, 0), errno);
  assert_int_equal (st.st_nlink, 2);
  assert_int_equal (st.st_size, 1);
  assert_int_equal (st.st_mode, real.st_mode);
  assert_int_equal (st.st_mtim.tv_nsec, real.st_mtim.tv_nsec);
}

/* Its device and number are all that tells a file's number: neighbours differ, and so do high bits. */
static void
test_number (void **state)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  const uint64_t bases[] = { 1, 1ull << 32, (1ull << 63) - 100, 1ull << 63, UINT64_MAX - 99 };

  (void) state;
  for (guint dev = 0; dev < 100; dev++)
    for (guint i = 0; i < G_N_ELEMENTS (bases); i++)
      for (guint j = 0; j < 100; j++) {
        guint64 ino = pfs_rootfs_ino (makedev (dev % 10, dev / 10), bases[i] + j);
        assert_true (ino > PFS_INO_MAX);
        assert_true (g_hash_table_add (seen, g_memdup2 (&ino, sizeof ino)));
      }
}

static void
test_names (void **state)
{
  Roots *r = *state;
  g_autofree char *longest = g_strnfill (NAME_MAX, 'n');
  g_autofree char *longer = g_strnfill (NAME_MAX + 1, 'n');

  peer_file (r, longest, "");
  peer_file (r, "\xff\n\t \x01", "");
  assert_int_equal (roots_lookup (r, longest, WHO, NULL), 0);
  assert_int_equal (roots_lookup (r, "\xff\n\t \x01", WHO, NULL), 0);
  assert_int_equal (roots_lookup (r, longer, WHO, NULL), -ENAMETOOLONG);
  assert_int_equal (roots_lookup (r, "none", WHO, NULL), -ENOENT);
  assert_int_equal (roots_lookup (r, "none/x", WHO, NULL), -ENOENT);
  g_autofree char *below = g_strconcat (longest, "/x", NULL);
  assert_int_equal (roots_lookup (r, below, WHO, NULL), -ENOTDIR);
}

static void
test_replaced (void **state)
{
  Roots *r = *state;
  struct stat st;

  peer_file (r, "f", "old");
  g_autoptr (PfsNode) old = roots_get (r, "f");
  peer_file (r, "new", "newer");
  peer_move (r, "new", "f");
  assert_int_equal (roots_getattr (old, &st), -ESTALE);
  PfsFile *file = NULL;
  assert_int_equal (old->ops->open (old, O_RDONLY, WHO, &file), -ESTALE);
  g_autoptr (PfsNode) new = roots_get (r, "f");
  assert_ptr_not_equal (old, new);
  assert_int_equal (roots_getattr (new, &st), 0);
  assert_int_equal (st.st_size, 5);
}

/* Filesystems give the number of a file that is gone to the next one. */
static void
test_inode_reused (void **state)
{
  Roots *r = *state;
  struct stat first, next;

  for (int tries = 0; tries < 100; tries++) {
    peer_file (r, "f", "old");
    assert_return_code (fstatat (r->fd, "f", &first, 0), errno);
    g_autoptr (PfsNode) old = roots_get (r, "f");
    assert_return_code (unlinkat (r->fd, "f", 0), errno);
    g_usleep (12000); /* birth times advance in ticks */
    peer_file (r, "f", "new");
    assert_return_code (fstatat (r->fd, "f", &next, 0), errno);
    g_autoptr (PfsNode) new = roots_get (r, "f");
    assert_ptr_not_equal (old, new);
    assert_int_equal (roots_getattr (old, &next), -ESTALE);
    if (first.st_ino == next.st_ino)
      return;
  }
}

static void
test_replaced_by_another_type (void **state)
{
  Roots *r = *state;
  struct stat st;

  peer_dir (r, "d");
  peer_file (r, "d/f", "");
  g_autoptr (PfsNode) dir = roots_get (r, "d");
  g_autoptr (PfsNode) file = roots_get (r, "d/f");
  pfs_held_drop_dirs (r->nodes.tree);
  peer_move (r, "d", "e");
  assert_return_code (symlinkat ("e", r->fd, "d"), errno);
  assert_int_equal (roots_getattr (dir, &st), -ESTALE);
  assert_int_equal (roots_getattr (file, &st), -ESTALE);
  PfsEntry entry;
  assert_int_equal (dir->ops->lookup (dir, "f", WHO, &entry), -ESTALE);
}

static void
test_moved_behind_our_back (void **state)
{
  Roots *r = *state;
  struct stat st;

  peer_dir (r, "a");
  peer_dir (r, "a/b");
  peer_file (r, "a/b/f", "x");
  g_autoptr (PfsNode) dir = roots_get (r, "a/b");
  g_autoptr (PfsNode) file = roots_get (r, "a/b/f");
  pfs_held_drop_dirs (r->nodes.tree);
  peer_move (r, "a/b", "c");
  assert_int_equal (roots_getattr (file, &st), -ESTALE);
  g_autoptr (PfsNode) found = roots_get (r, "c");
  assert_ptr_not_equal (found, dir);
  assert_int_equal (roots_getattr (dir, &st), -ESTALE);
  g_autoptr (PfsNode) again = roots_get (r, "c/f");
  assert_ptr_equal (again, file);
  assert_int_equal (roots_getattr (file, &st), 0);
  g_autofree char *path = pfs_rootfs_path (file);
  assert_string_equal (path, "/c/f");
}

/* A directory that the peer moves below one that we still know below it must not make a circle. */
static void
test_moved_into_its_child (void **state)
{
  Roots *r = *state;

  peer_dir (r, "a");
  peer_dir (r, "a/b");
  g_autoptr (PfsNode) b = roots_get (r, "a/b");
  assert_int_equal (roots_lookup (r, "a/b/none", WHO, NULL), -ENOENT); /* its descriptor is cached now */
  peer_move (r, "a/b", "b");
  peer_move (r, "a", "b/a");
  PfsEntry entry;
  assert_int_equal (b->ops->lookup (b, "a", WHO, &entry), 0);
  g_autoptr (PfsNode) a = entry.node;
  g_autofree char *path = pfs_rootfs_path (a);
  assert_true (strlen (path) < 20);
  g_autoptr (PfsNode) again = roots_get (r, "b/a");
  g_clear_pointer (&path, g_free);
  path = pfs_rootfs_path (again);
  assert_string_equal (path, "/b/a");
}

/* The kernel forgets nothing one by one at the unmount. */
static void
test_known_when_the_tree_ends (void **state)
{
  const PfsTreeOptions options = { .attr_timeout = 1 };
  Roots *other = roots_new (&options);

  (void) state;
  peer_dir (other, "d");
  PfsNode *d = roots_get (other, "d");
  pfs_node_remember (d);
  pfs_node_unref (d);
  peer_move (other, "d", "e");
  d = roots_get (other, "e");
  pfs_node_remember (d);
  pfs_node_unref (d);
  void *proc = other->nodes.proc;
  pfs_node_unref (other->root);
  assert_true (pfs_tree_size (other->nodes.tree) > 1);
  pfs_tree_free (other->nodes.tree); /* a leak, were they not all found */
  fixture_teardown (&proc);
  close (other->fd);
  nftw (other->dir, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (other->dir);
  g_free (other);
}

static int
do_rename (PfsNode *from, const char *name, PfsNode *to, const char *new_name, unsigned int flags)
{
  return pfs_rootfs_rename (from, name, to, new_name, flags, WHO);
}

static void
test_rename (void **state)
{
  Roots *r = *state;
  struct stat st;

  peer_dir (r, "a");
  peer_dir (r, "b");
  peer_file (r, "a/x", "x");
  peer_file (r, "b/y", "yy");
  assert_return_code (symlinkat ("x", r->fd, "a/l"), errno);
  g_autoptr (PfsNode) a = roots_get (r, "a");
  g_autoptr (PfsNode) b = roots_get (r, "b");
  g_autoptr (PfsNode) x = roots_get (r, "a/x");
  g_autoptr (PfsNode) y = roots_get (r, "b/y");
  g_autoptr (PfsNode) link = roots_get (r, "a/l");

  assert_int_equal (do_rename (a, "x", b, "y", RENAME_NOREPLACE), -EEXIST);
  assert_int_equal (do_rename (a, "x", b, "y", RENAME_EXCHANGE), 0);
  g_autofree char *x_path = pfs_rootfs_path (x);
  g_autofree char *y_path = pfs_rootfs_path (y);
  assert_string_equal (x_path, "/b/y");
  assert_string_equal (y_path, "/a/x");
  assert_int_equal (roots_getattr (y, &st), 0);
  assert_int_equal (st.st_size, 2);

  assert_int_equal (do_rename (a, "l", b, "m", 0), 0);
  g_autoptr (PfsNode) moved = roots_get (r, "b/m");
  assert_ptr_equal (moved, link);
  assert_int_equal (do_rename (r->root, "a", b, "a", 0), 0);
  g_clear_pointer (&y_path, g_free);
  y_path = pfs_rootfs_path (y);
  assert_string_equal (y_path, "/b/a/x");
  assert_int_equal (roots_getattr (y, &st), 0);

  assert_int_equal (do_rename (b, "y", b, "z", 0), 0);
  g_autoptr (PfsNode) z = roots_get (r, "b/z");
  assert_ptr_equal (z, x);
  assert_int_equal (do_rename (b, "none", b, "z", 0), -ENOENT);
}

/* A file that lies where another one was renamed over it is stale, but what has it open goes on. */
static void
test_unlinked_but_open (void **state)
{
  Roots *r = *state;
  struct stat st = { .st_size = 2 };

  peer_file (r, "f", "content");
  g_autoptr (PfsNode) node = roots_get (r, "f");
  g_autoptr (PfsFile) file = roots_open (r, "f", O_RDWR);
  assert_int_equal (pfs_rootfs_remove (r->root, "f", false, WHO), 0);
  assert_int_equal (roots_lookup (r, "f", WHO, NULL), -ENOENT);
  peer_file (r, "f", "another");
  assert_open_content (file, "content");
  assert_int_equal (pfs_rootfs_setattr (node, NULL, &st, PFS_SET_SIZE, WHO, &st), 0);
  assert_open_content (file, "co");
  assert_int_equal (roots_getattr (node, &st), 0);
  assert_int_equal (st.st_nlink, 0);
  assert_int_equal (st.st_size, 2);
  g_autoptr (PfsNode) other = roots_get (r, "f");
  assert_ptr_not_equal (other, node);
  g_clear_pointer (&file, pfs_file_unref);
  assert_int_equal (roots_getattr (node, &st), -ESTALE);
}

static void
test_umask (void **state)
{
  Roots *r = *state;
  const PfsCaller who = { .umask = 027 };
  g_autoptr (PfsFile) file = NULL;
  PfsEntry entry;
  struct stat real;

  assert_int_equal (pfs_rootfs_create (r->root, "f", 0666, O_RDWR, &who, &entry, &file), 0);
  pfs_node_unref (entry.node);
  assert_return_code (fstatat (r->fd, "f", &real, 0), errno);
  assert_int_equal (real.st_mode, S_IFREG | 0640);
  assert_int_equal (pfs_rootfs_make (r->root, "d", S_IFDIR | 0777, 0, NULL, &who, &entry), 0);
  pfs_node_unref (entry.node);
  assert_return_code (fstatat (r->fd, "d", &real, 0), errno);
  assert_int_equal (real.st_mode, S_IFDIR | 0750);
}

static void
test_create (void **state)
{
  Roots *r = *state;
  g_autoptr (PfsFile) file = NULL;
  g_autoptr (PfsFile) again = NULL;
  PfsEntry entry, second;
  struct stat real;

  assert_int_equal (pfs_rootfs_create (r->root, "f", 0640, O_RDWR | O_EXCL, WHO, &entry, &file), 0);
  g_autoptr (PfsNode) node = entry.node;
  assert_return_code (fstatat (r->fd, "f", &real, 0), errno);
  assert_int_equal (real.st_mode, S_IFREG | 0640);
  assert_int_equal (entry.attr.st_mode, S_IFREG | 0640);
  assert_true (entry.entry_timeout > 0.9 && entry.attr_timeout > 0.9);
  assert_int_equal (write (file->fd, "text", 4), 4);
  assert_int_equal (pfs_rootfs_create (r->root, "f", 0640, O_RDWR | O_EXCL, WHO, &second, &again), -EEXIST);
  assert_int_equal (pfs_rootfs_create (r->root, "f", 0640, O_RDWR, WHO, &second, &again), 0);
  assert_ptr_equal (second.node, node);
  pfs_node_unref (second.node);
  assert_open_content (again, "text");
  assert_int_equal (pfs_rootfs_create (r->root, "..", 0640, O_RDWR, WHO, &second, &again), -EINVAL);

  /* The peer has put a link where the caller wants to create: nobody follows it here. */
  g_autoptr (PfsFile) none = NULL;
  assert_return_code (symlinkat ("/etc/passwd", r->fd, "link"), errno);
  assert_int_equal (pfs_rootfs_create (r->root, "link", 0640, O_RDWR, WHO, &second, &none), -ESTALE);
  assert_null (none);
}

static void
test_tmpfile (void **state)
{
  Roots *r = *state;
  g_autoptr (PfsFile) file = NULL;
  PfsEntry entry, linked;

  assert_int_equal (pfs_rootfs_tmpfile (r->root, 0600, O_RDWR, WHO, &entry, &file), 0);
  g_autoptr (PfsNode) node = entry.node;
  assert_int_equal (entry.attr.st_nlink, 0);
  assert_int_equal (write (file->fd, "text", 4), 4);
  assert_int_equal (pfs_rootfs_link (node, r->root, "name", WHO, &linked), 0);
  assert_ptr_equal (linked.node, node);
  assert_int_equal (linked.attr.st_nlink, 1);
  pfs_node_unref (linked.node);
}

static void
test_make_and_remove (void **state)
{
  Roots *r = *state;
  PfsEntry dir, link, again;
  g_autofree char *target = NULL;

  assert_int_equal (pfs_rootfs_make (r->root, "d", S_IFDIR | 0750, 0, NULL, WHO, &dir), 0);
  g_autoptr (PfsNode) d = dir.node;
  assert_int_equal (dir.attr.st_mode, S_IFDIR | 0750);
  assert_int_equal (pfs_rootfs_make (r->root, "d", S_IFDIR | 0750, 0, NULL, WHO, &again), -EEXIST);
  assert_int_equal (pfs_rootfs_make (d, "l", S_IFLNK | 0777, 0, "/etc/hostname", WHO, &link), 0);
  g_autoptr (PfsNode) l = link.node;
  assert_int_equal (l->ops->readlink (l, WHO, &target), 0);
  assert_string_equal (target, "../etc/hostname");
  assert_int_equal (link.attr.st_size, strlen (target));
  assert_int_equal (pfs_rootfs_remove (r->root, "d", false, WHO), -EISDIR);
  assert_int_equal (pfs_rootfs_remove (r->root, "d", true, WHO), -ENOTEMPTY);
  assert_int_equal (pfs_rootfs_remove (d, "l", true, WHO), -ENOTDIR);
  assert_int_equal (pfs_rootfs_remove (d, "l", false, WHO), 0);
  assert_return_code (mkdirat (r->fd, "other", 0755), errno);
  peer_move (r, "d", "moved");
  peer_move (r, "other", "d");
  assert_int_equal (pfs_rootfs_remove (r->root, "d", true, WHO), -ESTALE); /* not the one that the kernel knows */
  assert_int_equal (pfs_rootfs_rename (r->root, "d", r->root, "e", 0, WHO), -ESTALE);
  g_autoptr (PfsNode) other = roots_get (r, "d");
  assert_int_equal (pfs_rootfs_remove (r->root, "d", true, WHO), 0);
  g_autoptr (PfsNode) moved = roots_get (r, "moved");
  assert_int_equal (pfs_rootfs_remove (r->root, "moved", true, WHO), 0);
  assert_int_equal (l->ops->readlink (l, WHO, &target), -ESTALE);
}

static void
test_hard_link (void **state)
{
  Roots *r = *state;
  PfsEntry entry;

  peer_file (r, "f", "x");
  peer_dir (r, "d");
  assert_return_code (symlinkat ("f", r->fd, "l"), errno);
  g_autoptr (PfsNode) f = roots_get (r, "f");
  g_autoptr (PfsNode) d = roots_get (r, "d");
  g_autoptr (PfsNode) l = roots_get (r, "l");
  assert_int_equal (pfs_rootfs_link (f, d, "g", WHO, &entry), 0);
  assert_ptr_equal (entry.node, f);
  assert_int_equal (entry.attr.st_nlink, 2);
  pfs_node_unref (entry.node);
  assert_int_equal (pfs_rootfs_link (f, d, "g", WHO, &entry), -EEXIST);
  assert_int_equal (pfs_rootfs_link (d, d, "x", WHO, &entry), -EPERM);
  /* A link is linked itself, not what it leads to. */
  assert_int_equal (pfs_rootfs_link (l, d, "m", WHO, &entry), 0);
  assert_true (S_ISLNK (entry.attr.st_mode));
  assert_int_equal (entry.attr.st_nlink, 2);
  pfs_node_unref (entry.node);
  /* What lies there now is another file than the one that was meant. */
  peer_file (r, "new", "");
  peer_move (r, "new", "d/g");
  assert_int_equal (pfs_rootfs_link (f, d, "h", WHO, &entry), -ESTALE);
}

static void
test_setattr (void **state)
{
  Roots *r = *state;
  struct stat in = { .st_mode = 0604, .st_size = 3, .st_atim = { 11, 12 }, .st_mtim = { 13, 999999999 } };
  struct stat out, real;

  peer_file (r, "f", "content");
  peer_dir (r, "d");
  g_autoptr (PfsNode) f = roots_get (r, "f");
  g_autoptr (PfsNode) d = roots_get (r, "d");
  assert_int_equal (pfs_rootfs_setattr (f, NULL, &in, PFS_SET_MODE, WHO, &out), 0);
  assert_int_equal (pfs_rootfs_setattr (f, NULL, &in, PFS_SET_SIZE | PFS_SET_ATIME | PFS_SET_MTIME, WHO, &out), 0);
  assert_return_code (fstatat (r->fd, "f", &real, 0), errno);
  assert_int_equal (real.st_mode, S_IFREG | 0604);
  assert_int_equal (real.st_size, 3);
  assert_int_equal (real.st_atim.tv_nsec, 12);
  assert_int_equal (real.st_mtim.tv_nsec, 999999999);
  assert_int_equal (out.st_mtim.tv_sec, 13);
  assert_int_equal (pfs_rootfs_setattr (f, NULL, &in, PFS_SET_ATIME_NOW, WHO, &out), 0);
  assert_int_equal (out.st_mtim.tv_sec, 13);
  assert_true (out.st_atim.tv_sec > 1000000);
  assert_int_equal (pfs_rootfs_setattr (d, NULL, &in, PFS_SET_SIZE, WHO, &out), -EISDIR);
  if (geteuid () == 0) {
    in.st_uid = 123;
    in.st_gid = 456;
    assert_int_equal (pfs_rootfs_setattr (f, NULL, &in, PFS_SET_UID | PFS_SET_GID, WHO, &out), 0);
    assert_int_equal (out.st_uid, 123);
    assert_int_equal (out.st_gid, 456);
  }
  assert_int_equal (pfs_rootfs_setattr (r->root, NULL, &in, PFS_SET_MODE, WHO, &out), -EPERM);
}

static ssize_t
get_attribute (PfsNode *f, const char *name, void *value, size_t size, const PfsCaller *who)
{
  return pfs_rootfs_xattr (f, &(PfsXattr) { PFS_XATTR_GET, .name = name, .out = value, .size = size }, who);
}

static ssize_t
list_attribute (PfsNode *f, char *list, size_t size, const PfsCaller *who)
{
  return pfs_rootfs_xattr (f, &(PfsXattr) { PFS_XATTR_LIST, .out = list, .size = size }, who);
}

static ssize_t
set_attribute (PfsNode *f, const char *name, const void *value, size_t size, int flags, const PfsCaller *who)
{
  const PfsXattr call = { PFS_XATTR_SET, .name = name, .value = value, .size = size, .flags = flags };

  return pfs_rootfs_xattr (f, &call, who);
}

static ssize_t
remove_attribute (PfsNode *f, const char *name, const PfsCaller *who)
{
  return pfs_rootfs_xattr (f, &(PfsXattr) { PFS_XATTR_REMOVE, .name = name }, who);
}

static void
test_xattr (void **state)
{
  Roots *r = *state;
  char value[64];

  peer_file (r, "f", "");
  g_autoptr (PfsNode) f = roots_get (r, "f");
  assert_int_equal (set_attribute (f, "trusted.test", "value", 5, 0, WHO), 0); /* every file system has those */
  assert_int_equal (get_attribute (f, "trusted.test", NULL, 0, WHO), 5);
  assert_int_equal (get_attribute (f, "trusted.test", value, 2, WHO), -ERANGE);
  assert_int_equal (get_attribute (f, "trusted.test", value, sizeof value, WHO), 5);
  assert_memory_equal (value, "value", 5);
  assert_int_equal (set_attribute (f, "trusted.test", "x", 1, XATTR_CREATE, WHO), -EEXIST);
  ssize_t n = list_attribute (f, value, sizeof value, WHO);
  assert_true (n > 0 && memmem (value, (size_t) n, "trusted.test", 13));
  assert_int_equal (remove_attribute (f, "trusted.test", WHO), 0);
  assert_int_equal (get_attribute (f, "trusted.test", value, sizeof value, WHO), -ENODATA);
}

static void
make_socket (Roots *r, const char *name)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  pfs_autofd fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_snprintf (addr.sun_path, sizeof addr.sun_path, "%s/%s", r->dir, name);
  assert_return_code (bind (fd, (struct sockaddr *) &addr, sizeof addr), errno);
}

static void
test_special_files (void **state)
{
  Roots *r = *state;
  g_autofree char *target = NULL;
  PfsEntry entry;
  PfsFile *file = NULL;

  peer_dir (r, "run");
  make_socket (r, "run/sock");
  assert_return_code (mkfifoat (r->fd, "fifo", 0600), errno);
  assert_int_equal (roots_lookup (r, "run/sock", WHO, &entry), 0);
  g_autoptr (PfsNode) sock = entry.node;
  assert_int_equal (sock->ops->readlink (sock, WHO, &target), 0);
  g_autofree char *expected = g_strdup_printf ("%s/10/root/run/sock", r->nodes.proc->proc->path);
  assert_string_equal (target, expected);
  assert_int_equal (entry.attr.st_mode, S_IFLNK | 0777);
  assert_int_equal (entry.attr.st_size, strlen (expected));
  assert_int_equal (sock->ops->open (sock, O_RDONLY, WHO, &file), -ENXIO);
  assert_int_equal (roots_lookup (r, "fifo", WHO, &entry), 0);
  assert_int_equal (entry.attr.st_mode, S_IFLNK | 0777);
  pfs_node_unref (entry.node);

  /* Where fs.protected_symlinks applies the owner would keep others from following it. */
  assert_return_code (fchmodat (r->fd, "run", 01777, 0), errno);
  if (geteuid () == 0)
    assert_return_code (fchownat (r->fd, "run/sock", 4321, 4321, 0), errno);
  assert_int_equal (roots_lookup (r, "run/sock", WHO, &entry), 0);
  assert_int_equal (entry.attr.st_uid, geteuid ());
  pfs_node_unref (entry.node);
}

static int
setup_special_nodes (void **state)
{
  const PfsTreeOptions options = { .special_nodes = true, .raw_symlinks = true };

  *state = roots_new (&options);
  return 0;
}

static void
test_special_nodes (void **state)
{
  Roots *r = *state;
  g_autofree char *target = NULL;
  PfsEntry entry;
  PfsFile *file = NULL;

  make_socket (r, "sock");
  assert_int_equal (pfs_rootfs_make (r->root, "fifo", S_IFIFO | 0620, 0, NULL, WHO, &entry), 0);
  assert_int_equal (entry.attr.st_mode, S_IFIFO | 0620);
  g_autoptr (PfsNode) fifo = entry.node;
  assert_int_equal (fifo->ops->open (fifo, O_RDONLY, WHO, &file), -ENXIO);
  assert_int_equal (roots_lookup (r, "sock", WHO, &entry), 0);
  assert_true (S_ISSOCK (entry.attr.st_mode));
  assert_int_equal (entry.node->ops->readlink (entry.node, WHO, &target), -EINVAL);
  pfs_node_unref (entry.node);
  assert_return_code (symlinkat ("/etc/../x", r->fd, "raw"), errno);
  g_autoptr (PfsNode) raw = roots_get (r, "raw");
  assert_int_equal (raw->ops->readlink (raw, WHO, &target), 0);
  assert_string_equal (target, "/etc/../x");
}

/* With raw targets all names of a link are one node, which knows the last of them that was looked up. */
static void
test_raw_link_of_two_names (void **state)
{
  Roots *r = *state;
  g_autofree char *target = NULL;
  g_autofree char *again = NULL;
  struct stat st;

  assert_return_code (symlinkat ("one", r->fd, "a"), errno);
  assert_return_code (linkat (r->fd, "a", r->fd, "b", 0), errno);
  assert_return_code (symlinkat ("another", r->fd, "c"), errno);
  g_autoptr (PfsNode) b = roots_get (r, "b");
  g_autoptr (PfsNode) a = roots_get (r, "a");
  assert_ptr_equal (a, b);
  assert_int_equal (pfs_rootfs_rename (r->root, "c", r->root, "a", 0, WHO), 0);
  assert_int_equal (b->ops->readlink (b, WHO, &target), -ESTALE);
  assert_int_equal (roots_getattr (b, &st), -ESTALE);

  g_autoptr (PfsNode) same = roots_get (r, "b");
  assert_ptr_equal (same, b);
  assert_int_equal (b->ops->readlink (b, WHO, &again), 0);
  assert_string_equal (again, "one");
  assert_int_equal (roots_getattr (b, &st), 0);
  assert_int_equal (st.st_size, 3);
  assert_int_equal (st.st_nlink, 1);
}

static int
setup_read_only (void **state)
{
  const PfsTreeOptions options = { .read_only = true };

  *state = roots_new (&options);
  return 0;
}

static void
test_read_only (void **state)
{
  Roots *r = *state;
  struct stat st = { .st_mode = 0600 };
  g_autoptr (PfsFile) readable = NULL;
  PfsFile *file;
  PfsEntry e;

  peer_file (r, "f", "x");
  g_autoptr (PfsNode) f = roots_get (r, "f");
  assert_int_equal (f->ops->open (f, O_RDONLY, WHO, &readable), 0);
  assert_int_equal (f->ops->open (f, O_WRONLY, WHO, &file), -EROFS);
  assert_int_equal (f->ops->open (f, O_RDONLY | O_TRUNC, WHO, &file), -EROFS);
  assert_int_equal (pfs_rootfs_setattr (f, NULL, &st, PFS_SET_MODE, WHO, &st), -EROFS);
  assert_int_equal (pfs_rootfs_create (r->root, "g", 0600, O_RDWR, WHO, &e, &file), -EROFS);
  assert_int_equal (pfs_rootfs_tmpfile (r->root, 0600, O_RDWR, WHO, &e, &file), -EROFS);
  assert_int_equal (pfs_rootfs_make (r->root, "g", S_IFREG, 0, NULL, WHO, &e), -EROFS);
  assert_int_equal (pfs_rootfs_make (r->root, "g", S_IFDIR | 0700, 0, NULL, WHO, &e), -EROFS);
  assert_int_equal (pfs_rootfs_make (r->root, "g", S_IFLNK | 0777, 0, "f", WHO, &e), -EROFS);
  assert_int_equal (pfs_rootfs_link (f, r->root, "g", WHO, &e), -EROFS);
  assert_int_equal (pfs_rootfs_remove (r->root, "f", false, WHO), -EROFS);
  assert_int_equal (pfs_rootfs_rename (r->root, "f", r->root, "g", 0, WHO), -EROFS);
  assert_int_equal (set_attribute (f, "user.x", "", 0, 0, WHO), -EROFS);
  assert_int_equal (remove_attribute (f, "user.x", WHO), -EROFS);
}

/* --- as somebody else --- */

static void
test_as_another_user (void **state)
{
  Roots *r = *state;
  const PfsCaller who = { .uid = 4321, .gid = 4321, .switching = true };
  g_autoptr (PfsFile) file = NULL;
  g_autoptr (PfsFile) none = NULL;
  struct stat st = { .st_mode = 0777 };
  PfsEntry entry;

  assert_int_equal (geteuid (), 0);
  peer_dir (r, "closed");
  peer_file (r, "closed/f", "");
  peer_file (r, "mine", "");
  peer_dir (r, "open");
  assert_return_code (fchmodat (r->fd, "closed", 0700, 0), errno);
  assert_return_code (fchmodat (r->fd, "mine", 0600, 0), errno);
  assert_return_code (fchmodat (r->fd, "open", 0777, 0), errno);
  g_autoptr (PfsNode) mine = roots_get (r, "mine");
  g_autoptr (PfsNode) open = roots_get (r, "open");
  assert_int_equal (roots_lookup (r, "closed/f", &who, NULL), -EACCES);
  assert_int_equal (roots_lookup (r, "closed/none", &who, NULL), -EACCES);
  assert_int_equal (mine->ops->open (mine, O_RDONLY, &who, &none), -EACCES);
  assert_int_equal (pfs_rootfs_setattr (mine, NULL, &st, PFS_SET_MODE, &who, &st), -EPERM);
  assert_int_equal (pfs_rootfs_remove (r->root, "mine", false, &who), -EACCES);
  assert_int_equal (pfs_rootfs_rename (r->root, "mine", open, "mine", 0, &who), -EACCES);
  assert_int_equal (pfs_rootfs_create (open, "f", 0600, O_RDWR, &who, &entry, &file), 0);
  pfs_node_unref (entry.node);
  assert_int_equal (entry.attr.st_uid, 4321);
  assert_int_equal (entry.attr.st_gid, 4321);

  /* A link of his own does not tell what lies in a closed directory. */
  g_autofree char *there = NULL;
  g_autofree char *not_there = NULL;
  assert_return_code (symlinkat ("../closed/f/..", r->fd, "open/l"), errno);
  assert_return_code (symlinkat ("../closed/g/..", r->fd, "open/m"), errno);
  g_autoptr (PfsNode) l = roots_get (r, "open/l");
  g_autoptr (PfsNode) m = roots_get (r, "open/m");
  assert_int_equal (l->ops->readlink (l, &who, &there), 0);
  assert_int_equal (m->ops->readlink (m, &who, &not_there), 0);
  assert_string_equal (there, "../closed/f/.");
  assert_string_equal (not_there, "../closed/g/.");
}

/* --- our own mount, and filesystems that are generated --- */

static void
test_own_mount_is_cut_off (void **state)
{
  Roots *r = *state;
  g_autoptr (PfsFile) listing = NULL;
  struct stat sys;
  PfsEntry entry, below;

  assert_return_code (stat ("/sys", &sys), errno);
  pfs_tree_set_own_device (r->nodes.tree, sys.st_dev);
  assert_int_equal (roots_lookup (r, "sys", WHO, &entry), 0);
  g_autoptr (PfsNode) node = entry.node;
  assert_int_equal (entry.attr.st_mode, S_IFDIR | 0555);
  assert_int_equal (node->ops->lookup (node, "kernel", WHO, &below), -ENOENT);
  assert_int_equal (node->ops->opendir (node, WHO, &listing), 0);
  assert_int_equal (listing->listing->len, 0);
  assert_null (node->ops->fs);
}

/* Also where no line of mountinfo tells that it is one. */
static void
test_procfs_is_cut_off (void **state)
{
  Roots *r = *state;
  g_autoptr (PfsFile) listing = NULL;
  PfsEntry entry, below;

  assert_int_equal (roots_lookup (r, "proc", WHO, &entry), 0);
  g_autoptr (PfsNode) node = entry.node;
  assert_int_equal (entry.attr.st_mode, S_IFDIR | 0555);
  assert_int_equal (node->ops->lookup (node, "version", WHO, &below), -ENOENT);
  assert_int_equal (node->ops->opendir (node, WHO, &listing), 0);
  assert_int_equal (listing->listing->len, 0);
  assert_null (node->ops->fs);
}

/* A file of it, mounted elsewhere. */
static void
test_file_of_procfs_is_cut_off (void **state)
{
  Roots *r = *state;
  pfs_autofd proc = open ("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (PfsNode) node = pfs_own_mount_new (r->root, proc, "version");
  PfsFile *file = NULL;
  struct stat st;

  assert_int_equal (roots_getattr (node, &st), 0);
  assert_int_equal (st.st_mode, S_IFREG);
  assert_int_equal (node->ops->open (node, O_RDONLY, WHO, &file), -EACCES);
  assert_null (node->ops->readlink);
  assert_null (node->ops->fs);
}

static void
test_generated_files (void **state)
{
  Roots *r = *state;
  g_autoptr (PfsFile) file = NULL;
  char buf[32];
  PfsEntry entry;

  assert_int_equal (roots_lookup (r, "sys/kernel/uevent_seqnum", WHO, &entry), 0);
  g_autoptr (PfsNode) node = entry.node;
  assert_true (entry.attr_timeout < 0.001 && entry.entry_timeout < 0.001);
  assert_true (pfs_node_attr_timeout (node, &entry.attr) < 0.001);
  assert_int_equal (node->ops->open (node, O_RDONLY, WHO, &file), 0);
  assert_true (file->file_flags & PFS_FILE_DIRECT_IO);
  assert_true (pread (file->fd, buf, sizeof buf, 0) > 0);
  assert_int_equal (roots_lookup (r, "etc", WHO, &entry), 0);
  assert_true (pfs_node_attr_timeout (entry.node, &entry.attr) > 0.9);
  pfs_node_unref (entry.node);
}

/* A write takes them away, and the kernel does not notice. */
static void
test_setid_bits_are_not_cached (void **state)
{
  Roots *r = *state;
  const mode_t modes[] = { 02755, 04755, 02644, 01755 };
  PfsEntry entry;

  peer_file (r, "f", "content");
  peer_dir (r, "d");
  assert_return_code (fchmodat (r->fd, "d", 02755, 0), errno);
  for (guint i = 0; i < G_N_ELEMENTS (modes); i++) {
    bool cached = modes[i] == 01755;

    assert_return_code (fchmodat (r->fd, "f", modes[i], 0), errno);
    assert_int_equal (roots_lookup (r, "f", WHO, &entry), 0);
    assert_int_equal (entry.attr_timeout > 0.9, cached);
    assert_int_equal (pfs_node_attr_timeout (entry.node, &entry.attr) > 0.9, cached);
    pfs_node_unref (entry.node);
  }
  assert_int_equal (roots_lookup (r, "d", WHO, &entry), 0);
  assert_true (entry.attr_timeout > 0.9);
  pfs_node_unref (entry.node);
}

/* A path through the gate is looked up each time; its attributes hold as long as that takes, and no longer. */
static void
test_gate_is_brief (void **state)
{
  Roots *r = *state;
  PfsNode *peer = r->root->parent;
  PfsEntry entry;

  assert_int_equal (peer->ops->lookup (peer, "root", WHO, &entry), 0);
  assert_true (entry.entry_timeout == 0);
  assert_true (entry.attr_timeout > 0.01 && entry.attr_timeout < 0.2);
  assert_true (pfs_node_attr_timeout (entry.node, &entry.attr) == entry.attr_timeout);
  pfs_node_unref (entry.node);
}

int
main (void)
{
#define TEST(f) cmocka_unit_test_setup_teardown (f, roots_setup, roots_teardown)
  const struct CMUnitTest tests[] = {
    TEST (test_identity),
    TEST (test_number),
    TEST (test_names),
    TEST (test_replaced),
    TEST (test_inode_reused),
    TEST (test_replaced_by_another_type),
    TEST (test_moved_behind_our_back),
    TEST (test_moved_into_its_child),
    cmocka_unit_test (test_known_when_the_tree_ends),
    TEST (test_rename),
    TEST (test_unlinked_but_open),
    TEST (test_umask),
    TEST (test_create),
    TEST (test_tmpfile),
    TEST (test_make_and_remove),
    TEST (test_hard_link),
    TEST (test_setattr),
    TEST (test_xattr),
    TEST (test_special_files),
    TEST (test_as_another_user),
    cmocka_unit_test_setup_teardown (test_special_nodes, setup_special_nodes, roots_teardown),
    cmocka_unit_test_setup_teardown (test_raw_link_of_two_names, setup_special_nodes, roots_teardown),
    cmocka_unit_test_setup_teardown (test_read_only, setup_read_only, roots_teardown),
    cmocka_unit_test_setup_teardown (test_own_mount_is_cut_off, roots_setup_root_of_machine, roots_teardown),
    cmocka_unit_test_setup_teardown (test_procfs_is_cut_off, roots_setup_root_of_machine, roots_teardown),
    cmocka_unit_test_setup_teardown (test_file_of_procfs_is_cut_off, roots_setup, roots_teardown),
    cmocka_unit_test_setup_teardown (test_generated_files, roots_setup_root_of_machine, roots_teardown),
    TEST (test_setid_bits_are_not_cached),
    TEST (test_gate_is_brief),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
