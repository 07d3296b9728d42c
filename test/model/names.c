/* SPDX-License-Identifier: MIT */
/* What the words of a channel are called. */
#include <stdio.h>

#include "world.h"

struct named {
    size_t at;
    const char *name;
};

#define WORD(type, word) { offsetof(struct type, word), #word }

static const struct named control_words[] = {
    WORD(layout_control, wake), WORD(layout_control, calls), WORD(layout_control, used), { 0, NULL }
};

static const struct named place_words[] = {
    WORD(layout_place, session), WORD(layout_place, pid), WORD(layout_place, start_time), WORD(layout_place, uid),
    WORD(layout_place, pid_namespace), WORD(layout_place, reach), WORD(layout_place, bell),
    WORD(layout_place, name), WORD(layout_place, slow), WORD(layout_place, tail), WORD(layout_place, floor),
    WORD(layout_place, mark),
    { 0, NULL }
};

static const struct named cursor_words[] = {
    WORD(layout_cursor, head), WORD(layout_cursor, intent), WORD(layout_cursor, told), WORD(layout_cursor, died),
    WORD(layout_cursor, moved), WORD(layout_cursor, claim),
    { 0, NULL }
};

static const char *name_in(const struct named *words, size_t at)
{
    while (words->name && words->at != at)
        words++;
    return words->name ? words->name : "?";
}

void model_name(size_t at, char *ret, size_t size)
{
    const size_t control = sizeof(struct layout_control), places = offsetof(struct layout_control, places);
    const size_t seats = offsetof(struct layout_receivers, seats), cursor = sizeof(struct layout_cursor);
    const char *side = at < control ? "senders" : "receivers";
    size_t within = at < control ? at : at - control, place = sizeof(struct layout_place);
    if (at >= WORLD_LANES_AT)
        snprintf(ret, size, "lane %zu at %zu", (at - WORLD_LANES_AT) / (2 * world.capacity), (at - WORLD_LANES_AT) % world.capacity);
    else if (within >= seats)
        snprintf(ret, size, "the seats at %zu", within - seats);
    else if (within >= control)
        snprintf(ret, size, "cursor %zu %s", (within - control) / cursor, name_in(cursor_words, (within - control) % cursor));
    else if (within >= places)
        snprintf(ret, size, "%s' place %zu %s", side, (within - places) / place, name_in(place_words, (within - places) % place));
    else
        snprintf(ret, size, "%s' %s", side, name_in(control_words, within));
}
