/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with an object by itself: nobody has it, it is full, everybody may write to it.  Whether an orphan may
 * be removed is another question, which finding_leftover.c answers.
 */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "inspect/finding.h"
#include "sys/sys.h"

#define ID_DIGITS 16 /* of a channel's id in the names of its files */

void finding_add(struct scan *scan, uint32_t kind, uint32_t certainty, uint32_t object, const char *address,
                 const char *summary, const char *proof, const char *advice)
{
    const tong_finding finding = { .kind = kind, .certainty = certainty, .object = object, .summary = summary,
                                   .proof = proof, .advice = advice, .address = address };
    graph_add_finding(scan->graph, &finding);
}

const char *finding_title(struct scan *scan, const tong_object *object)
{
    return graph_format(scan->graph, "%s %s", tong_kind_name(object->kind),
                        graph_line(scan->graph, *object->name ? object->name : object->key));
}

bool finding_is_dead(struct scan *scan, int64_t pid)
{
    char path[24];
    struct stat status;
    snprintf(path, sizeof path, "%lld", (long long)pid);
    return pid > 0 && !scan->graph->hides && sys_fstatat(scan->proc.fd, path, &status, 0) == -ENOENT;
}

bool finding_is_part(const char *name)
{
    static const char *const sides[] = { ".receive", ".bell", ".room" };
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        const char *side = strstr(name, sides[i]);
        if (side && side - name > ID_DIGITS && side[-ID_DIGITS - 1] == '.' &&
            strspn(side - ID_DIGITS, "0123456789abcdef") == ID_DIGITS)
            return true;
    }
    return false;
}

/* ---- Tables ----------------------------------------------------------------------------------------------- */

static bool is_of(uint32_t kinds, const tong_object *object)
{
    return kinds >> object->kind & 1;
}

#define KIND(name) (UINT32_C(1) << TONG_KIND_##name)
#define QUEUES (KIND(MSGQ) | KIND(MQ))
#define SYSV (KIND(MSGQ) | KIND(SYSVSHM) | KIND(SYSVSEM))

static const char *why_orphan(struct scan *scan, const tong_object *object)
{
    if (object->kind == TONG_KIND_SYSVSHM)
        return graph_format(scan->graph, "%s is attached by nobody (%s: %s)", finding_title(scan, object),
                            object->source,
                            object->detail);
    if (object->kind == TONG_KIND_MSGQ || object->kind == TONG_KIND_SYSVSEM)
        return graph_format(scan->graph, "of %s, who used it last is no more (%s: %s)", finding_title(scan, object),
                            object->source, object->detail);
    return graph_format(scan->graph, "no process that could be seen has %s open or mapped",
                        finding_title(scan, object));
}

static const char *why_full(struct scan *scan, const tong_object *object)
{
    if (object->messages != TONG_UNKNOWN)
        return graph_format(scan->graph, "%llu %s in %s, and it has no room for more",
                            (unsigned long long)object->messages,
                            plural(object->messages, "message lies", "messages lie"), finding_title(scan, object));
    return graph_format(scan->graph, "%llu %s in %s, and it has no room for more",
                        (unsigned long long)object->depth, plural(object->depth, "byte lies", "bytes lie"),
                        finding_title(scan, object));
}

static const char *why_open_to_all(struct scan *scan, const tong_object *object)
{
    return graph_format(scan->graph, "the permissions of %s are %04o (owner: uid %u)", finding_title(scan, object),
                        object->mode,
                        object->uid);
}

/* Files of tong are told of as the channel that they are parts of. */
static const struct judgement {
    uint32_t flag, kind;
    uint32_t kinds;
    const char *words;
    const char *(*why)(struct scan *scan, const tong_object *object);
    const char *advice;
} judgements[] = {
    { TONG_OBJECT_ORPHAN, TONG_FINDING_ORPHAN, SYSV | KIND(SHM) | KIND(MQ) | KIND(CHANNEL), "nobody uses", why_orphan,
      "if whoever made it will not come back, remove it (tong rm, ipcrm)" },
    { TONG_OBJECT_FULL, TONG_FINDING_FULL, QUEUES | KIND(CHANNEL), "it is full:", why_full,
      "look whether its receiver is alive (tong map)" },
    { TONG_OBJECT_WORLD_WRITABLE, TONG_FINDING_WORLD_WRITABLE,
      SYSV | QUEUES | KIND(SHM) | KIND(SEM) | KIND(FIFO) | KIND(CHANNEL), "everybody may write to", why_open_to_all,
      "give it the mode 0600, or 0660 and a group" },
};

static void judge(struct scan *scan, uint32_t number)
{
    for (size_t i = 0; i < sizeof judgements / sizeof *judgements; i++) {
        const struct judgement *row = &judgements[i];
        const tong_object object = *graph_object_at(scan->graph, number);
        bool told = row->flag != TONG_OBJECT_WORLD_WRITABLE && finding_is_leftover(scan, &object);
        bool part = object.kind != TONG_KIND_CHANNEL &&
            (object.flags & TONG_OBJECT_OURS || finding_is_part(object.name));
        if (!(object.flags & row->flag) || !is_of(row->kinds, &object) || told || part)
            continue;
        const char *summary = graph_format(scan->graph, "%s %s", row->words, finding_title(scan, &object));
        finding_add(scan, row->kind, object.certainty, number, "", summary, row->why(scan, &object), row->advice);
    }
}

int find_objects(struct scan *scan)
{
    for (uint32_t i = 0; i < scan->graph->objects.count && !scan->graph->error; i++)
        judge(scan, i);
    return scan->graph->error;
}
