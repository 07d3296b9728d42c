/* SPDX-License-Identifier: MIT */
/*
 * The race at the birth of a System V set: semget(2) makes it, and only another call gives it its values, so whoever
 * opens it in between finds counters at 0 that will not stay so; and whoever makes it may die in between.
 *
 * The kernel keeps one thing that tells: sem_otime, when semop(2) last succeeded, is 0 in a new set.  So
 *   - the maker gives the values by ONE semop(2): wait for the first counter to be 0, which it is, then add to each.
 *     That is atomic, sets sem_otime, and fails for everybody but the first who does it; what a foreign program has
 *     begun to wait for meanwhile it gets, where SETALL would have run over what it did;
 *   - whoever finds sem_otime at 0 waits for it to change;
 *   - sets of programs that use no semop(2) have 0 for ever, and a maker may have died: so that wait is bounded, and left
 *     out for sets that are older.  If nobody ever touched the set after all, not even by semctl(2), and this opener
 *     was asked for values, it gives them by the same call, as the maker would have.
 * A set with more counters than SEMOPM cannot be done in one step: there the maker uses SETALL, and a semop(2) that
 * changes nothing says that it is finished.
 */
#include "sysvsem_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/detail.h"
#include "core/mechanism.h"
#include "core/patience.h"
#include "core/sysv_name.h"

#define BIRTH_MAX INT64_C(1000000000) /* nanoseconds that a maker is given to finish */
#define RACES 16                      /* how often others may make and remove the set while we look */

#define COUNTERS_MAX 65536            /* of struct sembuf's sem_num; kernel.sem may allow more */

static const union sem_argument nothing;

/* ---- Limits ------------------------------------------------------------------------------------------------- */

uint64_t sysvsem_limit(const char *source)
{
    struct seminfo limits;
    if (sys_semctl(0, 0, IPC_INFO, (union sem_argument){ .limits = &limits }) < 0)
        return TONG_UNKNOWN;
    const struct { const char *name; int value; } table[] = {
        { "SEMMSL", limits.semmsl }, { "SEMMNS", limits.semmns }, { "SEMOPM", limits.semopm }, { "SEMMNI", limits.semmni },
        { "SEMVMX", limits.semvmx },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strstr(source, table[i].name))
            return (uint64_t)table[i].value;
    return TONG_UNKNOWN;
}

static unsigned long long limit(const char *name)
{
    return (unsigned long long)sysvsem_limit(name);
}

/* ---- Words -------------------------------------------------------------------------------------------------- */

void sysvsem_set_words(const struct address *address, const struct sysvsem_set *set, char *ret, size_t size)
{
    snprintf(ret, size, "sysvsem:%s (key 0x%x, id %d)", address->name, (unsigned)set->key, set->id);
}

int sysvsem_set_failed(const char *object, const char *call, int error)
{
    switch (error) {
    case -EINTR:
        return fail_static(-EINTR, "a signal was caught before anything moved");
    case -EIDRM: case -EINVAL:
        return sysv_removed(object);
    case -EACCES:
        return fail(-EACCES, "%s: %s is not permitted: its mode and owner (ipcs -s) do not let this user", object, call);
    case -ERANGE:
        return fail(-EOVERFLOW, "%s: a counter holds at most %d (SEMVMX), and so much at most is undone for one process",
                    object, SYSVSEM_VALUE_MAX);
    case -E2BIG:
        return fail(-E2BIG, "%s: too many operations in one step: SEMOPM, the third number of kernel.sem, is %llu", object,
                    limit("SEMOPM"));
    case -ENOSPC: case -ENOMEM:
        return fail(error, "%s: %s: the kernel has no memory to sleep, or to remember what to undo", object, call);
    default:
        return fail_call(error, "%s: %s", object, call);
    }
}

static int cannot_get(const struct address *address, key_t key, int error)
{
    long long count = (long long)address->value[OPTION_COUNTERS];
    switch (error) {
    case -ENOENT:
        return fail(-ENOENT, "sysvsem:%s: there is no set with key 0x%x, and create=no", address->name, (unsigned)key);
    case -EEXIST:
        return fail(-EEXIST, "sysvsem:%s: a set with key 0x%x exists, and create=excl", address->name, (unsigned)key);
    case -EACCES:
        return fail(-EACCES, "sysvsem:%s: the set's mode and owner (ipcs -s) do not let this user open it", address->name);
    case -EINVAL:
        return fail(-EINVAL, "sysvsem:%s: count=%lld: a set has at most %llu counters here (SEMMSL, the first number of "
                    "kernel.sem)", address->name, count, limit("SEMMSL"));
    case -ENOSPC:
        return fail(-ENOSPC, "sysvsem:%s: no more can be made: there are at most %llu sets (SEMMNI) with %llu counters in all "
                    "(SEMMNS, see kernel.sem; ipcs -s lists them)", address->name, limit("SEMMNI"), limit("SEMMNS"));
    default:
        return fail_call(error, "sysvsem:%s: semget(0x%x)", address->name, (unsigned)key);
    }
}

/* ---- Operating ---------------------------------------------------------------------------------------------- */

int sysvsem_set_operate_until(int id, struct sembuf *operations, size_t count, int64_t deadline)
{
    int64_t nanoseconds = deadline_left(deadline);
    struct timespec left = { nanoseconds / 1000000000, nanoseconds % 1000000000 };
    if (nanoseconds == 0)
        for (size_t i = 0; i < count; i++)
            operations[i].sem_flg |= IPC_NOWAIT;
    return sys_semop(id, operations, count, &left);
}

int sysvsem_set_unable(const char *object, int error, int64_t deadline)
{
    return error == -EAGAIN ? semaphore_expired(object, deadline) : sysvsem_set_failed(object, "semop", error);
}

int sysvsem_set_ask(int id, const char *object, unsigned index, int command)
{
    int r = sys_semctl(id, (int)index, command, nothing);
    return r < 0 ? sysvsem_set_failed(object, "semctl", r) : r;
}

int sysvsem_set_remove(int id, const char *object)
{
    int r = sys_semctl(id, 0, IPC_RMID, nothing);
    if (r == 0 || r == -EIDRM || r == -EINVAL)
        return 0;
    return r == -EPERM ? fail(r, "%s: only the set's owner may remove it", object)
                       : fail_call(r, "%s: semctl(IPC_RMID)", object);
}

/* ---- Values ------------------------------------------------------------------------------------------------- */

/* What the maker does where one semop(2) cannot: nobody else may be at it. */
static int give_in_two_steps(int id, unsigned count, unsigned value)
{
    struct sembuf keep[2] = { { 0, -1, IPC_NOWAIT }, { 0, 1, IPC_NOWAIT } }, zero = { 0, 0, IPC_NOWAIT };
    unsigned short *values = malloc(count * sizeof *values);
    if (!values)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++)
        values[i] = (unsigned short)value;
    int r = sys_semctl(id, 0, SETALL, (union sem_argument){ .values = values });
    free(values);
    return r < 0 ? r : sys_semop(id, value ? keep : &zero, value ? 2 : 1, NULL);
}

static int give_in_one_step(int id, unsigned count, unsigned value)
{
    struct sembuf *all = malloc((count + 1) * sizeof *all);
    if (!all)
        return -ENOMEM;
    all[0] = (struct sembuf){ 0, 0, IPC_NOWAIT };
    for (unsigned i = 0; i < count; i++)
        all[i + 1] = (struct sembuf){ (unsigned short)i, (short)value, IPC_NOWAIT };
    int r = sys_semop(id, all, count + 1, NULL);
    free(all);
    return r;
}

static bool one_step_does(unsigned count)
{
    uint64_t most = sysvsem_limit("SEMOPM");
    return most != TONG_UNKNOWN && count < most;
}

/* -EAGAIN: another process has given them, or used the set already. */
static int give_values(const struct sysvsem_set *set, unsigned value)
{
    int r = one_step_does(set->count) ? give_in_one_step(set->id, set->count, value)
                                      : give_in_two_steps(set->id, set->count, value);
    return r == -EAGAIN ? 0 : r;
}

/* Whether nobody did anything to the set since semget(2) made it, nor waits in it. */
static bool untouched(int id)
{
    return sys_semctl(id, 0, GETVAL, nothing) == 0 && sys_semctl(id, 0, GETPID, nothing) == 0 &&
           sys_semctl(id, 0, GETNCNT, nothing) == 0;
}

/* ---- Waiting for the maker ---------------------------------------------------------------------------------- */

/* In whole seconds of a clock that may be set: good enough to spare old sets the wait. */
static bool is_old(const struct semid_ds *state)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec > state->sem_ctime + 1 + BIRTH_MAX / 1000000000;
}

/* 1 if it is finished, 0 if it is too old for that, -EAGAIN if it may yet be, -ENOENT if it is gone. */
static int look_at_birth(struct sysvsem_set *set, const struct address *address)
{
    struct semid_ds state;
    int r = sys_semctl(set->id, 0, IPC_STAT, (union sem_argument){ .state = &state });
    if (r == -EIDRM || r == -EINVAL)
        return -ENOENT;
    if (r < 0)
        return r == -EACCES ? cannot_get(address, set->key, r)
                            : fail_call(r, "sysvsem:%s: semctl(IPC_STAT)", address->name);
    set->count = (unsigned)state.sem_nsems;
    set->key = state.sem_perm.__key;
    return state.sem_otime ? 1 : is_old(&state) ? 0 : -EAGAIN;
}

/* 1 once it is finished, 0 when the time is over, -ENOENT when it is gone. */
static int wait_for_maker(struct sysvsem_set *set, const struct address *address)
{
    int64_t deadline = clock_now() + BIRTH_MAX;
    int r, paused = 0;
    struct patience patience = PATIENCE_INIT;
    do
        r = look_at_birth(set, address);
    while (r == -EAGAIN && (paused = patience_pause(&patience, -1, deadline)) == 0);
    patience_end(&patience);
    return paused == -ETIMEDOUT ? 0 : paused < 0 ? paused : r;
}

/* The set as its maker wants it to be seen: see the head of this file. */
static int finish(struct sysvsem_set *set, const struct address *address, unsigned value, bool wanted)
{
    int r = wait_for_maker(set, address);
    if (r != 0 || !wanted || value == 0 || !untouched(set->id))
        return r < 0 ? r : 0;
    if (!one_step_does(set->count))
        return fail(-ESTALE, "sysvsem:%s: whoever made this set died before its %u counters had their values: remove it "
                    "(tong rm) and make it again", address->name, set->count);
    r = give_values(set, value);
    return r < 0 ? fail_call(r, "sysvsem:%s: giving the values that its maker did not", address->name) : 0;
}

/* ---- Finding and making --------------------------------------------------------------------------------------- */

/* Without words: -EEXIST somebody was first; -ENOENT somebody removed it again before it was finished. */
static int make(const struct address *address, unsigned value, struct sysvsem_set *set)
{
    /* The maker itself needs the right to alter what it makes, if only for now. */
    mode_t mode = (mode_t)address->value[OPTION_MODE];
    set->count = (unsigned)address->value[OPTION_COUNTERS];
    set->id = sys_semget(set->key, (int)set->count, (int)(IPC_CREAT | IPC_EXCL | 0600 | mode));
    if (set->id < 0)
        return set->id == -EEXIST ? -EEXIST : cannot_get(address, set->key, set->id);
    struct semid_ds state;
    union sem_argument argument = { .state = &state };
    int r = give_values(set, value);
    if (r >= 0 && (mode & 0600) != 0600 && (r = sys_semctl(set->id, 0, IPC_STAT, argument)) >= 0) {
        state.sem_perm.mode = (unsigned short)mode;
        r = sys_semctl(set->id, 0, IPC_SET, argument);
    }
    set->made = r >= 0;
    if (r >= 0)
        return 0;
    sys_semctl(set->id, 0, IPC_RMID, nothing);
    if (r == -EIDRM || r == -EINVAL)
        return -ENOENT;
    return fail_call(r, "sysvsem:%s: giving %u counters the value %u", address->name, set->count, value);
}

/* Asks for no more than looking: who may not alter it learns so when trying. */
static int find(const struct address *address, unsigned value, bool wanted, struct sysvsem_set *set)
{
    set->id = sys_semget(set->key, 0, 0400);
    if (set->id == -ENOENT)
        return -ENOENT;
    return set->id < 0 ? cannot_get(address, set->key, set->id) : finish(set, address, value, wanted);
}

static int find_or_make(const struct address *address, unsigned value, bool wanted, struct sysvsem_set *set)
{
    int64_t create = address->value[OPTION_CREATE];
    for (int i = 0; i < RACES; i++) {
        int r = create == CREATE_EXCL ? -ENOENT : find(address, value, wanted, set);
        if (r == -ENOENT && create == CREATE_NO)
            return cannot_get(address, set->key, -ENOENT);
        if (r != -ENOENT)
            return r;
        r = make(address, value, set);
        if (r == -EEXIST && create == CREATE_EXCL)
            return cannot_get(address, set->key, -EEXIST);
        if (r != -EEXIST && r != -ENOENT)
            return r;
    }
    return fail(-EBUSY, "sysvsem:%s: others make and remove it all the time", address->name);
}

static int find_by_id(const struct address *address, unsigned value, bool wanted, struct sysvsem_set *set)
{
    int r = finish(set, address, value, wanted);
    return r == -ENOENT ? fail(r, "sysvsem: there is no set with identifier %d (ipcs -s lists them)", set->id) : r;
}

int sysvsem_set_open(const struct address *address, unsigned value, bool wanted, struct sysvsem_set *ret)
{
    struct sysv_name name;
    int r = sysv_name_parse(address, &name);
    if (r < 0)
        return r;
    struct sysvsem_set set = { name.id, name.key, 0, false };
    r = name.is_id ? find_by_id(address, value, wanted, &set) : find_or_make(address, value, wanted, &set);
    if (r < 0)
        return r;
    if (set.count > COUNTERS_MAX)
        return fail(-EOVERFLOW, "sysvsem:%s: the set has %u counters, and semop(2) can only tell %d apart", address->name,
                    set.count, COUNTERS_MAX);
    int64_t count = address->value[OPTION_COUNTERS];
    if (address_given(address, OPTION_COUNTERS) && count != set.count)
        return fail(-EINVAL, "sysvsem:%s: the set has %u counters, and count=%lld was asked for", address->name, set.count,
                    (long long)count);
    *ret = set;
    return 0;
}
