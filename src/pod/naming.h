/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of containers. */
#pragma once

#include "container.h"

typedef struct {
  char *prefix;
  char *name;
  char *arg;
  const PfsContainer *match; /* [scan] within one scan: the container that it names */
  bool told;                 /* [scan] that several match */
} PfsNameRule;

/* Gives each of the live containers (with main processes) its next_name, NULL for those not to be listed. */
void pfs_assign_names (PfsTable *table, GPtrArray *live);
bool pfs_name_rule_parse (const char *arg, PfsNameRule *ret);
void pfs_name_rule_free (PfsNameRule *rule);
