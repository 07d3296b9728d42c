/* SPDX-License-Identifier: MIT */
/*
 * test_life.c - who lives and who is dead: one that is stopped lives; one whose number belongs to another process now is
 * dead; one that cannot be seen, in another pid namespace, is either, and its lock tells.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/layout.h"
#include "core/process.h"
#include "ledger.h"
#include "third.h"

#define STOPPED (2500 * TONG_MILLISECOND) /* longer than every interval at which anybody asks for a lock */
#define NOTICE (20 * TONG_MILLISECOND)    /* in which who waits is told of a death: 10, and as long for the machine to let it run */
#define SKIPPED 77

static struct ledger *ledger;
static char name[64], address[128];
static unsigned char buffer[LEDGER_BIGGEST];

static int send_number(tong_channel *channel, uint64_t number, int64_t timeout)
{
    size_t size = ledger_write(buffer, 0, number, 0);
    return tong_channel_send(channel, buffer, size, NULL, timeout);
}

static ssize_t receive(tong_channel *channel, int64_t timeout)
{
    tong_message meta = TONG_MESSAGE_INIT;
    ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, &meta, timeout);
    if (r >= 0)
        ledger_enter(ledger, 0, buffer, (size_t)r, &meta);
    return r;
}

/* A sender that sends one message, and another when it is prodded. */
static pid_t start_sender(void)
{
    ledger_clear(ledger, 2);
    ledger->sender[0].begun = 2;
    pid_t pid = ledger_fork(ledger);
    if (pid > 0)
        return pid;
    tong_channel *channel = ledger_open(ledger, address, TONG_SEND);
    MUST(ledger, send_number(channel, 0, LONG) == 0, "send: %s", tong_detail());
    ledger->ready = 1;
    ledger_until(ledger, &ledger->prodded, "a prod");
    MUST(ledger, send_number(channel, 1, LONG) == 0, "send: %s", tong_detail());
    _exit(tong_channel_close(channel) != 0);
}

static tong_channel *meet(pid_t *ret)
{
    tong_channel *channel = ledger_open(ledger, address, TONG_RECEIVE);
    *ret = start_sender();
    MUST(ledger, receive(channel, LONG) >= 0, "receive: %s", tong_detail());
    ledger_until(ledger, &ledger->ready, "the sender");
    return channel;
}

static void part(tong_channel *channel)
{
    tong_channel_close(channel);
    int r = tong_remove(address);
    MUST(ledger, r == 0 || (r == -ENOENT && !strncmp(address, "memfd:", 6)), "remove: %s", tong_detail());
    MUST(ledger, ledger_names(name) == 0, "names are left");
}

/* ---- SIGSTOP ---------------------------------------------------------------------------------------------------- */

static void test_stopped_sender(void)
{
    pid_t pid;
    tong_channel *channel = meet(&pid);
    kill(pid, SIGSTOP);
    ssize_t r = receive(channel, STOPPED);
    MUST(ledger, r == -ETIMEDOUT, "a sender that is stopped gave %zd %s", r, tong_detail());
    ledger->prodded = 1;
    kill(pid, SIGCONT);
    MUST(ledger, receive(channel, LONG) >= 0, "receive: %s", tong_detail());
    MUST(ledger, receive(channel, LONG) == -ENODATA, "the end");
    ledger_join(ledger, pid, "the sender");
    part(channel);
}

static uint64_t fill(tong_channel *channel)
{
    uint64_t number = 0;
    while (send_number(channel, number, 0) == 0)
        number++;
    return number;
}

static void test_stopped_receiver(void)
{
    ledger_clear(ledger, 1);
    ledger->sender[0].begun = 1000000;
    pid_t pid = ledger_fork(ledger);
    if (pid == 0) {
        tong_identity sender = TONG_IDENTITY_INIT;
        tong_channel *channel = ledger_open(ledger, address, TONG_RECEIVE);
        ledger->ready = 1;
        while (tong_channel_peer(channel, &sender) == -ENOTCONN) /* by which two meet */
            ledger_sleep(TONG_MILLISECOND);
        ledger_until(ledger, &ledger->prodded, "a prod");
        while (receive(channel, LONG) >= 0)
            continue;
        _exit(tong_channel_close(channel) != 0);
    }
    ledger_until(ledger, &ledger->ready, "the receiver");
    tong_channel *channel = ledger_open(ledger, address, TONG_SEND);
    uint64_t number = fill(channel);
    kill(pid, SIGSTOP);
    int r = send_number(channel, number, STOPPED);
    MUST(ledger, r == -ETIMEDOUT, "a receiver that is stopped gave %d %s", r, tong_detail());
    ledger->prodded = 1;
    kill(pid, SIGCONT);
    MUST(ledger, send_number(channel, number, LONG) == 0, "send: %s", tong_detail());
    ledger->sender[0].done = number + 1;
    MUST(ledger, tong_channel_finish(channel, LONG) == 0, "finish: %s", tong_detail());
    ledger_join(ledger, pid, "the receiver");
    ledger_settle(ledger, 0, 1);
    part(channel);
}

__attribute__((format(printf, 1, 0))) static void use(const char *format)
{
    snprintf(address, sizeof address, format, name);
}

static void test_stopped(void)
{
    static const struct {
        const char *name, *address;
    } rows[] = {
        { "one receiver", "shm:%s?capacity=4096" },
        { "a broadcast", "shm:%s?capacity=4096&deliver=broadcast" },
        { "mmap:", "mmap:/dev/shm/tong.%s?capacity=4096" },
        { "memfd:", "memfd:/dev/shm/tong.%s?capacity=4096" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        use(rows[i].address);
        test_stopped_sender();
        test_stopped_receiver();
        printf("%s, stopped for 2.5 s: neither a sender nor a receiver was taken for dead\n", rows[i].name);
        fflush(stdout);
    }
}

/* ---- One of many receivers -------------------------------------------------------------------------------------- */

/* A receiver with one message in hand, which it lets go when it is prodded. */
static pid_t start_holder(void)
{
    pid_t pid = ledger_fork(ledger);
    if (pid > 0)
        return pid;
    tong_token token = TONG_TOKEN_INIT;
    tong_channel *channel = ledger_open(ledger, address, TONG_RECEIVE);
    ledger->other_ready = 1;
    MUST(ledger, tong_channel_peek(channel, LONG, NULL, &token) > 0, "peek: %s", tong_detail());
    ledger->ready = 1;
    ledger_until(ledger, &ledger->prodded, "a prod");
    MUST(ledger, tong_channel_release(channel, &token) == 0, "release: %s", tong_detail());
    _exit(tong_channel_close(channel) != 0);
}

/* What it holds keeps its room; all else goes on around it, and it is not taken for dead. */
static void test_stopped_of_many(void)
{
    ledger_clear(ledger, 1);
    ledger->shared = true;
    ledger->sender[0].begun = 1000000;
    pid_t pid = start_holder();
    ledger_until(ledger, &ledger->other_ready, "the holder to open");
    tong_channel *sender = ledger_open(ledger, address, TONG_SEND);
    MUST(ledger, send_number(sender, 0, LONG) == 0, "send: %s", tong_detail());
    ledger_until(ledger, &ledger->ready, "the holder");
    kill(pid, SIGSTOP);
    tong_channel *channel = ledger_open(ledger, address, TONG_RECEIVE);
    uint64_t number = 1;
    for (; send_number(sender, number, 0) == 0; number++)
        MUST(ledger, receive(channel, LONG) >= 0, "receive: %s", tong_detail());
    MUST(ledger, number > 30, "only %llu messages went past one that is stopped", (unsigned long long)number);
    MUST(ledger, send_number(sender, number, STOPPED) == -ETIMEDOUT, "send: %s", tong_detail());
    ssize_t r = receive(channel, STOPPED);
    MUST(ledger, r == -ETIMEDOUT, "a receiver that is stopped lost what it holds: %zd %s", r, tong_detail());
    ledger->prodded = 1;
    kill(pid, SIGCONT);
    MUST(ledger, send_number(sender, number, LONG) == 0, "send: %s", tong_detail());
    MUST(ledger, receive(channel, LONG) >= 0 && ledger->redelivered == 0, "receive: %s", tong_detail());
    ledger_join(ledger, pid, "the holder");
    tong_channel_close(sender);
    part(channel);
}

static void send_without_end(unsigned number)
{
    unsigned char own[LEDGER_BIGGEST];
    tong_channel *channel = ledger_open(ledger, address, TONG_SEND);
    while (!ledger->stop) {
        struct ledger_sender *row = &ledger->sender[number];
        size_t size = ledger_write(own, number, row->done, 0);
        row->begun = row->done + 1;
        row->done += tong_channel_send(channel, own, size, NULL, 20 * TONG_MILLISECOND) == 0;
    }
    _exit(0);
}

/* Its messages come again to one who never runs out of others. */
static void test_dead_under_load(void)
{
    pid_t sender[2];
    ledger_clear(ledger, 2);
    ledger->shared = true;
    pid_t pid = start_holder();
    ledger_until(ledger, &ledger->other_ready, "the holder to open");
    for (unsigned i = 0; i < 2; i++)
        if ((sender[i] = ledger_fork(ledger)) == 0)
            send_without_end(i);
    ledger_until(ledger, &ledger->ready, "the holder");
    tong_channel *channel = ledger_open(ledger, address, TONG_RECEIVE);
    for (int i = 0; i < 1000; i++)
        MUST(ledger, receive(channel, LONG) >= 0, "receive: %s", tong_detail());
    int64_t killed = ledger_kill(pid);
    for (bool again = false; !again; ) {
        tong_message meta = TONG_MESSAGE_INIT;
        ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, &meta, LONG);
        MUST(ledger, r >= 0 && ledger_now() - killed < LONG / 10, "what a dead receiver had does not come again: %s", tong_detail());
        ledger_enter(ledger, 0, buffer, (size_t)r, &meta);
        again = meta.flags & TONG_MESSAGE_REDELIVERED;
        ledger_sleep(20 * TONG_MICROSECOND); /* so that there is always a next one */
    }
    printf("under full load, what a dead receiver had comes again after %.1f ms\n", (double)(ledger_now() - killed) / 1e6);
    ledger->stop = 1;
    for (unsigned i = 0; i < 2; i++)
        ledger_join(ledger, sender[i], "a sender");
    part(channel);
}

/* ---- A pid that is used again ----------------------------------------------------------------------------------- */

static struct layout_control *map_senders(void)
{
    char path[128];
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct layout_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(ledger, memory != MAP_FAILED, "%s: %s", path, strerror(errno));
    close(fd);
    return memory;
}

/* The sender's number is this living process's now: with the dead one's start time, or even with this one's. */
static int64_t death_is_noticed_after(const void *forged)
{
    const bool also_start_time = *(const bool *)forged;
    pid_t pid;
    tong_channel *channel = meet(&pid);
    struct layout_control *senders = map_senders();
    senders->places[0].pid = (uint64_t)getpid();
    if (also_start_time)
        senders->places[0].start_time = process_start_time(getpid());
    munmap(senders, sizeof *senders);
    int64_t killed = ledger_kill(pid);
    ssize_t r = receive(channel, LONG);
    int64_t noticed = ledger_now() - killed;
    MUST(ledger, r == -ECONNRESET, "the dead sender gave %zd %s", r, tong_detail());
    part(channel);
    return noticed;
}

static void must_be_in_time(const char *what, int64_t (*noticed_after)(const void *), const void *argument)
{
    const int64_t noticed = third_least(NOTICE, noticed_after, argument);
    printf("%s: noticed after %.1f ms\n", what, (double)noticed / 1e6);
    fflush(stdout);
    MUST(ledger, noticed < NOTICE, "too late");
}

static void test_pid_used_again(bool also_start_time)
{
    must_be_in_time(also_start_time ? "pid used again, and its start time forged" : "pid used again, start time tells",
                    death_is_noticed_after, &also_start_time);
}

/* It waits already, by the pidfd that it has. */
static int64_t changed_is_noticed_after(const void *unused)
{
    pid_t pid;
    (void)unused;
    tong_channel *channel = meet(&pid);
    MUST(ledger, receive(channel, 30 * TONG_MILLISECOND) == -ETIMEDOUT, "nothing was sent");
    struct layout_control *senders = map_senders();
    senders->places[0].pid = (uint64_t)getpid();
    munmap(senders, sizeof *senders);
    pid_t killer = ledger_fork(ledger);
    if (killer == 0) {
        ledger_sleep(50 * TONG_MILLISECOND);
        ledger->noticed = ledger_now();
        kill(pid, SIGKILL);
        _exit(0);
    }
    MUST(ledger, receive(channel, LONG) == -ECONNRESET, "the dead sender: %s", tong_detail());
    const int64_t noticed = ledger_now() - ledger->noticed;
    ledger_join(ledger, killer, "the killer");
    ledger_kill(pid);
    part(channel);
    return noticed;
}

/* ---- Another pid namespace -------------------------------------------------------------------------------------- */

/* 0: it cannot be had here. */
static int64_t unseen_is_noticed_after(const void *unused)
{
    (void)unused;
    tong_channel *channel = ledger_open(ledger, address, TONG_RECEIVE);
    ledger_clear(ledger, 2);
    ledger->sender[0].begun = 2;
    pid_t pid = ledger_fork(ledger);
    if (pid == 0) {
        if (unshare(CLONE_NEWPID) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
            _exit(SKIPPED);
        pid_t inner = fork();
        if (inner == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            tong_channel *sender = ledger_open(ledger, address, TONG_SEND);
            MUST(ledger, send_number(sender, 0, LONG) == 0, "send: %s", tong_detail());
            ledger->ready = 1;
            ledger_until(ledger, &ledger->prodded, "a prod");
            _exit(1);
        }
        waitpid(inner, NULL, 0);
        _exit(0);
    }
    while (!ledger->ready && waitpid(pid, NULL, WNOHANG) == 0)
        ledger_sleep(TONG_MILLISECOND);
    if (!ledger->ready) {
        part(channel);
        return 0;
    }
    MUST(ledger, receive(channel, LONG) >= 0, "receive: %s", tong_detail());
    MUST(ledger, receive(channel, 1200 * TONG_MILLISECOND) == -ETIMEDOUT, "one that cannot be seen lives");
    int64_t killed = ledger_now();
    kill(pid, SIGKILL); /* with it, by PR_SET_PDEATHSIG, the one inside */
    ssize_t r = receive(channel, LONG);
    int64_t noticed = ledger_now() - killed;
    MUST(ledger, r == -ECONNRESET, "the dead one gave %zd %s", r, tong_detail());
    waitpid(pid, NULL, 0);
    part(channel);
    return noticed;
}

int main(void)
{
    ledger = ledger_make();
    snprintf(name, sizeof name, "torture-life-%d", (int)getpid());
    test_stopped();
    use("shm:%s?capacity=4096");
    test_pid_used_again(false);
    test_pid_used_again(true);
    must_be_in_time("pid changed during the wait", changed_is_noticed_after, NULL);
    use("shm:%s?capacity=4096&receivers=16");
    test_stopped_of_many();
    puts("one of many receivers, stopped for 5 s: the others go on, and what it holds is its own");
    test_dead_under_load();
    ledger->shared = false;
    use("shm:%s?capacity=4096");
    int64_t once = unseen_is_noticed_after(NULL);
    if (once == 0)
        puts("SKIP another pid namespace: unshare(2) is not permitted here");
    else
        must_be_in_time("another pid namespace, lives and dies like any other", unseen_is_noticed_after, NULL);
    return 0;
}
