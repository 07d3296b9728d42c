#!/bin/sh
# SPDX-License-Identifier: MIT
# tong relay: chains of mechanisms, what is kept and what is said to be lost, ends and deaths, both ways.
. "${0%/*}/shell.sh"

head -c 16777216 /dev/urandom >in
digest=$(sha256sum <in)

same() {
    [ "$(sha256sum <"$1")" = "$digest" ]
}

says() {
    [ "$(cat "$1")" = "$2" ]
}

# relay PREFIX ARGUMENT...: in the background, what it says in PREFIX.err; its id is $relay.
relay() {
    prefix=$1
    shift
    timeout 60 "$TONG" relay "$@" 2>"$prefix.err" &
    relay=$!
}

exited() {
    wait "$1"
    got=$?
    [ $got = "$2" ] || echo "exit code $got"
    [ $got = "$2" ]
}

# ---- A chain: types and boundaries stay, 16 MiB arrive, the end goes through ----

# A queue takes 8 KiB, so that nothing larger may come into the chain.
timeout 60 "$TONG" recv "unix:$directory/u" >out 2>/dev/null &
last=$!
until_true test -S u
relay third --empty-ends "msgq:$key" "unix:$directory/u"
third=$relay
relay second "fifo:$directory/f" "msgq:$key"
second=$relay
until_true test -p f
"$TONG" send "file:$directory/log?size=8K" <in 2>/dev/null
relay first "file:$directory/log?size=8K" "fifo:$directory/f"
first=$relay
check "a relay from a file ends with it" exited $first 0
check "a relay from a FIFO ends with its writer" exited $second 0
check "a relay from a queue ends at an empty message, when told so" exited $third 0
check "the receiver at the end of the chain sees an orderly end" exited $last 0
check "16 MiB through four mechanisms are unchanged" same out
check "what a queue cannot keep is said in one line" grep -q "fifo:.* to msgq:.* cannot keep: the end (an empty message stands for it), messages above" second.err
check "and who sent" grep -q "msgq:.* to unix:.* cannot keep: who sent" third.err
"$TONG" rm "msgq:$key"
rm -f log f out ./*.err

"$TONG" send "msgq:$key" --type 7 hello 2>/dev/null
"$TONG" send "msgq:$key" --type 9 "" you
"$TONG" relay -n 3 "msgq:$key" "file:$directory/log" 2>err
check "a relay of some messages ends after them" test $? = 0
"$TONG" recv --json "file:$directory/log" | sed 's/"flags.*"data"/"data"/' >out
check "types, boundaries and an empty message are kept" says out '{"type":7,"length":5,"data":"hello"}
{"type":9,"length":0,"data":""}
{"type":9,"length":3,"data":"you"}'
"$TONG" rm "msgq:$key"
rm -f log out err

# ---- What cannot be kept is said before the first message ----

# lost NAME PATTERN FROM TO: nothing comes, so the relay ends by its timeout; what it said holds the pattern.
lost() {
    "$TONG" relay --wait 100ms --timeout 100ms "$3" "$4" 2>err </dev/null
    grep "cannot keep" err >out
    if [ "$(wc -l <out)" = 1 ] && grep -q "$2" out; then pass "$1"; else fail "$1" "$(cat err)"; fi
    rm -f err out
}

: >plain
lost "types and boundaries into plain bytes" "cannot keep: types, where a message ends" "msgq:$key" "file:$directory/plain?frame=none"
lost "messages with a newline into lines" "messages with a newline" "msgq:$key" "file:$directory/plain?frame=line"
lost "boundaries that were never there" "a message is what one read gave" "file:$directory/plain?frame=none&follow=yes" "msgq:$key"
lost "large messages" "messages above $(cat /proc/sys/kernel/msgmax) bytes" "fifo:$directory/f" "msgq:$key"
lost "a death" "types, where a message ends (it becomes a byte stream), the death of a sender" "fifo:$directory/f" "file:$directory/plain?frame=none"
"$TONG" rm "msgq:$key"
"$TONG" relay --timeout 100ms "fifo:$directory/f" "file:$directory/log" 2>err
check "nothing is said where nothing is lost" sh -c '! grep -q "cannot keep" err'
check "a relay that waits in vain exits with 3" grep -q "relay: .*nothing\|relay: .*time" err
rm -f plain f log err

# ---- Nothing is lost ----

"$TONG" send "file:$directory/log" small "$(head -c 20000 /dev/zero | tr '\0' x)" 2>/dev/null
"$TONG" relay "file:$directory/log" "msgq:$key" 2>err
check "a message that TO cannot take ends the relay" test $? = 1
check "and is named" grep -q "message 2: 20000 bytes are more than msgq:.* takes (.*): it stays in file:" err
check "what came before it has arrived" test "$("$TONG" recv -n 1 "msgq:$key")" = small
"$TONG" rm "msgq:$key"
rm -f log err

"$TONG" send "msgq:$key" one two three four 2>/dev/null
"$TONG" relay --timeout 100ms "msgq:$key" "shm:$mark?capacity=4K&full=fail" 2>/dev/null
check "a relay from a queue goes on until nothing comes" test $? = 3
check "and all of it arrives" test "$("$TONG" recv --lines "shm:$mark" | tr '\n' ' ')" = "one two three four "
"$TONG" rm "shm:$mark" 2>/dev/null
"$TONG" rm "msgq:$key"

# The receiver takes one message and goes: what the relay took and cannot deliver is counted.
timeout 60 "$TONG" recv -n 1 "unix:$directory/u" >/dev/null 2>&1 &
receiver=$!
until_true test -S u
relay counted "fifo:$directory/f" "unix:$directory/u"
until_true test -p f
mkfifo input
"$TONG" send --lines "fifo:$directory/f" --wait 10s <input 2>/dev/null &
sender=$!
exec 3>input
echo one >&3
wait $receiver
{ echo two; echo three; } >&3
exec 3>&-
check "a relay whose receiver has gone exits with 4" exited $relay 4
check "and counts what it took in vain" grep -q "taken from fifo:.* and not delivered: [12]" counted.err
wait $sender
rm -f f input ./*.err

# ---- Deaths ----

timeout 60 "$TONG" recv "unix:$directory/u" >out 2>/dev/null &
receiver=$!
until_true test -S u
relay dead "fifo:$directory/f" "unix:$directory/u"
until_true test -p f
mkfifo input
"$TONG" send "fifo:$directory/f" --wait 10s <input 2>/dev/null &
sender=$!
exec 3>input
echo part >&3
until_true test -s out
kill -9 $sender
wait $sender 2>/dev/null
exec 3>&-
check "the death of a sender ends the relay with 4" exited $relay 4
check "and is passed on as a death" exited $receiver 4
rm -f f input out ./*.err

# ---- Both ways ----

mkfifo said.a said.b
timeout 60 "$TONG" talk "unix:$directory/back" <said.b >heard.b 2>/dev/null &
b=$!
exec 4>said.b
until_true test -S back
relay both --both "unix:$directory/front" "unix:$directory/back"
until_true test -S front
timeout 60 "$TONG" talk "unix:$directory/front" <said.a >heard.a 2>/dev/null &
a=$!
exec 3>said.a
echo hello b >&3
check "what one side says comes out at the other" until_true grep -q "hello b" heard.b
echo hello a >&4
check "and back" until_true grep -q "hello a" heard.a
exec 3>&-
check "the end of one side ends the talk for both" exited $a 0
check "in order" exited $b 0
check "and the relay" exited $relay 0
exec 4>&-
rm -f said.* heard.* ./*.err

if have socat; then
    socat "UNIX-LISTEN:$directory/back" EXEC:'tr a-z A-Z' &
    until_true test -S back
    relay proxy --both "unix:$directory/front?frame=none" "unix:$directory/back?frame=none"
    until_true test -S front
    head -c 3000000 /dev/zero | tr '\0' q | timeout 60 socat -t10 - "UNIX-CONNECT:$directory/front" >out
    check "half closed, the other direction goes on: all of it comes back" \
        test "$(tr -d -c Q <out | wc -c)" = 3000000
    check "and then the relay ends" exited $relay 0
    rm -f back out ./*.err
else
    skip "a proxy between socats" "socat is not installed"
fi

expect "--both on one queue needs types" 2 "select=1&type=2" "$TONG" relay --both "msgq:$key" "unix:$directory/u"
expect "--both on one FIFO needs two" 2 "IN,OUT\|one way\|two" "$TONG" relay --both "fifo:$directory/f" "fifo:$directory/g"

relay stopped "fifo:$directory/f" "file:$directory/log"
until_true test -p f
kill -INT $relay
wait $relay
check "a relay that is asked to stop dies of the signal" test $? = 130
rm -f f log ./*.err in

finish
