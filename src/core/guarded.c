/* SPDX-License-Identifier: MIT */
/*
 * The mappings that were noted, in blocks that are never freed, because the handler may run in any thread and at any
 * moment, also while another one adds or removes.  A row is filled in before its start is stored, and the start taken
 * away before the mapping goes; so who finds an address in a row finds a mapping of ours.
 */
#include "core/guarded.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/detail.h"
#include "sys/sys.h"

#define ROWS 64

struct block {
    struct row {
        _Atomic uintptr_t start; /* 0: free */
        _Atomic size_t size;
        _Atomic(_Atomic bool *) cut;
    } row[ROWS];
    _Atomic(struct block *) next;
};

static struct block blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of adding and removing */

static struct row *find(uintptr_t start)
{
    for (struct block *block = &blocks; block; block = atomic_load(&block->next))
        for (int i = 0; i < ROWS; i++)
            if (atomic_load(&block->row[i].start) == start)
                return &block->row[i];
    return NULL;
}

static struct row *add_block(void)
{
    struct block *last = &blocks, *next, *made = calloc(1, sizeof *made);
    while ((next = atomic_load(&last->next)))
        last = next;
    atomic_store(&last->next, made);
    return made ? made->row : NULL;
}

int guarded_add(void *start, size_t size, _Atomic bool *ret_cut)
{
    pthread_mutex_lock(&lock);
    struct row *row = find(0);
    if (!row)
        row = add_block();
    if (row) {
        atomic_store(&row->size, size);
        atomic_store(&row->cut, ret_cut);
        atomic_store(&row->start, (uintptr_t)start);
    }
    pthread_mutex_unlock(&lock);
    return row ? 0 : fail_static(-ENOMEM, "out of memory");
}

void guarded_remove(const void *start)
{
    pthread_mutex_lock(&lock);
    struct row *row = start ? find((uintptr_t)start) : NULL;
    if (row)
        atomic_store(&row->start, 0);
    pthread_mutex_unlock(&lock);
}

static bool repair(const struct row *row, uintptr_t address)
{
    uintptr_t start = atomic_load(&row->start);
    size_t size = atomic_load(&row->size);
    if (start == 0 || address - start >= size || sys_mmap_zeros((void *)start, size) < 0)
        return false;
    atomic_store(atomic_load(&row->cut), true);
    return true;
}

bool guarded_repair(const void *address)
{
    for (struct block *block = &blocks; block; block = atomic_load(&block->next))
        for (int i = 0; i < ROWS; i++)
            if (repair(&block->row[i], (uintptr_t)address))
                return true;
    return false;
}
