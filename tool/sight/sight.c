/* SPDX-License-Identifier: MIT */
#include "sight/sight.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/number.h"
#include "report.h"

#define SHARE 60 /* of the time from look to look that a look takes of the processor: one part in so many */
#define ENDS_SHOWN 6 /* of one object and direction */

int sight_take(uint32_t flags, tong_snapshot **ret)
{
    tong_look look = TONG_LOOK_INIT;
    look.flags = flags;
    int r = tong_snapshot_take(&look, ret);
    return r < 0 ? fail_library(r, NULL) : 0;
}

int64_t sight_used(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * TONG_SECOND + used.tv_nsec;
}

int64_t sight_pause(int64_t least, int64_t cost)
{
    return cost * SHARE > least ? cost * SHARE : least;
}

void sight_say_coverage(const tong_snapshot *snapshot)
{
    struct text text = TEXT_INIT;
    int64_t end, begin = tong_snapshot_time(snapshot, &end);
    size_t processes = tong_snapshot_processes(snapshot), objects = tong_snapshot_objects(snapshot);
    text_print(&text, "seen: %zu process%s, %zu object%s, from %s in %" PRId64 " ms", processes, plural(processes, "", "es"),
               objects, plural(objects, "", "s"), tong_snapshot_tier(snapshot), (end - begin) / TONG_MILLISECOND);
    const tong_gap *gap;
    for (size_t i = 0; (gap = tong_snapshot_gap(snapshot, i)); i++)
        text_print(&text, "%s %s (%u, %s)", i ? "," : "; not seen:", gap->what, gap->count, gap->why);
    say("%s", text.data);
    text_free(&text);
}

const char *sight_certainty(uint32_t certainty)
{
    static const char *const words[] = { "unsure", "exact", "inferred", "unsure" };
    return words[certainty < sizeof words / sizeof *words ? certainty : 0];
}

/* Answers are kept, as each is read from a file or asked of a server. */
const char *sight_user(uint32_t uid)
{
    static struct { uint32_t uid; bool asked; char name[64]; } known[64];
    __typeof__(&known[0]) place = &known[uid % (sizeof known / sizeof *known)];
    if (!place->asked || place->uid != uid) {
        const struct passwd *user = uid == UINT32_MAX ? NULL : getpwuid(uid);
        snprintf(place->name, sizeof place->name, "%s", user ? user->pw_name : "");
        place->uid = uid;
        place->asked = true;
    }
    return *place->name ? place->name : NULL;
}

/* ---- Choosing -------------------------------------------------------------------------------------------- */

size_t sight_find(const tong_snapshot *snapshot, const char *word, bool *marks)
{
    int64_t pid = -1;
    size_t found = 0;
    const tong_process *process;
    bool number = parse_count(word, 10, &pid) == 0;
    for (size_t i = 0; (process = tong_snapshot_process(snapshot, i)); i++) {
        if (number ? process->pid != pid : strcmp(process->name, word) != 0)
            continue;
        marks[i] = true;
        found++;
    }
    return found;
}

bool sight_touches(const tong_snapshot *snapshot, size_t object, const bool *marks)
{
    size_t first, count = tong_snapshot_ends_of(snapshot, object, &first);
    for (size_t i = 0; i < count; i++)
        if (marks[tong_snapshot_end(snapshot, first + i)->process])
            return true;
    return false;
}

/* ---- Words ----------------------------------------------------------------------------------------------- */

void sight_process(struct text *text, const tong_process *process)
{
    text_visible(text, process->name, strlen(process->name), "");
    text_print(text, "/%" PRId64, process->pid);
}

void sight_next_process(struct text *text, const tong_process *process, const tong_process *before)
{
    text_print(text, "%s", before ? ", " : "");
    if (before && !strcmp(before->name, process->name))
        text_print(text, "%" PRId64, process->pid);
    else
        sight_process(text, process);
}

/* What waits for a lock goes neither way. */
bool sight_opens(const tong_end *end)
{
    return end->flags & TONG_END_WAITS && end->direction;
}

const char *sight_role(const tong_end *end)
{
    return end->flags & TONG_END_LOCK ? " (holds)" : sight_opens(end) ? " (waits in open)"
         : end->flags & TONG_END_WAITS ? " (waits)" : "";
}

void sight_object(struct text *text, const tong_object *object)
{
    if (*object->name)
        text_visible(text, object->name, strlen(object->name), "");
    else
        text_print(text, "[%s]", object->key);
}

static void print_amount(struct text *text, uint64_t bytes)
{
    static const char units[] = { '\0', 'K', 'M', 'G' };
    unsigned unit = 0;
    while (bytes >= 1024 && bytes % 1024 == 0 && unit + 1 < sizeof units) {
        bytes /= 1024;
        unit++;
    }
    text_print(text, "%" PRIu64 "%.*s", bytes, unit > 0, &units[unit]);
}

static void print_filling(struct text *text, const tong_object *object)
{
    bool depth = object->depth != TONG_UNKNOWN, capacity = object->capacity != TONG_UNKNOWN;
    if (depth)
        print_amount(text, object->depth);
    if (capacity) {
        text_print(text, depth ? "/" : "of ");
        print_amount(text, object->capacity);
    }
    if (object->messages != TONG_UNKNOWN)
        text_print(text, "%s(%" PRIu64 ")", depth || capacity ? " " : "", object->messages);
}

void sight_state(struct text *text, const tong_object *object)
{
    static const struct { uint32_t flag; const char *word; } words[] = {
        { TONG_OBJECT_LISTENING, "listens" }, { TONG_OBJECT_FULL, "full" }, { TONG_OBJECT_ORPHAN, "orphan" },
        { TONG_OBJECT_DELETED, "deleted" }, { TONG_OBJECT_WORLD_WRITABLE, "world-writable" },
        { TONG_OBJECT_HIDDEN_ENDS, "unseen ends" },
    };
    size_t before = text->used;
    print_filling(text, object);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (object->flags & words[i].flag)
            text_print(text, "%s%s%s", text->used == before ? "" : " ", words[i].word,
                       words[i].flag == TONG_OBJECT_ORPHAN && object->certainty == TONG_UNSURE ? "?" : "");
    if (text->used == before)
        text_print(text, "-");
}

static size_t print_side(struct text *text, const tong_snapshot *snapshot, size_t object, uint32_t direction)
{
    size_t first, count = tong_snapshot_ends_of(snapshot, object, &first), found = 0;
    const tong_process *before = NULL;
    for (size_t i = 0; i < count; i++) {
        const tong_end *end = tong_snapshot_end(snapshot, first + i);
        bool again = i > 0 && tong_snapshot_end(snapshot, first + i - 1)->process == end->process &&
                     tong_snapshot_end(snapshot, first + i - 1)->direction == direction;
        if (end->direction != direction || again)
            continue;
        if (found < ENDS_SHOWN) {
            const tong_process *process = tong_snapshot_process(snapshot, end->process);
            sight_next_process(text, process, before);
            text_print(text, "%s", sight_role(end));
            before = process;
        }
        found++;
    }
    if (found > ENDS_SHOWN)
        text_print(text, " and %zu more", found - ENDS_SHOWN);
    return found;
}

/* Each way that there is somebody, with an arrow between who can only send and who can only receive. */
void sight_ends(struct text *text, const tong_snapshot *snapshot, size_t object)
{
    size_t before = text->used;
    size_t senders = print_side(text, snapshot, object, TONG_SEND);
    size_t arrow = text->used;
    text_print(text, "%s-> ", senders ? " " : "");
    if (print_side(text, snapshot, object, TONG_RECEIVE) == 0)
        text->used = senders ? text->used - 1 : arrow;
    const uint32_t others[] = { TONG_BOTH, 0 };
    for (size_t i = 0; i < 2; i++) {
        size_t at = text->used;
        text_print(text, "%s", at == before ? "" : "; ");
        if (print_side(text, snapshot, object, others[i]) == 0)
            text->used = at;
    }
    if (text->used == before)
        text_print(text, "-");
    text->data[text->used] = '\0';
}

/* ---- Links ----------------------------------------------------------------------------------------------- */

/* Whether what one puts in the other may take out, or both share it. */
static bool reaches(const tong_end *ours, const tong_end *theirs)
{
    return !ours->direction || !theirs->direction || ours->direction == TONG_BOTH || theirs->direction == TONG_BOTH ||
           ours->direction != theirs->direction;
}

struct linking {
    const tong_snapshot *snapshot;
    const tong_end *ours;
    void (*each)(void *context, const struct sight_link *link);
    void *context;
};

static void link_to(const struct linking *linking, uint32_t object, bool at_peer)
{
    bool listens = tong_snapshot_object(linking->snapshot, object)->flags & TONG_OBJECT_LISTENING;
    uint32_t direction = listens ? 0 : linking->ours->direction; /* who accept at one socket say nothing by that */
    size_t first, count = tong_snapshot_ends_of(linking->snapshot, object, &first);
    uint32_t last = TONG_NOBODY;
    for (size_t i = 0; i < count; i++) {
        const tong_end *end = tong_snapshot_end(linking->snapshot, first + i);
        if (end->process == linking->ours->process || end->process == last || (!at_peer && !reaches(linking->ours, end)))
            continue;
        last = end->process;
        linking->each(linking->context, &(struct sight_link){ linking->ours->object, direction, last, end });
    }
}

void sight_links(const tong_snapshot *snapshot, uint32_t process,
                 void (*each)(void *context, const struct sight_link *link), void *context)
{
    uint32_t last = TONG_NOBODY;
    const tong_end *end;
    for (size_t i = 0; (end = tong_snapshot_end(snapshot, i)); i++) {
        if (end->process != process || end->object == last)
            continue;
        last = end->object;
        const tong_object *object = tong_snapshot_object(snapshot, end->object);
        struct linking linking = { snapshot, end, each, context };
        if (object->peer == TONG_NOBODY)
            link_to(&linking, end->object, object->kind == TONG_KIND_UNIX || object->kind == TONG_KIND_TCP);
        else
            link_to(&linking, object->peer, true);
    }
}
