/* SPDX-License-Identifier: MIT */
/*
 * tong completion: the script that a shell loads to complete the words of a command line.
 *
 * The scripts know no verb, option or mechanism: they ask `tong complete` (cmd_complete.c), which reads the same
 * tables as --help.  What is theirs is what differs between shells: how words are split and how a choice is offered.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "report.h"

/*
 * bash splits words at ':' and '=' too: they are put together again along the line, and what it wants is what stands
 * behind the last of these, unless the word is quoted, and written as the shell would read it.
 */
static const char bash_script[] =
    "# bash completion for tong, printed by `tong completion bash`\n"
    "_tong_unquote()\n"
    "{\n"
    "    local rest=$1 quote= letter\n"
    "    plain=\n"
    "    while [[ $rest ]]; do\n"
    "        letter=${rest:0:1} rest=${rest:1}\n"
    "        case $quote$letter in\n"
    "        \\\\ | '\"\\') plain+=${rest:0:1} rest=${rest:1} ;;\n"
    "        \\' | '\"') quote=$letter ;;\n"
    "        \"''\" | '\"\"') quote= ;;\n"
    "        *) plain+=$letter ;;\n"
    "        esac\n"
    "    done\n"
    "}\n"
    "_tong_quote()\n"
    "{\n"
    "    case $1 in\n"
    "    \\'*) reply=${reply//\\'/\"'\\\\''\"} ;;\n"
    "    '\"'*) reply=${reply//\\\\/\\\\\\\\} reply=${reply//'\"'/\\\\\\\"} reply=${reply//'$'/\\\\$} reply=${reply//'`'/\\\\\\`} ;;\n"
    "    *) [[ ! $reply ]] || printf -v reply %q \"$reply\" ;;\n"
    "    esac\n"
    "}\n"
    "_tong()\n"
    "{\n"
    "    local line=${COMP_LINE:0:COMP_POINT} piece typed plain reply front= IFS=$' \\t\\n'\n"
    "    local -a raw words\n"
    "    for piece in \"${COMP_WORDS[@]}\"; do\n"
    "        [[ $line ]] || break\n"
    "        if [[ ${#raw[@]} = 0 || $line == [[:space:]]* ]]; then\n"
    "            line=${line#\"${line%%[![:space:]]*}\"}\n"
    "            raw+=('')\n"
    "        fi\n"
    "        [[ $line == \"$piece\"* ]] || piece=$line\n"
    "        raw[${#raw[@]}-1]+=$piece\n"
    "        line=${line#\"$piece\"}\n"
    "    done\n"
    "    [[ ! $line ]] || raw+=('')\n"
    "    for piece in \"${raw[@]:1}\"; do\n"
    "        _tong_unquote \"$piece\"\n"
    "        words+=(\"$plain\")\n"
    "    done\n"
    "    typed=${raw[${#raw[@]}-1]}\n"
    "    [[ $typed == [\\\"\\']* || $plain != *[:=]* ]] || front=${plain%\"${plain##*[:=]}\"}\n"
    "    COMPREPLY=()\n"
    "    while IFS=$'\\t' read -r reply _; do\n"
    "        reply=${reply#\"$front\"}\n"
    "        _tong_quote \"$typed\"\n"
    "        COMPREPLY+=(\"$reply\")\n"
    "    done < <(\"$1\" complete -- \"${words[@]}\" 2>/dev/null)\n"
    "    [[ ${COMPREPLY[0]} != *[:/=] ]] || compopt -o nospace 2>/dev/null\n"
    "}\n"
    "complete -F _tong tong\n";

static const char zsh_script[] =
    "#compdef tong\n"
    "# zsh completion for tong, printed by `tong completion zsh`\n"
    "_tong() {\n"
    "    local line\n"
    "    local -a names shown more more_shown\n"
    "    for line in \"${(@f)$(\"${(Q)words[1]}\" complete -- \"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}\"; do\n"
    "        [[ -n $line ]] || continue\n"
    "        if [[ ${line%%$'\\t'*} == *[:/=] ]]; then\n"
    "            more+=(\"${line%%$'\\t'*}\")\n"
    "            more_shown+=(\"${line/$'\\t'/  -- }\")\n"
    "        else\n"
    "            names+=(\"${line%%$'\\t'*}\")\n"
    "            shown+=(\"${line/$'\\t'/  -- }\")\n"
    "        fi\n"
    "    done\n"
    "    compadd -l -d shown -a names\n"
    "    compadd -l -S '' -d more_shown -a more\n"
    "}\n"
    "if [[ ${funcstack[1]} == _tong ]]; then\n"
    "    _tong \"$@\"\n"
    "elif (( $+functions[compdef] )); then\n"
    "    compdef _tong tong\n"
    "fi\n";

static const char fish_script[] =
    "# fish completion for tong, printed by `tong completion fish`\n"
    "function __tong_complete\n"
    "    set -l words (commandline -opc)\n"
    "    set -l word (commandline -ct | string trim --chars \"\\\"'\")\n"
    "    $words[1] complete -- $words[2..-1] \"$word\" 2>/dev/null\n"
    "end\n"
    "complete -c tong -f -a '(__tong_complete)'\n";

static const struct { const char *shell, *script; } scripts[] = {
    { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script },
};

static const struct option_row options[] = { OPTIONS_LAST };

static int run(const struct command *self, int argc, char **argv)
{
    int count, code = options_read(self, argc, argv, NULL, &count);
    if (code != OPTIONS_GO)
        return code;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        if (!strcmp(scripts[i].shell, argv[0])) {
            fputs(scripts[i].script, stdout);
            return CODE_DONE;
        }
    return fail_usage("'%s': there is completion for bash, zsh and fish", argv[0]);
}

const struct command cmd_completion = {
    "completion", "Other", "print the script that completes words in bash, zsh or fish", "bash|zsh|fish",
    "Installed with tong where these shells look for it.  For this shell only: source it.  It completes verbs,\n"
    "options, schemes, names that are paths, and the options of an address behind its '?'.",
    "tong completion bash >~/.tong-completion; . ~/.tong-completion", options, 1, 1, 0, run,
};
