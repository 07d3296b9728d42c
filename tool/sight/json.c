/* SPDX-License-Identifier: MIT */
/* A snapshot as JSON: doc/json.md is its schema.  What refers to something does so by its place in its array. */
#include "sight/sight.h"

static const struct { uint32_t flag; const char *name; } object_flags[] = {
    { TONG_OBJECT_ORPHAN, "orphan" }, { TONG_OBJECT_FULL, "full" }, { TONG_OBJECT_WORLD_WRITABLE, "world_writable" },
    { TONG_OBJECT_DELETED, "deleted" }, { TONG_OBJECT_LISTENING, "listening" },
    { TONG_OBJECT_HIDDEN_ENDS, "hidden_ends" }, { TONG_OBJECT_OURS, "part_of_a_channel" },
    { TONG_OBJECT_DEAD_PLACES, "dead_places" }, { TONG_OBJECT_DURABLE, "durable" }, { 0, NULL },
};

static void write_index(struct json *json, const char *name, uint32_t index)
{
    json_known(json, name, index, index != TONG_NOBODY);
}

static void write_namespaces(struct json *json, const tong_process *process)
{
    json_name(json, "namespaces");
    json_open(json, '[');
    for (size_t i = 0; i < sizeof process->namespaces / sizeof *process->namespaces; i++)
        if (process->namespaces[i])
            json_unsigned(json, process->namespaces[i]);
        else
            json_null(json);
    json_close(json, ']');
}

static void write_process(struct json *json, const tong_process *process)
{
    json_open(json, '{');
    json_number(json, "pid", (uint64_t)process->pid);
    json_known(json, "start_time", process->start_time, process->start_time != 0);
    json_number(json, "parent", (uint64_t)process->parent);
    json_known(json, "uid", process->uid, process->uid != UINT32_MAX);
    json_text(json, "user", sight_user(process->uid));
    write_namespaces(json, process);
    json_text(json, "name", process->name);
    json_text(json, "command", process->command);
    json_known(json, "inner_pid", (uint64_t)process->inner_pid, process->inner_pid > 0);
    json_name(json, "hidden");
    json_bool(json, process->flags & TONG_PROCESS_HIDDEN);
    json_name(json, "stopped");
    json_bool(json, process->flags & TONG_PROCESS_STOPPED);
    json_known(json, "tracer", (uint64_t)process->tracer, process->tracer != 0);
    json_close(json, '}');
}

static void write_flags(struct json *json, uint32_t flags)
{
    json_name(json, "flags");
    json_open(json, '[');
    for (size_t i = 0; object_flags[i].name; i++)
        if (flags & object_flags[i].flag)
            json_string(json, object_flags[i].name);
    json_close(json, ']');
}

static void write_end(struct json *json, const tong_end *end)
{
    const struct { const char *name; bool is; } facts[] = {
        { "sends", end->direction & TONG_SEND }, { "receives", end->direction & TONG_RECEIVE },
        { "mapped", end->flags & TONG_END_MAPPED }, { "inherited", end->flags & TONG_END_INHERITED },
        { "holds_lock", end->flags & TONG_END_LOCK }, { "waits_for_lock", end->flags & TONG_END_WAITS },
        { "waits_in_open", sight_opens(end) },
    };
    json_open(json, '{');
    json_number(json, "process", end->process);
    json_known(json, "fd", (uint64_t)end->fd, end->fd >= 0);
    json_known(json, "description", end->description, end->description != 0);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        json_name(json, facts[i].name);
        json_bool(json, facts[i].is);
    }
    json_text(json, "certainty", sight_certainty(end->certainty));
    bool counted = end->flags & TONG_END_COUNTED;
    json_known(json, "behind", end->behind, counted);
    json_known(json, "messages_behind", end->messages_behind, counted && end->messages_behind != TONG_UNKNOWN);
    json_known(json, "lost", end->lost, counted);
    json_close(json, '}');
}

static void write_ends(struct json *json, const tong_snapshot *snapshot, size_t object)
{
    size_t first, count = tong_snapshot_ends_of(snapshot, object, &first);
    json_name(json, "ends");
    json_open(json, '[');
    for (size_t i = 0; i < count; i++)
        write_end(json, tong_snapshot_end(snapshot, first + i));
    json_close(json, ']');
}

static void write_object(struct json *json, const tong_snapshot *snapshot, size_t number)
{
    const tong_object *object = tong_snapshot_object(snapshot, number);
    json_open(json, '{');
    json_number(json, "index", number);
    json_text(json, "kind", tong_kind_name(object->kind));
    json_text(json, "key", object->key);
    json_text(json, "name", object->name);
    json_text(json, "address", *object->address ? object->address : NULL);
    json_text(json, "certainty", sight_certainty(object->certainty));
    json_text(json, "source", object->source);
    json_text(json, "detail", object->detail);
    write_flags(json, object->flags);
    json_known(json, "uid", object->uid, object->uid != UINT32_MAX);
    json_known(json, "mode", object->mode, object->mode != UINT32_MAX);
    json_known(json, "depth", object->depth, object->depth != TONG_UNKNOWN);
    json_known(json, "capacity", object->capacity, object->capacity != TONG_UNKNOWN);
    json_known(json, "messages", object->messages, object->messages != TONG_UNKNOWN);
    write_index(json, "peer", object->peer);
    write_ends(json, snapshot, number);
    json_close(json, '}');
}

static void write_wait(struct json *json, const tong_wait_seen *wait)
{
    json_open(json, '{');
    json_number(json, "process", wait->process);
    json_number(json, "thread", (uint64_t)wait->thread);
    write_index(json, "object", wait->object);
    json_text(json, "operation", wait->operation);
    json_text(json, "detail", wait->detail);
    json_text(json, "certainty", sight_certainty(wait->certainty));
    json_close(json, '}');
}

static void write_waits(struct json *json, const tong_snapshot *snapshot)
{
    const tong_wait_seen *wait;
    json_name(json, "waits");
    json_open(json, '[');
    for (size_t i = 0; (wait = tong_snapshot_wait(snapshot, i)); i++)
        write_wait(json, wait);
    json_close(json, ']');
}

static void write_stuck(struct json *json, const tong_snapshot *snapshot, const tong_finding *finding)
{
    const tong_wait_seen *wait;
    json_name(json, "waits");
    json_open(json, '[');
    for (size_t i = 0; i < finding->waits; i++)
        if ((wait = tong_snapshot_wait(snapshot, tong_snapshot_stuck(snapshot, finding->first_wait + i))))
            write_wait(json, wait);
    json_close(json, ']');
}

static void write_finding(struct json *json, const tong_snapshot *snapshot, const tong_finding *finding)
{
    json_open(json, '{');
    json_number(json, "kind", finding->kind);
    json_text(json, "certainty", sight_certainty(finding->certainty));
    write_index(json, "object", finding->object);
    json_text(json, "summary", finding->summary);
    json_text(json, "proof", finding->proof);
    json_text(json, "advice", finding->advice);
    json_text(json, "address", *finding->address ? finding->address : NULL);
    write_stuck(json, snapshot, finding);
    json_close(json, '}');
}

static void write_gap(struct json *json, const tong_gap *gap)
{
    json_open(json, '{');
    json_number(json, "count", gap->count);
    json_text(json, "what", gap->what);
    json_text(json, "why", gap->why);
    json_close(json, '}');
}

void sight_write_json(struct json *json, const tong_snapshot *snapshot, const bool *objects, const bool *findings)
{
    json_open(json, '{');
    json_number(json, "version", SIGHT_JSON_VERSION);
    json_text(json, "tier", tong_snapshot_tier(snapshot));
    json_number(json, "objects_seen", tong_snapshot_objects(snapshot));
    json_name(json, "processes");
    json_open(json, '[');
    for (size_t i = 0; i < tong_snapshot_processes(snapshot); i++)
        write_process(json, tong_snapshot_process(snapshot, i));
    json_close(json, ']');
    json_name(json, "objects");
    json_open(json, '[');
    for (size_t i = 0; i < tong_snapshot_objects(snapshot); i++)
        if (!objects || objects[i])
            write_object(json, snapshot, i);
    json_close(json, ']');
    write_waits(json, snapshot);
    json_name(json, "findings");
    json_open(json, '[');
    for (size_t i = 0; i < tong_snapshot_findings(snapshot); i++)
        if (!findings || findings[i])
            write_finding(json, snapshot, tong_snapshot_finding(snapshot, i));
    json_close(json, ']');
    json_name(json, "gaps");
    json_open(json, '[');
    for (size_t i = 0; i < tong_snapshot_gaps(snapshot); i++)
        write_gap(json, tong_snapshot_gap(snapshot, i));
    json_close(json, ']');
    json_close(json, '}');
}

int sight_print_json(const tong_snapshot *snapshot, const bool *objects, const bool *findings)
{
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    sight_write_json(&json, snapshot, objects, findings);
    return json_print(&json);
}
