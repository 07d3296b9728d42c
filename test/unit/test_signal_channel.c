/* SPDX-License-Identifier: MIT */
/* signal: as a channel: who may receive, what merges and what queues, when it is full, and when a receiver dies. */
#include "signal_fixture.h"

static tong_channel *open_receiver(const char *address)
{
    tong_channel *channel;
    OK(tong_channel_open(address, TONG_RECEIVE, 0, &channel));
    return channel;
}

static tong_channel *open_sender(pid_t pid, const char *options)
{
    char address[64];
    tong_channel *channel;
    snprintf(address, sizeof address, "signal:%d%s", (int)pid, options);
    OK(tong_channel_open(address, TONG_SEND, 0, &channel));
    return channel;
}

static void expect(tong_channel *receiver, const char *text, int type)
{
    char got[16] = "";
    tong_message message = TONG_MESSAGE_INIT;
    int64_t r = OK(tong_channel_receive(receiver, got, sizeof got, &message, 10 * TONG_SECOND));
    MUST((size_t)r == strlen(text) && !memcmp(got, text, (size_t)r), "'%.*s' came for '%s'", (int)r, got, text);
    MUST(message.type == type, "the type is %lld, not %d", (long long)message.type, type);
}

/* ---- Opening ------------------------------------------------------------------------------------------------- */

static atomic_int thread_id, stop;

static void *idle(void *unused)
{
    (void)unused;
    atomic_store(&thread_id, (int)syscall(SYS_gettid));
    while (!atomic_load(&stop))
        usleep(1000);
    return NULL;
}

/* One thread that was started too early is found, and named. */
static void test_unblocked_thread(int unused)
{
    (void)unused;
    pthread_t thread;
    tong_channel *channel;
    char id[16];
    pthread_create(&thread, NULL, idle, NULL);
    while (!atomic_load(&thread_id))
        usleep(1000);
    block(SIGRTMIN);
    GIVES(tong_channel_open("signal:", TONG_RECEIVE, 0, &channel), -EINVAL);
    snprintf(id, sizeof id, "%d", atomic_load(&thread_id));
    MUST(strstr(tong_detail(), id) && strstr(tong_detail(), "RTMIN"), "thread %s is not named: %s", id, tong_detail());
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    OK(tong_channel_open("signal:", TONG_RECEIVE, 0, &channel));
    OK(tong_channel_close(channel));
}

static void test_refused(int unused)
{
    (void)unused;
    tong_channel *channel;
    block(SIGRTMIN);
    GIVES(tong_channel_open("signal:1", TONG_RECEIVE, 0, &channel), -EINVAL);
    GIVES(tong_channel_open("signal:?signal=USR1", TONG_RECEIVE, 0, &channel), -EINVAL);
    GIVES(tong_channel_open("signal:?signal=KILL", TONG_RECEIVE, 0, &channel), -EINVAL);
    GIVES(tong_channel_open("signal:?signal=32", TONG_RECEIVE, 0, &channel), -EINVAL);
    GIVES(tong_channel_open("signal:", TONG_BOTH, 0, &channel), -EOPNOTSUPP);
    GIVES(tong_channel_open("signal:self,self", TONG_SEND, 0, &channel), -EINVAL);
    GIVES(tong_channel_open("signal:bash", TONG_SEND, 0, &channel), -EINVAL);
    GIVES(tong_channel_open("signal:0", TONG_SEND, 0, &channel), -EINVAL);
    GIVES(tong_channel_open("signal:4294967297", TONG_SEND, 0, &channel), -EINVAL);
    pid_t pid = frame_fork();
    if (pid == 0)
        _exit(0);
    frame_join(pid);
    char address[32];
    snprintf(address, sizeof address, "signal:%d", (int)pid);
    GIVES(tong_channel_open(address, TONG_SEND, 0, &channel), -ESRCH);
}

/* ---- What merges, what queues -------------------------------------------------------------------------------- */

static void test_merge(int unused)
{
    (void)unused;
    block(SIGUSR1);
    tong_channel *receiver = open_receiver("signal:?signal=USR1"), *sender = open_sender(getpid(), "?signal=USR1");
    char got[16];
    OK(tong_channel_send(sender, "1", 1, NULL, TONG_SECOND));
    OK(tong_channel_send(sender, "2", 1, NULL, TONG_SECOND));
    expect(receiver, "1", SIGUSR1);
    GIVES(tong_channel_receive(receiver, got, sizeof got, NULL, 0), -EAGAIN);
    OK(tong_channel_close(sender));
    OK(tong_channel_close(receiver));
}

/* Two receivers in one process, each its own signal; the sender chooses by type. */
static void test_types(int unused)
{
    (void)unused;
    OK(tong_signal_block(BIT(SIGRTMIN) | BIT(SIGRTMIN + 1), NULL));
    tong_channel *first = open_receiver("signal:"), *second = open_receiver("signal:?signal=RTMIN+1");
    tong_channel *sender = open_sender(getpid(), "");
    tong_message message = TONG_MESSAGE_INIT;
    message.type = SIGRTMIN + 1;
    OK(tong_channel_send(sender, "2", 1, &message, TONG_SECOND));
    OK(tong_channel_send(sender, "1", 1, NULL, TONG_SECOND));
    expect(first, "1", SIGRTMIN);
    expect(second, "2", SIGRTMIN + 1);
    static const int64_t wrong[] = { -1, 32, 33, 65, INT64_MAX };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        message.type = wrong[i];
        GIVES(tong_channel_send(sender, "2", 1, &message, TONG_SECOND), -EINVAL);
    }
    OK(tong_channel_close(sender));
    OK(tong_channel_close(first));
    OK(tong_channel_close(second));
}

/* kill(2), sigqueue(3), sigwaitinfo(2): programs that never heard of tong. */
static void test_foreign(int unused)
{
    (void)unused;
    siginfo_t got;
    sigset_t set;
    block(SIGRTMIN);
    tong_channel *receiver = open_receiver("signal:"), *sender = open_sender(getpid(), "");
    kill(getpid(), SIGRTMIN);
    sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = -5 });
    expect(receiver, "", SIGRTMIN);
    expect(receiver, "-5", SIGRTMIN);
    OK(tong_channel_send(sender, "17", 2, NULL, TONG_SECOND));
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    MUST(sigwaitinfo(&set, &got) == SIGRTMIN && got.si_code == SI_QUEUE && got.si_value.sival_int == 17 &&
         got.si_pid == getpid() && got.si_uid == getuid(), "sigwaitinfo saw code %d, value %d", got.si_code,
         got.si_value.sival_int);
    OK(tong_channel_close(sender));
    OK(tong_channel_close(receiver));
}

/* A number too long for the buffer is kept. */
static void test_kept(int unused)
{
    (void)unused;
    char got[4];
    block(SIGRTMIN);
    tong_channel *receiver = open_receiver("signal:"), *sender = open_sender(getpid(), "");
    tong_message message = TONG_MESSAGE_INIT;
    OK(tong_channel_send(sender, "-123456", 7, NULL, TONG_SECOND));
    OK(tong_channel_send(sender, "8", 1, NULL, TONG_SECOND));
    for (int i = 0; i < 2; i++) {
        GIVES(tong_channel_receive(receiver, got, sizeof got, &message, TONG_SECOND), -EMSGSIZE);
        MUST(message.length == 7, "it needs %llu", (unsigned long long)message.length);
    }
    expect(receiver, "-123456", SIGRTMIN);
    expect(receiver, "8", SIGRTMIN);
    OK(tong_channel_close(sender));
    OK(tong_channel_close(receiver));
}

/* ---- Full, and dead ------------------------------------------------------------------------------------------ */

/* Sends until there is no more room: how many went. */
static int fill(tong_channel *sender)
{
    char text[16];
    int count = 0, r;
    for (;; count++) {
        snprintf(text, sizeof text, "%d", count);
        r = tong_channel_send(sender, text, strlen(text), NULL, 0);
        if (r < 0)
            break;
        MUST(count < 8, "it is never full");
    }
    GIVES(r, -EAGAIN);
    MUST(count == 8, "it was full with %d", count);
    return count;
}

static void *send_one(void *sender)
{
    return (void *)(intptr_t)tong_channel_send(sender, "1000", 4, NULL, 10 * TONG_SECOND);
}

static void test_full(void)
{
    pthread_t thread;
    void *result;
    char text[16];
    block(SIGRTMIN);
    tong_channel *receiver = open_receiver("signal:"), *sender = open_sender(getpid(), "");
    tong_channel *failing = open_sender(getpid(), "?full=fail"), *dropping = open_sender(getpid(), "?full=drop");
    int count = fill(sender);
    GIVES(tong_channel_send(sender, "1", 1, NULL, 20 * TONG_MILLISECOND), -ETIMEDOUT);
    GIVES(tong_channel_send(failing, "1", 1, NULL, TONG_FOREVER), -EAGAIN);
    GIVES(tong_channel_send(sender, NULL, 0, NULL, 0), -EAGAIN);
    OK(tong_channel_send(dropping, "1", 1, NULL, TONG_FOREVER));
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    OK(tong_channel_describe(dropping, &info));
    MUST(info.dropped == 1, "%llu are said to be dropped", (unsigned long long)info.dropped);
    pthread_create(&thread, NULL, send_one, sender);
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%d", i);
        expect(receiver, text, SIGRTMIN);
    }
    expect(receiver, "1000", SIGRTMIN);
    pthread_join(thread, &result);
    GIVES((int64_t)(intptr_t)result, 0);
    OK(tong_channel_close(sender));
    OK(tong_channel_close(failing));
    OK(tong_channel_close(dropping));
    OK(tong_channel_close(receiver));
}

/* A child that has the signal blocked and takes none. */
static pid_t start_sleeper(void)
{
    int ready[2];
    char byte;
    MUST(pipe(ready) == 0, "pipe: %s", strerror(errno));
    pid_t pid = frame_fork();
    if (pid == 0) {
        block(SIGRTMIN);
        MUST(limit_queue(8), "the limit: %s", strerror(errno));
        MUST(write(ready[1], "x", 1) == 1, "write");
        for (;;)
            pause();
    }
    MUST(read(ready[0], &byte, 1) == 1, "read");
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void *kill_asleep(void *argument)
{
    frame_asleep(0, getpid());
    frame_kill(*(pid_t *)argument);
    return NULL;
}

static void test_dead(int unused)
{
    (void)unused;
    pthread_t thread;
    tong_identity peer = TONG_IDENTITY_INIT;
    pid_t pid = start_sleeper();
    tong_channel *sender = open_sender(pid, "");
    OK(tong_channel_peer(sender, &peer));
    MUST(peer.pid == pid && tong_identity_alive(&peer) == 1, "the peer is %lld", (long long)peer.pid);
    fill(sender);
    pthread_create(&thread, NULL, kill_asleep, &pid);
    int r;
    do
        r = tong_channel_send(sender, "1", 1, NULL, TONG_FOREVER);
    while (r == 0); /* who is dying still accepts, and throws away */
    GIVES(r, -EPIPE);
    pthread_join(thread, NULL);
    GIVES(tong_channel_send(sender, "1", 1, NULL, 0), -EPIPE);
    OK(tong_channel_close(sender));
}

/* ---- Both ways ----------------------------------------------------------------------------------------------- */

/* Parent and child, one channel each, two processes named in each address. */
static void test_both_ways(int unused)
{
    (void)unused;
    char address[48], got[16];
    tong_channel *channel;
    block(SIGRTMIN);
    pid_t parent = getpid(), pid = frame_fork();
    snprintf(address, sizeof address, "signal:self,%d", (int)(pid ? pid : parent));
    OK(tong_channel_open(address, TONG_BOTH, 0, &channel));
    for (int i = 0; i < 50; i++) {
        if (pid)
            OK(tong_channel_send(channel, "1", 1, NULL, TONG_SECOND));
        expect(channel, pid ? "2" : "1", SIGRTMIN);
        if (!pid)
            OK(tong_channel_send(channel, "2", 1, NULL, TONG_SECOND));
    }
    if (pid == 0)
        _exit(0);
    frame_join(pid);
    GIVES(tong_channel_receive(channel, got, sizeof got, NULL, 0), -EAGAIN);
    OK(tong_channel_close(channel));
}

int main(int argc, char **argv)
{
    frame_begin("signal_channel", argc, argv);
    frame_run("unblocked-thread", test_unblocked_thread, 0, 10);
    frame_run("refused", test_refused, 0, 10);
    frame_run("merge", test_merge, 0, 10);
    frame_run("types", test_types, 0, 10);
    frame_run("foreign", test_foreign, 0, 10);
    frame_run("kept", test_kept, 0, 10);
    frame_run_limited("full", test_full);
    if (can_limit())
        frame_run("dead", test_dead, 0, 20);
    else
        frame_skip("dead", "no process can become a user of its own here");
    frame_run("both-ways", test_both_ways, 0, 20);
    return frame_end();
}
