#!/bin/sh
# SPDX-License-Identifier: MIT
# Regions and locks from the command line, and beside programs that never heard of tong: Python, flock, ipcs, cp.
. "${0%/*}/shell.sh"

says() {
    [ "$("$TONG" region read "$@")" = "$words" ]
}

# refuses NAME CODE PATTERN COMMAND...: as expect, while the object that it is about is there.
refuses() {
    name=$1 code=$2 pattern=$3
    shift 3
    timeout 60 "$@" >out 2>err
    got=$?
    if [ $got != "$code" ] || [ -s out ] || [ "$(wc -l <err)" != 1 ] || ! grep -q -e "$pattern" err; then
        fail "$name" "exit code $got where $code was due, with '$pattern': $(cat err out)"
    else
        pass "$name"
    fi
    rm -f out err
}

# The same for every mechanism that has a name.
for address in "shm:$mark" "mmap:$directory/map" "sysvshm:$key"; do
    expect "$address: nothing there yet" 6 'size=' "$TONG" region write "$address" hello
    "$TONG" region create "$address" --size 4K 2>err
    check "$address: made, and said so" grep -q 'made .*4096 bytes' err
    "$TONG" region write "$address" hello --text
    words=hello
    check "$address: what was written is read" says "$address" --text
    check "$address: raw, it is all of its bytes" test "$("$TONG" region read "$address" | wc -c)" = 4096
    printf 'from a pipe' | "$TONG" region write "$address" --at 4085 --lock
    words='from a pipe'
    check "$address: at an offset" says "$address" --at 4085 --lock
    words=pipe
    check "$address: some of it" says "$address" --at 4092 --size 4
    refuses "$address: too long, so nothing of it" 7 '4096 bytes' "$TONG" region write "$address" XXXX --at 4093
    printf '%5000s' x >long
    refuses "$address: input that is too long" 7 '4096 bytes' sh -c '"$0" region write "$1" <long' "$TONG" "$address"
    rm -f long
    words='from a pipe'
    check "$address: nothing of it was written" says "$address" --at 4085
    refuses "$address: beyond the end" 7 '4096 bytes' "$TONG" region read "$address" --at 4000 --size 97
    refuses "$address: larger than it is" 7 '4096 bytes' "$TONG" region create "$address" --size 8K
    refuses "$address: there already" 1 'excl' "$TONG" region create "$address" --size 4K --excl
    check "$address: described" sh -c '"$0" region info "$1" | grep -q "size *4096 bytes"' "$TONG" "$address"
    check "$address: as JSON" sh -c '"$0" region info --json "$1" | grep -q "\"bytes\":4096,\"page\""' "$TONG" "$address"
    "$TONG" lock "$address" -- "$TONG" region info "$address" >out
    check "$address: who holds the lock is shown" grep -q 'lock *process [1-9]' out
    "$TONG" rm "$address"
    expect "$address: removed" 6 '' "$TONG" region read "$address"
done

expect "a region without a name would be gone at once" 2 'no name' "$TONG" region create memfd: --size 4K
expect "a label is no name" 2 'no name' "$TONG" region create "memfd:$mark" --size 4K
expect "a size said twice" 2 'size= already' "$TONG" region create "shm:$mark?size=4K" --size 8K
expect "a nonsense size" 2 'huge' "$TONG" region create "shm:$mark" --size huge
expect "a region that a pipe is not" 2 'not a region' "$TONG" region read "fifo:$directory/f"
expect "no verb under region" 2 'paint' "$TONG" region paint "shm:$mark"
printf 'in a file' >plain
"$TONG" region read fd:7 --size 2 7<plain >out
check "a descriptor is a region" test "$(cat out)" = in
expect "a descriptor for reading is not written" 6 'reading only' sh -c '"$0" region write fd:7 x 7<plain' "$TONG"
"$TONG" region write "mmap:$directory/plain" IN
check "any file is a region" test "$(cat plain)" = 'IN a file'
rm -f plain out err

# What a lock makes is said, once, as everywhere.
for address in "file:$directory/lock" "shm:$mark-lock" "mmap:$directory/lock" "sysvsem:$key"; do
    "$TONG" lock "$address" -- true 2>err
    check "$address: what the lock made is said" test "$(grep -c "^tong lock: made ${address%%:*}:" err)" = 1
    "$TONG" lock "$address" -- true 2>err
    check "$address: and nothing when it is there" test ! -s err
    "$TONG" rm "$address"
done
rm -f err

# Programs under a lock.
for address in "file:$directory/lock" "shm:$mark" "mmap:$directory/lock" "sysvshm:$key" "sysvsem:$key"; do
    "$TONG" lock "$address" -- sh -c 'exit 7' 2>/dev/null
    check "$address: the program's status" test $? = 7
    "$TONG" lock "$address" sh -c 'kill -9 $$' 2>/dev/null
    check "$address: the program's death" test $? = 137
    "$TONG" lock "$address" /nowhere/at/all 2>/dev/null
    check "$address: no such program" test $? = 127
    "$TONG" lock "$address" -- sh -c 'echo $$ >ready; exec sleep 300' &
    holder=$!
    until_true test -s ready
    refuses "$address: it is held" 124 'lock' "$TONG" lock "$address" --timeout 0 -- true
    refuses "$address: still, after a while" 124 'lock' "$TONG" lock "$address" --timeout 50ms -- true
    kill -9 $holder
    wait $holder 2>/dev/null
    case $address in
    sysv*) ;; # tong became the program
    *)
        refuses "$address: tong is dead, the program runs and holds it" 124 'lock' "$TONG" lock "$address" --timeout 50ms -- true
        kill -9 "$(cat ready)"
        ;;
    esac
    check "$address: the holder is dead, the next has it" "$TONG" lock "$address" --timeout 5s -- true
    rm -f ready
    "$TONG" rm "$address"
done

# A program that closes what it does not know (ssh and sudo do) does not let go of the lock.
"$TONG" lock "file:$directory/lock" -- sh -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; echo $$ >ready; exec sleep 300' 2>/dev/null &
holder=$!
until_true test -s ready
refuses "held by tong too" 124 'lock' "$TONG" lock "file:$directory/lock" --timeout 0 -- true
kill $holder
wait $holder
check "a signal for tong is for the program" test $? = 143
rm -f ready

# Stopped and continued, as by Ctrl-Z and fg: the wait goes on, and ends when it was to end.
"$TONG" lock "sysvsem:$key" -- sh -c 'echo $$ >ready; exec sleep 300' &
holder=$!
until_true test -s ready
stopped_wait() {
    started=$(date +%s%N)
    "$TONG" lock "sysvsem:$key" --timeout 2s -- true 2>/dev/null &
    waiter=$!
    sleep 1.6
    kill -STOP $waiter
    kill -CONT $waiter
    wait $waiter
    [ $? = 124 ] && [ $((($(date +%s%N) - started) / 1000000)) -lt 3100 ]
}
check "a wait that was stopped ends in time" once_in_five stopped_wait
kill -9 $holder
wait $holder 2>/dev/null
rm -f ready
"$TONG" rm "sysvsem:$key"

expect "a lock that a pipe has not" 2 'not a lock' "$TONG" lock "fifo:$directory/f" -- true
expect "why a semaphore is no lock" 2 'dead\|died' "$TONG" lock "sem:/$mark" -- true
expect "a lock without a program" 2 'missing' "$TONG" lock "file:$directory/lock"

if have flock; then
    flock lock sh -c 'echo $$ >ready; exec sleep 300' &
    holder=$!
    until_true test -s ready
    refuses "flock holds what tong wants" 124 'lock' "$TONG" lock "file:$directory/lock" --timeout 0 -- true
    kill "$(cat ready)"
    wait $holder 2>/dev/null
    "$TONG" lock "file:$directory/lock" -- flock -n lock true
    check "tong holds what flock wants" test $? = 1
    rm -f ready
else
    skip "flock" "it is not installed"
fi
rm -f lock

if have ipcs; then
    "$TONG" region create "sysvshm:$key?mode=0640" --size 4K 2>/dev/null
    check "ipcs shows the segment" sh -c 'ipcs -m | grep -qi "$(printf %08x "$0").* 640 *4096"' "$key"
    "$TONG" rm "sysvshm:$key"
else
    skip "ipcs" "it is not installed"
fi

if have python3; then
    "$TONG" region create "shm:$mark" --size 4K 2>/dev/null
    "$TONG" region write "shm:$mark" 'from tong'
    # Attaching alone makes some versions of its resource tracker unlink the name at the end.
    python3 - "$mark" >out <<'EOF'
import sys
from multiprocessing import resource_tracker, shared_memory
memory = shared_memory.SharedMemory(sys.argv[1])
resource_tracker.unregister(memory._name, "shared_memory")
print(bytes(memory.buf[:9]).decode())
memory.buf[100:111] = b"from Python"
memory.close()
EOF
    check "Python's shared_memory reads what tong wrote" test "$(cat out)" = 'from tong'
    words='from Python'
    check "tong reads what Python's shared_memory wrote" says "shm:$mark" --at 100 --text
    "$TONG" rm "shm:$mark"
    python3 - "$mark" <<'EOF'
import sys
from multiprocessing import resource_tracker, shared_memory
memory = shared_memory.SharedMemory(sys.argv[1], create=True, size=5000)
resource_tracker.unregister(memory._name, "shared_memory")
memory.buf[:5] = b"maker"
memory.close()
EOF
    words=maker
    check "tong reads a region that Python made" says "shm:$mark" --text
    "$TONG" rm "shm:$mark"
    "$TONG" region create "mmap:$directory/map" --size 4K 2>/dev/null
    python3 - map <<'EOF'
import mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
    memory[:4] = b"mmap"
EOF
    words=mmap
    check "tong reads what Python's mmap wrote" says "mmap:$directory/map" --text
    "$TONG" rm "mmap:$directory/map"
else
    skip "Python" "python3 is not installed"
fi
rm -f out err
finish
