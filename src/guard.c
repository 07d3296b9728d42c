/* SPDX-License-Identifier: MIT */
/*
 * tong_guard_sigbus().  A fault is told from a signal that was sent by si_code, which is positive only from the kernel, and
 * ours from others' by its address.  All that is done is async-signal-safe: a search without locks, mmap(2), a flag.
 *
 * What is not ours goes to the handler that was there before.  Where there was none the default comes back and the handler
 * returns: a fault happens again, then fatally; what was sent is sent once more.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/detail.h"
#include "core/guarded.h"
#include "sys/sys.h"
#include "tong/base.h"

static struct sigaction before; /* written once, before the handler can run */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void die_of(int number, bool fault)
{
    const struct sigaction fatal = { .sa_handler = SIG_DFL };
    sys_sigaction(number, &fatal, NULL);
    if (!fault)
        sys_raise(number);
}

static void pass_on(int number, siginfo_t *what, void *context, bool fault)
{
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(number, what, context);
    else if (before.sa_handler == SIG_DFL || (before.sa_handler == SIG_IGN && fault))
        die_of(number, fault);
    else if (before.sa_handler != SIG_IGN)
        before.sa_handler(number);
}

static void on_sigbus(int number, siginfo_t *what, void *context)
{
    int error = errno;
    bool fault = what->si_code > 0;
    if (!fault || !guarded_repair(what->si_addr))
        pass_on(number, what, context, fault);
    errno = error;
}

static bool is_installed(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_sigbus;
}

static int install(void)
{
    struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART }, found;
    int r = sys_sigaction(SIGBUS, NULL, &found);
    if (r < 0)
        return fail_call(r, "sigaction(SIGBUS)");
    if (is_installed(&found))
        return 0;
    before = found;
    sigemptyset(&action.sa_mask);
    r = sys_sigaction(SIGBUS, &action, NULL);
    return r < 0 ? fail_call(r, "sigaction(SIGBUS)") : 0;
}

int tong_guard_sigbus(void)
{
    pthread_mutex_lock(&lock);
    int r = install();
    pthread_mutex_unlock(&lock);
    return r;
}
