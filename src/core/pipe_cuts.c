/* SPDX-License-Identifier: MIT */
/* Trying where a full pipe cuts a write. */
#include "core/pipe_cuts.h"

#include <stdatomic.h>
#include <string.h>

#include "sys/sys.h"

#define PAGE 4096
#define ODD 72

/* How much of two pages and ODD bytes a pipe takes that has `before` bytes in it, and at most two pages. */
static ssize_t taken(size_t before)
{
    static const char bytes[2 * PAGE + ODD];
    int ends[2];
    if (sys_pipe(ends) < 0)
        return -1;
    ssize_t r = sys_fcntl_int(ends[1], F_SETPIPE_SZ, 2 * PAGE);
    if (r == 2 * PAGE && (r = sys_fcntl_int(ends[1], F_SETFL, O_NONBLOCK)) == 0)
        r = sys_write(ends[1], bytes, before) == (ssize_t)before ? sys_write(ends[1], bytes, sizeof bytes) : -1;
    sys_close(ends[0]);
    sys_close(ends[1]);
    return r;
}

/* An open page with room, one with too little, and one with just enough. */
static bool try_all(void)
{
    return taken(100) == PAGE + ODD && taken(PAGE - ODD + 1) == PAGE && taken(PAGE - ODD) == PAGE + ODD;
}

bool pipe_cuts_between_pages(void)
{
    enum { UNKNOWN, YES, NO };
    /* Written by any thread, always with the same value. */
    static atomic_int known;
    int is = atomic_load_explicit(&known, memory_order_relaxed);
    if (is == UNKNOWN) {
        is = try_all() ? YES : NO;
        atomic_store_explicit(&known, is, memory_order_relaxed);
    }
    return is == YES;
}
