#!/bin/sh
# SPDX-License-Identifier: MIT
# ls, map, doctor and gc on processes of this test's own.
. "${0%/*}/shell.sh"

shows() {
    "$TONG" "$@" 2>err | grep -q -e "$pattern"
}

tells() {
    "$TONG" "$@" 2>/dev/null >out
    got=$?
    [ $got = "$code" ]
}

# A reader and a writer of one FIFO, both of which sleep.
mkfifo channel
sleep 300 >channel &
writer=$!
sleep 300 <channel &
reader=$!
pattern="fifo *$directory/channel .*sleep/$writer -> sleep/$reader"
check "ls names a FIFO, who writes and who reads" until_true sh -c '"$0" ls --kind fifo 2>/dev/null | grep -q -e "$1"' "$TONG" "$pattern"
check "ls of one process" shows ls --of "$writer"
pattern='^tong ls: seen: [0-9]* processes'
check "ls says how much it saw" grep -q "$pattern" err
pattern="--> fifo *$directory/channel  sleep/$reader"
check "map shows the way" shows map "$writer"
pattern="\"sleep/$writer\" -> \"sleep/$reader\""
check "map draws it" shows map --dot "$writer"
expect "a process that is not there" 6 'no process' "$TONG" map nobody-is-called-so
check "the snapshot is JSON" sh -c '"$0" ls --json 2>/dev/null | python3 -c "import json, sys; json.load(sys.stdin)[\"objects\"]"' "$TONG"
pattern="fifo *$directory/channel .*sleep/$writer -> sleep/$reader"
check "ls by /proc alone" shows ls --plainly --kind fifo
check "says so" grep -q ' from proc in ' err
for verb in ls map doctor; do
    check "$verb --plainly is by /proc" sh -c '"$0" $1 --plainly --json 2>/dev/null | python3 -c "import json, sys
sys.exit(json.load(sys.stdin)[\"tier\"] != \"proc\")"' "$TONG" $verb
done
kill $writer $reader
wait $writer $reader 2>/dev/null

# Who waits in open(2) for somebody at the other side, of a name that it typed in its own directory.
mkfifo lonely
mkdir inner
(cd inner && exec sh -c 'exec 3>../inner/../lonely') &
opener=$!
pattern="fifo *$directory/lonely .*sh/$opener (waits in open) ->$"
check "ls of one process has the FIFO that it waits to open, by its full name" until_true \
    sh -c '"$0" ls --of "$2" 2>/dev/null | grep -q -e "$1"' "$TONG" "$pattern" $opener
pattern="^  --> fifo *$directory/lonely  waits in open for a reader$"
check "map shows it" shows map "$opener"
check "and where all are shown" shows map
pattern="\"sh/$opener\" -> \"fifo $directory/lonely\""
check "map draws it" shows map --dot "$opener"
for verb in "ls --of" map; do
    check "the JSON of $verb has it" sh -c '"$0" $1 '$opener' --json 2>/dev/null | python3 -c "
import json, sys
seen = json.load(sys.stdin)
(fifo,) = [o for o in seen[\"objects\"] if o[\"name\"] == \"$2/lonely\"]
(end,) = fifo[\"ends\"]
waits = [w for w in seen[\"waits\"] if w[\"object\"] == fifo[\"index\"]]
sys.exit(not (end[\"waits_in_open\"] and end[\"sends\"] and [w[\"detail\"] for w in waits] == [\"a reader\"]))"' "$TONG" "$verb" "$directory"
done
kill $opener
wait $opener 2>/dev/null

# A name that would do something to a terminal.
mkfifo "$(printf 'a\033[31mb\nc')"
sleep 300 <>"$(printf 'a\033[31mb\nc')" &
holder=$!
pattern='a\\x1b\[31mb\\nc'
check "names are shown safely" until_true sh -c '"$0" ls --of "$1" 2>/dev/null | grep -q -F -e "a\x1b[31mb\nc"' "$TONG" $holder
kill $holder
wait $holder 2>/dev/null

# Two that read from each other and write nothing: each waits for the other for ever.
mkfifo one two
sh -c 'exec 3<>one 4<>two; exec cat one >two' &
first=$!
sh -c 'exec cat two >one' &
second=$!
stuck() {
    "$TONG" doctor 2>/dev/null | grep -q -e "^stuck.*cat"
}
check "doctor finds who is stuck" until_true stuck
code=8
check "and exits with 8" tells doctor --confirm 20ms
kill $first $second
wait $first $second 2>/dev/null

# Two that open each other's FIFO, each first the end for which the other would have to be there.
mkfifo three four
sh -c 'exec 3<three 4>four' &
first=$!
sh -c 'exec 3<four 4>three' &
second=$!
crossed() {
    "$TONG" doctor 2>/dev/null >out
    [ $? = 8 ] && grep -q -e "^perhaps stuck (unsure): sh $first and sh $second wait" out &&
        grep -q -e "^    sh $first waits in .* for a writer of FIFO $directory/three, which nobody has open; it may be meant for sh $second" out
}
check "doctor finds who opens FIFOs crosswise, and exits with 8" until_true crossed
kill $first $second
wait $first $second 2>/dev/null

# Who waits for one that is stopped.
mkfifo five
sh -c 'exec 3<>five; kill -STOP $$' &
first=$!
cat five >/dev/null &
second=$!
halted() {
    "$TONG" doctor 2>/dev/null | grep -q -e "^stopped .*: cat $second waits for sh $first, which is stopped"
}
check "doctor finds who waits for one that is stopped" until_true halted
kill -CONT $first
kill -9 $first $second 2>/dev/null
wait $first $second 2>/dev/null

# What a killed receiver left is named, what a living one has is not; nothing is removed, for others' leftovers may lie there.
"$TONG" recv "shm:$mark-dead" >/dev/null 2>&1 &
dead=$!
"$TONG" recv "shm:$mark-live" >/dev/null 2>&1 &
live=$!
both() {
    "$TONG" ls --kind channel --of $dead 2>/dev/null | grep -q -F "$mark-dead" &&
        "$TONG" ls --kind channel --of $live 2>/dev/null | grep -q -F "$mark-live"
}
check "ls shows a channel and its receiver" until_true both
check "and how far that is, and what it lost" sh -c '"$0" ls --kind channel --of '$live' --json 2>/dev/null | python3 -c "
import json, sys
(channel,) = [o for o in json.load(sys.stdin)[\"objects\"] if o[\"kind\"] == \"channel\"]
(end,) = channel[\"ends\"]
sys.exit(not (end[\"receives\"] and end[\"lost\"] == 0 and end[\"behind\"] == 0))"' "$TONG"
kill -9 $dead
wait $dead 2>/dev/null
"$TONG" gc >out 2>/dev/null
check "gc names what the dead left, and why" grep -q "^would remove shm:$mark-dead: .*died" out
check "gc leaves alone what a living one has" sh -c '! grep -q -F "$0-live" out' "$mark"
check "gc removes nothing by itself" test -e "/dev/shm/tong.$mark-dead"
kill $live
wait $live 2>/dev/null
"$TONG" rm "shm:$mark-dead" "shm:$mark-live"
rm -f out err
finish
