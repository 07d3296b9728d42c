/* SPDX-License-Identifier: MIT */
/*
 * tong pipe: two programs with an anonymous pipe between them, or one each way.
 *
 * Every process keeps only the ends it uses: as long as anybody holds a sending end, its reader never sees the
 * end.  The ends in our hands are close-on-exec, so dup2(2) alone decides what a program gets.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "program.h"
#include "report.h"
#include "tong/channel.h"

struct settings {
    bool both;
    const char *sep;
};

static const struct option_row options[] = {
    FLAG(both, "a second pipe from the consumer's output to the producer's input"),
    VALUE(sep, TAKES_TEXT, "STR", "what stands between the programs, when -- is an argument of one"),
    OPTIONS_LAST,
};

/* A program and the descriptors that become its standard input and output; -1: ours stay. */
struct program {
    char **argv;
    int in, out;
};

static int open_pipe(tong_channel *ends[2], int *ret_out, int *ret_in)
{
    int r = tong_channel_pair("pipe:?frame=none", TONG_SEND, ends);
    if (r == 0)
        r = *ret_out = tong_channel_descriptor(ends[0], TONG_SEND);
    if (r >= 0)
        r = *ret_in = tong_channel_descriptor(ends[1], TONG_RECEIVE);
    return r < 0 ? r : 0;
}

/* In the child; does not return. */
static void execute(const struct program *program)
{
    if ((program->in >= 0 && dup2(program->in, STDIN_FILENO) < 0) ||
        (program->out >= 0 && dup2(program->out, STDOUT_FILENO) < 0)) {
        fail_system(-errno, "dup2");
        _exit(CODE_OWN_FAILURE);
    }
    _exit(program_execute(program->argv));
}

static int run_both(const struct program *programs, tong_channel *ends[4])
{
    pid_t pids[PROGRAMS_MAX];
    int started = 0, code = 0;
    for (; started < PROGRAMS_MAX && (code = program_fork(&pids[started])) == 0; started++)
        if (pids[started] == 0)
            execute(&programs[started]);
    for (int i = 0; i < 4; i++)
        tong_channel_close(ends[i]);
    int last = program_wait(pids, (size_t)started);
    return code ? code : last;
}

/* The programs' words, cut in place at the separator: *ret_consumer gets the second program. */
static int split(int count, char **argv, const char *separator, char ***ret_consumer)
{
    int at = 0;
    while (at < count && strcmp(argv[at], separator))
        at++;
    if (at == 0 || at + 1 >= count)
        return fail_usage("two programs are needed with '%s' between them: tong pipe -- PRODUCER... %s CONSUMER...",
                          separator, separator);
    argv[at] = NULL;
    *ret_consumer = argv + at + 1;
    return 0;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { false, "--" };
    struct program programs[PROGRAMS_MAX] = { { argv, -1, -1 }, { NULL, -1, -1 } };
    struct program *producer = &programs[0], *consumer = &programs[1];
    tong_channel *ends[4] = { NULL, NULL, NULL, NULL };
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if ((code = split(count, argv, set.sep, &consumer->argv)))
        return code;
    int r = open_pipe(ends, &producer->out, &consumer->in);
    if (r == 0 && set.both)
        r = open_pipe(ends + 2, &consumer->out, &producer->in);
    if (r < 0) {
        fail_library(r, NULL);
        return CODE_OWN_FAILURE;
    }
    return run_both(programs, ends);
}

const struct command cmd_pipe = {
    "pipe", "Start here", "run two programs with an anonymous pipe between them, or one each way",
    "[--both] [--sep STR] -- PRODUCER... -- CONSUMER...",
    "The consumer sees the end when the producer has ended; tong pipe waits for both.",
    "tong pipe -- seq 1 100 -- wc -l\n"
    "tong pipe --both -- sh -c 'echo 6; read x; echo $x >&2' -- sh -c 'read y; echo $((y * 7))'\n"
    "tong pipe --sep ++ -- ls -d -- / /tmp ++ wc -l",
    options, 1, -1, 1, run,
};
