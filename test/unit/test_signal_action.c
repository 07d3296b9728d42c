/* SPDX-License-Identifier: MIT */
/* Handled, ignored, blocked and released, default; and nothing of the caller's touched. */
#include "signal_fixture.h"

/* What a handler saw.  Written in signal context, read when it has run. */
static atomic_int seen, values[16];
static _Atomic(void *) seen_context;
static atomic_long seen_sender;

static void record(const tong_signal_arrival *arrival, void *context)
{
    int index = atomic_fetch_add(&seen, 1);
    if (index < 16)
        atomic_store(&values[index], arrival->flags & TONG_SIGNAL_VALUE ? arrival->value : -1);
    atomic_store(&seen_context, context);
    atomic_store(&seen_sender, (long)arrival->sender.pid);
    errno = E2BIG;
}

static void other(const tong_signal_arrival *arrival, void *context)
{
    (void)arrival;
    (void)context;
    atomic_store(&seen, -1);
}

static void test_handle(int unused)
{
    (void)unused;
    int context;
    OK(tong_signal_handle(SIGRTMIN, record, &context, 0));
    errno = EXDEV;
    send_value(getpid(), SIGRTMIN, 42);
    MUST(errno == EXDEV, "the handler's errno shows");
    MUST(atomic_load(&seen) == 1 && atomic_load(&values[0]) == 42, "seen %d times, value %d", atomic_load(&seen),
         atomic_load(&values[0]));
    MUST(atomic_load(&seen_context) == &context && atomic_load(&seen_sender) == getpid(), "context or sender");
    OK(tong_signal_handle(SIGRTMIN, other, NULL, TONG_SIGNAL_RESTART));
    send_value(getpid(), SIGRTMIN, 1);
    MUST(atomic_load(&seen) == -1, "the second function was not called");
    OK(tong_signal_restore(SIGRTMIN));
    struct sigaction now;
    sigaction(SIGRTMIN, NULL, &now);
    MUST(now.sa_handler == SIG_DFL, "what was there before the first is not back");
    GIVES(tong_signal_restore(SIGRTMIN), -ENOENT);
    GIVES(tong_signal_handle(SIGKILL, record, NULL, 0), -EINVAL);
    GIVES(tong_signal_handle(33, record, NULL, 0), -EINVAL);
    GIVES(tong_signal_handle(0, record, NULL, 0), -EINVAL);
    GIVES(tong_signal_handle(65, record, NULL, 0), -EINVAL);
    GIVES(tong_signal_handle(SIGUSR1, NULL, NULL, 0), -EINVAL);
    GIVES(tong_signal_handle(SIGUSR1, record, NULL, 0x80), -EINVAL);
    GIVES(tong_signal_ignore(SIGSTOP), -EINVAL);
}

/* A blocked standard signal is delivered once, however often it came; a real-time one each time, in order. */
static void test_block_release(int unused)
{
    (void)unused;
    uint64_t set = BIT(SIGUSR1) | BIT(SIGRTMIN);
    OK(tong_signal_handle(SIGUSR1, record, NULL, 0));
    OK(tong_signal_block(set, NULL));
    for (int32_t i = 1; i <= 3; i++)
        send_value(getpid(), SIGUSR1, i);
    MUST(atomic_load(&seen) == 0, "a blocked signal was delivered");
    OK(tong_signal_release(set, NULL));
    MUST(atomic_load(&seen) == 1 && atomic_load(&values[0]) == 1, "standard: %d of 3 came, the first with %d",
         atomic_load(&seen), atomic_load(&values[0]));
    atomic_store(&seen, 0);
    OK(tong_signal_handle(SIGRTMIN, record, NULL, 0));
    OK(tong_signal_block(set, NULL));
    for (int32_t i = 1; i <= 3; i++)
        send_value(getpid(), SIGRTMIN, i);
    MUST(atomic_load(&seen) == 0, "a blocked real-time signal was delivered");
    OK(tong_signal_release(set, NULL));
    if (frame_watched()) /* ThreadSanitizer holds signals back, and merges them all */
        return;
    MUST(atomic_load(&seen) == 3, "real-time: %d of 3 came", atomic_load(&seen));
    for (int i = 0; i < 3; i++)
        MUST(atomic_load(&values[i]) == i + 1, "the %d-th came with %d", i + 1, atomic_load(&values[i]));
}

static void test_ignore_default(int unused)
{
    (void)unused;
    OK(tong_signal_ignore(SIGUSR1));
    send_value(getpid(), SIGUSR1, 1);
    /* ignoring throws away what waits already */
    block(SIGUSR2);
    send_value(getpid(), SIGUSR2, 1);
    OK(tong_signal_ignore(SIGUSR2));
    OK(tong_signal_release(BIT(SIGUSR2), NULL));
    int status;
    pid_t pid = frame_fork();
    if (pid == 0) {
        OK(tong_signal_default(SIGUSR1));
        send_value(getpid(), SIGUSR1, 1);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1, "the default of USR1 is to end the process: 0x%x", status);
    OK(tong_signal_restore(SIGUSR1));
    OK(tong_signal_restore(SIGUSR2));
}

static void mine(int number)
{
    (void)number;
}

/* What somebody else has set since is not taken from them. */
static void test_restore_not_ours(int unused)
{
    (void)unused;
    struct sigaction now;
    OK(tong_signal_handle(SIGUSR1, record, NULL, 0));
    signal(SIGUSR1, mine);
    GIVES(tong_signal_restore(SIGUSR1), -EBUSY);
    sigaction(SIGUSR1, NULL, &now);
    MUST(now.sa_handler == mine, "it was taken away");
    GIVES(tong_signal_restore(SIGUSR1), -ENOENT);
    OK(tong_signal_ignore(SIGUSR1));
    OK(tong_signal_restore(SIGUSR1));
    sigaction(SIGUSR1, NULL, &now);
    MUST(now.sa_handler == mine, "what was there before is not back");
}

static void take_actions(struct sigaction ret[65])
{
    for (int number = 1; number <= 64; number++)
        sigaction(number, NULL, &ret[number]);
}

/* libc leaves what lies behind the 64 signals of a set as it comes. */
static bool same_set(const sigset_t *one, const sigset_t *other)
{
    for (int number = 1; number <= 64; number++)
        if (sigismember(one, number) != sigismember(other, number))
            return false;
    return true;
}

static bool same_action(const struct sigaction *one, const struct sigaction *other)
{
    const int restorer = 0x04000000; /* the kernel's and libc's own business, in whatever libc has set */
    return one->sa_handler == other->sa_handler && (one->sa_flags | restorer) == (other->sa_flags | restorer) &&
           same_set(&one->sa_mask, &other->sa_mask);
}

static void use_everything(void)
{
    tong_signal_arrival arrival = TONG_SIGNAL_ARRIVAL_INIT;
    tong_signal_status status = TONG_SIGNAL_STATUS_INIT;
    tong_signal_thread thread = TONG_SIGNAL_THREAD_INIT;
    tong_channel *sender, *receiver;
    char got[16];
    uint64_t before;
    OK(tong_signal_handle(SIGUSR1, record, NULL, 0));
    OK(tong_signal_ignore(SIGTERM));
    OK(tong_signal_default(SIGALRM));
    OK(tong_signal_block(BIT(SIGRTMIN), &before));
    send_value(getpid(), SIGRTMIN, 3);
    GIVES(tong_signal_wait(BIT(SIGRTMIN), TONG_SECOND, &arrival), SIGRTMIN);
    OK(tong_channel_open("signal:", TONG_RECEIVE, 0, &receiver));
    OK(tong_channel_open("signal:self", TONG_SEND, 0, &sender));
    OK(tong_channel_send(sender, "9", 1, NULL, TONG_SECOND));
    GIVES(tong_channel_receive(receiver, got, sizeof got, NULL, TONG_SECOND), 1);
    OK(tong_channel_close(sender));
    OK(tong_channel_close(receiver));
    OK(tong_signal_status_of(0, &status));
    OK(tong_signal_threads_of(0, &thread, 1));
    OK(tong_signal_release(BIT(SIGRTMIN) & ~before, NULL));
    OK(tong_signal_restore(SIGUSR1));
    OK(tong_signal_restore(SIGTERM));
    OK(tong_signal_restore(SIGALRM));
}

static void test_untouched(int unused)
{
    (void)unused;
    static struct sigaction before[65], after[65];
    sigset_t mask_before, mask_after;
    struct sigaction own = { .sa_handler = mine, .sa_flags = SA_NODEFER | SA_RESTART };
    sigaddset(&own.sa_mask, SIGHUP);
    sigaction(SIGUSR1, &own, NULL);
    sigaction(SIGUSR2, &own, NULL);
    take_actions(before);
    pthread_sigmask(SIG_BLOCK, NULL, &mask_before);
    use_everything();
    take_actions(after);
    pthread_sigmask(SIG_BLOCK, NULL, &mask_after);
    MUST(same_set(&mask_before, &mask_after), "the mask is another");
    for (int number = 1; number <= 64; number++)
        MUST(same_action(&before[number], &after[number]), "signal %d is handled otherwise", number);
}

/* Each function comes with its own context, whoever is changing them meanwhile, on whatever thread. */
static char odd_context, even_context;
static atomic_int calls, mixed, stop;

static void odd(const tong_signal_arrival *arrival, void *context)
{
    (void)arrival;
    atomic_fetch_add(&calls, 1);
    atomic_fetch_add(&mixed, context != &odd_context);
}

static void even(const tong_signal_arrival *arrival, void *context)
{
    (void)arrival;
    atomic_fetch_add(&calls, 1);
    atomic_fetch_add(&mixed, context != &even_context);
}

static void *raise_signals(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop))
        pthread_kill(pthread_self(), SIGUSR1);
    return NULL;
}

static void test_changing(int unused)
{
    (void)unused;
    pthread_t thread;
    OK(tong_signal_handle(SIGUSR1, even, &even_context, 0));
    MUST(pthread_create(&thread, NULL, raise_signals, NULL) == 0, "no thread");
    for (int i = 0; i < 3000 || atomic_load(&calls) < 1000; i++) {
        OK(tong_signal_handle(SIGUSR1, odd, &odd_context, 0));
        OK(tong_signal_handle(SIGUSR1, even, &even_context, 0));
    }
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    MUST(atomic_load(&mixed) == 0, "%d of %d calls had the other's context", atomic_load(&mixed), atomic_load(&calls));
}

int main(int argc, char **argv)
{
    frame_begin("signal_action", argc, argv);
    frame_run("handle", test_handle, 0, 10);
    frame_run("block-release", test_block_release, 0, 10);
    frame_run("ignore-default", test_ignore_default, 0, 10);
    frame_run("restore-not-ours", test_restore_not_ours, 0, 10);
    frame_run("untouched", test_untouched, 0, 10);
    frame_run("changing", test_changing, 0, 30);
    return frame_end();
}
