#!/bin/sh
# SPDX-License-Identifier: MIT
# examples.sh TONG BUILT SOURCE: what the examples promise beyond the output that their README.md shows, which
# tutorial.py compares: what is lost and what is not, that no object of anybody else is touched, that nothing stays
# behind when a child is killed, and that each is built as it says itself.
. "${0%/*}/shell.sh"

built=$(cd "$OLDPWD" && readlink -f "$2")
source=$(cd "$OLDPWD" && readlink -f "$3")
processes=${TONG_TEST_PROCESSES:-1000}
# a thousand under a sanitizer have a thousand shadows
limit=120

# objects KIND: how many objects of that kind (msg, sem, shm) have our key
objects() {
    awk -v key="$key" '$1 == key { count++ } END { print count + 0 }' "/proc/sysvipc/$1"
}

counted() {
    awk -v all="$((processes * 10))" '
        { for (i = 2; i <= NF; i++) value[$i] = $(i - 1); name = $1 }
        value["added,"] != all || value["counted,"] + value["lost"] != all { exit 1 }
        name == "no" ? value["lost"] <= 0 : value["lost"] != 0 { exit 1 }
        END { if (NR != 3) exit 1 }' "$1"
}

# kill_child PROGRAM NAME: a child is killed while the set of semaphores is there.
kill_child() {
    tries=0
    while [ $tries -lt 20 ]; do
        tries=$((tries + 1))
        timeout $limit "$built/$1" 300 "$2" >out 2>err &
        waiting=$!
        until [ "$(objects sem)" = 1 ] || ! kill -0 $waiting 2>/dev/null; do :; done
        program=$(cat "/proc/$waiting/task/$waiting/children" 2>/dev/null)
        victim=$(cut -d ' ' -f 1 "/proc/${program% }/task/${program% }/children" 2>/dev/null)
        kill -9 ${victim:-none} 2>/dev/null
        killed=$?
        wait $waiting
        [ $? = 1 ] && [ $killed = 0 ] && break
    done
    check "$1: a killed child is told ($tries tries)" [ $tries -lt 20 ]
    check "$1: and the set is removed all the same" [ "$(objects sem)" = 0 ]
}

# refuses NAME COMMAND...: exit code 1 and a line that says why
refuses() {
    who=$1
    shift
    timeout $limit "$@" >out 2>err
    code=$?
    if [ $code != 1 ]; then
        fail "$who refuses what is there" "exit code $code"
    else
        check "$who refuses what is there: $(cat err)" grep -q -e exist -e 'is not a FIFO' err
    fi
}

for program in "raw/counter $processes $key" "counter $processes sysvsem:$key"; do
    timeout $limit "$built"/$program >out 2>err
    check "$program: lost without a lock, and only there" counted out || cat out err
done

if [ -e /proc/self/task/$$/children ] || [ -e "/proc/$$/task/$$/children" ]; then
    kill_child raw/counter "$key"
    kill_child counter "sysvsem:$key"
else
    skip "a killed child" "this kernel does not list children in /proc"
fi

timeout $limit "$built/workers" 200000 "msgq:$key" >out 2>err
check "workers: 17984 primes, with one worker and with two" [ "$(grep -c ' 17984 primes below 200000 ' out)" = 2 ]

# An author who dies holds no lock afterwards, and leaves no half line.
for moment in 1 2 3 4 5 6 7 8; do
    timeout -s KILL 0.00$moment "$built/document" "mmap:$directory/notes" somebody 500 2>/dev/null
done
timeout $limit "$built/document" "mmap:$directory/notes" bob 3
timeout $limit "$built/document" "mmap:$directory/notes" >out
check "document: survives its authors" grep -q 'lines, numbered without a gap' out
check "document: the last three are there" [ "$(tail -c 1000000 notes | grep -ac ' bob$')" = 3 ]
rm -f notes

"$TONG" send "msgq:$key" mine 2>/dev/null
refuses "raw/queue_types" "$built/raw/queue_types" "$key"
refuses "raw/queue_both_ways" "$built/raw/queue_both_ways" "$key"
for program in queue_types queue_both_ways; do
    refuses $program "$built/$program" "msgq:$key"
done
refuses workers "$built/workers" 1000 "msgq:$key"
check "and the queue is as it was" [ "$("$TONG" recv -n 1 "msgq:$key")" = mine ]
"$TONG" rm "msgq:$key"

"$TONG" sem create "sysvsem:$key?value=3" 2>/dev/null
refuses raw/turns "$built/raw/turns" "$key"
refuses raw/counter "$built/raw/counter" 3 "$key"
refuses turns "$built/turns" "sysvsem:$key"
refuses counter "$built/counter" 3 "sysvsem:$key"
refuses models "$built/models" "sysvsem:$key"
check "and the set is still there" [ "$(objects sem)" = 1 ]
"$TONG" rm "sysvsem:$key"

echo mine >file
refuses raw/file "$built/raw/file" file
refuses file "$built/file" file
refuses raw/fifo "$built/raw/fifo" file text
refuses fifo "$built/fifo" fifo:file text
check "and the file is as it was" [ "$(cat file)" = mine ]

for usage in "counter 0" "raw/counter none" fifo "raw/fifo" "document" "document mmap:x ann"; do
    timeout $limit "$built"/$usage >out 2>err
    code=$?
    check "$usage: says how it is used" [ $code = 2 -a -s err ]
done
rm -f file out err

# Each file says how it is built and stands in the list, and every compiler agrees.
for example in "$source"/*.c "$source"/raw/*.c; do
    path=${example#"$source/"}
    base=${path##*/}
    case $path in raw/*) flags= ;; *) flags=" \$(pkg-config --cflags --libs tong)" ;; esac
    check "$path says how it is built" grep -qxF " * Build: cc $base -o ${base%.c}$flags" "$example"
    check "$path is in README.md" grep -q "($path)" "$source/README.md"
    for compiler in gcc clang; do
        have $compiler || continue
        check "$path with $compiler" $compiler -fsyntax-only -Wall -Wextra -Werror -I "$source/../include" "$example"
    done
done

check "no semaphores or memory are left" [ "$(objects sem) $(objects shm)" = "0 0" ]
finish
