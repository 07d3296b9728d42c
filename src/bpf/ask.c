/* SPDX-License-Identifier: MIT */
/*
 * The limit is the whole process's.  So it is lifted only after a refusal, only where it counts, and for one call; children
 * that are forked meanwhile would keep it, so forks wait; and if another thread sets it meanwhile, that stays.
 */
#include "bpf/ask.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#include "sys/sys.h"

#define TRIES 5 /* of the verifier, which a signal interrupts */
#define ADMIN (UINT64_C(1) << CAP_SYS_ADMIN)
#define TRACER (UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON)

/* Guards that limit while it is lifted.  Held across fork. */
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;

static void before_fork(void)
{
    pthread_mutex_lock(&limit_lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&limit_lock);
}

static void watch(void)
{
    pthread_atfork(before_fork, after_fork, after_fork);
}

void ask_watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch);
}

bool ask_is_allowed(void)
{
    uint64_t capabilities;
    return sys_capabilities(&capabilities) == 0 && (capabilities & ADMIN || (capabilities & TRACER) == TRACER);
}

/* Where the kernel does not say which one it is, it is lifted in vain at worst. */
static bool is_limited(void)
{
    struct utsname kernel;
    unsigned major, minor;
    if (sys_uname(&kernel) < 0 || sscanf(kernel.release, "%u.%u", &major, &minor) != 2)
        return true;
    return major < 5 || (major == 5 && minor < 11);
}

static bool is_same(const struct rlimit *one, const struct rlimit *other)
{
    return one->rlim_cur == other->rlim_cur && one->rlim_max == other->rlim_max;
}

/* As far as this user may. */
static int lift(struct rlimit *ret_before, struct rlimit *ret_lifted)
{
    int r = sys_getrlimit(RLIMIT_MEMLOCK, ret_before);
    if (r < 0)
        return r;
    *ret_lifted = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
    if (sys_setrlimit(RLIMIT_MEMLOCK, ret_lifted) == 0)
        return 0;
    *ret_lifted = (struct rlimit){ ret_before->rlim_max, ret_before->rlim_max };
    return sys_setrlimit(RLIMIT_MEMLOCK, ret_lifted);
}

static void lower(const struct rlimit *before, const struct rlimit *lifted)
{
    struct rlimit now;
    if (sys_getrlimit(RLIMIT_MEMLOCK, &now) == 0 && is_same(&now, lifted))
        sys_setrlimit(RLIMIT_MEMLOCK, before);
}

static int ask_again(int command, union bpf_attr *attributes)
{
    int r = -EAGAIN;
    for (int i = 0; i < TRIES && r == -EAGAIN; i++)
        r = sys_bpf(command, attributes);
    return r;
}

static int ask_without_limit(int command, union bpf_attr *attributes)
{
    struct rlimit before, lifted;
    ask_watch_forks();
    pthread_mutex_lock(&limit_lock);
    int r = lift(&before, &lifted);
    const bool is_whole = r == 0 && lifted.rlim_cur == RLIM_INFINITY;
    if (r == 0) {
        r = ask_again(command, attributes);
        lower(&before, &lifted);
    } else
        r = -EPERM;
    pthread_mutex_unlock(&limit_lock);
    return r == -EPERM && !is_whole && ask_is_allowed() ? -ENOBUFS : r;
}

int ask_kernel(int command, union bpf_attr *attributes)
{
    int r = ask_again(command, attributes);
    return r == -EPERM && is_limited() ? ask_without_limit(command, attributes) : r;
}
