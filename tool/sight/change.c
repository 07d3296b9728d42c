/* SPDX-License-Identifier: MIT */
/*
 * Two snapshots are compared by what tells each thing from all others: of an object its kind, namespace and key, of a
 * process its number and when it began, of a stuck thread both and what it waits for.  Of each a hash of 64 bits
 * (identity.h) is sorted, so that tens of thousands cost milliseconds; equal hashes are taken for the same thing.
 */
#include "sight/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sight/identity.h"

struct mark {
    uint64_t hash;
    uint32_t place;
};

struct marks {
    struct mark *mark;
    size_t count;
};

struct view {
    const tong_snapshot *snapshot;
    struct marks objects, processes, threads;
    struct marks names; /* of FIFOs and sockets that nobody has open: they are in findings only */
};

struct comparing {
    struct view before, after;
    bool (*each)(void *context, const struct change *change);
    void *context;
    bool over;
};

/* ---- What tells things apart ------------------------------------------------------------------------------ */

/* There only as long as somebody waits or holds: it would come and go with every wait. */
static bool is_passing(const tong_object *object)
{
    return object->kind == TONG_KIND_PROCESS || object->kind == TONG_KIND_FUTEX || object->kind == TONG_KIND_LOCK;
}

/* A process that ended but was not waited for is no more; of one that was missed the beginning is not known. */
static bool is_there(const tong_process *process)
{
    const uint32_t absent = TONG_PROCESS_GONE | TONG_PROCESS_ZOMBIE | TONG_PROCESS_KERNEL;
    return !(process->flags & absent) && process->pid != getpid();
}

static bool is_stuck(const tong_finding *finding)
{
    return finding->kind == TONG_FINDING_STUCK || finding->kind == TONG_FINDING_UNSURE;
}

static bool is_name(const tong_finding *finding)
{
    return finding->object == TONG_NOBODY && !is_stuck(finding) && *finding->address == '/';
}

/* ---- Lists ------------------------------------------------------------------------------------------------ */

static int compare_marks(const void *a, const void *b)
{
    const struct mark *left = a, *right = b;
    return left->hash < right->hash ? -1 : left->hash > right->hash;
}

static void sort(struct marks *marks)
{
    qsort(marks->mark, marks->count, sizeof *marks->mark, compare_marks);
}

static void add(struct marks *marks, uint64_t hash, size_t place)
{
    marks->mark[marks->count++] = (struct mark){ hash, (uint32_t)place };
}

/* NULL: it is not there. */
static const struct mark *find(const struct marks *marks, uint64_t hash)
{
    const struct mark wanted = { hash, 0 };
    return marks->count ? bsearch(&wanted, marks->mark, marks->count, sizeof *marks->mark, compare_marks) : NULL;
}

static bool has(const struct marks *marks, uint64_t hash)
{
    return find(marks, hash) != NULL;
}

static void list_things(struct view *view)
{
    const tong_object *object;
    const tong_process *process;
    for (size_t i = 0; (object = tong_snapshot_object(view->snapshot, i)); i++)
        if (!is_passing(object))
            add(&view->objects, identity_of_object(object), i);
    for (size_t i = 0; (process = tong_snapshot_process(view->snapshot, i)); i++)
        if (is_there(process))
            add(&view->processes, identity_of_process(process), i);
    sort(&view->objects);
    sort(&view->processes);
}

static void list_findings(struct view *view)
{
    const tong_finding *finding;
    uint32_t wait;
    for (size_t i = 0; (finding = tong_snapshot_finding(view->snapshot, i)); i++)
        if (is_name(finding))
            add(&view->names, identity_of_name(finding->address), i);
    for (size_t i = 0; (wait = tong_snapshot_stuck(view->snapshot, i)) != TONG_NOBODY; i++)
        add(&view->threads, identity_of_wait(view->snapshot, tong_snapshot_wait(view->snapshot, wait)), wait);
    sort(&view->names);
    sort(&view->threads);
}

static size_t stuck_count(const tong_snapshot *snapshot)
{
    size_t count = 0;
    while (tong_snapshot_stuck(snapshot, count) != TONG_NOBODY)
        count++;
    return count;
}

static bool make_room(struct marks *marks, size_t count)
{
    marks->mark = calloc(count + 1, sizeof *marks->mark);
    return marks->mark != NULL;
}

static int view_make(struct view *view)
{
    if (!make_room(&view->objects, tong_snapshot_objects(view->snapshot)) ||
        !make_room(&view->processes, tong_snapshot_processes(view->snapshot)) ||
        !make_room(&view->names, tong_snapshot_findings(view->snapshot)) ||
        !make_room(&view->threads, stuck_count(view->snapshot)))
        return -ENOMEM;
    list_things(view);
    list_findings(view);
    return 0;
}

static void view_free(struct view *view)
{
    free(view->objects.mark);
    free(view->processes.mark);
    free(view->names.mark);
    free(view->threads.mark);
}

/* ---- Comparing -------------------------------------------------------------------------------------------- */

#define OF_OBJECT(kind, view, place) ((struct change){ kind, (view)->snapshot, place, TONG_NOBODY, TONG_NOBODY })
#define OF_PROCESS(kind, view, place) ((struct change){ kind, (view)->snapshot, TONG_NOBODY, place, TONG_NOBODY })
#define OF_FINDING(kind, view, place) ((struct change){ kind, (view)->snapshot, TONG_NOBODY, TONG_NOBODY, place })

static void tell(struct comparing *comparing, struct change change)
{
    if (!comparing->over)
        comparing->over = !comparing->each(comparing->context, &change);
}

/* A FIFO keeps its name when its last user closes it, though it is no object then. */
static bool name_has(const struct view *view, const char *name)
{
    return has(&view->names, identity_of_name(name));
}

static bool object_is_called(const struct view *view, const char *name)
{
    const tong_object *object;
    for (size_t i = 0; (object = tong_snapshot_object(view->snapshot, i)); i++)
        if (object->kind == TONG_KIND_FIFO && !(object->flags & TONG_OBJECT_DELETED) && !strcmp(object->name, name))
            return true;
    return false;
}

/* Objects and names of `here` that `there` does not have. */
static void tell_missing(struct comparing *comparing, enum change_kind kind, const struct view *here,
                         const struct view *there)
{
    for (size_t i = 0; i < here->objects.count; i++) {
        const struct mark *mark = &here->objects.mark[i];
        const char *name = tong_snapshot_object(here->snapshot, mark->place)->name;
        if (!has(&there->objects, mark->hash) && !name_has(there, name))
            tell(comparing, OF_OBJECT(kind, here, mark->place));
    }
    for (size_t i = 0; i < here->names.count; i++) {
        const struct mark *mark = &here->names.mark[i];
        const tong_finding *finding = tong_snapshot_finding(here->snapshot, mark->place);
        if (!has(&there->names, mark->hash) && !object_is_called(there, finding->address))
            tell(comparing, OF_FINDING(kind, here, mark->place));
    }
}

static bool has_ends(const tong_snapshot *snapshot, uint32_t process)
{
    const tong_end *end;
    for (size_t i = 0; (end = tong_snapshot_end(snapshot, i)); i++)
        if (end->process == process)
            return true;
    return false;
}

static void tell_processes(struct comparing *comparing, enum change_kind kind, const struct view *here,
                           const struct view *there)
{
    for (size_t i = 0; i < here->processes.count; i++) {
        const struct mark *mark = &here->processes.mark[i];
        if (!has(&there->processes, mark->hash) && has_ends(here->snapshot, mark->place))
            tell(comparing, OF_PROCESS(kind, here, mark->place));
    }
}

/* Objects of the later view that have a flag they had not. */
static void tell_flag(struct comparing *comparing, enum change_kind kind, uint32_t flag)
{
    const struct view *before = &comparing->before, *after = &comparing->after;
    for (size_t i = 0; i < after->objects.count; i++) {
        const struct mark *now = &after->objects.mark[i], *then = find(&before->objects, now->hash);
        uint32_t was = then ? tong_snapshot_object(before->snapshot, then->place)->flags : 0;
        if (tong_snapshot_object(after->snapshot, now->place)->flags & ~was & flag)
            tell(comparing, OF_OBJECT(kind, after, now->place));
    }
}

static void tell_orphan_names(struct comparing *comparing)
{
    for (size_t i = 0; i < comparing->after.names.count; i++)
        if (!has(&comparing->before.names, comparing->after.names.mark[i].hash))
            tell(comparing, OF_FINDING(CHANGE_ORPHAN, &comparing->after, comparing->after.names.mark[i].place));
}

/* How many threads of a deadlock are in the same wait in the other view, which says one of `flags` of it. */
static size_t threads_shared(const tong_snapshot *snapshot, const tong_finding *finding, const struct view *there,
                             uint32_t flags)
{
    size_t count = 0;
    for (uint32_t i = 0; i < finding->waits; i++) {
        uint32_t wait = tong_snapshot_stuck(snapshot, finding->first_wait + i);
        const struct mark *mark = find(&there->threads, identity_of_wait(snapshot, tong_snapshot_wait(snapshot, wait)));
        count += mark && tong_snapshot_wait(there->snapshot, mark->place)->flags & flags;
    }
    return count;
}

/* One that somebody joined is told again, and so is one that has become sure, which it never does for who cannot see
 * everybody's descriptors.  It is over when none of its threads even looks stuck. */
static void tell_deadlocks(struct comparing *comparing, enum change_kind kind, const struct view *here,
                           const struct view *there)
{
    const tong_finding *finding;
    for (size_t i = 0; (finding = tong_snapshot_finding(here->snapshot, i)); i++) {
        if (!is_stuck(finding))
            continue;
        bool sure = kind == CHANGE_DEADLOCK && finding->kind == TONG_FINDING_STUCK;
        uint32_t flags = sure ? TONG_WAIT_STUCK : TONG_WAIT_STUCK | TONG_WAIT_UNKNOWN;
        size_t shared = threads_shared(here->snapshot, finding, there, flags);
        if (kind == CHANGE_DEADLOCK ? shared < finding->waits : shared == 0)
            tell(comparing, OF_FINDING(kind, here, (uint32_t)i));
    }
}

static void tell_made(struct comparing *comparing)
{
    tell_missing(comparing, CHANGE_MADE, &comparing->after, &comparing->before);
}

static void tell_gone(struct comparing *comparing)
{
    tell_missing(comparing, CHANGE_GONE, &comparing->before, &comparing->after);
}

static void tell_began(struct comparing *comparing)
{
    tell_processes(comparing, CHANGE_BEGAN, &comparing->after, &comparing->before);
}

static void tell_deaths(struct comparing *comparing)
{
    tell_processes(comparing, CHANGE_DEATH, &comparing->before, &comparing->after);
}

static void tell_full(struct comparing *comparing)
{
    tell_flag(comparing, CHANGE_FULL, TONG_OBJECT_FULL);
}

static void tell_orphans(struct comparing *comparing)
{
    tell_flag(comparing, CHANGE_ORPHAN, TONG_OBJECT_ORPHAN);
    tell_orphan_names(comparing);
}

static void tell_found(struct comparing *comparing)
{
    tell_deadlocks(comparing, CHANGE_DEADLOCK, &comparing->after, &comparing->before);
}

static void tell_resolved(struct comparing *comparing)
{
    tell_deadlocks(comparing, CHANGE_RESOLVED, &comparing->before, &comparing->after);
}

/* Names that nobody has open are findings. */
#define FOUND (TONG_LOOK_WAITS | TONG_LOOK_FINDINGS)

static const struct {
    const char *name;
    uint32_t needs;
    void (*tell)(struct comparing *comparing);
} rows[CHANGE_KINDS] = {
    [CHANGE_MADE] = { "made", FOUND, tell_made },
    [CHANGE_BEGAN] = { "began", 0, tell_began },
    [CHANGE_FULL] = { "full", TONG_LOOK_DEPTHS, tell_full },
    [CHANGE_ORPHAN] = { "orphan", FOUND, tell_orphans },
    [CHANGE_DEADLOCK] = { "deadlock", FOUND, tell_found },
    [CHANGE_RESOLVED] = { "resolved", FOUND, tell_resolved },
    [CHANGE_DEATH] = { "death", 0, tell_deaths },
    [CHANGE_GONE] = { "gone", FOUND, tell_gone },
};

const char *change_name(enum change_kind kind)
{
    return rows[kind].name;
}

uint32_t change_needs(enum change_kind kind)
{
    return rows[kind].needs;
}

static uint32_t kind_called(const char *word, size_t size)
{
    for (uint32_t kind = 0; kind < CHANGE_KINDS; kind++)
        if (strlen(rows[kind].name) == size && !memcmp(rows[kind].name, word, size))
            return UINT32_C(1) << kind;
    return 0;
}

uint32_t change_kinds(const char *words, const char **ret_wrong)
{
    uint32_t kinds = 0;
    for (;;) {
        size_t size = strcspn(words, ",");
        uint32_t kind = kind_called(words, size);
        *ret_wrong = words;
        kinds |= kind;
        if (!kind)
            return 0;
        if (!words[size])
            return kinds;
        words += size + 1;
    }
}

int change_find(const tong_snapshot *before, const tong_snapshot *after, uint32_t kinds,
                bool (*each)(void *context, const struct change *change), void *context)
{
    struct comparing comparing = { .before = { .snapshot = before }, .after = { .snapshot = after }, .each = each,
                                   .context = context };
    int r = view_make(&comparing.before);
    r = r ? r : view_make(&comparing.after);
    for (uint32_t kind = 0; kind < CHANGE_KINDS && r == 0; kind++)
        if (kinds & UINT32_C(1) << kind)
            rows[kind].tell(&comparing);
    view_free(&comparing.before);
    view_free(&comparing.after);
    return r;
}
