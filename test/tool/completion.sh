#!/bin/sh
# SPDX-License-Identifier: MIT
# Completion: what the tables offer, and the scripts of the three shells around it.
. "${0%/*}/shell.sh"

PATH=$directory/bin:$PATH
mkdir bin sub
ln -s "$TONG" bin/tong
: >sub/name

# offered NAME WANTED WORD...: the candidates for the last word are these, and no others.
offered() {
    name=$1 wanted=$2
    shift 2
    got=$("$TONG" complete -- "$@" | cut -f1 | tr '\n' ' ')
    if [ "$got" = "$wanted" ]; then pass "$name"; else fail "$name" "'$got' where '$wanted' was due"; fi
}

offered "a verb" "explain " ex
offered "an option" "--timeout " send --ti
offered "no option behind --" "" send -- --ti
offered "the value of an option" "1 2 " talk --as ""
offered "and in one word" "--as=1 --as=2 " talk --as=
offered "a scheme" "fifo: " send --type 7 fif
offered "the second address too" "fifo: " relay msgq:1 fif
offered "no address where messages follow" "" send fifo:/tmp/f fif
offered "every further address where many may stand" "fifo: " rm fifo:/tmp/a fif
offered "a path behind its scheme" "fifo:sub/name " send fifo:sub/
offered "a directory goes on" "fifo:sub/ " send fifo:s
offered "an option of the address" "fifo:x?frame= " send "fifo:x?fr"
offered "its values" "fifo:x?size=1&frame=line " send "fifo:x?size=1&frame=l"
offered "the verbs to be helped with" "relay " help rela
offered "a signal" "USR1 " signal send 1 USR1
offered "a verb under a verb" "wait " sem wa
offered "an address of what that verb takes" "sem: " sem wait sem
offered "a shell" "zsh " completion z
offered "nothing for what is no verb" "" nonsense ""

mkdir odd
(cd odd && : >'a b' && : >'a?q' && : >"it's" && : >'x%41' && : >'c&d' && : >'e:f' && : >'h"q' && : >'k,l' && mkdir 'sp %dir' &&
    : >'sp %dir/in')
offered "a name in an address as an address has it" "fifo:odd/a%3fq " send 'fifo:odd/a%3'
offered "a percent sign too" "fifo:odd/x%2541 " send fifo:odd/x
offered "and a comma" "fifo:odd/k%2cl " send fifo:odd/k
offered "a file as it is" "odd/a b odd/a?q " demo odd/a
offered "what lies in a directory that is written so" "fifo:odd/sp %25dir/in " send 'fifo:odd/sp %25dir/'
offered "a file in this directory" "odd/ " demo od
check "and every one by its name alone" sh -c "cd odd && ! '$TONG' complete -- demo '' | grep -q null"
for name in odd/*; do
    word=$("$TONG" complete -- send "fifo:${name%%[?%,]*}" | head -n 1)
    [ -d "$name" ] || expect "what is offered for $name can be opened" 1 'exists and is not' "$TONG" send "$word" hi
done

verbs=$("$TONG" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p' | sort)
check "every verb of the overview is offered" test "$("$TONG" complete -- "" | cut -f1 | sort)" = "$verbs"
for verb in $verbs; do
    options=$("$TONG" help "$verb" | sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p' | sort -u)
    [ -z "$options" ] ||
        check "every option of $verb" test "$("$TONG" complete -- "$verb" -- | cut -f1 | sort)" = "$options"
done

if have bash; then
    cat >drive.bash <<'END'
. <(tong completion bash)
drive() {
    COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _tong tong "" ""
    echo "${COMPREPLY[*]}"
}
drive "tong rel"
drive "tong send fif"
drive "tong send fifo:su"
drive "tong send fifo:sub/na"
drive "tong send fifo:x?frame=l"
drive "tong send 'fifo:x?frame=l"
drive "tong completion "
# As bash itself splits them: words, then the same in pieces.
pieces() {
    COMP_LINE=$1 COMP_POINT=${#1}
    shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _tong tong "" ""
    echo "${COMPREPLY[*]}"
}
pieces 'tong send fifo:odd/a\ ' tong send fifo : 'odd/a\ '
pieces 'tong send "fifo:odd/a ' tong send '"fifo:odd/a '
pieces 'tong send fifo:odd/it' tong send fifo : odd/it
pieces "tong send fifo:odd/it\\'" tong send fifo : "odd/it\\'"
pieces "tong send 'fifo:odd/it" tong send "'fifo:odd/it"
pieces 'tong send "fifo:odd/h' tong send '"fifo:odd/h'
pieces "tong send fifo:odd/c" tong send fifo : odd/c
pieces "tong send fifo:odd/e:" tong send fifo : odd/e :
pieces "tong send --timeout=3s fifo:x?frame=n" tong send --timeout = 3s fifo : 'x?frame' = n
pieces "tong   re" tong re
END
    bash drive.bash >out 2>err
    cat >wanted <<'END'
relay
fifo:
sub/
sub/name
line
fifo:x?frame=line
bash zsh fish
odd/a\ b
fifo:odd/a b
odd/it\'s
odd/it\'s
fifo:odd/it'\''s
fifo:odd/h\"q
odd/c\&d
f
none
recv relay region
END
    check "bash completes" diff wanted out
    check "without a word about it" test ! -s err
else
    skip "bash completes" "bash is not installed"
fi

if have zsh; then
    tong completion zsh >_tong
    check "zsh reads its script" zsh -n _tong
    cat >drive.zsh <<'END'
compdef() { :; }
compadd() { local -a offered; [[ $* == *"-a names" ]] && print -r -- $names; [[ $* == *"-a more" ]] && print -r -- $more; true }
. ./_tong
words=(tong send 'fifo:x\?frame=l') CURRENT=3
complete_it() { _tong }
complete_it
END
    check "and offers what it should" test "$(zsh -f drive.zsh 2>&1 | grep .)" = 'fifo:x?frame=line'
else
    skip "zsh reads its script" "zsh is not installed"
fi

if have fish; then
    tong completion fish >tong.fish
    check "fish reads its script" fish --no-execute tong.fish
    check "and offers what it should" test "$(HOME=$directory fish -c 'source tong.fish; complete -C "tong send fif"' | cut -f1)" = fifo:
else
    skip "fish reads its script" "fish is not installed"
fi

finish
