# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Runs tests by ctest, and tells at the end which checks are red.

# suite_run DIR [CTEST_OPTION...]: runs the tests of a build folder. If one fails, the last lines name it and its
# checks. The very last line is the number of tests.
suite_run ()
{
  local dir=$1 log status=0
  shift
  log=$(mktemp) || return 1
  ctest --test-dir "$dir" --output-on-failure --parallel "$(nproc)" --no-tests=error "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  if [ "$status" -ne 0 ]; then
    echo
    echo "Red checks:"
    # Integration tests end with the lines of test/integration/lib.sh, unit tests with cmocka's.
    awk '
      /^ *[0-9]+\/[0-9]+ +Test +#[0-9]+: / { test = $4 }
      /^FAILED: / { print "  " test ": " substr ($0, 9) }
      /^\[  (FAILED |ERROR  ) \] [a-z_0-9]+$/ { print "  " test ": " $4 }
      /^The following tests FAILED:/ { listed = 1 }
      listed && sub (/^\t *[0-9]+ - /, "  ")' "$log" | sort -u
    grep 'tests passed, .* tests failed out of' "$log"
  fi
  rm -f -- "$log"
  return "$status"
}
