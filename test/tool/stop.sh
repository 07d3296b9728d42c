#!/bin/sh
# SPDX-License-Identifier: MIT
# Asked to stop at any moment, a verb leaves nothing behind; and what the machine denies is said, not taken for an
# answer.  In a namespace of its own where it may, so that every object of System V is its own.
if [ -z "$OWN" ]; then
    for own in "unshare -i" "unshare -ri"; do
        if $own true 2>/dev/null; then OWN=yes exec $own sh "$0" "$@"; fi
    done
fi
. "${0%/*}/shell.sh"

TMPDIR=$directory/temporary
export TMPDIR
mkdir "$TMPDIR"

# Objects of System V: in a namespace of their own they are all ours.
objects() {
    [ -z "$OWN" ] || awk 'FNR > 1 { print FILENAME, $1 }' /proc/sysvipc/msg /proc/sysvipc/shm /proc/sysvipc/sem
}

# stops NAME SECONDS COMMAND...: asked to stop after so long, it dies of the signal, or was done, and its directory is gone.
stops() {
    name=$1 after=$2
    shift 2
    "$@" >/dev/null 2>&1 &
    pid=$!
    sleep "$after"
    kill -TERM $pid 2>/dev/null
    kill -TERM $pid 2>/dev/null # timeout(1) sends it twice
    wait $pid 2>/dev/null
    got=$?
    left=$(ls -A "$TMPDIR")$(objects)
    if [ -n "$left" ]; then
        fail "$name" "left: $left"
        rm -rf "${TMPDIR:?}"/*
    elif [ $got != 143 ] && [ $got != 0 ]; then
        fail "$name" "exit code $got"
    else
        pass "$name"
    fi
}

ls /dev/shm | grep tong-demo- >rings # what others left before is theirs, and what they have for a moment goes
for scheme in fifo msgq shm unix; do
    for after in 0.03 0.1 0.2; do
        stops "explain $scheme, stopped after $after s" $after "$TONG" explain $scheme
    done
done
for after in 0.1 0.5 1 1.5; do
    stops "the demo, stopped after $after s" $after "$TONG" demo
done
check "no ring of theirs is left" until_true sh -c '! ls /dev/shm | grep tong-demo- | grep -q -v -x -F -f rings'
rm -f rings

# ---- Programs that a verb runs ----

# gone: the programs that wrote their numbers are no more.
gone() {
    until_true sh -c "! kill -0 $1 2>/dev/null"
}

"$TONG" pipe -- sh -c 'echo $$ >from; exec sleep 30' -- sh -c 'echo $$ >to; exec sleep 30' &
pipe=$!
until_true test -s from -a -s to
kill -TERM $pipe
wait $pipe
check "tong pipe that is asked to stop exits as its consumer" test $? = 143
check "and its programs are gone: the producer" gone "$(cat from)"
check "and the consumer" gone "$(cat to)"
rm -f from to

ignoring='import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])'
if have python3; then
    python3 -c "$ignoring" "$TONG" explain signal >out
    check "SIGCHLD that was ignored hides nothing from explain" sh -c '! grep -q "could not be measured" out'
    python3 -c "$ignoring" "$TONG" demo --only pipe --json >out
    check "nor from the demo" sh -c '! grep -q "context_switches\":0," out'
    rm -f out
else
    skip "SIGCHLD ignored" "there is no python3"
fi

# ---- Where little is allowed ----

(ulimit -f 1; "$TONG" demo --only fifo 2>err)
check "a demo that may write no file says so" grep -q "File too large" err
check "and leaves none" test -z "$(ls -A "$TMPDIR")"
TMPDIR=$directory/nowhere "$TONG" demo --only fifo 2>err
check "a demo without a place for its file exits with 6" test $? = 6
check "and says what is wanted" grep -q TMPDIR err
check "an empty TMPDIR is /tmp" sh -c "TMPDIR= '$TONG' demo --only fifo --json | grep -q '\"address\":\"fifo:/tmp/tong-demo-'"
if unshare -rm true 2>/dev/null || unshare -m true 2>/dev/null; then
    own="unshare -m"
    unshare -m true 2>/dev/null || own="unshare -rm"
    mkdir empty
    $own sh -c "mount --bind empty /proc && exec '$TONG' explain shm" >out 2>/dev/null
    check "without /proc what lies in it could not be measured" grep -q "where shared memory lies: could not be measured" out
    $own sh -c "mount --bind empty /proc && exec '$TONG' demo --only pipe" >out 2>/dev/null
    check "and the demo says why it cannot be" grep -q "/proc/self/exe" out
    rm -rf empty out
else
    skip "without /proc" "no mount namespaces here"
fi
rm -rf "$TMPDIR" err

finish
