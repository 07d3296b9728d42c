/* SPDX-License-Identifier: MIT */
/* tong/signal.h: names, defaults as the kernel does them, sending, masks, waiting, dispositions, and where signals stand. */
#include "signal_fixture.h"

/* ---- What there is ------------------------------------------------------------------------------------------- */

static void test_list(int unused)
{
    (void)unused;
    tong_signal_info info = TONG_SIGNAL_INFO_INIT;
    int count = 0, last = 0;
    for (; tong_signal_list((size_t)count, &info) == 0; count++) {
        const char *name = sigabbrev_np(info.number);
        MUST(info.number > last, "%d comes after %d", info.number, last);
        MUST(!name || tong_signal_number(name) == info.number, "signal %d is called %s and libc says %s", info.number, info.name, name);
        MUST(info.number >= SIGRTMIN || name, "libc does not know signal %d", info.number);
        MUST(tong_signal_number(info.name) == info.number, "%s is %d", info.name, tong_signal_number(info.name));
        MUST(info.action && info.origins && *info.summary, "%s lacks its words", info.name);
        MUST(!!(info.flags & TONG_SIGNAL_REAL_TIME) == (info.number >= SIGRTMIN), "%s: flags 0x%x", info.name, info.flags);
        last = info.number;
    }
    MUST(count == 31 + SIGRTMAX - SIGRTMIN + 1 && last == SIGRTMAX, "%d signals, the last %d", count, last);
    GIVES(tong_signal_describe(32, &info), 0);
    MUST(info.flags == TONG_SIGNAL_RESERVED && !strcmp(info.name, "32"), "32 is '%s', flags 0x%x", info.name, info.flags);
    GIVES(tong_signal_describe(SIGRTMAX + 1, &info), -EINVAL);
    GIVES(tong_signal_describe(0, &info), -EINVAL);
}

static void test_names(int unused)
{
    (void)unused;
    const struct { const char *name; int number; } right[] = {
        { "SIGUSR1", SIGUSR1 }, { "usr1", SIGUSR1 }, { "sigterm", SIGTERM }, { "9", SIGKILL }, { "IOT", SIGABRT },
        { "CLD", SIGCHLD }, { "POLL", SIGIO }, { "RTMIN", SIGRTMIN }, { "SIGRTMIN+0", SIGRTMIN }, { "rtmin+3", SIGRTMIN + 3 },
        { "RTMIN+30", SIGRTMAX }, { "RTMAX", SIGRTMAX }, { "RTMAX-30", SIGRTMIN }, { "64", SIGRTMAX },
    };
    static const char *const wrong[] = {
        "", "SIG", "FOO", "0", "32", "33", "65", "-1", "1x", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN+x", "99999999999",
    };
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        GIVES(tong_signal_number(right[i].name), right[i].number);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        GIVES(tong_signal_number(wrong[i]), -EINVAL);
        MUST(*tong_detail(), "'%s' is refused without words", wrong[i]);
    }
}

/* What each does by itself: not by the book, but by sending it to a child. */
static void expect_default(const tong_signal_info *info)
{
    int status;
    pid_t pid = frame_fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        signal(info->number, SIG_DFL);
        send_to(getpid(), info->number, NULL);
        _exit(0);
    }
    MUST(waitpid(pid, &status, WUNTRACED) == pid, "waitpid: %s", strerror(errno));
    bool ends = info->action == TONG_SIGNAL_TERMINATE || info->action == TONG_SIGNAL_CORE;
    bool stops = info->action == TONG_SIGNAL_STOP;
    MUST(WIFSIGNALED(status) == ends && WIFSTOPPED(status) == stops, "%s: status 0x%x, action %u", info->name, status,
         info->action);
    MUST(!ends || WTERMSIG(status) == info->number, "%s: died of %d", info->name, WTERMSIG(status));
    if (stops)
        frame_kill(pid);
}

static void test_defaults(int unused)
{
    (void)unused;
    tong_signal_info info = TONG_SIGNAL_INFO_INIT;
    for (size_t i = 0; tong_signal_list(i, &info) == 0; i++)
        expect_default(&info);
}

/* ---- Sending ------------------------------------------------------------------------------------------------- */

static void stay(void)
{
    for (;;)
        pause();
}

static atomic_int thread_id;

static void *tell_id(void *unused)
{
    atomic_store(&thread_id, (int)syscall(SYS_gettid));
    stay();
    return unused;
}

/* Nothing reaches a process that is not the one meant. */
static void test_gone(int unused)
{
    (void)unused;
    pthread_t thread;
    pid_t pid = frame_fork();
    if (pid == 0)
        stay();
    tong_signal_status status = TONG_SIGNAL_STATUS_INIT;
    OK(tong_signal_status_of(pid, &status));
    tong_identity other = TONG_IDENTITY_INIT;
    other.pid = pid;
    other.start_time = status.start_time + 1;
    GIVES(tong_signal_send(&other, SIGKILL, NULL), -ESRCH);
    GIVES(waitpid(pid, NULL, WNOHANG), 0);
    other.start_time = status.start_time;
    GIVES(tong_signal_send(&other, SIGKILL, NULL), 0);
    siginfo_t ended;
    waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT);
    /* a zombie: kill(2) says that it worked */
    GIVES(kill(pid, SIGUSR1), 0);
    GIVES(send_to(pid, SIGUSR1, NULL), -ESRCH);
    waitpid(pid, NULL, 0);
    GIVES(send_to(pid, SIGUSR1, NULL), -ESRCH);
    GIVES(tong_signal_status_of(pid, &status), -ESRCH);
    GIVES(send_to(0, SIGUSR1, NULL), -EINVAL);
    GIVES(send_to(-1, SIGUSR1, NULL), -EINVAL);
    GIVES(send_to(getpid(), 32, NULL), -EINVAL);
    GIVES(send_to(getpid(), 0, NULL), -EINVAL);
    GIVES(tong_signal_send(NULL, SIGUSR1, NULL), -EINVAL);
    pthread_create(&thread, NULL, tell_id, NULL);
    while (!atomic_load(&thread_id))
        usleep(1000);
    GIVES(send_to(atomic_load(&thread_id), SIGUSR1, NULL), -EINVAL);
}

static void test_denied(int unused)
{
    (void)unused;
    pid_t parent = getpid(), pid = frame_fork();
    if (pid == 0) {
        MUST(setresuid(65534, 65534, 65534) == 0, "setresuid: %s", strerror(errno));
        GIVES(send_to(parent, SIGUSR1, NULL), -EPERM);
        MUST(strstr(tong_detail(), "another user"), "-EPERM says: %s", tong_detail());
        _exit(0);
    }
    frame_join(pid);
}

/* Real-time signals wait up to the limit, and who sends more is told, with or without a value. */
static void test_full(void)
{
    int32_t sent = 0;
    block(SIGRTMIN);
    while (send_to(getpid(), SIGRTMIN, &sent) == 0)
        MUST(++sent <= 8, "it is never full");
    MUST(sent == 8, "it was full with %d", sent);
    GIVES(send_to(getpid(), SIGRTMIN, &sent), -EAGAIN);
    MUST(strstr(tong_detail(), "RLIMIT_SIGPENDING"), "-EAGAIN says: %s", tong_detail());
    GIVES(send_to(getpid(), SIGRTMIN, NULL), -EAGAIN);
    for (int32_t i = 0; i < sent; i++) {
        tong_signal_arrival arrival = TONG_SIGNAL_ARRIVAL_INIT;
        GIVES(tong_signal_wait(BIT(SIGRTMIN), 0, &arrival), SIGRTMIN);
        MUST(arrival.flags & TONG_SIGNAL_VALUE && arrival.value == i, "%d came as %d", i, arrival.value);
    }
    GIVES(tong_signal_wait(BIT(SIGRTMIN), 0, NULL), -EAGAIN);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------- */

static void nothing(int number)
{
    (void)number;
}

static void test_wait(int unused)
{
    (void)unused;
    tong_signal_arrival a = TONG_SIGNAL_ARRIVAL_INIT;
    GIVES(tong_signal_wait(BIT(SIGUSR1), 0, &a), -EINVAL);
    MUST(strstr(tong_detail(), "USR1"), "it is not named: %s", tong_detail());
    GIVES(tong_signal_wait(0, 0, &a), -EINVAL);
    GIVES(tong_signal_block(BIT(SIGKILL), NULL), -EINVAL);
    GIVES(tong_signal_block(BIT(32), NULL), -EINVAL);
    uint64_t both = BIT(SIGUSR1) | BIT(SIGRTMIN), before;
    OK(tong_signal_block(both, &before));
    MUST(!(before & both), "blocked before: 0x%llx", (unsigned long long)before);
    GIVES(tong_signal_wait(both, 0, &a), -EAGAIN);
    int64_t began = frame_now();
    GIVES(tong_signal_wait(both, 20 * TONG_MILLISECOND, &a), -ETIMEDOUT);
    MUST(frame_now() - began >= 20 * TONG_MILLISECOND, "timed out early");
    send_value(getpid(), SIGRTMIN, 1);
    send_value(getpid(), SIGRTMIN, -2);
    OK(send_to(getpid(), SIGRTMIN, NULL));
    OK(send_to(getpid(), SIGUSR1, NULL));
    GIVES(tong_signal_wait(both, TONG_FOREVER, &a), SIGUSR1);
    MUST(a.flags == 0 && a.origin == TONG_SIGNAL_FROM_PROCESS && a.sender.source == TONG_IDENTITY_CLAIMED &&
         a.sender.pid == getpid() && a.sender.uid == getuid() && a.sender.start_time, "the sender is not told");
    GIVES(tong_signal_wait(both, TONG_FOREVER, &a), SIGRTMIN);
    MUST(a.value == 1, "the first came as %d", a.value);
    GIVES(tong_signal_wait(both, TONG_FOREVER, &a), SIGRTMIN);
    MUST(a.value == -2, "the second came as %d", a.value);
    GIVES(tong_signal_wait(both, TONG_FOREVER, &a), SIGRTMIN);
    MUST(!(a.flags & TONG_SIGNAL_VALUE), "one without a value has the value %d", a.value);
}

static void *interrupt(void *waiter)
{
    pthread_kill(*(pthread_t *)waiter, SIGALRM);
    return NULL;
}

static void *interrupt_asleep(void *waiter)
{
    frame_asleep(0, getpid());
    return interrupt(waiter);
}

static void test_wait_interrupted(int unused)
{
    (void)unused;
    pthread_t self = pthread_self(), thread;
    signal(SIGALRM, nothing);
    block(SIGUSR1);
    pthread_create(&thread, NULL, interrupt_asleep, &self);
    GIVES(tong_signal_wait(BIT(SIGUSR1), 10 * TONG_SECOND, NULL), -EINTR);
    pthread_join(thread, NULL);
}

/* Where it comes from: a timer, the kernel, another process by foreign means, and one that lies about who it is. */
static void test_origins(int unused)
{
    (void)unused;
    tong_signal_arrival a = TONG_SIGNAL_ARRIVAL_INIT;
    timer_t timer;
    uint64_t set = BIT(SIGRTMIN) | BIT(SIGCHLD) | BIT(SIGUSR1);
    OK(tong_signal_block(set, NULL));
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77 };
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create: %s", strerror(errno));
    timer_settime(timer, 0, &(struct itimerspec){ { 0, 0 }, { 0, 1000000 } }, NULL);
    GIVES(tong_signal_wait(set, 10 * TONG_SECOND, &a), SIGRTMIN);
    MUST(a.origin == TONG_SIGNAL_FROM_TIMER && a.value == 77 && a.sender.source == TONG_IDENTITY_NONE, "the timer's");
    timer_delete(timer);
    pid_t parent = getpid(), pid = frame_fork();
    if (pid == 0) {
        siginfo_t forged = { .si_signo = SIGRTMIN, .si_code = SI_QUEUE };
        forged.si_pid = 1;
        forged.si_value.sival_int = 5;
        syscall(SYS_rt_sigqueueinfo, parent, SIGRTMIN, &forged);
        forged.si_code = -100; /* any below 0 may be claimed, but those of a process are all that is known of it */
        syscall(SYS_rt_sigqueueinfo, parent, SIGRTMIN, &forged);
        sigqueue(parent, SIGUSR1, (union sigval){ .sival_int = 6 });
        _exit(0);
    }
    GIVES(tong_signal_wait(BIT(SIGRTMIN), 10 * TONG_SECOND, &a), SIGRTMIN);
    MUST(a.sender.pid == 1 && a.sender.source == TONG_IDENTITY_CLAIMED && a.value == 5, "forged: from %lld, source %u",
         (long long)a.sender.pid, a.sender.source);
    GIVES(tong_signal_wait(BIT(SIGRTMIN), 10 * TONG_SECOND, &a), SIGRTMIN);
    MUST(a.origin == TONG_SIGNAL_FROM_PROCESS && a.code == -100 && !a.flags, "an unknown code is from %u", a.origin);
    GIVES(tong_signal_wait(BIT(SIGUSR1), 10 * TONG_SECOND, &a), SIGUSR1);
    MUST(a.sender.pid == pid && a.value == 6 && a.flags == TONG_SIGNAL_VALUE, "sigqueue(3) from %lld", (long long)a.sender.pid);
    GIVES(tong_signal_wait(BIT(SIGCHLD), 10 * TONG_SECOND, &a), SIGCHLD);
    MUST(a.origin == TONG_SIGNAL_FROM_KERNEL && a.code == CLD_EXITED && !(a.flags & TONG_SIGNAL_VALUE), "the child's end");
    frame_join(pid);
}

/* ---- Where signals stand --------------------------------------------------------------------------------------- */

static void test_status(int unused)
{
    (void)unused;
    int ready[2];
    char byte;
    MUST(pipe(ready) == 0, "pipe: %s", strerror(errno));
    pid_t pid = frame_fork();
    if (pid == 0) {
        OK(tong_signal_ignore(SIGHUP));
        signal(SIGTERM, nothing);
        OK(tong_signal_block(BIT(SIGUSR1) | BIT(SIGUSR2), NULL));
        pthread_kill(pthread_self(), SIGUSR2);
        MUST(write(ready[1], "x", 1) == 1, "write");
        stay();
    }
    MUST(read(ready[0], &byte, 1) == 1, "read");
    OK(send_to(pid, SIGUSR1, NULL));
    tong_signal_status s = TONG_SIGNAL_STATUS_INIT;
    tong_signal_thread t = TONG_SIGNAL_THREAD_INIT;
    OK(tong_signal_status_of(pid, &s));
    MUST(s.pending == BIT(SIGUSR1), "pending: 0x%llx", (unsigned long long)s.pending);
    MUST(s.ignored & BIT(SIGHUP) && s.caught & BIT(SIGTERM), "ignored or caught are wrong");
    ssize_t threads = tong_signal_threads_of(pid, NULL, 0); /* a sanitizer may have one of its own */
    MUST(s.threads == threads && (threads == 1 || frame_watched()), "%u threads, or %zd", s.threads, threads);
    MUST(s.pid == pid && s.uid == getuid() && s.limit > 0 && s.queued > 0 && *s.name, "the rest is wrong");
    GIVES(tong_signal_threads_of(pid, &t, 1), threads);
    MUST(t.tid == pid && t.pending == BIT(SIGUSR2), "pending of the thread: 0x%llx", (unsigned long long)t.pending);
    MUST((t.blocked & (BIT(SIGUSR1) | BIT(SIGUSR2))) == (BIT(SIGUSR1) | BIT(SIGUSR2)), "blocked");
    t.size = 0;
    GIVES(tong_signal_threads_of(pid, &t, 1), -EINVAL);
    frame_kill(pid);
    close(ready[0]);
    close(ready[1]);
}

int main(int argc, char **argv)
{
    frame_begin("signal", argc, argv);
    frame_run("list", test_list, 0, 10);
    frame_run("names", test_names, 0, 10);
    frame_run("defaults", test_defaults, 0, 30);
    frame_run("gone", test_gone, 0, 10);
    if (geteuid() == 0)
        frame_run("denied", test_denied, 0, 10);
    else
        frame_skip("denied", "only root can become another user");
    frame_run_limited("full", test_full);
    frame_run("wait", test_wait, 0, 10);
    frame_run("wait-interrupted", test_wait_interrupted, 0, 20);
    frame_run("origins", test_origins, 0, 20);
    frame_run("status", test_status, 0, 10);
    return frame_end();
}
