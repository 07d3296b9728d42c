/* SPDX-License-Identifier: MIT */
/* A change in words, and as JSON. */
#include <inttypes.h>
#include <string.h>

#include "sight/change.h"

#define ENDS_SHOWN 4     /* of a process */
#define COMMAND_SHOWN 60 /* bytes of a command line */

/* ---- What it is about ------------------------------------------------------------------------------------- */

static const tong_object *object_of(const struct change *change)
{
    return tong_snapshot_object(change->snapshot, change->object);
}

static const tong_finding *finding_of(const struct change *change)
{
    return tong_snapshot_finding(change->snapshot, change->finding);
}

/* Of names that nobody has open only a FIFO may still be in use: a socket's name is left over. */
const char *change_object_kind(const struct change *change)
{
    if (object_of(change))
        return tong_kind_name(object_of(change)->kind);
    if (!finding_of(change) || !*finding_of(change)->address)
        return "";
    return tong_kind_name(finding_of(change)->kind == TONG_FINDING_ORPHAN ? TONG_KIND_FIFO : TONG_KIND_UNIX);
}

const char *change_object(const struct change *change)
{
    const tong_object *object = object_of(change);
    if (object)
        return *object->name ? object->name : object->key;
    return finding_of(change) ? finding_of(change)->address : "";
}

const char *change_address(const struct change *change)
{
    return object_of(change) ? object_of(change)->address : "";
}

uint32_t change_certainty(const struct change *change)
{
    if (object_of(change))
        return object_of(change)->certainty;
    return finding_of(change) ? finding_of(change)->certainty : TONG_EXACT;
}

/* ---- In words --------------------------------------------------------------------------------------------- */

static void put_object(struct text *text, const struct change *change)
{
    text_print(text, "%s ", change_object_kind(change));
    sight_object(text, object_of(change));
    text_print(text, "  ");
    sight_state(text, object_of(change));
    text_print(text, "  ");
    sight_ends(text, change->snapshot, change->object);
}

/* Where a process's ends lead, each object once: how many. */
static size_t put_ends(struct text *text, const struct change *change)
{
    const tong_end *end;
    uint32_t last = TONG_NOBODY;
    size_t found = 0;
    for (size_t i = 0; (end = tong_snapshot_end(change->snapshot, i)); i++) {
        if (end->process != change->process || end->object == last)
            continue;
        last = end->object;
        if (text && found < ENDS_SHOWN) {
            const tong_object *object = tong_snapshot_object(change->snapshot, last);
            text_print(text, "%s%s ", found ? ", " : "", tong_kind_name(object->kind));
            sight_object(text, object);
        }
        found++;
    }
    if (text && found > ENDS_SHOWN)
        text_print(text, " and %zu more", found - ENDS_SHOWN);
    return found;
}

static void put_process(struct text *text, const struct change *change)
{
    const tong_process *process = tong_snapshot_process(change->snapshot, change->process);
    sight_process(text, process);
    text_print(text, "  at ");
    put_ends(text, change);
    text_print(text, "  ");
    text_visible(text, process->command, strnlen(process->command, COMMAND_SHOWN), "");
}

static void put_finding(struct text *text, const struct change *change)
{
    const tong_finding *finding = finding_of(change);
    if (*finding->address) {
        text_print(text, "%s ", change_object_kind(change));
        text_visible(text, finding->address, strlen(finding->address), "");
        text_print(text, "  nobody has it open");
    } else {
        text_print(text, "%s", change->kind == CHANGE_RESOLVED ? "no longer so: " : "");
        text_visible(text, finding->summary, strlen(finding->summary), "");
    }
    text_print(text, " (%s)", sight_certainty(finding->certainty));
}

void change_words(struct text *text, const struct change *change)
{
    if (object_of(change))
        put_object(text, change);
    else if (finding_of(change))
        put_finding(text, change);
    else
        put_process(text, change);
}

/* ---- As JSON ---------------------------------------------------------------------------------------------- */

static void write_process(struct json *json, const struct change *change)
{
    const tong_process *process = tong_snapshot_process(change->snapshot, change->process);
    json_name(json, "process");
    if (!process) {
        json_null(json);
        return;
    }
    json_open(json, '{');
    json_name(json, "pid");
    json_signed(json, process->pid);
    json_known(json, "start_time", process->start_time, process->start_time != 0);
    json_text(json, "name", process->name);
    json_text(json, "command", process->command);
    json_number(json, "objects", put_ends(NULL, change));
    json_close(json, '}');
}

static void write_some(struct json *json, const char *name, const char *text)
{
    json_text(json, name, *text ? text : NULL);
}

void change_json(struct json *json, const struct change *change)
{
    struct text words = TEXT_INIT;
    change_words(&words, change);
    json_text(json, "change", change_name(change->kind));
    write_some(json, "kind", change_object_kind(change));
    write_some(json, "object", change_object(change));
    write_some(json, "address", change_address(change));
    write_process(json, change);
    json_text(json, "certainty", sight_certainty(change_certainty(change)));
    json_text(json, "words", words.data);
    json_text(json, "proof", finding_of(change) ? finding_of(change)->proof : NULL);
    text_free(&words);
}
