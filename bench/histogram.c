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

double histogram_value(unsigned slot)
{
    if (slot < 2 * HISTOGRAM_STEPS)
        return slot;
    unsigned shift = slot / HISTOGRAM_STEPS - 1;
    uint64_t first = (uint64_t)(slot % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
    return (double)first + (double)((UINT64_C(1) << shift) - 1) / 2;
}

void histogram_add_many(struct histogram *h, uint64_t value, uint64_t count)
{
    if (!h->samples || value < h->least)
        h->least = value;
    if (value > h->most)
        h->most = value;
    h->counts[slot_of(value)] += count;
    h->samples += count;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    histogram_add_many(h, value, 1);
}

void histogram_join(struct histogram *h, const struct histogram *from)
{
    if (from->samples && (!h->samples || from->least < h->least))
        h->least = from->least;
    if (from->most > h->most)
        h->most = from->most;
    h->samples += from->samples;
    for (unsigned slot = 0; slot < HISTOGRAM_SLOTS; slot++)
        h->counts[slot] += from->counts[slot];
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
            return histogram_value(slot) > (double)h->most ? (double)h->most : histogram_value(slot);
    }
    return (double)h->most;
}
