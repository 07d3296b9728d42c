/* SPDX-License-Identifier: MIT */
/* sleep.h - asking to be told, sleeping until it happens, and waking.  The orders are argued in ring/shared.h. */
#ifndef RING_SLEEP_H
#define RING_SLEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/shared.h"

/* What a processor is told between two looks at a word. */
static inline void ring_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* Prepares this process for others' heavy fences; false: it cannot be, and has to fence by itself. */
bool ring_fence_register(void);

/* Between a rise of `calls` and the look after it.  False: others may not have seen the one, nor we what they did. */
bool ring_fence_heavily(void);

/* Sleeps until `wake` of the other side is no longer `seen`, at most `nanoseconds`: 0 it rose, or may have;
 * -ETIMEDOUT, -EINTR.  `quick`: its first page as ring_object has it, or NULL. */
int ring_sleep(const struct layout_control *peer, const struct layout_control *quick, uint32_t seen, int64_t nanoseconds);

/* Ends all sleeps on `wake` of our side. */
void ring_wake(struct layout_control *own);

/* Wakes who sleeps on `wake` of that side, for a reason that it finds elsewhere.  Async-signal-safe. */
void ring_disturb(const struct layout_control *side);

#endif
