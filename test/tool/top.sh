#!/bin/sh
# SPDX-License-Identifier: MIT
# tong top in a terminal of tmux: what is full is shown, keys order and choose, it follows the size, and ends in order.
. "${0%/*}/shell.sh"

expect "without a terminal" 1 "needs a terminal\|without ncurses" "$TONG" top
expect "no interval" 2 "above 0" "$TONG" top --interval 0
if ! have tmux || "$TONG" top 2>&1 </dev/null | grep -q "without ncurses"; then
    skip "in a terminal" "there is no tmux, or tong is built without ncurses"
    finish
fi

terminal() {
    tmux -u -S "$directory/terminal" -f /dev/null "$@"
}

shows() {
    terminal capture-pane -p | grep -q -e "$1"
}

# A row below a heading, and before it none that is not stuck: others may be stuck meanwhile.
stuck_first() {
    terminal capture-pane -p | sed -n "/^$1/,/^$/p" | sed 1d | sed '/stuck/!q' | grep -q -e "$2"
}

# The first row below a heading.
first_is() {
    terminal capture-pane -p | grep -A 1 -e "^$1" | tail -n 1 | grep -q -e "$2"
}

mkfifo full
sh -c 'exec 3<>full; exec yes >&3' &
writer=$!
terminal new-session -d -x 120 -y 40 "'$TONG' top --interval 200ms; echo ended with \$?; exec sleep 20"
check "channels" until_true shows '^CHANNEL  *~CHANGE/s'
check "processes" until_true shows '^PROCESS  *~CHANGE/s'
check "what is full is there, and said to be" until_true shows "full .*$directory/full"
terminal send-keys c
check "channels alone" until_true sh -c '! tmux -S terminal capture-pane -p | grep -q ^PROCESS'
terminal send-keys p
check "processes alone" until_true first_is PROCESS .
terminal send-keys n
check "by name" until_true shows '^by name'
terminal resize-window -x 100 -y 12
terminal send-keys b
check "it follows the size" until_true first_is PROCESS .
terminal send-keys q
check "q ends it" until_true shows 'ended with 0'
kill $writer
wait $writer 2>err

# Two that read from each other come before all others; who waits for a signal, which anybody can send, is not marked.
mkfifo one two
sh -c 'exec 3<>one 4<>two; exec cat one >two' &
first=$!
sh -c 'exec cat two >one' &
second=$!
timeout 300 sleep 300 &
waiter=$!
terminal resize-window -x 120 -y 40
terminal respawn-pane -k "'$TONG' top --interval 200ms"
check "who is stuck comes first" until_true stuck_first PROCESS "cat/\($first\|$second\).*stuck"
check "and what they wait for" until_true stuck_first CHANNEL "stuck.*$directory/\(one\|two\)"
check "who waits for a signal is not marked" sh -c '! tmux -S terminal capture-pane -p | grep -e "timeout/$1.*stuck"' sh "$waiter"

# However narrow it is, the rate and the name are whole; wide letters leave the columns in line.
mkdir "$directory/deep"
long=$directory/deep/a-long-name
wide=$directory/deep/$(printf '\352\260\200\353\202\230\353\213\244\353\235\274-end')
mkfifo "$long" "$wide"
writers=
for name in "$long" "$wide"; do
    sh -c 'exec 3<>"$0"; exec yes >&3' "$name" &
    writers="$writers $!"
done
ends_in_line() {
    terminal capture-pane -p | python3 -c "
import re, sys, unicodedata
at = set()
for line in sys.stdin.buffer.read().decode().splitlines():
    if '$directory/deep/' in line:
        head = line[:re.search(r'yes/\\d+', line).start()]
        at.add(sum(1 + (unicodedata.east_asian_width(letter) == 'W') for letter in head))
sys.exit(len(at) != 1)"
}
for size in "120 30" "80 24" "60 20"; do
    terminal resize-window -x "${size% *}" -y "${size#* }"
    terminal respawn-pane -k "LC_ALL=C.UTF-8 '$TONG' top --interval 200ms"
    check "the name is whole at $size" until_true shows "^fifo  *[0-9][0-9]* .*$long\( \|\$\)"
    check "and a wide one" until_true shows "^fifo  *[0-9][0-9]* .*$wide\( \|\$\)"
    [ "$size" != "120 30" ] || check "in line" until_true ends_in_line
done
kill $writers
wait $writers 2>err
terminal kill-server
check "its terminal ends" until_true sh -c '! grep -q -F "$1/terminal" /proc/net/unix' sh "$directory"
kill $first $second $waiter
wait $first $second $waiter 2>err
finish
