/* SPDX-License-Identifier: MIT */
/* Signals: what there is, sending, masks and waiting, and where they stand. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/give.h"
#include "core/process.h"
#include "core/signal_arrival.h"
#include "core/signal_name.h"
#include "core/signal_send.h"
#include "core/signal_status.h"
#include "core/wait.h"
#include "handle.h"
#include "sys/sys.h"
#include "tong/signal.h"

/* ---- What there is ------------------------------------------------------------------------------------- */

int tong_signal_number(const char *name)
{
    return name ? signal_number(name) : fail(-EINVAL, "the signal's name is NULL");
}

int tong_signal_describe(int number, tong_signal_info *ret)
{
    const struct signal_row *row = signal_row(number);
    tong_signal_info info = TONG_SIGNAL_INFO_INIT;
    if (!row && !signal_reserved(number))
        return fail(-EINVAL, "there is no signal %d: they are 1 to %d", number, SIGRTMAX);
    info.number = number;
    info.flags = (signal_real_time(number) ? TONG_SIGNAL_REAL_TIME : 0) | (row ? 0 : TONG_SIGNAL_RESERVED) |
                 (signal_fixed(number) ? TONG_SIGNAL_FIXED : 0);
    info.action = row ? row->action : 0;
    info.origins = row ? row->origins : 0;
    info.summary = row ? row->summary : "the C library keeps it for its threads";
    signal_name(number, info.name);
    give(ret, &info, sizeof info);
    return 0;
}

int tong_signal_list(size_t index, tong_signal_info *ret)
{
    for (int number = 1; number <= SIGRTMAX; number++)
        if (signal_row(number) && index-- == 0)
            return tong_signal_describe(number, ret);
    return fail_static(-ENOENT, "there are no more signals");
}

/* ---- Sending ------------------------------------------------------------------------------------------- */

int tong_signal_send(const tong_identity *to, int number, const int32_t *value)
{
    struct signal_target target;
    if (!to)
        return fail(-EINVAL, "the identity is NULL");
    if (!signal_row(number))
        return fail(-EINVAL, "signal %d cannot be sent: there is none, or the C library keeps it", number);
    int r = to->pid == (pid_t)to->pid ? signal_target_open((pid_t)to->pid, to->start_time, &target)
                                      : fail(-EINVAL, "there are no process numbers like %lld", (long long)to->pid);
    if (r < 0)
        return r;
    r = signal_target_send(&target, number, value);
    signal_target_close(&target);
    return r;
}

/* ---- Masks and waiting --------------------------------------------------------------------------------- */

/* Only what can be blocked: the C library would pass over the rest in silence. */
static int make_set(uint64_t bits, sigset_t *ret)
{
    if (bits == 0)
        return fail(-EINVAL, "the set of signals is empty");
    sigemptyset(ret);
    for (int number = 1; number <= 64; number++) {
        char name[SIGNAL_NAME_SIZE];
        if (!(bits & signal_bit(number)))
            continue;
        signal_name(number, name);
        if (!signal_row(number) || signal_fixed(number))
            return fail(-EINVAL, "signal %s cannot be blocked or waited for", name);
        sigaddset(ret, number);
    }
    return 0;
}

static uint64_t set_bits(const sigset_t *set)
{
    uint64_t bits = 0;
    for (int number = 1; number <= 64; number++)
        if (sigismember(set, number) == 1)
            bits |= signal_bit(number);
    return bits;
}

static int change_mask(int how, uint64_t bits, uint64_t *ret_before)
{
    sigset_t set, before;
    int r = make_set(bits, &set);
    if (r < 0)
        return r;
    r = sys_sigmask(how, &set, &before);
    if (r < 0)
        return fail_call(r, "pthread_sigmask");
    if (ret_before)
        *ret_before = set_bits(&before);
    return 0;
}

int tong_signal_block(uint64_t set, uint64_t *ret_before)
{
    return change_mask(SIG_BLOCK, set, ret_before);
}

int tong_signal_release(uint64_t set, uint64_t *ret_before)
{
    return change_mask(SIG_UNBLOCK, set, ret_before);
}

/* What is not blocked would be delivered to a handler, or end the process, instead of being waited for. */
static int check_blocked(uint64_t bits)
{
    sigset_t mask;
    char name[SIGNAL_NAME_SIZE];
    int r = sys_sigmask(SIG_BLOCK, NULL, &mask);
    if (r < 0)
        return fail_call(r, "pthread_sigmask");
    uint64_t open = bits & ~set_bits(&mask);
    if (!open)
        return 0;
    signal_name(__builtin_ctzll(open) + 1, name);
    return fail(-EINVAL, "%s is not blocked in this thread, so it would be delivered instead of waited for: call "
                "tong_signal_block() before threads are started", name);
}

static int take(const sigset_t *set, siginfo_t *about, int64_t deadline)
{
    int64_t left = deadline_left(deadline);
    struct timespec time = { left / 1000000000, left % 1000000000 };
    int r = sys_sigtimedwait(set, about, left < 0 ? NULL : &time);
    if (r == -EAGAIN)
        return wait_expired(deadline);
    if (r == -EINTR)
        return fail_static(-EINTR, "another signal was caught while waiting for these");
    return r < 0 ? fail_call(r, "sigtimedwait") : r;
}

int tong_signal_wait(uint64_t bits, int64_t timeout, tong_signal_arrival *ret)
{
    sigset_t set;
    siginfo_t about;
    int r = make_set(bits, &set);
    if (r < 0 || (r = check_blocked(bits)) < 0 || (r = take(&set, &about, deadline_after(timeout))) < 0)
        return r;
    struct signal_account account = { about.si_signo, about.si_code, about.si_errno, about.si_value.sival_int,
                                      about.si_pid, about.si_uid };
    tong_signal_arrival arrival;
    signal_arrival(&account, &arrival);
    if (arrival.sender.pid > 0)
        arrival.sender.start_time = process_start_time((pid_t)arrival.sender.pid);
    if (ret)
        give(ret, &arrival, sizeof arrival);
    return r;
}

/* ---- What is pending where ----------------------------------------------------------------------------- */

static int check_pid(int64_t pid)
{
    return pid >= 0 && pid == (pid_t)pid ? 0 : fail(-EINVAL, "there are no process numbers like %lld", (long long)pid);
}

int tong_signal_status_of(int64_t pid, tong_signal_status *ret)
{
    struct signal_status status;
    int r = check_pid(pid);
    if (r < 0 || (r = signal_status_read((pid_t)pid, 0, &status)) < 0)
        return r;
    pid_t number = pid ? (pid_t)pid : getpid();
    tong_signal_status result = TONG_SIGNAL_STATUS_INIT;
    result.threads = (uint32_t)status.threads;
    result.pending = status.pending;
    result.ignored = status.ignored;
    result.caught = status.caught;
    result.queued = status.queued;
    result.limit = status.limit;
    result.pid = number;
    result.start_time = process_start_time(number);
    result.uid = (uint32_t)status.uid;
    memcpy(result.name, status.name, sizeof result.name);
    give(ret, &result, sizeof result);
    return 0;
}

struct listing {
    pid_t pid;
    tong_signal_thread *threads;
    size_t count, seen;
};

static int list_thread(pid_t tid, void *context)
{
    struct listing *listing = context;
    struct signal_status status;
    int r = signal_status_read(listing->pid, tid, &status);
    if (r < 0)
        return r == -ESRCH ? 0 : r; /* it has ended meanwhile */
    if (listing->seen < listing->count) {
        tong_signal_thread thread = { sizeof thread, 0, tid, status.thread_pending, status.blocked, "" };
        memcpy(thread.name, status.name, sizeof thread.name);
        give((char *)listing->threads + listing->seen * listing->threads->size, &thread, sizeof thread);
    }
    listing->seen++;
    return 0;
}

ssize_t tong_signal_threads_of(int64_t pid, tong_signal_thread *ret, size_t count)
{
    struct listing listing = { (pid_t)pid, ret, count, 0 };
    int r = check_pid(pid);
    if (r == 0 && count && ret->size < sizeof ret->size)
        r = fail(-EINVAL, "tong_signal_thread.size is not set: use TONG_SIGNAL_THREAD_INIT");
    if (r == 0)
        r = signal_threads_visit((pid_t)pid, list_thread, &listing);
    return r < 0 ? r : (ssize_t)listing.seen;
}
