/* SPDX-License-Identifier: MIT */
/* What only some can: selecting by type, naming the sender, lending memory. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "contract.h"

static char buffer[4096];

/* ---- Selection (msgrcv(2)) ------------------------------------------------------------------------------------- */

static void send_typed(struct ends *ends, const int *types, int count)
{
    for (int i = 0; i < count; i++) {
        tong_message message = TONG_MESSAGE_INIT;
        message.type = types[i];
        OK(tong_channel_send(ends->sender, &(char){ (char)('0' + i) }, 1, &message, TONG_SECOND));
    }
}

/* Selects, and receives until nothing more fits the rule: the positions of what came, in order. */
static void expect_selected(struct ends *ends, int rule, int64_t type, const char *expected)
{
    char got[16] = "";
    size_t count = 0;
    OK(tong_channel_select(ends->receiver, rule, type));
    int64_t r;
    while ((r = tong_channel_receive(ends->receiver, got + count, 1, NULL, 0)) == 1)
        MUST(++count < sizeof got, "more came than was sent");
    GIVES(r, -EAGAIN);
    MUST(!strcmp(got, expected), "rule %d, type %lld: '%s' came, '%s' was due", rule, (long long)type, got, expected);
}

static void test_select(const struct row *row)
{
    static const int types[] = { 3, 1, 2, 3, 1, 5 };
    static const struct { int rule; int64_t type; const char *taken, *rest; } cases[] = {
        { TONG_SELECT_FIRST, 0, "012345", "" },
        { TONG_SELECT_EQUAL, 3, "03", "1245" },
        { TONG_SELECT_EQUAL, 4, "", "012345" },
        { TONG_SELECT_UP_TO, 2, "142", "035" },
        { TONG_SELECT_UP_TO, 9, "142035", "" },
        { TONG_SELECT_EXCEPT, 1, "0235", "14" },
        { TONG_SELECT_EXCEPT, 4, "012345", "" },
    };
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        send_typed(&ends, types, 6);
        expect_selected(&ends, cases[i].rule, cases[i].type, cases[i].taken);
        expect_selected(&ends, TONG_SELECT_FIRST, 0, cases[i].rest);
    }
    GIVES(tong_channel_select(ends.receiver, TONG_SELECT_EQUAL, 0), -EINVAL);
    GIVES(tong_channel_select(ends.receiver, 9, 1), -EINVAL);
    ends_close(&ends);
}

/* The same rules written in the address. */
static void test_select_by_address(const struct row *row)
{
    static const int types[] = { 3, 1, 2 };
    static const struct { const char *option, *taken; } cases[] = {
        { "select=first", "012" }, { "select=2", "2" }, { "select=<=2", "12" }, { "select=!1", "02" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ends ends;
        char got[8] = "";
        ends_open(&ends, row, cases[i].option, 0);
        send_typed(&ends, types, 3);
        for (size_t count = 0; tong_channel_receive(ends.receiver, got + count, 1, NULL, 0) == 1; count++)
            ;
        MUST(!strcmp(got, cases[i].taken), "%s: '%s' came", cases[i].option, got);
        ends_close(&ends);
    }
}

static void test_no_select(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    GIVES(tong_channel_select(ends.receiver, TONG_SELECT_EQUAL, 1), -EOPNOTSUPP);
    ends_close(&ends);
}

/* ---- Who it was --------------------------------------------------------------------------------------------------- */

static void send_and_stay(tong_channel *channel)
{
    OK(tong_channel_send(channel, "10", 2, NULL, TONG_FOREVER));
    for (;;)
        pause();
}

static void expect_child(const tong_identity *who, pid_t pid)
{
    MUST(who->pid == pid, "pid %lld is named, pid %d it is", (long long)who->pid, (int)pid);
    MUST(who->uid == UINT32_MAX || who->uid == geteuid(), "uid %u", who->uid);
    MUST(tong_identity_alive(who) == 1, "it is said to be dead");
}

static void test_sender(const struct row *row)
{
    struct ends ends;
    pid_t pid = ends_with_sender(&ends, row, "creds=on", 0, send_and_stay);
    tong_message message = TONG_MESSAGE_INIT;
    GIVES(tong_channel_receive(ends.receiver, buffer, 8, &message, 10 * TONG_SECOND), 2);
    MUST(message.sender.source == TONG_IDENTITY_MESSAGE, "the source is %u", message.sender.source);
    MUST(message.sender.uid == geteuid() && message.sender.gid == getegid(), "uid %u gid %u", message.sender.uid, message.sender.gid);
    expect_child(&message.sender, pid);
    frame_kill(pid);
    MUST(tong_identity_alive(&message.sender) == 0, "the dead sender is said to live");
    ends_close(&ends);
}

static void test_peer(const struct row *row)
{
    struct ends ends;
    pid_t pid = ends_with_sender(&ends, row, NULL, 0, send_and_stay);
    tong_message message = TONG_MESSAGE_INIT;
    OK(tong_channel_receive(ends.receiver, buffer, 2, &message, 10 * TONG_SECOND));
    if (row->making == MAKE_LISTEN) {
        MUST(message.sender.source == TONG_IDENTITY_CONNECTION, "the source is %u", message.sender.source);
        expect_child(&message.sender, pid);
    }
    tong_identity who = TONG_IDENTITY_INIT;
    OK(tong_channel_peer(ends.receiver, &who));
    MUST(who.source != TONG_IDENTITY_NONE, "nobody vouches for the peer");
    expect_child(&who, pid);
    frame_kill(pid);
    MUST(tong_identity_alive(&who) == 0, "the dead peer is said to live");
    ends_close(&ends);
}

static void test_no_peer(const struct row *row)
{
    struct ends ends;
    tong_identity who = TONG_IDENTITY_INIT;
    ends_open(&ends, row, NULL, 0);
    GIVES(tong_channel_peer(ends.sender, &who), -EOPNOTSUPP);
    ends_close(&ends);
}

/* ---- Lent memory ---------------------------------------------------------------------------------------------------- */

static void write_token(tong_token *token, const char *text)
{
    size_t size = strlen(text), first = token->parts ? token->span[0].size : 0;
    if (first > size)
        first = size;
    memcpy(token->span[0].data, text, first);
    if (first < size)
        memcpy(token->span[1].data, text + first, size - first);
}

static void expect_text(tong_channel *channel, const char *text)
{
    GIVES(tong_channel_receive(channel, buffer, sizeof buffer, NULL, TONG_SECOND), (int64_t)strlen(text));
    MUST(!memcmp(buffer, text, strlen(text)), "'%.20s' came, '%s' was due", buffer, text);
}

static void test_reserve(const struct row *row)
{
    static const char *const texts[] = { "first", "second", "third" };
    static const int orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 }, { 2, 0, 1 } };
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    /* Often enough to pass the end of the ring with tokens in hand. */
    for (int round = 0; round < 400; round++) {
        tong_token tokens[3] = { TONG_TOKEN_INIT, TONG_TOKEN_INIT, TONG_TOKEN_INIT };
        for (int i = 0; i < 3; i++) {
            OK(tong_channel_reserve(ends.sender, 1000 + (size_t)i, TONG_SECOND, &tokens[i]));
            write_token(&tokens[i], texts[i]);
        }
        for (int i = 0; i < 3; i++) {
            int which = orders[round % 4][i];
            OK(tong_channel_commit(ends.sender, &tokens[which], strlen(texts[which]), NULL));
        }
        for (int i = 0; i < 3; i++)
            expect_text(ends.receiver, texts[i]);
        GIVES(tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    }
    ends_close(&ends);
}

/* A message is not seen before those reserved ahead of it are committed or given back. */
static void test_reserve_abort(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    for (int round = 0; round < 200; round++) {
        tong_token first = TONG_TOKEN_INIT, second = TONG_TOKEN_INIT;
        OK(tong_channel_reserve(ends.sender, 900, TONG_SECOND, &first));
        OK(tong_channel_reserve(ends.sender, 900, TONG_SECOND, &second));
        write_token(&second, "second");
        OK(tong_channel_commit(ends.sender, &second, 6, NULL));
        GIVES(tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 0), -EAGAIN);
        OK(tong_channel_abort(ends.sender, &first));
        expect_text(ends.receiver, "second");
        GIVES(tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    }
    ends_close(&ends);
}

static void test_token_misuse(const struct row *row)
{
    struct ends ends;
    tong_token token = TONG_TOKEN_INIT, forged = TONG_TOKEN_INIT;
    ends_open(&ends, row, NULL, 0);
    GIVES(tong_channel_commit(ends.sender, &forged, 0, NULL), -EINVAL);
    GIVES(tong_channel_release(ends.receiver, &forged), -EINVAL);
    GIVES(tong_channel_reserve(ends.sender, largest(ends.sender) + 1, 0, &token), -EMSGSIZE);
    OK(tong_channel_reserve(ends.sender, 100, TONG_SECOND, &token));
    GIVES(tong_channel_commit(ends.sender, &token, 101, NULL), -EINVAL);
    write_token(&token, "x");
    OK(tong_channel_commit(ends.sender, &token, 1, NULL));
    GIVES(tong_channel_commit(ends.sender, &token, 1, NULL), -EINVAL);
    expect_text(ends.receiver, "x");
    /* Left in hand when the channel closes: simply gone. */
    OK(tong_channel_reserve(ends.sender, 100, TONG_SECOND, &token));
    ends_close(&ends);
}

static void test_peek(const struct row *row)
{
    struct ends ends;
    tong_token first = TONG_TOKEN_INIT, second = TONG_TOKEN_INIT;
    tong_message message = TONG_MESSAGE_INIT, type = TONG_MESSAGE_INIT;
    ends_open(&ends, row, NULL, 0);
    GIVES(tong_channel_peek(ends.receiver, 0, NULL, &first), -EAGAIN);
    type.type = 42;
    OK(tong_channel_send(ends.sender, "first", 5, &type, TONG_SECOND));
    OK(tong_channel_send(ends.sender, "second", 6, NULL, TONG_SECOND));
    GIVES(tong_channel_peek(ends.receiver, TONG_SECOND, &message, &first), 5);
    MUST(message.type == 42 && message.length == 5, "type %lld, length %llu", (long long)message.type, (unsigned long long)message.length);
    MUST(first.parts >= 1 && !memcmp(first.span[0].data, "first", first.span[0].size < 5 ? first.span[0].size : 5), "it shows another");
    GIVES(tong_channel_peek(ends.receiver, TONG_SECOND, NULL, &second), 6);
    tong_token third = TONG_TOKEN_INIT;
    GIVES(tong_channel_peek(ends.receiver, 0, NULL, &third), -EAGAIN);
    OK(tong_channel_release(ends.receiver, &first));
    OK(tong_channel_release(ends.receiver, &second));
    GIVES(tong_channel_release(ends.receiver, &second), -EINVAL);
    OK(tong_channel_send(ends.sender, "third", 5, NULL, TONG_SECOND));
    expect_text(ends.receiver, "third");
    ends_close(&ends);
}

static void test_no_zero_copy(const struct row *row)
{
    struct ends ends;
    tong_token token = TONG_TOKEN_INIT;
    ends_open(&ends, row, NULL, 0);
    GIVES(tong_channel_reserve(ends.sender, 10, 0, &token), -EOPNOTSUPP);
    GIVES(tong_channel_peek(ends.receiver, 0, NULL, &token), -EOPNOTSUPP);
    ends_close(&ends);
}

/* ---- Losses ------------------------------------------------------------------------------------------------------------ */

#define OUTRUN 20000

/* Far more than the receiver holds: what it gets is in order, and what it does not get is counted. */
static void test_losses(const struct row *row)
{
    struct ends ends;
    char sent[1000], got[1000];
    uint64_t received = 0, lost = 0, last = 0;
    ends_open(&ends, row, "capacity=64K", 0);
    for (uint32_t i = 0; i < OUTRUN; i++) {
        memcpy(sent, &i, sizeof i);
        pattern_fill(sent + sizeof i, sizeof sent - sizeof i, i);
        OK(tong_channel_send(ends.sender, sent, sizeof sent, NULL, TONG_SECOND));
    }
    for (int64_t r; ; received++) {
        uint32_t number;
        tong_message message = TONG_MESSAGE_INIT;
        if (received == 10) /* in the middle of what is there: the gap is before this one, and only once it is empty */
            OK(tong_channel_send(ends.sender, sent, sizeof sent, NULL, TONG_SECOND));
        if ((r = tong_channel_receive(ends.receiver, got, sizeof got, &message, 0)) == -EAGAIN)
            break;
        GIVES(r, sizeof got);
        memcpy(&number, got, sizeof number);
        MUST(pattern_holds(got + sizeof number, sizeof got - sizeof number, number), "message %u came changed", number);
        MUST(number >= last, "message %u came after %llu", number, (unsigned long long)last);
        MUST(!!(message.flags & TONG_MESSAGE_LOST_BEFORE) == (message.lost > 0), "the flag and the count disagree");
        last = number;
        lost += message.lost;
    }
    MUST(received > 10 && received < OUTRUN, "%llu of %d were received", (unsigned long long)received, OUTRUN);
    if (row->has & HAS_TYPE)
        MUST(received + lost == OUTRUN + 1, "%d sent, %llu received, %llu counted as lost", OUTRUN + 1,
             (unsigned long long)received, (unsigned long long)lost);
    ends_close(&ends);
}

const struct contract_test special_tests[] = {
    { "losses", test_losses, HAS_LOSS, 0, 20 },
    { "select", test_select, TONG_HAS_SELECT, HAS_BOTH, 10 },
    { "select-by-address", test_select_by_address, TONG_HAS_SELECT, HAS_BOTH, 10 },
    { "no-select", test_no_select, 0, TONG_HAS_SELECT, 10 },
    { "sender", test_sender, HAS_SENDER, 0, 10 },
    { "peer", test_peer, TONG_HAS_PEER | HAS_OTHER, 0, 10 },
    { "no-peer", test_no_peer, 0, TONG_HAS_PEER, 10 },
    { "reserve", test_reserve, TONG_HAS_ZERO_COPY, 0, 20 },
    { "reserve-abort", test_reserve_abort, TONG_HAS_ZERO_COPY, 0, 20 },
    { "token-misuse", test_token_misuse, TONG_HAS_ZERO_COPY, 0, 10 },
    { "peek", test_peek, TONG_HAS_ZERO_COPY, 0, 10 },
    { "no-zero-copy", test_no_zero_copy, 0, TONG_HAS_ZERO_COPY, 10 },
    { NULL, NULL, 0, 0, 0 },
};
