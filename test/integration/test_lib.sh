#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The tests can fail: a script with one thing wrong exits with a failure, and its last lines say what. So does the
# suite. And what sets them up does not begin before it has understood how it was called.
. "$(dirname -- "$0")/lib.sh"
. "$peerfs_top/scripts/lib/suite.sh"

scripts=$(mktemp -d /tmp/peerfs-lib.XXXXXX) || exit 1
trap 'rm -rf -- "$scripts"; at_exit' EXIT

# script NAME: a test of that name; its lines come from stdin.
script ()
{
  { printf '#!/bin/bash\n. %q\n' "$test_dir/lib.sh"; cat; } >"$scripts/test_$1.sh"
}

script right <<'END'
isolate "$@"
peerfs_start
check "a check" true
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
END
script check <<'END'
isolate "$@"
check "one that holds" true
check "a wrong check" false
check "another that holds" true
finish
END
script equal <<'END'
check_equal "a wrong value" 1 2
finish
END
script output <<'END'
check_output "a wrong output" one echo two
finish
END
script status <<'END'
check_output "a right output, but a failure" one sh -c 'echo one; exit 1'
finish
END
script less <<'END'
check_less "a value above its limit" 10 11
finish
END
script no_number <<'END'
check_less "no value at all" 10 "$(true)"
finish
END
script subshell <<'END'
isolate "$@"
printf '1\n2\n' | while read -r n; do check "number $n of a pipe" test "$n" = 1; done
finish
END
script abandon <<'END'
isolate "$@"
abandon "the set-up works"
END
script unset <<'END'
isolate "$@"
check "one that holds" true
echo "$never_set"
finish
END
script early <<'END'
isolate "$@"
check "one that holds" true
exit 0
END
script killed <<'END'
isolate "$@"
peerfs_start
kill -KILL "$peerfs_pid"
wait "$peerfs_pid"
finish
END
script killed_stop <<'END'
isolate "$@"
peerfs_start
kill -KILL "$peerfs_pid"
wait "$peerfs_pid"
peerfs_stop
finish
END
# With sanitizers the daemon reports a signal that it gets by a mistake.
script signal <<'END'
isolate "$@"
peerfs_start
kill -SEGV "$peerfs_pid"
pod_until 100 peerfs_gone
peerfs_pid=
sanitized || failed "a report that this binary cannot write"
finish
END
script report <<'END'
isolate "$@"
peerfs_start
echo "==1==ERROR: AddressSanitizer: heap-use-after-free" >"$work/reports/report.1"
peerfs_stop
finish
END
script pod <<'END'
pod_up && pod_run_shell "$PEERFS" || abandon "a pod starts"
check "a wrong check in a pod" false
pod_peerfs
mkdir -p "$pod_dir/out/reports"
echo "==1==ERROR: AddressSanitizer: heap-use-after-free" >"$pod_dir/out/reports/report.1"
pod_peerfs_stop
finish
END
script pod_killed <<'END'
pod_up && pod_run_shell "$PEERFS" || abandon "a pod starts"
pod_peerfs
in_shell 'pkill -KILL -x peerfs'
pod_until 100 test -s "$pod_dir/out/peerfs.status"
finish
END
script pod_killed_stop <<'END'
pod_up && pod_run_shell "$PEERFS" || abandon "a pod starts"
pod_peerfs
in_shell 'pkill -KILL -x peerfs; while pgrep -x peerfs; do sleep 0.01; done'
pod_peerfs_stop
finish
END

# All at once: they wait more than they work.
pids=()
for file in "$scripts"/test_*.sh; do
  (
    status=0
    timeout 300 bash "$file" >"$file.log" 2>&1 </dev/null || status=$?
    echo "$status" >"$file.status"
  ) &
  pids+=($!)
done
wait "${pids[@]}"

# red NAME CHECKS LINE...: it failed, and its last lines are these and the number of checks.
red ()
{
  local name=$1 numbers=$2 status
  shift 2
  status=$(cat "$scripts/test_$name.sh.status")
  if [ "$status" -ne 0 ] &&
    [ "$(printf 'FAILED: %s\n' "$@")"$'\n'"test_$name: $numbers" = \
      "$(tail -n $(($# + 1)) "$scripts/test_$name.sh.log")" ]
  then
    passed "red: $name"
  else
    failed "red: $name" "status: $status" "$(tail -n 30 "$scripts/test_$name.sh.log")"
  fi
}

check_equal "green: right" "0 test_right: 2 checks, 0 failed" \
  "$(cat "$scripts/test_right.sh.status") $(tail -n 1 "$scripts/test_right.sh.log")"
red check "3 checks, 1 failed" "a wrong check"
red equal "1 checks, 1 failed" "a wrong value"
red output "1 checks, 1 failed" "a wrong output"
red status "1 checks, 1 failed" "a right output, but a failure"
red less "1 checks, 1 failed" "a value above its limit"
red no_number "1 checks, 1 failed" "no value at all"
red subshell "2 checks, 1 failed" "number 2 of a pipe"
red abandon "2 checks, 2 failed" "the set-up works" "the test comes to its end"
red unset "2 checks, 1 failed" "the test comes to its end"
red early "2 checks, 1 failed" "the test comes to its end"
red killed "2 checks, 2 failed" "the daemon is alive until it is stopped" "the daemon ends with status 0 after the test"
red killed_stop "1 checks, 1 failed" "the daemon is alive until it is stopped"
if sanitized; then
  red signal "1 checks, 1 failed" "no sanitizer report"
else
  red signal "1 checks, 1 failed" "a report that this binary cannot write"
fi
red report "1 checks, 1 failed" "no sanitizer report"
red pod "4 checks, 2 failed" "a wrong check in a pod" "no sanitizer report"
red pod_killed "1 checks, 1 failed" "the daemon of the pod ends with status 0"
red pod_killed_stop "3 checks, 3 failed" "peerfs is alive until it is stopped" "SIGTERM unmounts" \
  "the daemon of the pod ends with status 0"

# The suite: what is red, by test and check, then how many tests there were.
mkdir "$scripts/suite"
cat >"$scripts/suite/CTestTestfile.cmake" <<'END'
add_test(green "true")
add_test(integration.red "sh" "-c" "echo 'FAILED: a thing works'; exit 1")
add_test(unit.red "sh" "-c" "echo '[  FAILED  ] test_of_a_thing'; echo '[  ERROR   ] its_teardown'; exit 1")
add_test(integration.slow "sleep" "60")
set_tests_properties(integration.slow PROPERTIES TIMEOUT 1)
add_test(crash "sh" "-c" "kill -SEGV $$")
END
suite_run "$scripts/suite" >"$scripts/suite/log" 2>&1
check_equal "a red suite fails" 8 $?
check_equal "its last lines say what is red" "Red checks:
  crash (SEGFAULT)
  integration.red (Failed)
  integration.red: a thing works
  integration.slow (Timeout)
  unit.red (Failed)
  unit.red: its_teardown
  unit.red: test_of_a_thing
20% tests passed, 4 tests failed out of 5" "$(tail -n 9 "$scripts/suite/log")"
echo 'add_test(green "true")' >"$scripts/suite/CTestTestfile.cmake"
check_equal "a green suite passes" "100% tests passed, 0 tests failed out of 1" \
  "$(suite_run "$scripts/suite" | grep 'out of')"
check "no test at all is a failure" sh -c '! bash -c ". \"$1\"; suite_run \"$2\" -R nothing"' sh \
  "$peerfs_top/scripts/lib/suite.sh" "$scripts/suite"

# Random numbers are the same for the same commit.
printf '#!/bin/sh\necho 00000ff123456789\n' >"$scripts/git" && chmod +x "$scripts/git"
check_output "a seed comes from the commit" PEERFS_SEED=255 eval 'PEERFS_SEED= PATH=$scripts:$PATH use_seed'
check_output "PEERFS_SEED comes first" PEERFS_SEED=7 eval 'PEERFS_SEED=7 PATH=$scripts:$PATH use_seed'
check "without git there is a random one" sh -c '[ "$1" != "$2" ]' - "$(PEERFS_SEED='' PATH=/nonexistent use_seed)" \
  "$(PEERFS_SEED='' PATH=/nonexistent use_seed)"

for script in scripts/{test,demo,build-static,coverage,image} test/{bench,mutants,soak,suites}/run; do
  check "$script --help prints its usage" \
    sh -c 'timeout 5 "$1" --help 2>/dev/null | grep -q "^  \(PEERFS=<binary> \)\?$2"' sh \
    "$peerfs_top/$script" "$script"
  check_equal "$script: what it does not know is one line" "2 1" \
    "$(timeout 5 "$peerfs_top/$script" --unknown >"$scripts/error" 2>&1; echo "$? $(wc -l <"$scripts/error")")"
done
finish
