/* SPDX-License-Identifier: MIT */
/* sysvsem_set.h - one set of System V semaphores: finding, making, operating, and what may go wrong in words. */
#ifndef MECHANISM_SYSVSEM_SET_H
#define MECHANISM_SYSVSEM_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "core/address.h"
#include "sys/sys.h"

#define SYSVSEM_VALUE_MAX 32767 /* SEMVMX, and SEMAEM of what is undone: fixed in the kernel */

struct sysvsem_set {
    int id;
    key_t key;
    unsigned count;
    bool made; /* by this very open */
};

/*
 * Finds, and if need be and `address` allows makes, the set.  A new one has count= counters, each `value`.
 * `wanted`: a set that its maker left without values, because it died, gets them too.  On failure nothing is left.
 */
int sysvsem_set_open(const struct address *address, unsigned value, bool wanted, struct sysvsem_set *ret);

/* "sysvsem:1234 (key 0x4d2, id 7)". */
void sysvsem_set_words(const struct address *address, const struct sysvsem_set *set, char *ret, size_t size);
#define SYSVSEM_WORDS_MAX (ADDRESS_NAME_MAX + 64)

/* The parts of the next one that are not worth being inlined: a wait that has an end, and words. */
int sysvsem_set_operate_until(int id, struct sembuf *operations, size_t count, int64_t deadline);
int sysvsem_set_unable(const char *object, int error, int64_t deadline);

/*
 * All of the operations or none, waiting until the deadline.  `object` is for the words.  Inline, because behind a system
 * call every return is mispredicted (the kernel clears the predictor), so that each level of calls costs some ns.
 */
static inline int sysvsem_set_operate(int id, const char *object, struct sembuf *operations, size_t count, int64_t deadline)
{
    int r = __builtin_expect(deadline == DEADLINE_NEVER, 1) ? sys_semop(id, operations, count, NULL)
                                                            : sysvsem_set_operate_until(id, operations, count, deadline);
    return __builtin_expect(r >= 0, 1) ? 0 : sysvsem_set_unable(object, r, deadline);
}

/* What semctl(2) returns for one counter: GETVAL, GETNCNT, GETZCNT, GETPID. */
int sysvsem_set_ask(int id, const char *object, unsigned index, int command);

/* The words for an error of semop(2) or semctl(2); returns the error that callers see. */
int sysvsem_set_failed(const char *object, const char *call, int error);

/* IPC_RMID; 0 also when it is gone already. */
int sysvsem_set_remove(int id, const char *object);

/* One of SEMMSL, SEMMNS, SEMOPM, SEMMNI, SEMVMX, as they are in force here. */
uint64_t sysvsem_limit(const char *source);

#endif
