#!/bin/sh
# SPDX-License-Identifier: MIT
# tong watch: a FIFO that is made and removed, a deadlock of two shells and its end, commands that are run for a change.
. "${0%/*}/shell.sh"

# Starts `tong watch ARGUMENT...`; from now on changes are seen.
start_watching() {
    rm -f out err
    timeout 60 "$TONG" watch --interval 100ms "$@" >out 2>err &
    job=$!
    until_true grep -q "seen: " err
    watcher=$(cat "/proc/$job/task/$job/children")
    watcher=${watcher%% *}
}

stop_watching() {
    kill -INT "$watcher"
    wait $job
    code=$?
}

# Seen within a minute, on a line that begins with its kind.
sees() {
    check "$1" until_true grep -q -e "$2" out
}

start_watching
mkfifo "$directory/f"
sees "a FIFO is made" " made     fifo $directory/f "
sees "and nobody has it open" " orphan   fifo $directory/f "
sh -c 'exec 3<>f; read line <&3' &
reader=$!
sees "a process begins at it" " began    sh/$reader .*fifo $directory/f"
check "which is not made a second time" test "$(grep -c " made     fifo $directory/f " out)" = 1
kill $reader
wait $reader 2>err.sh
sees "the process ends" " death    sh/$reader "
check "but the FIFO is not gone" sh -c '! grep -q " gone     fifo $0/f " out' "$directory"
rm f
sees "it is removed" " gone     fifo $directory/f "
stop_watching
check "Ctrl-C ends it as a signal does" test $code = 130
check "without a word more" test "$(wc -l <err)" = 1

# Each reads what only the other can write.
mkfifo a b
start_watching --on deadlock,resolved --json
sh -c 'exec 3<a 4>b; read line <&3' &
first=$!
sh -c 'exec 3>a 4<b; read line <&4' &
second=$!
sees "a deadlock of two shells" "\"change\":\"deadlock\".*$first.*$second\|\"change\":\"deadlock\".*$second.*$first"
check "with its proof" grep -q '"proof":".*read' out
kill $first $second
wait $first $second 2>err.sh
sees "and its end" '"change":"resolved"'
check "and nothing that was not asked for" sh -c '! grep -q -v "\"change\":\"\(deadlock\|resolved\)\"" out'
stop_watching
have python3 && check "each line is JSON" python3 -c 'import json,sys; [json.loads(line) for line in sys.stdin]' <out

# A name that a shell would run, if it were ever read by one.
hostile='$(touch harm);`touch harm`'
start_watching --on made,gone --exec 'printf "%s %s %s\n" "$TONG_CHANGE" "$TONG_KIND" "$TONG_OBJECT" >>told'
mkfifo "$hostile"
check "--exec gets the change in its environment" until_true grep -q -F "made fifo $directory/$hostile" told
rm "$hostile"
check "and the next one" until_true grep -q -F "gone fifo $directory/$hostile" told
check "a name is never run" test ! -e harm
stop_watching

start_watching --on made --exec 'exit 3'
mkfifo g
check "a command that fails is told" until_true grep -q "exited with 3" err
stop_watching

expect "a kind that is none" 2 "'deadlocks' is none of" "$TONG" watch --on full,deadlocks
expect "no kind" 2 "is none of" "$TONG" watch --on ''
finish
