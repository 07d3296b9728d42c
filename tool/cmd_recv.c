/* SPDX-License-Identifier: MIT */
/*
 * tong recv: messages to standard output.
 *
 * What has come is written before anything is waited for, and small messages that are there already are written
 * together: one receive without waiting after each tells whether there are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "command.h"
#include "side.h"
#include "json.h"
#include "report.h"
#include "stop.h"
#include "text.h"

#define ROOM (1024 * 1024)  /* for one message, until one needs more */
#define GATHER (64 * 1024)  /* so much is worth a write of its own */

struct settings {
    bool lines, json, follow, listen, connect;
    int64_t count, timeout, wait;
    const char *type;
};

static const struct option_row options[] = {
    FLAG(lines, "a newline after each message"),
    FLAG(json, "each message as one line of JSON (doc/json.md)"),
    { "count", 'n', TAKES_COUNT, offsetof(struct settings, count), "N", "stop after N messages" },
    VALUE(type, TAKES_TEXT, "RULE", "take only some (msgq:): first, T, <=T (lowest up to T), !T"),
    VALUE(timeout, TAKES_DURATION, "T", "exit with 3 when nothing comes for so long"),
    VALUE(wait, TAKES_DURATION, "T", "wait so long for a sender: a client, or else the first message"),
    FLAG(follow, "go on after an end: the next writer, client, or what a file gains"),
    FLAG(listen, "be the server (this is what recv does by itself)"),
    FLAG(connect, "be the client: connect to a server and receive from it"),
    OPTIONS_LAST,
};

struct reception {
    struct settings set;
    struct side side;
    struct side_request request;
    int rule;
    int64_t type;
    bool terminal;        /* standard output is one: escape what comes */
    int64_t taken;
    struct text message;  /* the one just received, unless it goes straight to `out` */
    struct text out;      /* not yet written */
};

/* ---- Writing ------------------------------------------------------------------------------------------- */

/* A reader of ours that has gone (head, less) is no failure: end in order, then die as SIGPIPE would have it. */
static int flush(struct reception *x)
{
    int code = write_output(x->out.data, x->out.used);
    x->out.used = 0;
    return code ? code : stop_asked() ? CODE_FAILED : CODE_DONE;
}

static void write_flags(struct json *json, uint32_t flags)
{
    static const struct { uint32_t flag; const char *word; } words[] = {
        { TONG_MESSAGE_REDELIVERED, "redelivered" },
        { TONG_MESSAGE_LOST_BEFORE, "lost_before" },
        { TONG_MESSAGE_TRUNCATED, "truncated" },
    };
    json_name(json, "flags");
    json_open(json, '[');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (flags & words[i].flag)
            json_string(json, words[i].word);
    json_close(json, ']');
}

static void add_json(struct reception *x, const tong_message *message, const char *data, size_t size)
{
    struct json json = { &x->out, false };
    json_open(&json, '{');
    json_name(&json, "type");
    json_signed(&json, message->type);
    json_number(&json, "length", message->length);
    write_flags(&json, message->flags);
    json_number(&json, "lost", message->lost);
    json_name(&json, "sender");
    json_identity(&json, &message->sender);
    bool text = utf8_valid(data, size);
    json_name(&json, text ? "data" : "data_base64");
    if (text)
        json_bytes(&json, data, size);
    else
        json_base64(&json, data, size);
    json_close(&json, '}');
    text_add(&x->out, "\n", 1);
}

/* One line a message; a text of several lines keeps them unless --lines wants one line each. */
static void add_visible(struct reception *x, const char *data, size_t size)
{
    text_visible(&x->out, data, size, x->set.lines ? "" : "\n\t");
    if (x->set.lines || !size || data[size - 1] != '\n')
        text_add(&x->out, "\n", 1);
}

static void add_message(struct reception *x, const tong_message *message)
{
    const char *data = x->message.data;
    size_t size = x->message.used;
    if (x->set.json) {
        add_json(x, message, data, size);
    } else if (x->terminal) {
        add_visible(x, data, size);
    } else {
        text_add(&x->out, data, size);
        text_add(&x->out, "\n", 1);
    }
}

/* ---- Receiving ----------------------------------------------------------------------------------------- */

/* One message behind what `into` holds; the buffer grows to what the message needs. */
static ssize_t take(struct reception *x, struct text *into, tong_message *message, int64_t timeout)
{
    for (;;) {
        size_t room = into->room - into->used;
        *message = (tong_message)TONG_MESSAGE_INIT;
        ssize_t size = tong_channel_receive(x->side.channel, into->data + into->used, room, message, timeout);
        if (size >= 0)
            into->used += (size_t)size;
        if (size == -EMSGSIZE && message->length > room && message->length < SIZE_MAX / 4)
            text_reserve(into, (size_t)message->length);
        else if (size != -EINTR || stop_asked())
            return size;
    }
}

/* Straight bytes: nothing between what came and what is written. */
static bool raw(const struct reception *x)
{
    return !x->set.json && !x->set.lines && !x->terminal;
}

/* An empty message is how `tong send` ends where the conduit has no end: only without --lines and --json.
 * With --follow it is passed over: closing such a conduit to open it again would lose what comes in between. */
static bool marks_end(const struct reception *x, ssize_t size)
{
    return size == 0 && x->side.info.flags & TONG_INFO_ENDLESS && !x->set.json && !x->set.lines;
}

/* How long the next message may take.  Where a receiver opens without a peer, --wait is for the first message. */
static int64_t patience(const struct reception *x)
{
    bool alone = !(x->side.mechanism.offers & TONG_HAS_LISTENER);
    return alone && x->set.wait != NOT_GIVEN && x->taken == 0 ? x->set.wait : x->set.timeout;
}

/* Receives until the end: returns its negative errno, 0 after the last message wanted, or an exit code. */
static int receive_all(struct reception *x)
{
    bool straight = raw(x);
    struct text *into = straight ? &x->out : &x->message;
    text_reserve(into, ROOM);
    while (x->set.count == 0 || x->taken < x->set.count) {
        tong_message message;
        bool full = x->out.used >= GATHER;
        int code = full ? flush(x) : 0;
        if (code)
            return code;
        if (!straight)
            x->message.used = 0;
        ssize_t size = take(x, into, &message, x->out.used ? 0 : patience(x));
        if (size == -EAGAIN && x->out.used) {
            if ((code = flush(x)))
                return code;
            continue;
        }
        if (size < 0)
            return (int)size;
        if (marks_end(x, size) && !x->set.follow)
            return -ENODATA;
        if (marks_end(x, size))
            continue;
        x->taken++;
        if (!straight)
            add_message(x, &message);
    }
    return 0;
}

/* The exit code after receive_all() gave `r`; *ret_more when --follow goes on. */
static int conclude(struct reception *x, int r, bool *ret_more)
{
    *ret_more = x->set.follow && (r == -ENODATA || r == -ECONNRESET);
    if (r >= 0 || r == -ENODATA || stop_asked())
        return r > 0 ? r : CODE_DONE;
    return fail_library(r, NULL);
}

/* Who sends something else than was expected would never know why nothing is received. */
static void say_refused(const struct reception *x)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    if (x->side.channel && tong_channel_describe(x->side.channel, &info) == 0 && info.refused)
        say("%llu that came were passed over: they were not sent by tong (to receive them: ?frame=none)",
            (unsigned long long)info.refused);
}

static int apply_selection(struct reception *x)
{
    int r = x->set.type ? tong_channel_select(x->side.channel, x->rule, x->type) : 0;
    return r < 0 ? fail_library(r, NULL) : 0;
}

static int receive_conversations(struct reception *x)
{
    int code = side_open(&x->request, &x->side);
    bool more = true;
    while (code == 0 && more && !stop_asked()) {
        code = apply_selection(x);
        if (code)
            break;
        int r = receive_all(x), unwritten = flush(x);
        code = conclude(x, r, &more);
        if (unwritten)
            return unwritten;
        if (more)
            code = side_open_next(&x->request, &x->side);
    }
    return code;
}

/* ---- What was asked ------------------------------------------------------------------------------------ */

static int parse_rule(const char *text, int *ret_rule, int64_t *ret_type)
{
    static const struct { const char *prefix; int rule; } rules[] = {
        { "<=", TONG_SELECT_UP_TO }, { "!", TONG_SELECT_EXCEPT }, { "", TONG_SELECT_EQUAL },
    };
    *ret_rule = TONG_SELECT_FIRST;
    *ret_type = 0;
    if (!strcmp(text, "first"))
        return 0;
    size_t i = 0;
    while (strncmp(text, rules[i].prefix, strlen(rules[i].prefix)))
        i++;
    *ret_rule = rules[i].rule;
    int r = parse_count(text + strlen(rules[i].prefix), 0, ret_type);
    return r < 0 ? r : *ret_type > 0 ? 0 : -ERANGE;
}

/* --follow where the mechanism itself can: so nothing falls between closing and opening again. */
static char *following_address(const char *address)
{
    static const char *const names[] = { "follow", "reconnect" };
    tong_mechanism_info mechanism;
    for (size_t i = 0; find_mechanism(address, &mechanism) && i < sizeof names / sizeof *names; i++)
        if (find_option(mechanism.scheme, names[i], NULL))
            return text_with_option(address, names[i], "yes");
    return strdup(address);
}

/* Before anything is opened, and perhaps made. */
static int check(const struct settings *set, const char *address, struct reception *x)
{
    tong_mechanism_info mechanism;
    if (set->listen && set->connect)
        return fail_usage("--listen and --connect exclude each other");
    if (set->lines && set->json)
        return fail_usage("--lines and --json exclude each other");
    if (set->type && parse_rule(set->type, &x->rule, &x->type) < 0)
        return fail_usage("option '--type': '%s' should be first, T, <=T or !T with T above 0", set->type);
    if (set->type && find_mechanism(address, &mechanism) && !(mechanism.offers & TONG_HAS_SELECT))
        return fail_usage("%s: cannot select messages by type: use msgq:", mechanism.scheme);
    return 0;
}

static int run(const struct command *self, int argc, char **argv)
{
    static struct reception x = { .set = { .timeout = TONG_FOREVER, .wait = NOT_GIVEN } };
    int count, code = options_read(self, argc, argv, &x.set, &count);
    if (code != OPTIONS_GO)
        return code;
    if ((code = check(&x.set, argv[0], &x)))
        return code;
    char *address = x.set.follow ? following_address(argv[0]) : strdup(argv[0]);
    x.request = (struct side_request){ address, TONG_RECEIVE, !x.set.connect, x.set.listen || x.set.connect,
                                       x.set.follow, x.set.wait, x.set.timeout };
    x.terminal = isatty(STDOUT_FILENO);
    stop_catch();
    code = receive_conversations(&x);
    say_refused(&x);
    side_close(&x.side);
    text_free(&x.message);
    text_free(&x.out);
    free(address);
    return stop_end(code);
}

const struct command cmd_recv = {
    "recv", "Start here", "receive messages: as they are, as lines, or as JSON", "ADDRESS",
    "Payloads go to standard output one after another, nothing added; on a terminal each on a line of its\n"
    "own with control characters escaped.  Ends when the sender ends (0) or dies (4); where the mechanism\n"
    "knows no end (queues, datagrams) at an empty message, as 'tong send' from standard input ends.",
    "echo hello | tong send msgq:1234; tong recv msgq:1234; tong rm msgq:1234",
    options, 1, 1, 0, run,
};
