/* SPDX-License-Identifier: MIT */
#include "sight/naming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "report.h"

#define PAUSE (TONG_SECOND / 2) /* between two snapshots at least, and so many times as long as one took */
#define SHARE 20
#define ROWS_MOST 65536         /* that are remembered */

struct naming {
    tong_snapshot *snapshot;
    unsigned looks;
    int64_t next;               /* not before then is another one taken */
    struct named **row;         /* by open addressing; `places` is a power of two */
    size_t rows, places;
    struct named last;          /* where no more are remembered */
};

/* ---- Snapshots ---------------------------------------------------------------------------------------------- */

int naming_again(struct naming *naming)
{
    tong_snapshot *snapshot;
    int64_t before = clock_now();
    int code = sight_take(0, &snapshot);
    if (code)
        return code;
    int64_t now = clock_now(), pause = SHARE * (now - before);
    tong_snapshot_free(naming->snapshot);
    naming->snapshot = snapshot;
    naming->next = now + (pause > PAUSE ? pause : PAUSE);
    naming->looks++;
    return 0;
}

int naming_begin(struct naming **ret)
{
    struct naming *naming = calloc(1, sizeof *naming);
    if (!naming)
        return fail_system(-ENOMEM, "tracing");
    int code = naming_again(naming);
    if (code)
        free(naming);
    else
        *ret = naming;
    return code;
}

void naming_end(struct naming *naming)
{
    if (!naming)
        return;
    for (size_t i = 0; i < naming->places; i++)
        if (naming->row[i]) {
            free(naming->row[i]->name);
            free(naming->row[i]);
        }
    free(naming->row);
    free(naming->last.name);
    tong_snapshot_free(naming->snapshot);
    free(naming);
}

const tong_snapshot *naming_snapshot(const struct naming *naming)
{
    return naming->snapshot;
}

/* ---- The object in a snapshot ------------------------------------------------------------------------------- */

/* A regular file may be any of these. */
static bool is_file(uint32_t kind)
{
    return kind == TONG_KIND_SHM || kind == TONG_KIND_SEM || kind == TONG_KIND_MEMFD || kind == TONG_KIND_MAP ||
           kind == TONG_KIND_FILE;
}

static bool is_in(const tong_trace_object *traced, const tong_object *object)
{
    bool file = traced->kind == TONG_KIND_FILE || traced->kind == TONG_KIND_FUTEX;
    return (traced->kind == object->kind && !strcmp(traced->key, object->key)) ||
           (file && is_file(object->kind) && object->device == traced->device && object->inode == traced->inode);
}

static const tong_object *find(const tong_snapshot *snapshot, const tong_trace_object *traced, size_t *ret_number)
{
    const tong_object *object;
    for (*ret_number = 0; (object = tong_snapshot_object(snapshot, *ret_number)); ++*ret_number)
        if (is_in(traced, object))
            return object;
    return NULL;
}

static void add_ends(struct named *named, const tong_snapshot *snapshot, size_t number)
{
    size_t first, count = tong_snapshot_ends_of(snapshot, number, &first);
    for (size_t i = 0; i < count && named->ends < NAMED_ENDS; i++) {
        const tong_end *end = tong_snapshot_end(snapshot, first + i);
        const tong_process *process = tong_snapshot_process(snapshot, end->process);
        if (named->ends && named->end[named->ends - 1].pid == process->pid)
            continue;
        struct named_end *added = &named->end[named->ends++];
        *added = (struct named_end){ .pid = process->pid, .direction = end->direction };
        strncat(added->name, process->name, sizeof added->name - 1);
    }
}

static void set_name(struct named *named, const tong_object *object, const tong_object *peer)
{
    struct text name = TEXT_INIT;
    const char *words = *object->name || !peer ? object->name : peer->name;
    if (!*words)
        return;
    text_print(&name, "%s", words);
    if (named->object.kind == TONG_KIND_FUTEX && object->kind != TONG_KIND_FUTEX)
        text_print(&name, "+%s", strrchr(named->object.key, ':') + 1);
    free(named->name);
    named->name = name.data;
}

static bool is_connection(uint32_t kind)
{
    return kind == TONG_KIND_UNIX || kind == TONG_KIND_TCP || kind == TONG_KIND_UDP;
}

/* What is put into one end of a connection is taken out at the other. */
static void fill(struct naming *naming, struct named *named)
{
    size_t number;
    const tong_object *object = find(naming->snapshot, &named->object, &number);
    named->look = naming->looks;
    if (!object)
        return;
    const tong_object *peer = tong_snapshot_object(naming->snapshot, object->peer);
    set_name(named, object, peer);
    named->kind = named->object.kind == TONG_KIND_FUTEX ? "futex" : tong_kind_name(object->kind);
    named->ends = 0;
    add_ends(named, naming->snapshot, peer ? object->peer : number);
}

/* ---- What is remembered ------------------------------------------------------------------------------------- */

static size_t hash(const tong_trace_object *object)
{
    size_t sum = object->kind;
    for (const char *at = object->key; *at; at++)
        sum = sum * 31 + (unsigned char)*at;
    return sum ^ sum >> 15;
}

static struct named **place_of(const struct naming *naming, const tong_trace_object *object)
{
    size_t at = hash(object) & (naming->places - 1);
    while (naming->row[at] && (naming->row[at]->object.kind != object->kind ||
                               strcmp(naming->row[at]->object.key, object->key)))
        at = (at + 1) & (naming->places - 1);
    return &naming->row[at];
}

static bool grow(struct naming *naming)
{
    struct naming larger = { .places = naming->places ? 2 * naming->places : 256 };
    larger.row = calloc(larger.places, sizeof *larger.row);
    if (!larger.row)
        return false;
    for (size_t i = 0; i < naming->places; i++)
        if (naming->row[i])
            *place_of(&larger, &naming->row[i]->object) = naming->row[i];
    free(naming->row);
    naming->row = larger.row;
    naming->places = larger.places;
    return true;
}

static uint64_t hash_text(const char *text, size_t size)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* Equal of both ends: the lower of two inodes, or of one connection both addresses in either order. */
static uint64_t group_of(const tong_trace_object *object)
{
    const char *blank = strchr(object->name, ' ');
    uint64_t inode = strtoull(object->key, NULL, 10);
    if (is_connection(object->kind) && blank)
        return hash_text(object->name, (size_t)(blank - object->name)) + hash_text(blank + 1, strlen(blank + 1));
    if (is_connection(object->kind))
        return object->peer && object->peer < inode ? object->peer : inode;
    return hash_text(object->key, strlen(object->key));
}

static struct named *fresh(struct named *named, const tong_trace_object *object)
{
    free(named->name);
    *named = (struct named){ .object = *object, .kind = tong_kind_name(object->kind) };
    named->name = *object->name ? strdup(object->name) : NULL;
    named->group = group_of(object);
    return named;
}

static struct named *row_of(struct naming *naming, const tong_trace_object *object)
{
    if (2 * naming->rows >= naming->places && (naming->rows >= ROWS_MOST || !grow(naming)))
        return naming->places && *place_of(naming, object) ? *place_of(naming, object) : fresh(&naming->last, object);
    struct named **place = place_of(naming, object);
    if (*place)
        return *place;
    struct named *added = calloc(1, sizeof *added);
    if (!added)
        return fresh(&naming->last, object);
    naming->rows++;
    return *place = fresh(added, object);
}

/* An object that is known is asked about again only when another one is new. */
const struct named *naming_of(struct naming *naming, const tong_trace_object *object)
{
    struct named *named = row_of(naming, object);
    if (object->peer && !named->object.peer)
        named->group = group_of(object);
    if (named->look != naming->looks)
        fill(naming, named);
    if (named->ends == 0 && clock_coarse() >= naming->next && naming_again(naming) == 0)
        fill(naming, named);
    return named;
}

/* ---- Words -------------------------------------------------------------------------------------------------- */

void naming_object(struct text *text, const struct named *named)
{
    if (named->name)
        text_visible(text, named->name, strlen(named->name), "");
    else
        text_print(text, "[%s]", named->object.key);
}

void naming_process(struct text *text, const char *name, int64_t pid)
{
    if (pid == 0 && !*name) {
        text_print(text, "an interrupt");
        return;
    }
    text_visible(text, name, strlen(name), "");
    text_print(text, pid ? "/%" PRId64 : "/?", pid);
}

void naming_others(struct text *text, const struct named *named, int64_t pid, uint32_t direction)
{
    const char *comma = "";
    for (size_t i = 0; i < named->ends; i++) {
        const struct named_end *end = &named->end[i];
        if (end->pid == pid || end->direction == direction)
            continue;
        text_print(text, "%s", comma);
        naming_process(text, end->name, end->pid);
        comma = ", ";
    }
}
