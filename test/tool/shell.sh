# SPDX-License-Identifier: MIT
# shell.sh - sourced by the tests of the command: a directory of their own, checks that count, nothing left behind.

TONG=$(readlink -f "$1")
[ -x "$TONG" ] || { echo "usage: sh ${0##*/} TONG" >&2; exit 2; }

directory=$(mktemp -d /tmp/tong-test-XXXXXX)
mark=tong-test-$$
key=$((0x50000000 + $$))
passed=0 failed=0 skipped=0
cd "$directory" || exit 2

pass() {
    passed=$((passed + 1))
    echo "ok   $1"
}

fail() {
    failed=$((failed + 1))
    echo "FAIL $1${2:+: $2}"
}

skip() {
    skipped=$((skipped + 1))
    echo "skip $1: $2"
}

# check NAME COMMAND...: passes when the command succeeds.
check() {
    name=$1
    shift
    if "$@"; then pass "$name"; else fail "$name" "$*"; fi
}

have() {
    command -v "$1" >/dev/null 2>&1
}

offers() {
    "$TONG" explain "$1" >/dev/null 2>&1
}

# Everything that a test could leave: names with its mark, System V objects with its key.
leftovers() {
    ls /dev/shm 2>/dev/null | grep -F "$mark"
    # 0x746f6e67 lies between the keys of a segment and of the set that is its lock
    awk -v key="$key" -v lock="$((key ^ 0x746f6e67))" '$1 == key || $1 == lock { print FILENAME, $2 }' \
        /proc/sysvipc/msg /proc/sysvipc/shm /proc/sysvipc/sem 2>/dev/null
    grep -F -e "$mark" -e "$directory" /proc/net/unix 2>/dev/null
}

# Waits until the command succeeds, for a minute or so: a look at a machine that is full may take seconds.
until_true() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 6000 ] || return 1
        sleep 0.01
    done
}

# For what holds a bound on time: a machine that stands still for a while breaks it once, the command each time.
once_in_five() {
    for try in 1 2 3 4 5; do
        "$@" && return 0
    done
    return 1
}

# expect NAME CODE PATTERN COMMAND...: the command fails with this code and exactly one line that says why.
expect() {
    name=$1 code=$2 pattern=$3
    shift 3
    before=$(ls -A | grep -v -e '^err$' -e '^out$')
    timeout 60 "$@" </dev/null >out 2>err
    got=$?
    lines=$(wc -l <err)
    after=$(ls -A | grep -v -e '^err$' -e '^out$')
    if [ $got != "$code" ]; then
        fail "$name" "exit code $got where $code was due: $(cat err)"
    elif [ "$lines" != 1 ]; then
        fail "$name" "$lines lines of words: $(cat err)"
    elif ! grep -q -e "$pattern" err; then
        fail "$name" "'$pattern' is not in: $(cat err)"
    elif [ -s out ]; then
        fail "$name" "something on standard output"
    elif [ "$before" != "$after" ] || [ -n "$(leftovers)" ]; then
        fail "$name" "left behind: $after $(leftovers)"
    else
        pass "$name"
    fi
    rm -f out err
}

finish() {
    left=$(leftovers)
    [ -z "$left" ] || fail "nothing is left behind" "$left"
    cd / && rm -rf "$directory"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ $failed = 0 ]
    exit
}
