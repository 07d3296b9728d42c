#!/bin/sh
# SPDX-License-Identifier: MIT
# A large file and an empty one through everything that carries bytes, by two commands in two shells.
. "${0%/*}/shell.sh"

size=${TONG_TEST_BYTES:-67108864}
head -c "$size" /dev/urandom >large
: >empty

same() {
    [ "$(sha256sum <"$1")" = "$(sha256sum <"$2")" ]
}

# carry NAME ADDRESS: the receiver is there first, or not: the sender waits for it.
carry() {
    for input in large empty; do
        timeout 120 "$TONG" recv "$2" >copy 2>recv.err &
        receiver=$!
        timeout 120 "$TONG" send --wait 20s "$2" <$input 2>send.err
        sent=$?
        wait $receiver
        received=$?
        if [ $sent != 0 ] || [ $received != 0 ]; then
            fail "$1: $input" "send $sent ($(cat send.err)), recv $received ($(cat recv.err))"
        else
            check "$1: $input" same $input copy
        fi
        "$TONG" rm "$2" 2>/dev/null
        rm -f copy
    done
}

carry fifo "fifo:$directory/f"
carry "fifo none" "fifo:$directory/f?frame=none"
carry "unix stream" "unix:$directory/s"
carry "unix none" "unix:$directory/s?frame=none"
carry "unix abstract" "unix:@$mark"
carry "unix seqpacket" "unix:$directory/s?socket=seqpacket"
for mechanism in msgq shm file; do
    offers $mechanism: || { skip $mechanism "there is no such mechanism"; continue; }
    case $mechanism in
    msgq) carry msgq "msgq:$key" ;;
    shm) carry shm "shm:$mark" ;;
    file)
        for input in large empty; do
            "$TONG" send "file:$directory/log" <$input 2>/dev/null && "$TONG" recv "file:$directory/log" >copy
            check "file: $input" same $input copy
            "$TONG" rm "file:$directory/log"
        done ;;
    esac
done

for input in large empty; do
    "$TONG" pipe -- cat $input -- cat >copy
    check "pipe: $input" same $input copy
done
rm -f copy

finish
