#!/bin/sh
# SPDX-License-Identifier: MIT
# tong sem: its verbs as a person types them, and beside programs with sem_open() and semop(), ipcs and lsipc.
counter=$(readlink -f "$2")
. "${0%/*}/shell.sh"
named=/$mark

holds() {
    [ "$("$TONG" sem get "$1" "$2")" = "$3" ]
}

says() {
    grep -q -e "$1" err
}

# refused NAME CODE PATTERN COMMAND...: fails so, and says so; the object stays.
refused() {
    what=$1 code=$2 pattern=$3
    shift 3
    timeout 60 "$@" >out 2>err
    [ $? = "$code" ] && says "$pattern" && [ ! -s out ]
    check "$what" [ $? = 0 ]
}

for address in "sem:$named" "sysvsem:$key"; do
    scheme=${address%%:*}
    expect "$scheme: get makes nothing" 6 "create=no" "$TONG" sem get "$address"
    "$TONG" sem create "$address" --value 2 2>err
    check "$scheme: create says what it made" says "^tong sem create: made $scheme:"
    refused "$scheme: create twice" 1 "exists" "$TONG" sem create "$address"
    check "$scheme: wait takes" "$TONG" sem wait "$address"
    check "$scheme: get shows" holds "$address" 0 1
    "$TONG" sem wait "$address" 0
    refused "$scheme: wait with no time" 7 "nothing to take" "$TONG" sem wait "$address" --timeout 0
    refused "$scheme: wait in time" 3 "timed out" "$TONG" sem wait "$address" --timeout 50ms
    timeout 60 sh -c 'echo $$ >pid; exec "$0" sem wait "$1" --timeout 10s' "$TONG" "$address" 2>err &
    waiter=$!
    until_true test -s pid
    until_true sh -c 'grep -qs "^State:.S" "/proc/$(cat pid)/status" && [ "$(cat "/proc/$(cat pid)/comm")" = tong ]'
    kill -STOP "$(cat pid)"
    kill -CONT "$(cat pid)"
    "$TONG" sem post "$address"
    wait $waiter
    check "$scheme: stopped and continued, it waits on" [ $? = 0 ]
    rm -f pid
    refused "$scheme: no such index" 2 "it has 1" "$TONG" sem post "$address" 1
    refused "$scheme: an index that is no number" 2 "INDEX" "$TONG" sem post "$address" x
    timeout 60 "$TONG" sem wait "$address" &
    waiter=$!
    "$TONG" sem post "$address"
    wait $waiter
    check "$scheme: post wakes a waiter" [ $? = 0 ]
    "$TONG" sem get --json "$address" >out
    check "$scheme: JSON" grep -q '"count":1,"counters":\[{"index":0,"value":0,' out
    check "$scheme: rm" "$TONG" rm "$address"
    "$TONG" sem post "$address" 2>err
    check "$scheme: post makes what is missing" says "made"
    "$TONG" rm "$address"
done
rm -f out err

"$TONG" sem create "sysvsem:$key" --count 1000 --value 1 2>/dev/null
"$TONG" sem set "sysvsem:$key" 999 7
check "the last of a thousand counters" holds "sysvsem:$key" 999 7
check "get shows all" [ "$("$TONG" sem get "sysvsem:$key" | wc -l)" = 1001 ]
hexadecimal=$(printf 0x%08x "$key")
for tool in "ipcs -s" "lsipc -s"; do
    if have ${tool%% *}; then
        check "${tool%% *} shows our set" sh -c "$tool | grep -i $hexadecimal | grep -qw 1000"
    else
        skip "${tool%% *} shows our set" "${tool%% *} is not installed"
    fi
done
timeout 60 "$counter" wait sysv "$key" 999 && holds "sysvsem:$key" 999 6
check "semop() takes what tong set" [ $? = 0 ]
"$TONG" rm "sysvsem:$key"

"$counter" make sysv "$key" 3
check "tong takes what semctl() set" "$TONG" sem wait "sysvsem:$key" --timeout 10s
timeout 60 "$TONG" sem wait "sysvsem:$key" 2 &
waiter=$!
"$counter" post sysv "$key" 2
wait $waiter
check "semop() wakes tong" [ $? = 0 ]
timeout 60 "$TONG" sem wait "sysvsem:$key" 1 2>err &
waiter=$!
until_true sh -c "'$TONG' sem get --json sysvsem:$key 1 | grep -q '\"waiting\":1'"
"$TONG" rm "sysvsem:$key"
wait $waiter
check "a removed set: exit code 4" [ $? = 4 ]
check "a removed set: who may have done it" says RemoveIPC

"$counter" make posix "$named" 1
check "tong takes what sem_open() made" "$TONG" sem wait "sem:$named" --timeout 10s
timeout 60 "$counter" wait posix "$named" &
waiter=$!
"$TONG" sem post "sem:$named"
wait $waiter
check "tong wakes sem_wait()" [ $? = 0 ]
timeout 60 "$TONG" sem wait "sem:$named" &
waiter=$!
"$counter" post posix "$named"
wait $waiter
check "sem_post() wakes tong" [ $? = 0 ]
refused "sem: cannot be set" 2 "POSIX" "$TONG" sem set "sem:$named" 3
"$TONG" rm "sem:$named"
expect "a semaphore carries no messages" 2 "is not a channel" "$TONG" send "sem:$named" hello
expect "say which verb" 2 "create, wait, post, get or set" "$TONG" sem
expect "no such verb" 2 "under 'sem'" "$TONG" sem take
# Who is stopped (Ctrl-Z) and goes on waits on: the kernel ends semop(2) with EINTR then, without any handler.
for address in "sysvsem:$key" "sem:/$mark"; do
    "$TONG" sem wait "$address" --timeout 20s 2>/dev/null &
    waiting=$!
    until_true sh -c "'$TONG' sem get '$address' 0"
    until_true grep -q 'sem\|futex' /proc/$waiting/wchan || sleep 0.3
    kill -STOP $waiting
    until_true grep -q '^State:.*T' /proc/$waiting/status
    kill -CONT $waiting
    until_true grep -q '^State:.*S' /proc/$waiting/status
    "$TONG" sem post "$address"
    wait $waiting
    check "$address: stopped and continued, it still waits" test $? = 0
    "$TONG" rm "$address"
done

check "the help of wait points to tong lock" sh -c "'$TONG' sem wait --help | grep -q 'tong lock'"
rm -f out err
finish
