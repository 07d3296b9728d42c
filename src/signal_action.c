/* SPDX-License-Identifier: MIT */
/*
 * Dispositions.  A handler may interrupt anything, on any thread, also the thread that is just changing what it shall
 * call.  So function and context lie in two slots a signal: who changes them fills the slot that is not in use and then
 * counts `turn` up; who is called reads the slot that turn names and looks at turn again.  Nobody waits for anybody.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/detail.h"
#include "core/signal_arrival.h"
#include "core/signal_name.h"
#include "sys/sys.h"
#include "tong/signal.h"

struct slot {
    _Atomic(tong_signal_function) function;
    _Atomic(void *) context;
};

struct disposition {
    atomic_uint turn;           /* written under `changing`; all of these words are sequentially consistent */
    struct slot slots[2];
    bool changed;               /* by us: `before` holds what was there; guarded by `changing`, as all below */
    struct sigaction before;
    void (*ours)(int);          /* what we put there, to know it again */
};

static struct disposition dispositions[64];
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

static void dispatch(int number, siginfo_t *about, void *unused)
{
    (void)unused;
    struct disposition *disposition = &dispositions[number - 1];
    int error = errno;
    tong_signal_function function;
    void *context;
    unsigned turn;
    do {
        turn = atomic_load(&disposition->turn);
        function = atomic_load(&disposition->slots[turn & 1].function);
        context = atomic_load(&disposition->slots[turn & 1].context);
    } while (atomic_load(&disposition->turn) != turn);
    struct signal_account account = { number, about->si_code, about->si_errno, about->si_value.sival_int, about->si_pid,
                                      about->si_uid };
    tong_signal_arrival arrival;
    signal_arrival(&account, &arrival);
    function(&arrival, context);
    errno = error;
}

static int check(int number)
{
    char name[SIGNAL_NAME_SIZE];
    signal_name(number, name);
    if (signal_row(number) && !signal_fixed(number))
        return 0;
    return fail(-EINVAL, "what signal %s does cannot be changed: KILL and STOP always do what they do, and the C library keeps "
                "some", name);
}

/* Where sigaction(2) keeps the function depends on a flag, but it is one word (a union) on Linux. */
static int put(int number, const struct sigaction *action)
{
    struct disposition *disposition = &dispositions[number - 1];
    struct sigaction before;
    int r = sys_sigaction(number, action, &before);
    if (r < 0)
        return fail_call(r, "sigaction(%d)", number);
    if (!disposition->changed)
        disposition->before = before;
    disposition->changed = true;
    disposition->ours = action->sa_handler;
    return 0;
}

static int change(int number, const struct sigaction *action)
{
    int r = check(number);
    if (r < 0)
        return r;
    pthread_mutex_lock(&changing);
    r = put(number, action);
    pthread_mutex_unlock(&changing);
    return r;
}

int tong_signal_handle(int number, tong_signal_function function, void *context, uint32_t flags)
{
    int r = check(number);
    if (r < 0)
        return r;
    if (!function || flags & ~TONG_SIGNAL_RESTART)
        return fail(-EINVAL, "tong_signal_handle: give a function, and flags 0 or TONG_SIGNAL_RESTART");
    struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK | (flags & TONG_SIGNAL_RESTART ? SA_RESTART : 0) };
    action.sa_sigaction = dispatch;
    sigemptyset(&action.sa_mask);
    struct disposition *disposition = &dispositions[number - 1];
    pthread_mutex_lock(&changing);
    unsigned next = atomic_load(&disposition->turn) + 1;
    atomic_store(&disposition->slots[next & 1].function, function);
    atomic_store(&disposition->slots[next & 1].context, context);
    atomic_store(&disposition->turn, next);
    r = put(number, &action);
    if (r < 0) /* back to the slot before, which is as it was */
        atomic_store(&disposition->turn, next + 1);
    pthread_mutex_unlock(&changing);
    return r;
}

int tong_signal_ignore(int number)
{
    struct sigaction action = { .sa_handler = SIG_IGN };
    sigemptyset(&action.sa_mask);
    return change(number, &action);
}

int tong_signal_default(int number)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigemptyset(&action.sa_mask);
    return change(number, &action);
}

/* Only what is still ours is taken away. */
static int bring_back(int number)
{
    struct disposition *disposition = &dispositions[number - 1];
    struct sigaction now;
    char name[SIGNAL_NAME_SIZE];
    signal_name(number, name);
    if (!disposition->changed)
        return fail(-ENOENT, "%s: nothing to restore: it was not handled, ignored or defaulted by tong_signal_...()", name);
    int r = sys_sigaction(number, NULL, &now);
    if (r == 0 && now.sa_handler != disposition->ours) {
        disposition->changed = false;
        return fail(-EBUSY, "%s: somebody else has set what it does since: left as it is", name);
    }
    if (r == 0)
        r = sys_sigaction(number, &disposition->before, NULL);
    if (r < 0)
        return fail_call(r, "sigaction(%s)", name);
    disposition->changed = false;
    return 0;
}

int tong_signal_restore(int number)
{
    int r = check(number);
    if (r < 0)
        return r;
    pthread_mutex_lock(&changing);
    r = bring_back(number);
    pthread_mutex_unlock(&changing);
    return r;
}
