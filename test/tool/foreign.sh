#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs that never heard of tong: cat and echo, socat, a plain C program with msgsnd and msgrcv, ipcs, tail.
sysv=$(readlink -f "$2")
. "${0%/*}/shell.sh"

says() {
    [ "$(cat "$1")" = "$2" ]
}

mkfifo f
timeout 20 cat f >out &
"$TONG" send "fifo:$directory/f?frame=none" --wait 10s hello
wait $!
check "cat reads what tong sends on a FIFO" says out hello

timeout 20 "$TONG" recv "fifo:$directory/f?frame=line" --lines >out 2>/dev/null &
reader=$!
{ echo one; echo two; } >f
wait $reader
check "tong receives the lines that echo writes to a FIFO" says out "one
two"
rm -f f

if have socat; then
    timeout 20 "$TONG" recv "unix:$directory/s?frame=none" >out 2>/dev/null &
    reader=$!
    until_true test -S s
    echo hello | socat - "UNIX-CONNECT:$directory/s"
    wait $reader
    check "tong receives what socat sends on a socket" says out hello
    rm -f s

    timeout 20 socat -u "UNIX-LISTEN:$directory/s" - >out &
    reader=$!
    echo hello | "$TONG" send "unix:$directory/s?frame=none" --wait 10s
    wait $reader
    check "socat receives what tong sends on a socket" says out hello
    rm -f s
else
    skip "socat on a socket" "socat is not installed"
fi

if offers msgq:; then
    "$TONG" send "msgq:$key" --type 7 hello 2>/dev/null
    check "a plain C program takes what tong put into a queue" test "$("$sysv" receive "$key" 7)" = "7 hello"
    "$sysv" send "$key" 9 answer
    check "tong takes what a plain C program put into a queue" test "$("$TONG" recv "msgq:$key" --type 9 -n 1)" = answer
    if have ipcs; then
        check "ipcs shows our queue" sh -c "ipcs -q | grep -q $(printf 0x%08x "$key")"
    else
        skip "ipcs shows our queue" "ipcs is not installed"
    fi
    "$TONG" rm "msgq:$key"
else
    skip "System V programs" "there is no msgq:"
fi

if offers file:; then
    : >log
    timeout 20 tail -n +1 -f log >out &
    reader=$!
    "$TONG" send "file:$directory/log?frame=line" one two 2>/dev/null
    check "tail -f follows what tong appends" until_true grep -q two out
    kill $reader
    wait $reader 2>/dev/null
    echo three >>log
    "$TONG" recv "file:$directory/log?frame=line" --lines -n 3 >out
    check "tong reads the lines that others append" says out "one
two
three"
else
    skip "tail -f on a file" "there is no file:"
fi

finish
