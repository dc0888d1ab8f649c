#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# All C files are as clang-format leaves them, of the one version that Debian 12 and 13 have: check_format.sh TOP
# To format them: git ls-files '*.[ch]' | xargs clang-format-19 -i
cd -- "$1" || exit 1
command -v clang-format-19 >/dev/null || { echo "needs clang-format-19 (apt install clang-format-19)"; exit 1; }
find src include test -name '*.[ch]' -print0 | xargs -0 clang-format-19 --dry-run -Werror
