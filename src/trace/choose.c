/* SPDX-License-Identifier: MIT */
/*
 * Whom and what a trace looks at, written into the maps of its program.
 *
 * Sockets come and go with each client, so those of a service are not chosen by their numbers alone: whoever has the
 * name or the port of a chosen one, or is connected to it, is recognised by the program when it moves a message.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/detail.h"
#include "bpf/map.h"
#include "sys/sys.h"
#include "trace/calls.h"
#include "trace/state.h"

#define FIRST_SPACE 0xEFFFFFFC /* PROC_PID_INIT_INO: the pid namespace of the whole machine */
#define SHM_PREFIX "/dev/shm/tong."

struct choosing {
    const tong_trace_options *options;
    int processes, objects, names, ports; /* maps */
    uint32_t flags;                       /* TRACE_... */
};

static int put(int map, const void *key, const void *value, const char *what)
{
    int r = map_put(map, key, value);
    if (r == -E2BIG || r == -ENOMEM)
        return fail(-ENOSPC, "tracing: too many %s are chosen", what);
    return r < 0 ? fail_call(r, "tracing: choosing %s", what) : 0;
}

/* ---- Processes -------------------------------------------------------------------------------------------------- */

static int add_process(const struct choosing *choosing, int64_t pid, uint32_t wanted)
{
    uint32_t key = (uint32_t)pid, before = 0;
    if (pid <= 0 || pid > INT32_MAX)
        return fail(-EINVAL, "tracing: %" PRId64 " is not the number of a process", pid);
    map_get(choosing->processes, &key, &before);
    wanted |= before;
    return put(choosing->processes, &key, &wanted, "processes");
}

/* Who is at a chosen object is looked at for signals and wake-ups only. */
static int add_ends(const struct choosing *choosing, size_t number)
{
    const tong_snapshot *snapshot = choosing->options->snapshot;
    size_t first, count = tong_snapshot_ends_of(snapshot, number, &first);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = add_process(choosing, tong_snapshot_process(snapshot, tong_snapshot_end(snapshot, first + i)->process)->pid,
                        TRACE_PAIRS);
    return r;
}

/* ---- Objects ---------------------------------------------------------------------------------------------------- */

static int add_place(const struct choosing *choosing, uint64_t device, uint64_t inode)
{
    const struct trace_place place = { device, inode };
    return put(choosing->objects, &place, &(uint32_t){ TRACE_ALL }, "objects");
}

static int add_number(struct choosing *choosing, const tong_object *object)
{
    uint64_t own = object->kind == TONG_KIND_EVENTFD ? (uint64_t)object->kind << TRACE_KIND_SHIFT : 0;
    return add_place(choosing, own, strtoull(object->key, NULL, 10));
}

static int add_file(struct choosing *choosing, const tong_object *object)
{
    return add_place(choosing, trace_device(object->device), object->inode);
}

/* "namespace:identifier" */
static int add_system_v(struct choosing *choosing, const tong_object *object)
{
    char *colon;
    uint64_t space = strtoull(object->key, &colon, 10);
    return add_place(choosing, space | (uint64_t)object->kind << TRACE_KIND_SHIFT,
                     *colon ? strtoull(colon + 1, NULL, 10) : 0);
}

/* "major:minor:number" */
static int add_terminal(struct choosing *choosing, const tong_object *object)
{
    char *next;
    uint64_t number = strtoull(object->key, &next, 10);
    uint64_t device = number << 20 | (*next ? strtoull(next + 1, &next, 10) : 0);
    return add_place(choosing, device | (uint64_t)object->kind << TRACE_KIND_SHIFT,
                     *next ? strtoull(next + 1, NULL, 10) : 0);
}

static int add_with_peer(struct choosing *choosing, const tong_object *object)
{
    const tong_object *peer = tong_snapshot_object(choosing->options->snapshot, object->peer);
    int r = add_number(choosing, object);
    return r == 0 && peer ? add_number(choosing, peer) : r;
}

static int add_unix(struct choosing *choosing, const tong_object *object)
{
    struct trace_name name = { 0 };
    size_t size = strlen(object->name);
    int r = add_with_peer(choosing, object);
    if (r < 0 || size == 0 || size > sizeof name.bytes)
        return r;
    memcpy(name.bytes, object->name, size);
    if (name.bytes[0] == '@') {
        name.bytes[0] = '\0';
        name.size = (uint32_t)size;
    }
    choosing->flags |= TRACE_NAMES;
    r = put(choosing->names, &name, &(uint32_t){ 1 }, "names");
    for (size_t i = 0; name.size && i < size; i++) /* it may be padded with NUL bytes, which are shown as '@' too */
        name.bytes[i] = name.bytes[i] == '@' ? '\0' : name.bytes[i];
    return r == 0 && name.size ? put(choosing->names, &name, &(uint32_t){ 1 }, "names") : r;
}

/* "127.0.0.1:80" is somebody's own; "127.0.0.1:80 127.0.0.1:40112" one connection. */
static int add_internet(struct choosing *choosing, const tong_object *object)
{
    const char *colon = strrchr(object->name, ':');
    int r = add_with_peer(choosing, object);
    if (r < 0 || !colon || strchr(object->name, ' '))
        return r;
    const struct trace_port port = { object->kind, (uint32_t)strtoul(colon + 1, NULL, 10) };
    choosing->flags |= TRACE_PORTS;
    return put(choosing->ports, &port, &(uint32_t){ 1 }, "ports");
}

/* The FIFOs by which its ends wake each other: "PATH.0123456789abcdef.bell". */
static int add_channel(struct choosing *choosing, const tong_object *object)
{
    const tong_snapshot *snapshot = choosing->options->snapshot;
    const char *name = strchr(object->name, ':');
    const tong_object *fifo;
    bool in_memory = !strncmp(object->name, "shm:", 4);
    const struct trace_place segment = { trace_device(object->device), object->inode };
    int r = put(choosing->objects, &segment, &(uint32_t){ TRACE_WORDS }, "objects");
    for (size_t i = 0; name && r == 0 && (fifo = tong_snapshot_object(snapshot, i)); i++) {
        const char *path = fifo->name;
        if (fifo->kind != TONG_KIND_FIFO || (in_memory && strncmp(path, SHM_PREFIX, sizeof SHM_PREFIX - 1)))
            continue;
        path += in_memory ? sizeof SHM_PREFIX - 1 : 0;
        size_t size = strlen(name + 1);
        if (!strncmp(path, name + 1, size) && path[size] == '.' && strspn(path + size + 1, "0123456789abcdef") == 16)
            r = add_file(choosing, fifo);
    }
    return r;
}

/* System V memory: nothing of it is a call, but who is at it wakes and signals. */
static int add_nothing(struct choosing *choosing, const tong_object *object)
{
    (void)choosing, (void)object;
    return 0;
}

static const struct { uint32_t kind; int (*add)(struct choosing *, const tong_object *); } kinds[] = {
    { TONG_KIND_PIPE, add_number },      { TONG_KIND_FIFO, add_file },        { TONG_KIND_UNIX, add_unix },
    { TONG_KIND_TCP, add_internet },     { TONG_KIND_UDP, add_internet },     { TONG_KIND_NETLINK, add_number },
    { TONG_KIND_MSGQ, add_system_v },    { TONG_KIND_SYSVSHM, add_nothing },  { TONG_KIND_SYSVSEM, add_system_v },
    { TONG_KIND_MQ, add_file },          { TONG_KIND_SHM, add_file },         { TONG_KIND_SEM, add_file },
    { TONG_KIND_MEMFD, add_file },       { TONG_KIND_MAP, add_file },         { TONG_KIND_EVENTFD, add_number },
    { TONG_KIND_PTY, add_terminal },     { TONG_KIND_LOCK, add_file },        { TONG_KIND_FUTEX, add_file },
    { TONG_KIND_CHANNEL, add_channel },  { TONG_KIND_FILE, add_file },
};

static int add_object(struct choosing *choosing, size_t number)
{
    const tong_object *object = tong_snapshot_object(choosing->options->snapshot, number);
    if (!object)
        return fail(-EINVAL, "tracing: the snapshot has no object %zu", number);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].kind != object->kind)
            continue;
        int r = kinds[i].add(choosing, object);
        return r < 0 ? r : add_ends(choosing, number);
    }
    return fail(-EOPNOTSUPP, "tracing: no messages go through an object of kind %s", tong_kind_name(object->kind));
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

static int put_calls(int map)
{
    int r = 0;
    for (size_t i = 0; i < call_count && r == 0; i++)
        if (call_rows[i].number < TRACE_CALLS)
            r = put(map, &call_rows[i].number, &call_rows[i].call, "system calls");
    return r;
}

/* The namespace in which this process has its number; 0: the first, or not known. */
static uint32_t own_space(void)
{
    struct stat status;
    bool known = sys_fstatat(AT_FDCWD, "/proc/self/ns/pid", &status, 0) == 0;
    return known && status.st_ino != FIRST_SPACE ? (uint32_t)status.st_ino : 0;
}

static int put_settings(int map, const struct choosing *choosing)
{
    static const struct { uint32_t asked, means; } rows[] = {
        { TONG_TRACE_EVENTS, TRACE_EVENTS }, { TONG_TRACE_FOLLOW, TRACE_FOLLOW }, { TONG_TRACE_FILES, TRACE_FILES },
    };
    const tong_trace_options *options = choosing->options;
    struct trace_settings settings = { .flags = choosing->flags, .self = (uint32_t)getpid(), .space = own_space(),
                                       .content = options->content };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        settings.flags |= options->flags & rows[i].asked ? rows[i].means : 0;
    settings.flags |= options->object_count ? TRACE_OBJECTS : options->pid_count ? 0 : TRACE_EVERYTHING;
    for (long page = sysconf(_SC_PAGESIZE); page > 1; page /= 2)
        settings.page_shift++;
    return put(map, &(uint32_t){ 0 }, &settings, "settings");
}

int trace_choose(struct programs *programs, const tong_trace_options *options)
{
    struct choosing choosing = {
        .options = options, .processes = programs_map(programs, "processes"),
        .objects = programs_map(programs, "objects"),
        .names = programs_map(programs, "names"),
        .ports = programs_map(programs, "ports"),
    };
    int r = put_calls(programs_map(programs, "calls"));
    for (size_t i = 0; i < options->pid_count && r == 0; i++)
        r = add_process(&choosing, options->pids[i], TRACE_MESSAGES | TRACE_PAIRS);
    for (size_t i = 0; i < options->object_count && r == 0; i++)
        r = add_object(&choosing, options->objects[i]);
    return r < 0 ? r : put_settings(programs_map(programs, "settings"), &choosing);
}
