/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Acting for a caller: the kernel's answers to what this thread does tell whose credentials it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peerfs/base/creds.h"
#include "peerfs/base/fd.h"

#define UID 12345
#define GID 23456
#define GROUP 34567

typedef struct {
  char *dir;
  int fd;
} Place;

static int
setup (void **state)
{
  Place *p = g_new0 (Place, 1);

  p->dir = g_dir_make_tmp ("pfs-creds-XXXXXX", NULL);
  chmod (p->dir, 0777);
  p->fd = open (p->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  *state = p;
  return p->fd < 0;
}

static int
teardown (void **state)
{
  Place *p = *state;
  static const char *const names[] = { "made", "group", "secret" };

  for (size_t i = 0; i < G_N_ELEMENTS (names); i++)
    unlinkat (p->fd, names[i], 0);
  close (p->fd);
  rmdir (p->dir);
  g_free (p->dir);
  g_free (p);
  return 0;
}

static uid_t
fsuid_now (void)
{
  return (uid_t) setfsuid ((uid_t) -1);
}

static gid_t
fsgid_now (void)
{
  return (gid_t) setfsgid ((gid_t) -1);
}

static int
make (Place *p, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
  pfs_autofd fd = openat (p->fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

  if (fd < 0)
    return -errno;
  return fchown (fd, uid, gid) < 0 || fchmod (fd, mode) < 0 ? -errno : 0;
}

static int
try_open (Place *p, const char *name)
{
  pfs_autofd fd = openat (p->fd, name, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -errno : 0;
}

static void
test_acts_as_the_caller (void **state)
{
  Place *p = *state;
  const gid_t groups[] = { GROUP };
  const PfsCaller who = { .uid = UID, .gid = GID, .groups = groups, .n_groups = 1, .switching = true };
  struct stat st;

  assert_int_equal (geteuid (), 0);
  assert_int_equal (make (p, "secret", 0600, 0, 0), 0);
  assert_int_equal (make (p, "group", 0640, 0, GROUP), 0);
  {
    pfs_auto_creds const PfsCaller *as = NULL;
    assert_int_equal (pfs_creds_take (&who, &as), 0);
    assert_ptr_equal (as, &who);
    assert_int_equal (fsuid_now (), UID);
    assert_int_equal (fsgid_now (), GID);
    assert_int_equal (try_open (p, "secret"), -EACCES);
    assert_int_equal (try_open (p, "group"), 0);
    pfs_autofd made = openat (p->fd, "made", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_return_code (made, errno);
    assert_int_equal (geteuid (), 0); /* only the filesystem's ids change: nobody can signal or trace us for it */
  }
  assert_int_equal (fsuid_now (), 0);
  assert_int_equal (fsgid_now (), 0);
  assert_int_equal (try_open (p, "secret"), 0);
  assert_return_code (fstatat (p->fd, "made", &st, 0), errno);
  assert_int_equal (st.st_uid, UID);
  assert_int_equal (st.st_gid, GID);
}

/* Groups of one caller are not left to the next. */
static void
test_groups_do_not_stay (void **state)
{
  Place *p = *state;
  const gid_t groups[] = { GROUP, GID };
  const PfsCaller member = { .uid = UID, .gid = UID, .groups = groups, .n_groups = 2, .switching = true };
  const PfsCaller other = { .uid = UID, .gid = UID, .switching = true };

  assert_int_equal (geteuid (), 0);
  assert_int_equal (make (p, "group", 0640, 0, GROUP), 0);
  assert_int_equal (pfs_creds_enter (&member), 0);
  int as_member = try_open (p, "group");
  pfs_creds_leave (&member);
  assert_int_equal (getgroups (0, NULL), 0);
  assert_int_equal (pfs_creds_enter (&other), 0);
  int as_other = try_open (p, "group");
  pfs_creds_leave (&other);
  assert_int_equal (as_member, 0);
  assert_int_equal (as_other, -EACCES);
}

typedef struct {
  GMutex lock;
  GCond cond;
  bool entered, checked;
  uid_t uid;
  int groups;
} Other;

static gpointer
other_thread (gpointer data)
{
  Other *o = data;

  g_mutex_lock (&o->lock);
  while (!o->entered)
    g_cond_wait (&o->cond, &o->lock);
  o->uid = fsuid_now ();
  o->groups = getgroups (0, NULL);
  o->checked = true;
  g_cond_signal (&o->cond);
  g_mutex_unlock (&o->lock);
  return NULL;
}

static void
test_this_thread_only (void **state)
{
  const gid_t groups[] = { 1, 2, 3, 4, 5, 6, 7 };
  const PfsCaller who = { .uid = UID, .gid = GID, .groups = groups, .n_groups = 7, .switching = true };
  Other o = { .entered = false };

  (void) state;
  assert_int_equal (geteuid (), 0);
  g_mutex_init (&o.lock);
  g_cond_init (&o.cond);
  GThread *thread = g_thread_new ("other", other_thread, &o);
  assert_int_equal (pfs_creds_enter (&who), 0);
  int groups_here = getgroups (0, NULL);
  g_mutex_lock (&o.lock);
  o.entered = true;
  g_cond_signal (&o.cond);
  while (!o.checked)
    g_cond_wait (&o.cond, &o.lock);
  g_mutex_unlock (&o.lock);
  pfs_creds_leave (&who);
  g_thread_join (thread);
  g_mutex_clear (&o.lock);
  g_cond_clear (&o.cond);
  assert_int_equal (groups_here, 7);
  assert_int_equal (o.uid, 0);
  assert_int_not_equal (o.groups, 7);
}

static void
test_no_switching (void **state)
{
  const PfsCaller who = { .uid = UID, .gid = GID, .switching = false };
  uid_t before = fsuid_now ();

  (void) state;
  assert_int_equal (pfs_creds_enter (&who), 0);
  assert_int_equal (fsuid_now (), before);
  pfs_creds_leave (&who);
  assert_int_equal (pfs_creds_enter (&pfs_caller_self), 0);
  assert_int_equal (fsuid_now (), before);
}

static uint64_t
effective_now (void)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

  assert_return_code (syscall (SYS_capget, &header, data), errno);
  return data[0].effective | (uint64_t) data[1].effective << 32;
}

/* A caller that is root, with whatever group, or is not, has its own capabilities and no other. */
static void
test_capabilities_are_the_callers (void **state)
{
  const uint64_t few = PFS_CAP_BIT (CAP_CHOWN) | PFS_CAP_BIT (CAP_SYS_PTRACE) | PFS_CAP_BIT (CAP_MKNOD);
  const PfsCaller callers[] = {
    { .uid = 0, .gid = 0, .caps = few, .switching = true },     { .uid = 0, .gid = 5, .caps = few, .switching = true },
    { .uid = UID, .gid = GID, .caps = few, .switching = true }, { .uid = 0, .gid = 0, .caps = 0, .switching = true },
    { .uid = UID, .gid = GID, .caps = 0, .switching = true },
  };
  uint64_t before = effective_now ();

  (void) state;
  assert_int_equal (geteuid (), 0);
  assert_true ((before & few) == few);
  for (size_t i = 0; i < G_N_ELEMENTS (callers); i++) {
    assert_int_equal (pfs_creds_enter (&callers[i]), 0);
    uint64_t as_caller = effective_now ();
    pfs_creds_leave (&callers[i]);
    assert_int_equal (as_caller, callers[i].caps);
    assert_int_equal (effective_now (), before);
    assert_int_equal (fsuid_now (), 0);
    assert_int_equal (fsgid_now (), 0);
  }
}

/* Capabilities in another user namespace are none in ours. */
static void
test_capabilities_count_in_our_namespace (void **state)
{
  pfs_autofd proc = open ("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  char ns[PFS_USER_NS_MAX];
  int ends[2], status;
  char byte = 0;

  (void) state;
  assert_int_equal (geteuid (), 0);
  assert_int_equal (pfs_user_ns (proc, getpid (), ns), 0);
  assert_int_equal (pfs_caps_of (proc, getpid (), ns), effective_now ());
  assert_int_equal (pfs_caps_of (proc, 0, ns), 0);
  assert_int_equal (pfs_caps_of (proc, G_MAXINT32, ns), 0);
  assert_int_equal (pfs_caps_of (proc, getpid (), ""), 0);
  assert_return_code (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), errno);
  pid_t pid = fork ();
  if (pid == 0) {
    byte = unshare (CLONE_NEWUSER) == 0;
    _exit (write (ends[1], &byte, 1) == 1 && read (ends[1], &byte, 1) == 1 ? 0 : 1);
  }
  assert_int_equal (read (ends[0], &byte, 1), 1);
  uint64_t caps = pfs_caps_of (proc, pid, ns);
  assert_int_equal (write (ends[0], &byte, 1), 1);
  assert_int_equal (waitpid (pid, &status, 0), pid);
  close (ends[0]);
  close (ends[1]);
  if (byte)
    assert_int_equal (caps, 0);
}

static void
test_leave_keeps_errno (void **state)
{
  const PfsCaller who = { .uid = UID, .gid = GID, .switching = true };

  (void) state;
  assert_int_equal (geteuid (), 0);
  assert_int_equal (pfs_creds_enter (&who), 0);
  errno = EXDEV;
  pfs_creds_leave (&who);
  assert_int_equal (errno, EXDEV);
}

/* Without the capabilities nothing is taken, and the thread is as it was. */
static void
test_not_allowed (void **state)
{
  const PfsCaller who = { .uid = 0, .gid = 0, .switching = true };
  int status;

  (void) state;
  assert_int_equal (geteuid (), 0);
  pid_t pid = fork ();
  if (pid == 0) {
    if (setgroups (0, NULL) < 0 || setresgid (GID, GID, GID) < 0 || setresuid (UID, UID, UID) < 0)
      _exit (2);
    int r = pfs_creds_enter (&who);
    _exit (r == -EPERM && fsuid_now () == UID && fsgid_now () == GID ? 0 : 1);
  }
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_true (WIFEXITED (status));
  assert_int_equal (WEXITSTATUS (status), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_acts_as_the_caller, setup, teardown),
    cmocka_unit_test_setup_teardown (test_groups_do_not_stay, setup, teardown),
    cmocka_unit_test (test_this_thread_only),
    cmocka_unit_test (test_no_switching),
    cmocka_unit_test (test_capabilities_are_the_callers),
    cmocka_unit_test (test_capabilities_count_in_our_namespace),
    cmocka_unit_test (test_leave_keeps_errno),
    cmocka_unit_test (test_not_allowed),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
