/* SPDX-License-Identifier: MIT */
/*
 * tong send: arguments or standard input as messages.
 *
 * The channel is closed, and the end so told to the receiver, only when everything was sent: a send that fails
 * or is killed must look to the receiver like the death of its sender, never like the end of the message.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "side.h"
#include "report.h"
#include "stop.h"
#include "text.h"

#define CHUNK (64 * 1024)

struct settings {
    bool lines, listen, connect;
    int64_t type, timeout, wait;
};

static const struct option_row options[] = {
    FLAG(lines, "each line of standard input is one message"),
    VALUE(type, TAKES_NUMBER, "N", "type of the messages (msgq: decides who receives)"),
    VALUE(timeout, TAKES_DURATION, "T", "give up when one message finds no room for so long"),
    VALUE(wait, TAKES_DURATION, "T", "wait so long for somebody at the other end"),
    FLAG(listen, "be the server: wait for a client and send to it"),
    FLAG(connect, "be the client (this is what send does by itself)"),
    OPTIONS_LAST,
};

struct sending {
    struct settings set;
    struct side side;
    tong_message message;
    uint64_t count; /* of messages sent */
};

/* Once `size` bytes are gone, 0; else an exit code, having said which message it was. */
static int send_one(struct sending *x, const void *data, size_t size)
{
    int r;
    do
        r = tong_channel_send(x->side.channel, data, size, &x->message, x->set.timeout);
    while (r == -EINTR);
    x->count++;
    if (r == 0)
        return 0;
    char what[48];
    snprintf(what, sizeof what, "message %llu", (unsigned long long)x->count);
    return fail_library(r, what);
}

static int send_arguments(struct sending *x, int count, char **messages)
{
    int code = 0;
    for (int i = 0; i < count && code == 0; i++)
        code = send_one(x, messages[i], strlen(messages[i]));
    return code;
}

/* More bytes of standard input behind those in `text`, at most `limit`: a count, 0 at the end, negative errno. */
static ssize_t read_more(struct text *text, size_t limit)
{
    text_reserve(text, limit);
    ssize_t size;
    do
        size = read(STDIN_FILENO, text->data + text->used, limit);
    while (size < 0 && errno == EINTR);
    if (size > 0)
        text->used += (size_t)size;
    return size < 0 ? -errno : size;
}

static int send_chunks(struct sending *x, size_t largest, struct text *text)
{
    for (;;) {
        text->used = 0;
        ssize_t size = read_more(text, largest < CHUNK ? largest : CHUNK);
        if (size < 0)
            return fail_system((int)size, "standard input");
        if (size == 0)
            return 0;
        int code = send_one(x, text->data, (size_t)size);
        if (code)
            return code;
    }
}

/* Sends the whole lines in `text` and moves the rest to its front. */
static int send_whole_lines(struct sending *x, struct text *text)
{
    size_t start = 0;
    const char *newline;
    while ((newline = memchr(text->data + start, '\n', text->used - start))) {
        size_t size = (size_t)(newline - text->data) - start;
        int code = send_one(x, text->data + start, size);
        if (code)
            return code;
        start += size + 1;
    }
    memmove(text->data, text->data + start, text->used - start);
    text->used -= start;
    return 0;
}

/* A line that is longer than any message is handed on as far as it was read, for the library to name the limit. */
static int send_lines(struct sending *x, size_t largest, struct text *text)
{
    for (;;) {
        ssize_t size = read_more(text, CHUNK);
        if (size < 0)
            return fail_system((int)size, "standard input");
        int code = size ? send_whole_lines(x, text) : 0;
        if (code)
            return code;
        if (text->used > largest || (size == 0 && text->used))
            code = send_one(x, text->data, text->used);
        if (code || size == 0)
            return code;
    }
}

static int send_input(struct sending *x)
{
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
        say("type what to send; Ctrl-D ends");
    size_t largest = x->side.info.largest < SIZE_MAX / 2 ? (size_t)x->side.info.largest : SIZE_MAX / 2;
    struct text text = TEXT_INIT;
    int code = x->set.lines ? send_lines(x, largest, &text) : send_chunks(x, largest ? largest : CHUNK, &text);
    text_free(&text);
    if (code == 0 && x->side.info.flags & TONG_INFO_ENDLESS)
        code = send_one(x, NULL, 0);
    return code;
}

/* A type that would not arrive must not be dropped in silence: plain bytes have no place for one. */
static int check_type(const struct sending *x)
{
    if (x->set.type == 0 || side_carries_types(&x->side))
        return 0;
    say("%s: carries plain bytes, so the type %lld would be lost", x->side.info.object, (long long)x->set.type);
    return CODE_USAGE;
}

static int finish(struct sending *x)
{
    int r = 0;
    if (!(x->side.info.flags & TONG_INFO_ENDLESS))
        do
            r = tong_channel_finish(x->side.channel, x->set.timeout);
        while (r == -EINTR);
    if (r < 0 && r != -EOPNOTSUPP)
        return fail_library(r, "the end");
    return side_close(&x->side);
}

static int run(const struct command *self, int argc, char **argv)
{
    static struct sending x = { .set = { .timeout = TONG_FOREVER, .wait = NOT_GIVEN }, .message = TONG_MESSAGE_INIT };
    int count, code = options_read(self, argc, argv, &x.set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (x.set.listen && x.set.connect)
        return fail_usage("--listen and --connect exclude each other");
    if (x.set.lines && count > 1)
        return fail_usage("--lines reads standard input, but messages were given too");
    x.message.type = x.set.type;
    struct side_request request = { argv[0], TONG_SEND, x.set.listen, x.set.listen || x.set.connect, false,
                                    x.set.wait, TONG_FOREVER };
    stop_catch();
    code = side_open(&request, &x.side);
    if (code || stop_asked()) {
        side_abandon(&x.side);
        return stop_end(code);
    }
    stop_release();
    if ((code = check_type(&x))) {
        side_close(&x.side);
        return code;
    }
    code = count > 1 ? send_arguments(&x, count - 1, argv + 1) : send_input(&x);
    return code ? code : finish(&x);
}

const struct command cmd_send = {
    "send", "Start here", "send messages: arguments, lines, or standard input as it is", "ADDRESS [MESSAGE...]",
    "Each MESSAGE is one message.  Without any, standard input is sent in pieces of up to 64 KiB\n"
    "and then the end is told; where the mechanism knows none (queues, datagrams) by an empty message.\n"
    "Without a peer: waits on a terminal and says so, else exits with 6 unless --wait is given.",
    "tong send msgq:1234 --type 2 hello; tong recv msgq:1234 -n 1; tong rm msgq:1234",
    options, 1, -1, 0, run,
};
