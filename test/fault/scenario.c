/* SPDX-License-Identifier: MIT */
/* The conversation.  Its calls are made in one thread, none of them for ever, so nothing can hang. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tong/tong.h>

#include "frame.h"

const struct scenario scenarios[] = {
    { "pipe", SCENARIO_PAIR, "pipe:", 0 },
    { "pipe-both", SCENARIO_PAIR, "pipe:", TONG_BOTH },
    { "fifo", SCENARIO_OPEN, "fifo:%P", 0 },
    { "fifo-line", SCENARIO_OPEN, "fifo:%P?frame=line", 0 },
    { "unix-stream", SCENARIO_LISTEN, "unix:%P", TONG_BOTH },
    { "unix-seqpacket", SCENARIO_LISTEN, "unix:%P?socket=seqpacket", TONG_BOTH },
    { "unix-datagram", SCENARIO_OPEN, "unix:%P?socket=datagram", 0 },
    { "unix-creds", SCENARIO_LISTEN, "unix:%P?creds=on", 0 },
    { "unix-pair", SCENARIO_PAIR, "unix:", TONG_BOTH },
    { "msgq", SCENARIO_OPEN, "msgq:%K", 0 },
    { "msgq-poll", SCENARIO_OPEN, "msgq:%K?poll=1ms", 0 },
    { "mq", SCENARIO_OPEN, "mq:/%N", 0 },
    { "shm", SCENARIO_OPEN, "shm:%N", 0 },
    { "mmap", SCENARIO_OPEN, "mmap:%P", 0 },
    { "file", SCENARIO_OPEN, "file:%P", 0 },
    { "file-line", SCENARIO_OPEN, "file:%P?frame=line&follow=yes", 0 },
    { "tcp", SCENARIO_LISTEN, "tcp:127.0.0.1:0", TONG_BOTH },
    { "udp", SCENARIO_OPEN, "udp:127.0.0.1:0", TONG_BOTH },
    { "udp-none", SCENARIO_OPEN, "udp:127.0.0.1:0?frame=none", 0 },
};

const int scenarios_count = sizeof scenarios / sizeof *scenarios;

struct talk {
    char address[256];
    tong_listener *listener;
    tong_channel *sender, *receiver;
};

static void write_address(const struct scenario *scenario, char *ret, size_t size)
{
    char name[128];
    const char *place = strchr(scenario->form, '%');
    if (!place) {
        snprintf(ret, size, "%s", scenario->form);
        return;
    }
    if (place[1] == 'P')
        snprintf(name, sizeof name, "%s/end", frame_directory());
    else if (place[1] == 'K')
        snprintf(name, sizeof name, "%d", (int)frame_key());
    else
        snprintf(name, sizeof name, "%sfault", frame_mark());
    snprintf(ret, size, "%.*s%s%s", (int)(place - scenario->form), scenario->form, name, place + 2);
}

/* A result that is an error has words, and is an errno. */
static int checked(int64_t result, const char *call)
{
    if (result >= 0)
        return 0;
    MUST(result > -4096, "%s gave %lld", call, (long long)result);
    MUST(*tong_detail(), "%s gave -%s and no words", call, strerrorname_np((int)-result));
    MUST(strlen(tong_detail()) < 640 && !strchr(tong_detail(), '\n'), "%s: not one line", call);
    return (int)result;
}

#define STEP(call)                           \
    do {                                     \
        int step = checked((call), #call);   \
        if (step < 0)                        \
            return step;                     \
    } while (0)

/* Where the kernel chose the port, the address that came of it. */
static void learn(struct talk *talk, const char *chosen)
{
    if (strstr(talk->address, ":0"))
        snprintf(talk->address, sizeof talk->address, "%s", chosen);
}

static int open_ends(const struct scenario *scenario, struct talk *talk)
{
    uint32_t both = scenario->flags | TONG_CANCELLABLE;
    if (scenario->kind == SCENARIO_PAIR) {
        tong_channel *pair[2];
        STEP(tong_channel_pair(talk->address, both | TONG_SEND, pair));
        talk->sender = pair[0];
        talk->receiver = pair[1];
        return 0;
    }
    if (scenario->kind == SCENARIO_LISTEN) {
        STEP(tong_listener_open(talk->address, TONG_CANCELLABLE, &talk->listener));
        learn(talk, tong_listener_address(talk->listener));
        STEP(tong_channel_open(talk->address, both | TONG_SEND, TONG_SECOND, &talk->sender));
        STEP(tong_listener_accept(talk->listener, both | TONG_RECEIVE, TONG_SECOND, &talk->receiver));
        return 0;
    }
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    STEP(tong_channel_open(talk->address, both | TONG_RECEIVE, TONG_SECOND, &talk->receiver));
    STEP(tong_channel_describe(talk->receiver, &info));
    learn(talk, info.object);
    STEP(tong_channel_open(talk->address, both | TONG_SEND, TONG_SECOND, &talk->sender));
    return 0;
}

static int exchange(struct talk *talk, size_t size)
{
    static char sent[8000], got[8000];
    memset(sent, 's', size);
    memset(got, 0, size);
    STEP(tong_channel_send(talk->sender, sent, size, NULL, TONG_SECOND));
    int64_t r = tong_channel_receive(talk->receiver, got, sizeof got, NULL, TONG_SECOND);
    STEP(r);
    MUST((size_t)r == size && !memcmp(sent, got, size), "%zu bytes were sent and %lld others came", size, (long long)r);
    return 0;
}

/* What is not offered is no fault. */
static int64_t offered(int64_t result)
{
    return result == -EOPNOTSUPP ? 0 : result;
}

static int converse(struct talk *talk)
{
    struct pollfd item;
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    tong_identity peer = TONG_IDENTITY_INIT;
    STEP(exchange(talk, 5));
    STEP(offered(tong_channel_pollfd(talk->receiver, TONG_RECEIVE, &item)));
    STEP(offered(tong_channel_pollfd(talk->sender, TONG_SEND, &item)));
    STEP(exchange(talk, 6000));
    STEP(tong_channel_describe(talk->receiver, &info));
    STEP(tong_channel_describe(talk->sender, &info));
    STEP(offered(tong_channel_peer(talk->receiver, &peer)));
    char got[8];
    int64_t r = tong_channel_receive(talk->receiver, got, sizeof got, NULL, 0);
    STEP(r == -EAGAIN ? 0 : r);
    r = tong_channel_receive(talk->receiver, got, sizeof got, NULL, TONG_MILLISECOND);
    STEP(r == -ETIMEDOUT ? 0 : r);
    r = tong_channel_finish(talk->sender, TONG_SECOND);
    if (r == -EOPNOTSUPP)
        return 0;
    STEP(r);
    r = tong_channel_receive(talk->receiver, got, sizeof got, NULL, TONG_MILLISECOND);
    STEP(r == -ENODATA || r == -ETIMEDOUT ? 0 : r);
    return 0;
}

int scenario_run(const struct scenario *scenario)
{
    struct talk talk = { .listener = NULL };
    write_address(scenario, talk.address, sizeof talk.address);
    int r = open_ends(scenario, &talk);
    if (r == 0)
        r = converse(&talk);
    checked(tong_channel_close(talk.sender), "close the sender");
    checked(tong_channel_close(talk.receiver), "close the receiver");
    tong_listener_close(talk.listener);
    return r;
}

void scenario_remove(const struct scenario *scenario)
{
    char address[256];
    if (scenario->kind == SCENARIO_PAIR)
        return;
    write_address(scenario, address, sizeof address);
    int r = tong_remove(address);
    MUST(r == 0 || r == -ENOENT || r == -EOPNOTSUPP, "%s cannot be removed: %s", address, tong_detail());
}
