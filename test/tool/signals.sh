#!/bin/sh
# SPDX-License-Identifier: MIT
# Signals: tong with the shell's kill and trap, kill(1), Python, perl and a plain C program at the other end.
sigqueue=$(readlink -f "$2")
. "${0%/*}/shell.sh"

says() {
    [ "$(cat "$1")" = "$2" ]
}

# Starts `tong signal wait ARGUMENT...`; $waiter is the process that can be sent to from now on.
start_waiting() {
    rm -f err
    timeout 60 "$TONG" signal wait "$@" --timeout 10s >out 2>err &
    job=$!
    until_true grep -q "waits as process" err
    waiter=$(sed -n 's/.*waits as process \([0-9]*\):.*/\1/p' err)
}

# The same for `tong recv`.
start_receiving() {
    rm -f err
    timeout 60 "$TONG" recv "$@" --timeout 10s >out 2>err &
    job=$!
    until_true grep -q "receives as" err
    address=$(sed -n 's/.*receives as //p' err)
    waiter=${address#signal:}
    waiter=${waiter%%\?*}
}

number=$("$TONG" signal list | awk '$2 == "RTMIN" { print $1 }')

start_waiting USR1
kill -USR1 "$waiter"
wait $job
check "tong waits for what the shell's kill sends" says out "USR1 from process $$, uid $(id -u)"

start_waiting RTMIN -n 2
"$TONG" signal send "$waiter" RTMIN --value 42
"$TONG" signal send "$waiter" SIGRTMIN --value -7
wait $job
check "values arrive in order" sh -c 'test "$(cut -d" " -f1,2 out | tr "\n" ,)" = "RTMIN 42,RTMIN -7,"'

start_waiting USR1 USR2 -n 2
kill -STOP "$waiter"
until_true grep -q '^State:.*T' "/proc/$waiter/status"
kill -USR1 "$waiter"
kill -USR1 "$waiter"
kill -CONT "$waiter"
until_true grep -q USR1 out
kill -USR2 "$waiter"
wait $job
check "a standard signal that comes twice merges" sh -c 'test "$(cut -d" " -f1 out | tr "\n" ,)" = "USR1,USR2,"'

start_waiting RTMIN --json
"$sigqueue" send "$waiter" "$number" 5
wait $job
check "a C program's sigqueue, as JSON" grep -q '"name":"RTMIN","value":5,"origin":"process","sender":{"source":"claimed"' out

if /bin/kill --help 2>&1 | grep -q -e --queue; then
    start_waiting USR2
    /bin/kill -s USR2 -q 9 "$waiter"
    wait $job
    check "kill(1) with a value" grep -q "^USR2 9 from process" out
else
    skip "kill(1) with a value" "it has no -q here"
fi

if have python3 && python3 -c 'import ctypes; ctypes.CDLL(None).sigqueue' 2>/dev/null; then
    start_receiving signal: --lines -n 2
    python3 -c 'import ctypes, sys
for value in (11, -12): ctypes.CDLL(None).sigqueue(int(sys.argv[1]), int(sys.argv[2]), value)' "$waiter" "$number"
    wait $job
    check "a channel receives what Python queues" says out "11
-12"
else
    skip "a channel receives what Python queues" "there is no python3 with ctypes"
fi

if have perl; then
    start_receiving 'signal:?signal=USR1' --json -n 1
    perl -e 'kill "USR1", $ARGV[0]' "$waiter"
    wait $job
    check "a channel receives what perl sends, without a value" grep -q '"length":0,.*"data":""' out
else
    skip "a channel receives what perl sends" "perl is not installed"
fi

start_receiving signal: --lines
printf '1\n-2\n3\n' | "$TONG" send "$address" --lines
"$TONG" send "$address" 2147483647
until_true grep -q 2147483647 out
kill "$waiter"
wait $job
check "numbers go through the channel" grep -qx -e -2 out

start_receiving signal:
printf 42 | "$TONG" send "$address"
wait $job
check "a signal without a value ends tong recv" says out 42

rm -f pid
timeout 60 "$sigqueue" receive "$number" pid >out &
job=$!
until_true test -s pid
"$TONG" send "signal:$(cat pid)?signal=$number" 17
wait $job
check "a C program's sigwaitinfo takes what tong sends" grep -q "^17 from " out

rm -f ready
sh -c 'trap "echo caught >out; exit 0" USR1; : >ready; while :; do sleep 0.01; done' &
job=$!
until_true test -e ready
"$TONG" signal send $job USR1
wait $job
check "a shell's trap catches what tong sends" says out caught
rm -f ready

sleep 60 &
job=$!
"$TONG" signal send $job USR1
wait $job
check "who does not handle USR1 dies of it" test $? = $((128 + $(kill -l USR1 2>/dev/null || echo 10)))

(trap '' HUP; exec sleep 60) &
job=$!
until_true sh -c "\"$TONG\" signal show $job | grep -q '(sleep)'"
"$TONG" signal send $job HUP
check "who ignores a signal lives" sh -c "\"$TONG\" signal show $job | grep -q '^  ignored.* HUP'"
kill $job
wait $job

start_waiting USR1 --json
kill -STOP "$waiter"
until_true grep -q '^State:.*T' "/proc/$waiter/status"
"$TONG" signal send "$waiter" RTMIN+1 2>/dev/null
"$TONG" signal send "$waiter" USR1 --value 3
"$TONG" signal show "$waiter" >shown
"$TONG" signal show "$waiter" --json >json
check "what is pending and blocked is shown by name" grep -q '^  pending .*USR1 RTMIN+1' shown
check "and for each thread" grep -q '^  blocked .*USR1' shown
check "and as JSON" grep -q '"pending":\["USR1","RTMIN+1"\]' json
kill -KILL "$waiter"
kill -CONT "$waiter" 2>/dev/null
wait $job
rm -f shown json

"$TONG" signal list >out
names=0
for standard in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 17 18 19 20 21 22 23 24 25 26 27 28 30 31; do
    name=$(kill -l $standard)
    awk -v n="$standard" -v name="${name#SIG}" '$1 == n && $2 == name { found = 1 } END { exit !found }' out && names=$((names + 1))
done
check "the list says what kill -l says" test $names = 29
check "62 can be used, and two are kept by libc" test "$(grep -c -v -e ' - ' -e NAME out)" = 62
rm -f out err pid

expect "no such process" 6 "no process 4194305" "$TONG" signal send 4194305 USR1
expect "a name for a process" 2 "pidof" "$TONG" signal send bash USR1
expect "no such signal" 2 "tong signal list" "$TONG" signal send $$ FOO
expect "one that libc keeps" 2 "C library" "$TONG" signal send $$ 32
expect "a value that is no int" 2 "an int" "$TONG" signal send $$ USR1 --value 4294967296
expect "to wait for KILL" 2 "cannot be blocked" "$TONG" signal wait KILL
expect "a verb that is none" 2 "no verb 'sned' under 'signal'" "$TONG" signal sned
expect "no verb" 2 "send, wait, list or show" "$TONG" signal
expect "to show no process" 6 "no process 4194305" "$TONG" signal show 4194305
expect "words on a channel of numbers" 2 "one number" "$TONG" send "signal:$$" hello
expect "another's signals" 2 "its own signals" "$TONG" recv signal:1
timeout 60 "$TONG" signal wait USR1 --timeout 10ms >out 2>err
check "a wait that times out exits with 3" test $? = 3
rm -f out err
finish
