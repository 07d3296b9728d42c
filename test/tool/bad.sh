#!/bin/sh
# SPDX-License-Identifier: MIT
# Bad input: one clear line, the right exit code, nothing left behind.
. "${0%/*}/shell.sh"

long=$(printf '%0200d' 0)
endless=$(printf '%05000d' 0)

expect "no verb of that name" 2 'frobnicate' "$TONG" frobnicate
expect "no address at all" 2 'ADDRESS' "$TONG" send
expect "not an address" 2 'scheme:name' "$TONG" send nonsense hi
expect "no such mechanism" 2 'pigeon' "$TONG" send pigeon:/tmp/x hi
expect "an unknown option of the command" 2 'colour' "$TONG" send --colour red "fifo:$directory/f" hi
expect "an unknown option of the address" 2 'colour.*frame' "$TONG" send "fifo:$directory/f?colour=red" hi
expect "an option without a value" 2 'frame' "$TONG" send "fifo:$directory/f?frame" hi
expect "an option given twice" 2 'twice' "$TONG" send "fifo:$directory/f?frame=line&frame=none" hi
expect "a nonsense mode" 2 'mode' "$TONG" recv --timeout 1s "fifo:$directory/f?mode=rwx"
expect "a mode out of range" 2 'mode' "$TONG" recv --timeout 1s "fifo:$directory/f?mode=99999"
expect "a broken escape" 2 '%25' "$TONG" send "fifo:$directory/%zz" hi
expect "a nonsense duration" 2 'soon' "$TONG" recv --timeout soon "fifo:$directory/f"
expect "a nonsense count" 2 'many' "$TONG" recv -n many "fifo:$directory/f"
expect "a pipe has no name" 2 'pipe' "$TONG" send pipe: hi
expect "a socket's name too long" 2 'long\|107\|108' "$TONG" send "unix:$directory/$long" hi
expect "a path too long" 2 'long' "$TONG" send "fifo:/$endless" hi
expect "a directory that is not there" 6 'nowhere' "$TONG" recv --timeout 1s "fifo:$directory/nowhere/f"
expect "nobody listens on a socket" 6 'nobody\|No such' "$TONG" send "unix:$directory/s" hi
expect "a FIFO that is not there" 6 'receiver' "$TONG" send "fifo:$directory/f?create=no" hi
expect "remove what is not there" 6 'No such\|not there\|no \|does not exist' "$TONG" rm "fifo:$directory/f"
expect "remove what has no name" 2 'no name\|nothing to remove' "$TONG" rm pipe:
expect "a descriptor that is not open" 6 '77' "$TONG" send fd:77 hi

echo mine >file
expect "a file where a FIFO should be" 1 'exists and is not' "$TONG" send "fifo:$directory/file" hi
expect "a file where a socket should be" 1 'exists and is not' "$TONG" recv "unix:$directory/file"
expect "remove refuses what is of another kind" 1 'not a FIFO' "$TONG" rm "fifo:$directory/file"
check "the foreign file is untouched" test "$(cat file)" = mine

expect "types where there are none" 2 'msgq:' "$TONG" recv --type 3 "fifo:$directory/f"
expect "no client in time" 3 'client' "$TONG" recv --timeout 50ms "unix:$directory/s"

mkfifo f
expect "nobody comes in time" 3 'time' "$TONG" send --wait 50ms "fifo:$directory/f" hi
expect "nothing comes in time" 3 'time' "$TONG" recv --timeout 50ms "fifo:$directory/f"
expect "no sender comes in time" 3 'time' "$TONG" recv --wait 50ms "fifo:$directory/f"
rm f

if offers msgq:; then
    expect "a queue that is not there" 6 'create=no' "$TONG" recv "msgq:$key?create=no"
    expect "a nonsense key" 2 'msgq' "$TONG" send msgq:abc hi
    head -c 100000 /dev/zero | tr '\0' x >big
    "$TONG" send "msgq:$key" hello 2>/dev/null
    timeout 60 "$TONG" send --lines "msgq:$key" <big 2>err
    code=$?
    check "a message above the limit: code 2 or 1" test $code = 2 -o $code = 1
    check "a message above the limit: the limit is named" grep -q msgmax err
    check "a message above the limit: what was there stays" test "$("$TONG" recv -n 1 "msgq:$key")" = hello
    i=0
    head -c 8000 /dev/zero | tr '\0' x >piece
    while "$TONG" send --timeout 0 "msgq:$key" "$(cat piece)" 2>err && [ $i -lt 100 ]; do i=$((i + 1)); done
    "$TONG" send --timeout 0 "msgq:$key" "$(cat piece)" 2>err
    check "a full queue: exit code 7" test $? = 7
    check "a full queue: one line" test "$(wc -l <err)" = 1
    "$TONG" send --timeout 50ms "msgq:$key" "$(cat piece)" 2>err
    check "a full queue in vain: exit code 3" test $? = 3
    "$TONG" rm "msgq:$key"
    rm -f err big piece
else
    skip "queues" "there is no msgq:"
fi

# What takes the number of a closed standard descriptor must not get what is said there.
expect "a closed standard output is no pipe" 6 'fd:1' sh -c '"$0" send fd:1 hi >&-' "$TONG"
"$TONG" send "file:$directory/record" hi 2>&-
check "a closed standard error does not write into the file" test "$("$TONG" recv "file:$directory/record")" = hi
"$TONG" recv "file:$directory/record" >&- 2>err
check "a closed standard output is said" grep -q 'standard output' err
check "a closed standard output does not write into the file" test "$("$TONG" recv "file:$directory/record")" = hi
check "pipe with closed standard descriptors" \
    test "$( (exec <&- 2>&-; "$TONG" pipe -- echo hi -- cat) )" = hi
(exec <&- >&-; timeout 60 "$TONG" demo --only fifo 2>err)
check "demo with a closed standard output says so" test $? = 6
rm -f record err

# Root may do everything, so what is denied is tried as nobody.
mkdir closed
mkfifo closed/f
chmod 700 closed
if [ "$(id -u)" != 0 ]; then
    chmod 000 closed
    expect "no permission" 5 'denied' "$TONG" recv --timeout 1s "fifo:$directory/closed/f"
    chmod 700 closed
elif have setpriv; then
    # The command may stand where nobody else may go.
    cp "$TONG" /tmp/"$mark"
    chmod 755 /tmp/"$mark" "$directory"
    expect "no permission" 5 'denied' setpriv --reuid=65534 --regid=65534 --clear-groups \
        /tmp/"$mark" recv --timeout 1s "fifo:$directory/closed/f"
    rm -f /tmp/"$mark"
else
    skip "no permission" "this is root, and setpriv is not installed"
fi
rm -rf closed file

expect "a verb that is typed wrongly" 2 "did you mean 'relay'" "$TONG" realy
expect "a verb that is far from all" 2 "no verb 'xyz' (see" "$TONG" xyz

finish
