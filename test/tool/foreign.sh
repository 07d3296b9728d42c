#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs that never heard of tong: cat and echo, socat, plain C programs with msgsnd and msgrcv,
# and with mq_send, mq_receive and mq_notify, ipcs, tail.
sysv=$(readlink -f "$2")
posix=$(readlink -f "$3")
. "${0%/*}/shell.sh"

says() {
    [ "$(cat "$1")" = "$2" ]
}

# One that the kernel gave to a receiver just now, which is gone.
free_udp_port() {
    timeout 60 "$TONG" recv --timeout 1ms udp:127.0.0.1:0 2>&1 | sed -n 's/.*udp:127.0.0.1://p' | head -n 1
}

udp_is_bound() {
    grep -qi "0100007F:$(printf %04x "$1") " /proc/net/udp
}

mkfifo f
timeout 60 cat f >out &
"$TONG" send "fifo:$directory/f?frame=none" --wait 10s hello
wait $!
check "cat reads what tong sends on a FIFO" says out hello

timeout 60 "$TONG" recv "fifo:$directory/f?frame=line" --lines >out 2>/dev/null &
reader=$!
{ echo one; echo two; } >f
wait $reader
check "tong receives the lines that echo writes to a FIFO" says out "one
two"
rm -f f

if have socat; then
    timeout 60 "$TONG" recv "unix:$directory/s?frame=none" >out 2>/dev/null &
    reader=$!
    until_true test -S s
    echo hello | socat - "UNIX-CONNECT:$directory/s"
    wait $reader
    check "tong receives what socat sends on a socket" says out hello
    rm -f s

    timeout 60 socat -u "UNIX-LISTEN:$directory/s" - >out &
    reader=$!
    echo hello | "$TONG" send "unix:$directory/s?frame=none" --wait 10s
    wait $reader
    check "socat receives what tong sends on a socket" says out hello
    rm -f s

    # Ports are chosen by the kernel: tong says which, and so does socat with -dd.
    timeout 60 "$TONG" recv "tcp:127.0.0.1:0?frame=none" >out 2>err &
    reader=$!
    until_true grep -q "tcp:.*?" err
    echo hello | socat -u - "TCP:$(sed 's/.*tcp://; s/?.*//' err)"
    wait $reader
    check "tong receives what socat sends by TCP" says out hello

    timeout 60 socat -dd -u TCP-LISTEN:0,bind=127.0.0.1 - >out 2>err &
    reader=$!
    until_true grep -q "listening on" err
    echo hello | "$TONG" send "tcp:127.0.0.1:$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' err)?frame=none"
    wait $reader
    check "socat receives what tong sends by TCP" says out hello

    rm -f err
    timeout 60 "$TONG" recv --lines -n 1 "udp:127.0.0.1:0?frame=none" >out 2>err &
    reader=$!
    until_true grep -q "udp:.*?" err
    printf hello | socat -u - "UDP:$(sed 's/.*udp://; s/?.*//' err)"
    wait $reader
    check "tong receives what socat sends by UDP" says out hello

    port=$(free_udp_port)
    timeout 60 socat -u "UDP-RECV:$port,bind=127.0.0.1" - >out 2>err &
    reader=$!
    until_true udp_is_bound "$port"
    "$TONG" send "udp:127.0.0.1:$port?frame=none" hello
    until_true test -s out
    check "socat receives what tong sends by UDP" grep -q hello out
    kill $reader
    wait $reader 2>/dev/null
    rm -f err
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

if offers mq:; then
    queue=/$mark
    "$TONG" send "mq:$queue" --type 7 later 2>/dev/null
    "$TONG" send "mq:$queue" --type 9 first
    check "a plain C program takes the most urgent of what tong sent" test "$("$posix" receive "$queue")" = "9 first"
    check "and then the other" test "$("$posix" receive "$queue")" = "7 later"
    "$posix" send "$queue" 1 low
    "$posix" send "$queue" 2 high
    check "tong takes the most urgent of what a plain C program sent" test "$("$TONG" recv "mq:$queue" -n 1)" = high
    check "and then the other, too" test "$("$TONG" recv "mq:$queue" -n 1)" = low
    timeout 60 "$posix" notify "$queue" >out &
    listener=$!
    until_true grep -q registered out
    "$TONG" send "mq:$queue" news
    wait $listener
    check "who registered with mq_notify is notified when tong sends" says out "registered
notified"
    if [ -d /dev/mqueue ] && [ "$(stat -f -c %T /dev/mqueue)" = mqueue ]; then
        check "/dev/mqueue lists our queue" test -e "/dev/mqueue$queue"
    else
        skip "/dev/mqueue lists our queue" "no mqueue file system is mounted there"
    fi
    "$TONG" rm "mq:$queue"
    check "and after tong rm it is gone" test "$("$posix" receive "$queue" 2>&1)" = "mq_open: No such file or directory"
else
    skip "programs with POSIX queues" "there is no mq:"
fi

if offers file:; then
    : >log
    tail -n +1 -f --pid=$$ log >out &
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
