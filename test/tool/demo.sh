#!/bin/sh
# SPDX-License-Identifier: MIT
# tong demo: every noun is shown, every row holds, and nothing stays, also when it is interrupted at any point.
. "${0%/*}/shell.sh"

export TMPDIR=$directory

# The rows of one section of the JSON, one on a line.
rows() {
    sed -n "s/.*\"$1\":\[\([^]]*\)\].*/\1/p" shown.json | sed 's/},{/}\n{/g'
}

traces() {
    ls /dev/shm /dev/mqueue 2>/dev/null | grep -F tong-demo
    ls "$directory" | grep -F tong-demo
}

# What others left before is theirs, and what they have for a moment goes.
traces >before
clean() {
    [ -z "$(traces | grep -v -x -F -f before)" ]
}

timeout 120 "$TONG" demo --json >shown.json 2>err
check "the demo succeeds" test $? = 0
check "and says nothing beside it" test ! -s err
for section in rows numbers updates regions locks; do
    if [ -n "$(rows $section)" ]; then
        check "every row of $section holds" test "$(rows $section | grep -vc '"ok":true')" = 0
    else
        skip "every row of $section holds" "no mechanism of this build has any"
    fi
done
if [ -n "$(rows updates)" ]; then
    check "what takes no turns is shown first" sh -c "echo '$(rows updates)' | head -n 1 | grep -q '\"mechanism\":null'"
    check "and what does loses nothing" test "$(rows updates | tail -n +2 | grep -vc '"lost":0')" = 0
fi
check "it leaves nothing" until_true clean

for scheme in $(rows numbers | sed 's/.*"mechanism":"\([a-z]*\)".*/\1/') $(rows regions | sed -n '1s/.*"mechanism":"\([a-z]*\)".*/\1/p'); do
    timeout 60 "$TONG" demo --only "$scheme" >out 2>&1
    check "one mechanism alone: $scheme" grep -q "did what they promise" out
done
name=$(printf 'a\033[31mb')
echo hi >"$name"
"$TONG" demo --only pipe "$name" >out 2>&1
check "a file's name is shown, not sent to the terminal" grep -qF 'a\x1b[31mb: 3 bytes' out
rm -f "$name"
expect "a mechanism that there is not" 2 "no mechanism of that name" "$TONG" demo --only nonsense

# Interrupted after more and more of it, twice at once as timeout(1) does; the queues and semaphores of System V are counted
# in a namespace of its own.
if unshare --ipc true 2>/dev/null; then
    for after in 0.02 0.1 0.2 0.4 0.6 0.8; do
        unshare --ipc sh -c "timeout --preserve-status -s INT $after '$TONG' demo >/dev/null 2>&1
            tail -q -n +2 /proc/sysvipc/msg /proc/sysvipc/sem /proc/sysvipc/shm" >out 2>&1
        check "interrupted after $after s it leaves no queue, semaphore or segment" test ! -s out
    done
else
    skip "interrupted it leaves no queue, semaphore or segment" "no right to make an IPC namespace"
fi
check "and no name" until_true clean

rm -f shown.json err out before
finish
