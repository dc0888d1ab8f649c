/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words that runtimes and Kubernetes make, for all parsers. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define HEX_DIGITS "0123456789abcdef"

/* The length bytes at content as a string (g_free). What follows a NUL is cut off: the kernel prints none. */
static inline char *
text_of (const char *content, size_t length)
{
  return content ? g_strndup (content, length) : g_strdup ("");
}

/* Lower-case hexadecimal digits only. */
static inline bool
text_is_hex (const char *s)
{
  return *s && !s[strspn (s, HEX_DIGITS)];
}

/* 8-4-4-4-12 lower-case hexadecimal digits. */
static inline bool
text_is_uuid (const char *s)
{
  return g_uuid_string_is_valid (s) && !s[strspn (s, HEX_DIGITS "-")];
}

/* A pod's uid as the kubelet's folders spell it: a UUID, or 32 digits for static pods. */
static inline bool
text_is_pod_uid (const char *s)
{
  return text_is_uuid (s) || (strlen (s) == 32 && text_is_hex (s));
}

/* RFC 1123: lower-case letters, digits, and '-' inside; of any length. */
static inline bool
text_is_label (const char *s)
{
  return *s && !s[strspn (s, G_CSET_a_2_z G_CSET_DIGITS "-")] && s[0] != '-' && !g_str_has_suffix (s, "-");
}
