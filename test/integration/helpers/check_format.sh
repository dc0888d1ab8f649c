#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# All C files are as clang-format leaves them, of the one version that Debian 12 and 13 have, and no line of any text
# has more than 120 characters: check_format.sh TOP
# To format C files: git ls-files '*.[ch]' | xargs clang-format-19 -i
cd -- "$1" || exit 1
command -v clang-format-19 >/dev/null || { echo "needs clang-format-19 (apt install clang-format-19)"; exit 1; }
# Only of what git tracks: build directories lie beside it. In some files a line is a paragraph (report.py has those of
# docs/performance.md), a row or test data; and a word of 100 cannot be split.
if [ -e .git ]; then
  LC_ALL=C.UTF-8 git -c safe.directory='*' grep -nIE -e '.{121}' --and --not -e '[^ ]{100}' -- . \
    ':!*.md' ':!*.json' ':!*.svg' ':!*.tsv' ':!docs/*.1' ':!test/bench/report.py' ':!test/fixtures' ':!test/fuzz/corpus'
  [ $? -eq 1 ] || { echo "a line has more than 120 characters, or git cannot look"; exit 1; }
fi
find src include test -name '*.[ch]' -print0 | xargs -0 clang-format-19 --dry-run -Werror
