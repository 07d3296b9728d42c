/* SPDX-License-Identifier: MIT */
/* The conversation.  Its calls are made in one thread, none of them for ever, so nothing can hang. */
#include "scenario.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tong/tong.h>
#include <unistd.h>

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
    { "mq", SCENARIO_OPEN, "mq:/%N?messages=2&size=6000", 0 },
    { "shm", SCENARIO_OPEN, "shm:%N", 0 },
    { "shm-queue", SCENARIO_OPEN, "shm:%N?receivers=3", 0 },
    { "mmap", SCENARIO_OPEN, "mmap:%P", 0 },
    { "memfd", SCENARIO_OPEN, "memfd:%P", 0 },
    { "file", SCENARIO_OPEN, "file:%P", 0 },
    { "file-line", SCENARIO_OPEN, "file:%P?frame=line&follow=yes", 0 },
    { "signal", SCENARIO_SIGNALS, "signal:self", 0 },
    { "tcp", SCENARIO_LISTEN, "tcp:127.0.0.1:0", TONG_BOTH },
    { "udp", SCENARIO_OPEN, "udp:127.0.0.1:0", TONG_BOTH },
    { "udp-none", SCENARIO_OPEN, "udp:127.0.0.1:0?frame=none", 0 },
    { "sem", SCENARIO_SEMAPHORE, "sem:/%N?value=1", 0 },
    { "sysvsem", SCENARIO_SEMAPHORE, "sysvsem:%K?value=1&count=3&remove=owner", 0 },
    { "sysvsem-mode", SCENARIO_SEMAPHORE, "sysvsem:%K?value=1&mode=0400", 0 },
    { "sysvsem-lock", SCENARIO_LOCK, "sysvsem:%K?count=600", 0 },
    { "region-shm", SCENARIO_REGION, "shm:%N?size=8K", 0 },
    { "region-owner", SCENARIO_REGION, "shm:%N?size=8K&remove=owner", 0 },
    { "region-mmap", SCENARIO_REGION, "mmap:%P?size=8K", 0 },
    { "region-nameless", SCENARIO_REGION, "mmap:?size=8K", 0 },
    { "region-memfd", SCENARIO_REGION, "memfd:?size=8K", 0 },
    { "region-sysvshm", SCENARIO_REGION, "sysvshm:%K?size=8K&mode=0400", 0 },
    { "lock-file", SCENARIO_LOCK, "file:%P", 0 },
    { "lock-shm", SCENARIO_LOCK, "shm:%N", 0 },
    { "lock-sysvshm", SCENARIO_LOCK, "sysvshm:%K", 0 },
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

/* The interface to signals beside the channel; what an earlier run has left is taken away first. */
static int use_signals(void)
{
    int number = tong_signal_number("RTMIN");
    tong_identity self = TONG_IDENTITY_INIT;
    tong_signal_status status = TONG_SIGNAL_STATUS_INIT;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    STEP(tong_signal_block(TONG_SIGNAL_BIT(number), NULL));
    while (sigtimedwait(&set, NULL, &(struct timespec){ 0, 0 }) > 0)
        ;
    self.pid = getpid();
    STEP(tong_signal_send(&self, number, NULL));
    STEP(tong_signal_wait(TONG_SIGNAL_BIT(number), TONG_SECOND, NULL));
    STEP(tong_signal_status_of(0, &status));
    STEP(tong_signal_threads_of(0, NULL, 0));
    STEP(tong_signal_ignore(number));
    STEP(tong_signal_restore(number));
    return 0;
}

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
    if (scenario->kind == SCENARIO_SIGNALS)
        STEP(use_signals());
    STEP(tong_channel_open(talk->address, both | TONG_RECEIVE, TONG_SECOND, &talk->receiver));
    STEP(tong_channel_describe(talk->receiver, &info));
    learn(talk, info.object);
    STEP(tong_channel_open(talk->address, both | TONG_SEND, TONG_SECOND, &talk->sender));
    return 0;
}

static int exchange(struct talk *talk, size_t size)
{
    static char sent[8000], got[8000];
    memset(sent, '1', size); /* what a signal carries too, up to nine of them */
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
    STEP(tong_channel_describe(talk->receiver, &info));
    STEP(tong_channel_describe(talk->sender, &info));
    STEP(exchange(talk, info.largest < 6000 ? 9 : 6000));
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

/* A second handle on what the first has: by name, or by its descriptor. */
static int open_again(const char *address, tong_region *region, tong_region **ret)
{
    char heir[32];
    const char *name = strchr(address, ':') + 1;
    if (*name != '?')
        return tong_region_open(address, TONG_READ, ret);
    int r = tong_region_inherit(region, heir, sizeof heir);
    if (r < 0)
        return r;
    int fd = dup(atoi(heir + 3));
    snprintf(heir, sizeof heir, "fd:%d", fd);
    r = tong_region_open(heir, TONG_READ, ret);
    if (r < 0)
        close(fd);
    return r;
}

static int use_region(const char *address, tong_region *region)
{
    tong_region_info info = TONG_REGION_INFO_INIT;
    tong_region *other;
    memset(tong_region_data(region), 'r', tong_region_size(region));
    STEP(tong_region_describe(region, &info));
    STEP(offered(tong_region_sync(region, 0, tong_region_size(region))));
    STEP(tong_region_lock(region, TONG_SECOND));
    STEP(open_again(address, region, &other));
    int r = tong_region_lock(other, TONG_MILLISECOND);
    r = checked(r == -ETIMEDOUT ? 0 : r, "lock what is locked");
    checked(tong_region_close(other), "close the other region");
    if (r < 0)
        return r;
    STEP(tong_region_unlock(region));
    return 0;
}

static int run_region(const char *address)
{
    tong_region *region;
    STEP(tong_region_open(address, TONG_READ | TONG_WRITE, &region));
    int r = use_region(address, region);
    checked(tong_region_close(region), "close the region");
    return r;
}

/* Takes what is there, finds nothing more, gives it back. */
static int count(tong_semaphore *first, tong_semaphore *second)
{
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    tong_semaphore_operation two[2] = { { sizeof *two, TONG_SEMAPHORE_UNDO, 0, 1 }, { sizeof *two, 0, 0, -1 } };
    STEP(tong_semaphore_wait(first, 0, TONG_FOREVER));
    int r = tong_semaphore_wait(second, 0, 0);
    STEP(r == -EAGAIN ? 0 : r);
    r = tong_semaphore_wait(second, 0, TONG_MILLISECOND);
    STEP(r == -ETIMEDOUT ? 0 : r);
    STEP(tong_semaphore_post(second, 0));
    STEP(offered(tong_semaphore_operate(first, two, 2, TONG_SECOND)));
    STEP(tong_semaphore_get(second, 0, &info));
    MUST(info.value == 1, "the counter is at %u, and was at 1", info.value);
    STEP(offered(tong_semaphore_set(second, 0, 2)));
    return 0;
}

static int run_semaphore(const char *address)
{
    tong_semaphore *first = NULL, *second = NULL;
    int r = checked(tong_semaphore_open(address, 0, &first), "open");
    if (r == 0)
        r = checked(tong_semaphore_open(address, 0, &second), "open again");
    if (r == 0)
        r = count(first, second);
    checked(tong_semaphore_close(second), "close");
    checked(tong_semaphore_close(first), "close");
    return r;
}

static int take_turns(tong_lock *first, tong_lock *second)
{
    STEP(tong_lock_take(first, TONG_SECOND));
    int r = tong_lock_take(second, 0);
    STEP(r == -EAGAIN ? 0 : r);
    r = tong_lock_take(second, TONG_MILLISECOND);
    STEP(r == -ETIMEDOUT ? 0 : r);
    int fd = (int)offered(tong_lock_share(first));
    if (fd > 0)
        close(fd);
    STEP(fd);
    STEP(tong_lock_release(first));
    STEP(tong_lock_take(second, TONG_FOREVER));
    return 0;
}

static int run_lock(const char *address)
{
    tong_lock *first = NULL, *second = NULL;
    int r = checked(tong_lock_open(address, &first), "open");
    if (r == 0)
        r = checked(tong_lock_open(address, &second), "open again");
    if (r == 0)
        r = take_turns(first, second);
    checked(tong_lock_close(second), "close");
    checked(tong_lock_close(first), "close");
    return r;
}

int scenario_run(const struct scenario *scenario)
{
    struct talk talk = { .listener = NULL };
    write_address(scenario, talk.address, sizeof talk.address);
    if (scenario->kind == SCENARIO_REGION)
        return run_region(talk.address);
    if (scenario->kind == SCENARIO_SEMAPHORE)
        return run_semaphore(talk.address);
    if (scenario->kind == SCENARIO_LOCK)
        return run_lock(talk.address);
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
    if (strstr(address, ":?")) /* without a name there is nothing to remove */
        return;
    int r = tong_remove(address);
    MUST(r == 0 || r == -ENOENT || r == -EOPNOTSUPP, "%s cannot be removed: %s", address, tong_detail());
}
