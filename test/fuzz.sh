#!/usr/bin/env bash
# fuzz.sh TIME runs every fuzz test of the module for TIME, one on each core at a time, and says in a
# line what became of each. Inputs that fail are kept below testdata/fuzz of their package: commit them.
set -uo pipefail
export GO=${GO:-go} TIME=${1:-60s}

one() { # package, test
	local log rc=0
	log=$("$GO" test -run '^$' -fuzz "^$2\$" -fuzztime "$TIME" -parallel 1 "$1" 2>&1) || rc=$?
	# When its time is up, Go's fuzzer now and then takes that for a failure. It has no input for it.
	if ((rc)) && grep -q 'context deadline exceeded' <<<"$log" && ! grep -q 'Failing input\|panic' <<<"$log"; then
		rc=0
	fi
	if ((rc)); then
		printf '%s %s: FAILED\n%s\n' "$1" "$2" "$log"
	else
		printf '%s %s: ok, %s\n' "$1" "$2" "$(grep -o 'execs: [0-9]*' <<<"$log" | tail -1)"
	fi
	return "$rc"
}
export -f one

for package in $("$GO" list ./...); do
	"$GO" test -list '^Fuzz' "$package" | sed -n "s,^Fuzz.*,$package &,p"
done | xargs -P "$(nproc)" -L 1 bash -c 'one "$0" "$1"'
