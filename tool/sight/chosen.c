/* SPDX-License-Identifier: MIT */
#include "sight/chosen.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/number.h"
#include "report.h"
#include "side.h"
#include "sight/identity.h"

static void *more(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? 2 * *room : 16;
    void *larger = realloc(array, *room * size);
    if (larger)
        return larger;
    fputs("tong: out of memory\n", stderr);
    exit(CODE_FAILED);
}

static void add_pid(struct chosen *chosen, int64_t pid)
{
    for (size_t i = 0; i < chosen->pids; i++)
        if (chosen->pid[i] == pid)
            return;
    chosen->pid = more(chosen->pid, chosen->pids, &chosen->pid_room, sizeof *chosen->pid);
    chosen->pid[chosen->pids++] = pid;
}

/* ---- Objects ------------------------------------------------------------------------------------------------ */

/* "[918273]" stands for the key. */
static bool is_key(const char *rest, const char *key)
{
    size_t size = strlen(key);
    bool bracketed = rest[0] == '[' && !strncmp(rest + 1, key, size) && !strcmp(rest + 1 + size, "]");
    return bracketed || !strcmp(rest, key);
}

/* One of the two ends of a connection, "127.0.0.1:80 127.0.0.1:40112". */
static bool is_either(const char *rest, const char *name)
{
    const char *blank = strchr(name, ' ');
    size_t size = strlen(rest);
    return blank && ((size == (size_t)(blank - name) && !strncmp(rest, name, size)) || !strcmp(rest, blank + 1));
}

/* The addresses of System V objects are numbers, which are written in several ways. */
static bool is_same_number(const char *rest, const char *address)
{
    char *end, *other;
    const char *value = strchr(address, ':');
    if (!value || !*rest)
        return false;
    long asked = strtol(rest, &end, 0), found = strtol(value + 1, &other, 0);
    return !*end && !*other && asked == found;
}

static bool is_named(const tong_object *object, const char *rest, const char *path)
{
    bool system_v = object->kind == TONG_KIND_MSGQ || object->kind == TONG_KIND_SYSVSEM ||
                    object->kind == TONG_KIND_SYSVSHM;
    return (*object->name && (!strcmp(object->name, rest) || !strcmp(object->name, path))) ||
           is_key(rest, object->key) || is_either(rest, object->name) ||
           (system_v && is_same_number(rest, object->address));
}

static bool is_meant(const tong_object *object, const char *word, const char *path)
{
    const char *kind = tong_kind_name(object->kind), *colon = strchr(word, ':');
    size_t size = strcspn(word, "?"); /* options of an address say how it is opened */
    bool address = *object->address && strlen(object->address) == size && !strncmp(object->address, word, size);
    return address || (colon && strlen(kind) == (size_t)(colon - word) && !strncmp(word, kind, strlen(kind)) &&
                       is_named(object, colon + 1, path));
}

static void add_channel(struct chosen *chosen, const tong_object *object)
{
    if (object->kind != TONG_KIND_CHANNEL)
        return;
    chosen->channel = more(chosen->channel, chosen->channels, &chosen->channel_room, sizeof *chosen->channel);
    chosen->channel[chosen->channels++] =
        (struct chosen_channel){ strdup(object->name), strdup(object->key), identity_of_object(object), object->passed };
}

static size_t find_objects(struct chosen *chosen, const tong_snapshot *snapshot, const char *word)
{
    const tong_object *object;
    const char *colon = strchr(word, ':');
    char path[PATH_MAX];
    size_t before = chosen->objects;
    if (!colon)
        return 0;
    if (!realpath(colon + 1, path))
        snprintf(path, sizeof path, "%s", colon + 1);
    for (size_t i = 0; (object = tong_snapshot_object(snapshot, i)); i++) {
        if (!is_meant(object, word, path))
            continue;
        chosen->object = more(chosen->object, chosen->objects, &chosen->object_room, sizeof *chosen->object);
        chosen->object[chosen->objects++] = i;
        add_channel(chosen, object);
    }
    return chosen->objects - before;
}

/* ---- Processes ---------------------------------------------------------------------------------------------- */

/* A snapshot lists processes by number and not by descent, so they are marked until nobody is added. */
static void mark_children(const tong_snapshot *snapshot, bool *marks)
{
    const tong_process *process, *parent;
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; (process = tong_snapshot_process(snapshot, i)); i++) {
            for (size_t k = 0; !marks[i] && (parent = tong_snapshot_process(snapshot, k)); k++)
                if (marks[k] && parent->pid == process->parent)
                    again = marks[i] = true;
        }
    }
}

static size_t find_processes(struct chosen *chosen, const tong_snapshot *snapshot, const char *word, bool children)
{
    const tong_process *process;
    bool *marks = calloc(tong_snapshot_processes(snapshot) + 1, sizeof *marks);
    size_t before = chosen->pids;
    if (marks && sight_find(snapshot, word, marks) > 0 && children)
        mark_children(snapshot, marks);
    for (size_t i = 0; marks && (process = tong_snapshot_process(snapshot, i)); i++)
        if (marks[i] && !(process->flags & (TONG_PROCESS_ZOMBIE | TONG_PROCESS_GONE)) && process->pid != getpid())
            add_pid(chosen, process->pid);
    free(marks);
    return chosen->pids - before;
}

/* ---- What is not there ------------------------------------------------------------------------------------------ */

static bool is_kind(const char *word, size_t size)
{
    const char *kind = "";
    for (uint32_t i = TONG_KIND_PIPE; strcmp(kind, "?"); i++) {
        kind = tong_kind_name(i);
        if (strlen(kind) == size && !strncmp(kind, word, size))
            return true;
    }
    return false;
}

/* Some objects are called by a scheme, and others, which nobody opens by an address, by their kind. */
static int refuse_scheme(const char *word)
{
    struct text all = TEXT_INIT;
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    const char *last = "", *kind;
    for (size_t i = 0; tong_mechanism_describe(i, &info) == 0; last = info.scheme, i++)
        if (strcmp(last, info.scheme))
            text_print(&all, "%s%s:", *last ? ", " : "", info.scheme);
    for (uint32_t i = TONG_KIND_PIPE; strcmp(kind = tong_kind_name(i), "?"); i++)
        if (!find_mechanism(kind, &info))
            text_print(&all, ", %s:", kind);
    int code = fail_usage("there is no mechanism and no kind of object '%.*s:'; there are %s", (int)strcspn(word, ":"), word,
                          all.data);
    text_free(&all);
    return code;
}

/* Processes may have a colon in their name, as threads of the kernel do ("kworker/0:1"), but behind no mere word. */
static int say_missing(const char *word)
{
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    size_t size = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789");
    bool address = word[size] == ':';
    if (address && !find_mechanism(word, &info) && !is_kind(word, size))
        return refuse_scheme(word);
    say(address ? "nobody has %s open" : "no process is called %s, nor has that number", word);
    return CODE_MISSING;
}

/* A word that could mean nothing ends it: what else is missing does not matter then. */
int chosen_find(struct chosen *chosen, const tong_snapshot *snapshot, int count, char **words, bool children)
{
    int code = 0;
    for (int i = 0; i < count && code != CODE_USAGE; i++)
        if (find_objects(chosen, snapshot, words[i]) + find_processes(chosen, snapshot, words[i], children) == 0)
            code = say_missing(words[i]);
    chosen->processes_only = chosen->pids > 0 && chosen->objects == 0;
    return code;
}

void chosen_say(const struct chosen *chosen)
{
    const char *more = plural(chosen->pids, "", "es"), *objects = plural(chosen->objects, "", "s");
    if (chosen->pids && chosen->objects)
        say("tracing %zu process%s and %zu object%s; Ctrl-C ends it", chosen->pids, more, chosen->objects, objects);
    else if (chosen->objects)
        say("tracing %zu object%s; Ctrl-C ends it", chosen->objects, objects);
    else if (chosen->pids)
        say("tracing %zu process%s; Ctrl-C ends it", chosen->pids, more);
    else
        say("counting what all processes send and receive; Ctrl-C ends it");
    for (size_t i = 0; i < chosen->channels; i++)
        say("%s: messages go through memory, without a call that could be seen; --wakes shows who wakes whom",
            chosen->channel[i].name);
}

/* ---- Who lives ---------------------------------------------------------------------------------------------- */

void chosen_begins(struct chosen *chosen, int64_t pid)
{
    add_pid(chosen, pid);
}

void chosen_ends(struct chosen *chosen, int64_t pid)
{
    for (size_t i = 0; i < chosen->pids; i++)
        if (chosen->pid[i] == pid) {
            chosen->pid[i] = chosen->pid[--chosen->pids];
            return;
        }
}

void chosen_check(struct chosen *chosen)
{
    for (size_t i = chosen->pids; i > 0; i--)
        if (kill((pid_t)chosen->pid[i - 1], 0) < 0 && errno == ESRCH)
            chosen_ends(chosen, chosen->pid[i - 1]);
}

bool chosen_is_over(const struct chosen *chosen)
{
    return chosen->processes_only && chosen->pids == 0;
}

/* ---- Channels in memory ------------------------------------------------------------------------------------- */

static const tong_object *object_by(const tong_snapshot *snapshot, uint64_t identity)
{
    const tong_object *object;
    for (size_t i = 0; (object = tong_snapshot_object(snapshot, i)); i++)
        if (identity_of_object(object) == identity)
            return object;
    return NULL;
}

/* A file may have become another channel, which has carried less. */
static uint64_t passed_since(const struct chosen_channel *channel, const tong_object *object)
{
    bool known = object && object->passed != TONG_UNKNOWN && channel->passed != TONG_UNKNOWN;
    return known && object->passed >= channel->passed ? object->passed - channel->passed : TONG_UNKNOWN;
}

int chosen_progress(const struct chosen *chosen, struct naming *naming,
                    void (*each)(void *context, const struct chosen_channel *channel, uint64_t bytes), void *context)
{
    int code = chosen->channels ? naming_again(naming) : 0;
    for (size_t i = 0; i < chosen->channels && code == 0; i++) {
        const struct chosen_channel *channel = &chosen->channel[i];
        each(context, channel, passed_since(channel, object_by(naming_snapshot(naming), channel->identity)));
    }
    return code;
}

void chosen_free(struct chosen *chosen)
{
    for (size_t i = 0; i < chosen->channels; i++) {
        free(chosen->channel[i].name);
        free(chosen->channel[i].key);
    }
    free(chosen->channel);
    free(chosen->object);
    free(chosen->pid);
}
