/* SPDX-License-Identifier: MIT */
/*
 * sysvsem: - sets of System V semaphores, semget(2), semop(2), semctl(2).
 *
 * The kernel keeps the counters and does any number of operations on them in one step, all or none, waiting until all can
 * be done.  What is marked SEM_UNDO it takes back when the process dies.  Every operation is one system call.  Nothing
 * is added: a C program with semop() is as good a user as this library.
 *
 * Traps dealt with here:
 *   - A new set has no values yet: see sysvsem_set.c.
 *   - semop() of more than SEMOPM operations fails, and a counter above SEMVMX is ERANGE, as is an undo.
 *   - semtimedop() takes what is left of the time: the deadline is computed once, and an interrupted wait is -EINTR,
 *     whatever SA_RESTART says.
 *   - A removed set is EIDRM to those who sleep in it and EINVAL to those who come later.
 *   - Setting a counter (SETVAL) makes the kernel forget what was to be undone on it, in every process.
 *   - What is undone belongs to the process that did it: threads share it, a forked child does not get it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "core/mechanism.h"
#include "core/process.h"
#include "core/sysv_name.h"
#include "sysvsem_set.h"

#define STEPS_ON_STACK 64

struct counters {
    struct semaphore semaphore;
    int id;
    bool made; /* by this open, and closing removes it */
};

/* ---- Operating ---------------------------------------------------------------------------------------------- */

static int change(struct semaphore *semaphore, unsigned index, short by, int64_t deadline)
{
    struct sembuf step = { (unsigned short)index, by, 0 };
    return sysvsem_set_operate(((struct counters *)semaphore)->id, semaphore->object, &step, 1, deadline);
}

HOT static int counters_wait(struct semaphore *semaphore, unsigned index, int64_t deadline)
{
    return change(semaphore, index, -1, deadline);
}

/* Adding never sleeps. */
HOT static int counters_post(struct semaphore *semaphore, unsigned index)
{
    return change(semaphore, index, 1, DEADLINE_NEVER);
}

static int translate(const struct semaphore *semaphore, const tong_semaphore_operation *operations, size_t count,
                     struct sembuf *ret)
{
    for (size_t i = 0; i < count; i++) {
        const tong_semaphore_operation *operation = operation_at(operations, i);
        if (operation->change < -SYSVSEM_VALUE_MAX || operation->change > SYSVSEM_VALUE_MAX)
            return fail(-EOVERFLOW, "%s: a counter holds at most %d (SEMVMX): it cannot change by %d", semaphore->object,
                        SYSVSEM_VALUE_MAX, operation->change);
        ret[i] = (struct sembuf){ (unsigned short)operation->index, (short)operation->change,
                                  operation->flags & TONG_SEMAPHORE_UNDO ? SEM_UNDO : 0 };
    }
    return 0;
}

static int counters_operate(struct semaphore *semaphore, const tong_semaphore_operation *operations, size_t count,
                            int64_t deadline)
{
    struct sembuf few[STEPS_ON_STACK], *steps = few;
    if (count > STEPS_ON_STACK) {
        if (count > sysvsem_limit("SEMOPM"))
            return sysvsem_set_failed(semaphore->object, "semop", -E2BIG);
        steps = malloc(count * sizeof *steps);
        if (!steps)
            return fail(-ENOMEM, "%s: out of memory for %zu operations", semaphore->object, count);
    }
    int r = translate(semaphore, operations, count, steps);
    if (r == 0)
        r = sysvsem_set_operate(((struct counters *)semaphore)->id, semaphore->object, steps, count, deadline);
    if (steps != few)
        free(steps);
    return r;
}

/* ---- One counter -------------------------------------------------------------------------------------------- */

static int counters_get(struct semaphore *semaphore, unsigned index, tong_semaphore_info *ret)
{
    static const int commands[] = { GETVAL, GETNCNT, GETZCNT, GETPID };
    int answers[4];
    for (int i = 0; i < 4; i++) {
        answers[i] = sysvsem_set_ask(((struct counters *)semaphore)->id, semaphore->object, index, commands[i]);
        if (answers[i] < 0)
            return answers[i];
    }
    ret->value = (uint32_t)answers[0];
    ret->waiting = (uint32_t)answers[1];
    ret->zero = (uint32_t)answers[2];
    process_name_last(answers[3], &ret->last);
    return 0;
}

static int counters_set(struct semaphore *semaphore, unsigned index, unsigned value)
{
    if (value > SYSVSEM_VALUE_MAX)
        return fail(-ERANGE, "%s: a counter holds at most %d (SEMVMX), not %u", semaphore->object, SYSVSEM_VALUE_MAX, value);
    int r = sys_semctl(((struct counters *)semaphore)->id, (int)index, SETVAL, (union sem_argument){ .value = (int)value });
    return r < 0 ? sysvsem_set_failed(semaphore->object, "semctl(SETVAL)", r) : 0;
}

/* ---- Opening, closing, removing ----------------------------------------------------------------------------- */

static int counters_close(struct semaphore *semaphore, bool forked)
{
    struct counters *counters = (struct counters *)semaphore;
    int r = counters->made && !forked ? sysvsem_set_remove(counters->id, semaphore->object) : 0;
    semaphore_free(semaphore);
    return r;
}

static int counters_open(const struct open_request *request, struct semaphore **ret)
{
    const struct address *address = request->address;
    char object[SYSVSEM_WORDS_MAX];
    struct sysvsem_set set;
    struct semaphore *semaphore;
    int r = sysvsem_set_open(address, (unsigned)address->value[OPTION_VALUE], address_given(address, OPTION_VALUE), &set);
    if (r < 0)
        return r;
    sysvsem_set_words(address, &set, object, sizeof object);
    r = semaphore_new(request, sizeof(struct counters), object, set.count, &semaphore);
    if (r < 0) {
        if (set.made)
            sysvsem_set_remove(set.id, object);
        return r;
    }
    struct counters *counters = (struct counters *)semaphore;
    counters->id = set.id;
    counters->made = set.made && address->value[OPTION_REMOVE] == REMOVE_OWNER;
    semaphore->flags = set.made ? TONG_INFO_CREATED : 0;
    *ret = semaphore;
    return 0;
}

static int counters_remove(const struct address *address)
{
    struct sysv_name name;
    int r = sysv_name_parse(address, &name);
    if (r < 0)
        return r;
    int id = name.is_id ? name.id : sys_semget(name.key, 0, 0);
    r = id < 0 ? id : sys_semctl(id, 0, IPC_RMID, (union sem_argument){ .value = 0 });
    if (r == -ENOENT || r == -EINVAL || r == -EIDRM)
        return fail(-ENOENT, "sysvsem:%s: there is no such set (ipcs -s lists them)", address->name);
    if (r == -EPERM)
        return fail(-EPERM, "sysvsem:%s: only the set's owner may remove it", address->name);
    return r < 0 ? fail_call(r, "sysvsem:%s: semctl(IPC_RMID)", address->name) : 0;
}

/* ---- The row ------------------------------------------------------------------------------------------------ */

static const struct option_use counters_options[] = {
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 1 << REMOVE_NEVER | 1 << REMOVE_OWNER },
    { OPTION_COUNTERS, 1, 1, UINT16_MAX, 0 },
    { OPTION_VALUE, 0, 0, SYSVSEM_VALUE_MAX, 0 },
    OPTIONS_END,
};

static const struct limit counters_limits[] = {
    { "counters in a set", "counters", "kernel.sem, SEMMSL", sysvsem_limit },
    { "counters in all", "counters", "kernel.sem, SEMMNS", sysvsem_limit },
    { "operations in a step", "operations", "kernel.sem, SEMOPM", sysvsem_limit },
    { "sets in all", "sets", "kernel.sem, SEMMNI", sysvsem_limit },
    { "largest value", "", "SEMVMX", sysvsem_limit },
    { NULL, NULL, NULL, NULL },
};

static const struct semaphore_facet counters_facet = {
    .options = counters_options,
    .open = counters_open,
    .wait = counters_wait,
    .post = counters_post,
    .operate = counters_operate,
    .get = counters_get,
    .set = counters_set,
    .close = counters_close,
};

extern const struct lock_facet sysvsem_lock_facet;

const struct mechanism mechanism_sysvsem = {
    .scheme = "sysvsem",
    .form = "sysvsem:KEY, sysvsem:0xKEY, sysvsem:PATH#PROJ, sysvsem:id=N",
    .summary = "System V semaphores: a set of counters, changed together or not at all, undone when a process dies",
    .medium = "memory (of the kernel)",
    .unit = "number (a counter)",
    .reach = "one machine",
    .order = "the kernel; a waiter sleeps in semop",
    .lifetime = "until it is removed or the machine restarts",
    .family = "System V; Linux, the BSDs, macOS, Solaris, AIX",
    .limits = counters_limits,
    .semaphore = &counters_facet,
    .lock = &sysvsem_lock_facet,
    .remove = counters_remove,
};
