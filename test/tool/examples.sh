#!/bin/sh
# SPDX-License-Identifier: MIT
# examples.sh TONG BUILT SOURCE DOOMED: what the examples promise beyond the output that their README.md shows, which
# tutorial.py compares: what is lost and what is not, that no object of anybody else is touched, that nothing stays
# behind when a child is killed, and that each is built as it says itself.
. "${0%/*}/shell.sh"

built=$(cd "$OLDPWD" && readlink -f "$2")
source=$(cd "$OLDPWD" && readlink -f "$3")
doomed=$(cd "$OLDPWD" && readlink -f "$4")
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

# kill_child NUMBER WHERE PROGRAM...: the child of that number is killed there, by doomed.c; in the background, because
# those who wait for the dead wait for seconds.
kill_child() {
    number=$1 where=$2
    shift 2
    runs=$((runs + 1))
    echo "$where of child $number: $*" >"killed.$runs"
    (
        cd "$built" || exit
        timeout $limit env LD_PRELOAD="$doomed" DOOMED="$number" DOOMED_IN="$where" \
            ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0" "./$@" >/dev/null 2>&1
        echo $? >"$directory/code.$runs"
    ) &
}

# a key for the next of them
another() {
    echo $((key + 4194304 * (runs + 1)))
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

runs=0
for program in global pipe siblings two_pipes sigint server; do
    kill_child 1 fork raw/$program
    kill_child 1 fork $program
done
kill_child 1 fork raw/file "$directory/killed-raw"
kill_child 1 fork file "$directory/killed"
for program in queue_types queue_both_ways; do
    kill_child 1 fork raw/$program "$(another)"
    kill_child 1 fork $program "msgq:$(another)"
done
kill_child 1 fork raw/turns "$(another)"
kill_child 1 fork turns "sysvsem:$(another)"
kill_child 2 fork raw/siblings
kill_child 2 fork siblings
kill_child 1 fork filters
kill_child 2 fork filters
kill_child 3 fork filters
kill_child 1 fork workers 10000 "msgq:$(another)"
kill_child 1 fork models "sysvsem:$(another)"
kill_child 2 fork models "sysvsem:$(another)"
# of three children each: the first without a lock, those with one semaphore, those with a set
for number in 1 4 6 7; do
    kill_child $number fork raw/counter 3 "$(another)"
    kill_child $number fork counter 3 "sysvsem:$(another)"
done
# as it holds the semaphore: SEM_UNDO
kill_child 4 sched_yield raw/counter 3 "$(another)"
kill_child 4 sched_yield counter 3 "sysvsem:$(another)"
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

wait
for run in $(seq $runs); do
    code=$(cat "code.$run")
    check "$(cat "killed.$run"): ends with 1 ($code)" [ "$code" = 1 ]
done
rm -f code.* killed.[0-9]*
left=$(awk -v key="$key" 'FNR > 1 && $1 >= key && ($1 - key) % 4194304 == 0 && $1 - key <= '$runs' * 4194304 {
    print FILENAME, $1 }' /proc/sysvipc/msg /proc/sysvipc/sem /proc/sysvipc/shm)
check "no queue, semaphore or memory is left: $left" [ -z "$left" ]
check "no file is left" [ -z "$(ls "$directory")" ]
finish
