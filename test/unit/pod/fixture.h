/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A /proc of containers, made of plain files, and a table over it. */
#pragma once

#include "../proc/fixture.h"

#include "peerfs/pod/table.h"

#define ID_A "aaaaaaaaaaaa1111111111111111111111111111111111111111111111111111"
#define ID_B "bbbbbbbbbbbb2222222222222222222222222222222222222222222222222222"
#define UID_1 "11111111-2222-3333-4444-555555555555"
#define CG(id) "0::/kubepods/besteffort/pod" UID_1 "/cri-containerd-" id ".scope\n"
#define NODE_ROOT "20 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
#define ROOT(minor) "30 20 0:" minor " / / rw,relatime - overlay overlay rw,lowerdir=/l/" minor "\n"
#define KUBELET(name, hex)                                                                                             \
  "31 30 254:0 /var/lib/kubelet/pods/" UID_1 "/containers/" name "/" hex " /dev/termination-log rw - ext4 /dev/vda rw\n"

static inline void
fixture_open (Fixture *f, const PfsTableOptions *options)
{
  assert_int_equal (pfs_proc_open (f->dir, &f->proc), 0);
  f->table = pfs_table_new (f->proc, options);
}

static inline int
fixture_teardown (void **state)
{
  g_clear_pointer (&((Fixture *) *state)->table, pfs_table_unref);
  return fixture_close (state);
}

/* The listing in one string: "name:pid name:pid". */
static inline char *
fixture_list (PfsTable *table)
{
  g_autoptr (GPtrArray) list = NULL;
  GString *s = g_string_new (NULL);

  assert_int_equal (pfs_table_list (table, &list), 0);
  for (guint i = 0; i < list->len; i++) {
    g_autofree char *name = pfs_container_name (g_ptr_array_index (list, i));
    g_string_append_printf (s, "%s%s:%d", i ? " " : "", name, pfs_container_pid (g_ptr_array_index (list, i)));
  }
  return g_string_free (s, FALSE);
}

#define assert_listing(table, expected)                                                                                \
  do {                                                                                                                 \
    g_autofree char *listing_ = fixture_list (table);                                                                  \
    assert_string_equal (listing_, expected);                                                                          \
  } while (0)

static inline PfsContainer *
fixture_find (PfsTable *table, const char *name)
{
  PfsContainer *c = NULL;
  assert_int_equal (pfs_table_find (table, name, &c), 0);
  return c;
}
