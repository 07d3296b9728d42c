/* SPDX-License-Identifier: MIT */
/*
 * tong talk: two terminals, line by line, both ways at once.
 *
 * One loop polls standard input and the channel.  A line that finds no room waits here and nothing more is
 * read meanwhile, while what the other side says still comes in: so two who talk at once cannot block each other.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "command.h"
#include "side.h"
#include "report.h"
#include "stop.h"
#include "text.h"

#define PIECE 4096
#define ROOM (64 * 1024)
#define DRAIN (2 * TONG_SECOND)
#define DRAIN_STEP_MS 5

struct settings {
    int64_t as, wait;
};

static const struct option_row options[] = {
    VALUE(as, TAKES_COUNT, "1|2", "which of the two to be on a message queue (1: made the queue)"),
    VALUE(wait, TAKES_DURATION, "T", "wait so long for the other side (on a queue it cannot be seen)"),
    OPTIONS_LAST,
};

struct talk {
    struct settings set;
    struct side side;
    tong_message out;        /* the type that our lines carry */
    struct text typed;       /* read from standard input, not yet sent */
    struct text heard;       /* the buffer for one message */
    bool typing;             /* standard input has not ended */
    bool told;               /* the other side knows that we ended */
    bool blocked;            /* the line in front of `typed` found no room */
    bool over;               /* the other side ended */
};

/* ---- Meeting ------------------------------------------------------------------------------------------- */

/* On one queue types tell the directions apart: who sends type 1 receives type 2. */
static int take_sides(struct talk *x)
{
    bool made = x->side.info.flags & TONG_INFO_CREATED;
    int64_t self = x->set.as ? x->set.as : made ? 1 : 2;
    if (!x->set.as && !made)
        say("%s was there already: talking as 2 (--as 1 if the other side says the same)", x->side.info.object);
    x->out.type = self;
    int r = tong_channel_select(x->side.channel, TONG_SELECT_EQUAL, 3 - self);
    return r < 0 ? fail_library(r, NULL) : 0;
}

static int meet(struct talk *x)
{
    struct side_request request = { x->side.address, TONG_BOTH, true, false, false, x->set.wait, TONG_FOREVER };
    int code = side_meet(&request, &x->side);
    return code == 0 && x->side.mechanism.offers & TONG_HAS_SELECT ? take_sides(x) : code;
}

/* ---- Talking ------------------------------------------------------------------------------------------- */

static bool endless(const struct talk *x)
{
    return x->side.info.flags & TONG_INFO_ENDLESS;
}

static void shift(struct text *text, size_t size)
{
    memmove(text->data, text->data + size, text->used - size);
    text->used -= size;
}

/* The bytes of the next line to send, without its newline; *ret_whole counts it.  SIZE_MAX: none yet. */
static size_t next_line(const struct talk *x, size_t *ret_whole)
{
    const char *newline = x->typed.used ? memchr(x->typed.data, '\n', x->typed.used) : NULL;
    size_t size = newline ? (size_t)(newline - x->typed.data) : x->typed.used;
    *ret_whole = size + (newline != NULL);
    return newline || (size && (!x->typing || size >= ROOM)) ? size : SIZE_MAX;
}

/* An empty message is the mark of the end where there is no other: an empty line goes as a blank. */
static int send_line(struct talk *x, size_t size)
{
    bool blank = size == 0 && endless(x);
    const char *line = blank ? " " : x->typed.data;
    return tong_channel_send(x->side.channel, line, blank ? 1 : size, &x->out, 0);
}

static int tell_end(struct talk *x)
{
    int r = endless(x) ? tong_channel_send(x->side.channel, NULL, 0, &x->out, 0)
                       : tong_channel_finish(x->side.channel, 0);
    x->told = r == 0;
    return r;
}

/* Nobody listens any more; what the other side said before it left is still to be heard, and then its end. */
static void give_up_saying(struct talk *x)
{
    x->typing = false;
    x->typed.used = 0;
    x->told = true;
}

/* Sends what was typed as far as there is room, and the end behind it. */
static int say_all(struct talk *x)
{
    size_t size, whole;
    int r = 0;
    while (r == 0 && (size = next_line(x, &whole)) != SIZE_MAX) {
        r = send_line(x, size);
        if (r == 0)
            shift(&x->typed, whole);
    }
    if (r == 0 && !x->typing && !x->told)
        r = tell_end(x);
    x->blocked = r == -EAGAIN;
    if (r == -EPIPE)
        give_up_saying(x);
    return r == -EAGAIN || r == -EINTR || r == -EPIPE ? 0 : r;
}

static int read_typed(struct talk *x)
{
    text_reserve(&x->typed, PIECE);
    ssize_t size = read(STDIN_FILENO, x->typed.data + x->typed.used, PIECE);
    if (size < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : fail_system(-errno, "standard input");
    x->typed.used += (size_t)size;
    x->typing = size > 0;
    return 0;
}

static int show(const char *data, size_t size)
{
    struct text line = TEXT_INIT;
    if (isatty(STDOUT_FILENO))
        text_add(&line, "< ", 2); /* or who said what could not be told from what was typed */
    text_visible(&line, data, size, "\t");
    text_add(&line, "\n", 1);
    int code = write_output(line.data, line.used);
    text_free(&line);
    return code ? code : stop_asked() ? CODE_FAILED : CODE_DONE;
}

/* Shows what the other side said until there is nothing more: 0, or a negative errno, or an exit code. */
static int hear_all(struct talk *x)
{
    for (;;) {
        tong_message message = TONG_MESSAGE_INIT;
        ssize_t size = tong_channel_receive(x->side.channel, x->heard.data, x->heard.room, &message, 0);
        if (size == -EMSGSIZE && message.length > x->heard.room && message.length < SIZE_MAX / 4) {
            text_reserve(&x->heard, (size_t)message.length);
            continue;
        }
        if (size == -EAGAIN || size == -EINTR)
            return 0;
        if (size == -ENODATA || (size == 0 && endless(x)))
            x->over = true;
        if (size < 0 || x->over)
            return x->over ? 0 : (int)size;
        int code = show(x->heard.data, (size_t)size);
        if (code)
            return code;
    }
}

/* Waits until there is something to do: fills in which of standard input, receiving and sending may be. */
static int look(struct talk *x, struct pollfd items[3])
{
    items[0] = (struct pollfd){ x->typing && !x->blocked ? STDIN_FILENO : -1, POLLIN, 0 };
    items[1] = items[2] = (struct pollfd){ -1, 0, 0 };
    int r = tong_channel_pollfd(x->side.channel, TONG_RECEIVE, &items[1]);
    if (r == 0 && x->blocked)
        r = tong_channel_pollfd(x->side.channel, TONG_SEND, &items[2]);
    if (r < 0)
        return r;
    return poll(items, 3, -1) < 0 && errno != EINTR ? -errno : 0;
}

/* One turn: 0 to go on, a negative errno, or an exit code. */
static int turn(struct talk *x)
{
    struct pollfd items[3];
    int r = look(x, items);
    if (r == 0 && items[1].revents)
        r = hear_all(x);
    if (r == 0 && items[0].revents)
        r = read_typed(x);
    return r == 0 ? say_all(x) : r;
}

/* Whoever made a queue removes it at the end: not before the other side has taken what was said last. */
static void let_drain(struct talk *x)
{
    int64_t deadline = clock_now() + DRAIN;
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    while (endless(x) && x->side.info.flags & TONG_INFO_CREATED && !stop_asked() && clock_now() < deadline &&
           tong_channel_describe(x->side.channel, &info) == 0 && info.messages != 0 && info.messages != TONG_UNKNOWN)
        poll(NULL, 0, DRAIN_STEP_MS);
}

/* When the other side has ended, what we have not yet said finds nobody to hear it. */
static int talk(struct talk *x)
{
    int r = 0;
    text_reserve(&x->heard, ROOM);
    while (r == 0 && !x->over && !stop_asked())
        r = turn(x);
    if (x->over && !x->told) {
        x->typing = false;
        x->typed.used = 0;
        say_all(x);
        let_drain(x);
    }
    return r < 0 && !stop_asked() ? fail_library(r, NULL) : r > 0 ? r : CODE_DONE;
}

/* ---- What was asked ------------------------------------------------------------------------------------ */

/* Options that talking needs, where the mechanism has them: readiness by looking, and nothing left behind. */
static char *talking_address(const char *address)
{
    static const struct { const char *name, *value; } wanted[] = { { "poll", "5ms" }, { "remove", "owner" } };
    tong_mechanism_info mechanism;
    char *result = strdup(address);
    bool known = find_mechanism(address, &mechanism);
    for (size_t i = 0; known && i < sizeof wanted / sizeof *wanted; i++) {
        if (!find_option(mechanism.scheme, wanted[i].name, NULL))
            continue;
        char *longer = text_with_option(result, wanted[i].name, wanted[i].value);
        free(result);
        result = longer;
    }
    return result;
}

static int run(const struct command *self, int argc, char **argv)
{
    static struct talk x = { .set = { .wait = NOT_GIVEN }, .out = TONG_MESSAGE_INIT, .typing = true };
    int count, code = options_read(self, argc, argv, &x.set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (x.set.as > 2)
        return fail_usage("option '--as': 1 or 2");
    char *address = talking_address(argv[0]);
    x.side.address = address;
    stop_catch();
    code = meet(&x);
    if (code == 0 && isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
        say("each line goes to the other side; Ctrl-D ends");
    if (code == 0)
        code = talk(&x);
    side_close(&x.side);
    text_free(&x.typed);
    text_free(&x.heard);
    free(address);
    return stop_end(code);
}

const struct command cmd_talk = {
    "talk", "Start here", "two terminals talk both ways, line by line", "ADDRESS",
    "Over a socket the first to come waits and the second connects; over one message queue two types keep\n"
    "the directions apart (the one who makes the queue is 1); over two FIFOs one says fifo:A,B, the other\n"
    "fifo:B,A: it receives from the first and sends to the second.  The end of input ends the talk.",
    "tong talk unix:/tmp/us            # in one terminal\n"
    "tong talk unix:/tmp/us            # in the other",
    options, 1, 1, 0, run,
};
