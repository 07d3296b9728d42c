/* SPDX-License-Identifier: MIT */
/* Works that differ by their size alone, and from which size on one contestant overtakes another. */
#include "bench/round.h"

const char *const sizes_words[SIZES] = { "one way, two processors", "there and back, one processor" };

bool round_in_sizes(const struct work *w, enum sizes sizes)
{
    if (w->spin || w->broadcast || w->burst || w->hands || w->senders > 1 || w->receivers > 1)
        return false;
    return sizes == SIZES_APART ? w->test == TEST_ONE_WAY && w->place == PLACE_APART
                                : w->test == TEST_ROUND_TRIP && w->place == PLACE_TOGETHER;
}

/* The next such work after one; -1 past the last.  They stand in the order of their sizes. */
static int next_size(enum sizes sizes, int after)
{
    for (int i = after + 1; i < work_count; i++)
        if (round_in_sizes(&works[i], sizes))
            return i;
    return -1;
}

size_t round_overtakes(const struct round *round, enum sizes sizes, int faster, int slower)
{
    size_t from = 0;
    for (int w = next_size(sizes, -1); w >= 0; w = next_size(sizes, w)) {
        const struct figure *a = &round->cells[w][faster].figures[METRIC_TIME];
        const struct figure *b = &round->cells[w][slower].figures[METRIC_TIME];
        if (!a->runs || !b->runs)
            continue;
        if (a->median >= b->median)
            from = 0;
        else if (!from)
            from = works[w].size;
    }
    return from;
}

int round_sizes(const struct round *round, enum sizes sizes, int a, int b)
{
    int both = 0;
    for (int w = next_size(sizes, -1); w >= 0; w = next_size(sizes, w))
        both += round->cells[w][a].figures[METRIC_TIME].runs && round->cells[w][b].figures[METRIC_TIME].runs;
    return both;
}
