/* SPDX-License-Identifier: MIT */
/*
 * Slots 0 to 127 hold one value each.  From there on a value v with its highest bit at position b (7 and above) is cut
 * to its 7 highest bits, 64 to 127, and lies in the row of b: row 0 and 1 are the exact ones.
 */
#include "bench/histogram.h"

static unsigned slot_of(uint64_t value)
{
    if (value < 2 * HISTOGRAM_STEPS)
        return (unsigned)value;
    unsigned shift = 57 - (unsigned)__builtin_clzll(value);
    return shift * HISTOGRAM_STEPS + (unsigned)(value >> shift);
}

/* The middle of what a slot holds. */
static double value_of(unsigned slot)
{
    if (slot < 2 * HISTOGRAM_STEPS)
        return slot;
    unsigned shift = slot / HISTOGRAM_STEPS - 1;
    uint64_t first = (uint64_t)(slot % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
    return (double)first + (double)((UINT64_C(1) << shift) - 1) / 2;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->counts[slot_of(value)]++;
    if (!h->samples++ || value < h->least)
        h->least = value;
    if (value > h->most)
        h->most = value;
    h->sum += (double)value;
}

double histogram_quantile(const struct histogram *h, double fraction)
{
    uint64_t rank = (uint64_t)(fraction * (double)h->samples), passed = 0;
    if (!h->samples)
        return 0;
    if (rank >= h->samples)
        return (double)h->most;
    for (unsigned slot = 0; slot < HISTOGRAM_SLOTS; slot++) {
        passed += h->counts[slot];
        if (passed > rank)
            return value_of(slot) > (double)h->most ? (double)h->most : value_of(slot);
    }
    return (double)h->most;
}
