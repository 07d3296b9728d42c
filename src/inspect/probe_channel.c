/* SPDX-License-Identifier: MIT */
/*
 * Channels of tong itself, in /dev/shm and in mapped files: who sends and receives, how much lies in the lanes.
 *
 * Their segments are opened for reading and read with pread(2): they are not mapped, so that one that is made shorter
 * meanwhile does no harm, and nothing is ever written.  Each word is copied once and then checked, as its writers may
 * be hostile.  Who holds a place has a lock there, about which F_OFD_GETLK asks; who it is the holder says of itself
 * (TONG_INFERRED), and it is believed if a process of that number began at that time.
 *
 * Files that somebody maps are opened only if they are called as tong calls the receivers' segment, or have the size of
 * a senders' one.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/layout.h"
#include "base/number.h"
#include "inspect/channel.h"
#include "inspect/file.h"
#include "inspect/leftover.h"
#include "inspect/probe.h"
#include "sys/sys.h"

#define PATH_MOST 4200
#define WORDS_MOST 4096 /* 32 who take part fit */
#define ID_DIGITS 16
#define RECEIVE ".receive"
#define TONG_SHM FILE_SHM "tong."

struct segment {
    int fd;
    struct stat status;
    struct layout_control *control; /* a copy of the part that is no lane */
};

struct channel {
    struct scan *scan;
    const char *path;                    /* of the senders' segment */
    struct segment senders, receivers;
    const struct layout_header *header;
    uint32_t object;
    unsigned count[2], dead[2];          /* of receivers, of senders */
    struct channel_progress progress;
    char words[WORDS_MOST];              /* for the detail of the object */
};

/* ---- Reading --------------------------------------------------------------------------------------------------- */

/* A short file leaves zeros. */
static int read_segment(struct segment *segment, size_t size)
{
    segment->control = calloc(1, size);
    if (!segment->control)
        return -ENOMEM;
    ssize_t r = sys_pread(segment->fd, segment->control, size, 0);
    return r < 0 ? (int)r : 0;
}

/* A path is what somebody has mapped by that name in a place of his own; here it may lead to a device, which must not even
 * be opened.  So it is looked at first, and then that very file is opened, by no name that could be another's. */
static int open_regular(const char *path, struct stat *ret)
{
    char again[40];
    int named = sys_open(path, O_PATH | O_NOFOLLOW, 0);
    int r = named < 0 ? named : sys_fstat(named, ret);
    snprintf(again, sizeof again, "/proc/self/fd/%d", named);
    if (r == 0)
        r = S_ISREG(ret->st_mode) ? sys_open(again, O_RDONLY | O_NONBLOCK, 0) : -ENODEV;
    sys_close(named);
    return r;
}

static int open_segment(const char *path, uint32_t kind, struct segment *ret)
{
    struct layout_header header;
    ret->fd = open_regular(path, &ret->status);
    int r = ret->fd < 0 ? ret->fd : 0;
    ssize_t got = r == 0 ? sys_pread(ret->fd, &header, sizeof header, 0) : 0;
    if (r == 0 && got != sizeof header)
        r = got < 0 ? (int)got : -ENODEV;
    if (r == 0 && layout_refusal(&header, kind, (uint64_t)ret->status.st_size))
        r = -ENODEV;
    r = r ? r : read_segment(ret, layout_control_size(kind));
    if (r == 0)
        ret->control->header = header; /* the one that was checked, whatever is there by now */
    return r;
}

static void close_segment(struct segment *segment)
{
    sys_close(segment->fd);
    free(segment->control);
}

/* 1: somebody has it; 0: nobody; else why that is not known. */
static int is_held(const struct segment *segment, unsigned place)
{
    size_t row = offsetof(struct layout_control, places) + place * sizeof(struct layout_place);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)row, .l_len = 1 };
    int r = sys_fcntl_lock(segment->fd, F_OFD_GETLK, &lock);
    return r < 0 ? r : lock.l_type != F_UNLCK;
}

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* ---- Who is there ---------------------------------------------------------------------------------------------- */

static void say(struct channel *channel, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct channel *channel, const char *format, ...)
{
    size_t used = strlen(channel->words);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(channel->words + used, sizeof channel->words - used, format, arguments);
    va_end(arguments);
}

/* TONG_NOBODY: of another pid namespace, or a row that lies. */
static uint32_t process_of(const struct scan *scan, const struct layout_place *row)
{
    uint64_t space = load(&row->pid_namespace), pid = load(&row->pid), start_time = load(&row->start_time);
    if ((space && scan->namespaces[SCAN_PID] && space != scan->namespaces[SCAN_PID]) || pid > INT32_MAX)
        return TONG_NOBODY;
    uint32_t process = graph_process(scan->graph, (int64_t)pid);
    bool same = process != TONG_NOBODY &&
                (!start_time || graph_process_at(scan->graph, process)->start_time == start_time);
    return same ? process : TONG_NOBODY;
}

/* "receiver 3", "receiver 3 'logger'" */
static void say_who(struct channel *channel, const struct layout_place *row, unsigned place, bool sends)
{
    char name[sizeof(uint64_t) + 1] = "";
    uint64_t word = load(&row->name);
    memcpy(name, &word, sizeof word);
    say(channel, "; %s %u", sends ? "sender" : "receiver", place);
    if (*name && !sends)
        say(channel, " '%s'", name);
}

static void say_progress(struct channel *channel, const tong_end *end)
{
    say(channel, ", %llu byte%s", (unsigned long long)end->behind, plural(end->behind, "", "s"));
    if (end->messages_behind != TONG_UNKNOWN)
        say(channel, " (%llu message%s)", (unsigned long long)end->messages_behind, plural(end->messages_behind, "", "s"));
    say(channel, channel->header->deliver == LAYOUT_QUEUE ? " in hand" : " behind");
    if (end->lost)
        say(channel, ", %llu lost", (unsigned long long)end->lost);
}

/* One that left in order and has a name comes back to its place; of any other nothing is to be said. */
static void add_place(struct channel *channel, const struct segment *segment, unsigned place, bool sends)
{
    const struct layout_place *row = &segment->control->places[place];
    int answer = is_held(segment, place);
    bool held = answer != 0, open = session_state(load(&row->session)) == SESSION_OPEN;
    bool left = !held && !open && !sends && load(&row->name) && channel->header->deliver == LAYOUT_BROADCAST;
    tong_end end = { .object = channel->object, .process = process_of(channel->scan, row), .flags = TONG_END_MAPPED,
                     .direction = sends ? TONG_SEND : TONG_RECEIVE, .fd = -1, .certainty = TONG_INFERRED,
                     .description = place + 1 };
    graph_missed(channel->scan->graph, "who is in channels of tong", answer);
    channel->count[sends] += held;
    channel->dead[sends] += open && !held;
    if (!sends)
        channel_progress(&channel->progress, place, &end);
    if (held && end.process != TONG_NOBODY)
        graph_add_end(channel->scan->graph, &end);
    else if (held)
        graph_object_at(channel->scan->graph, channel->object)->flags |= TONG_OBJECT_HIDDEN_ENDS;
    if (!held && !open && !left)
        return;
    say_who(channel, row, place, sends);
    say(channel, ": pid %llu%s", (unsigned long long)load(&row->pid), left ? ", left" : held ? "" : ", died");
    if (end.flags & TONG_END_COUNTED)
        say_progress(channel, &end);
}

static void add_places(struct channel *channel, const struct segment *segment, bool sends)
{
    uint64_t used = segment->control ? load(&segment->control->used) : 0;
    for (unsigned place = 0; place < LAYOUT_PLACES; place++)
        if (used >> place & 1)
            add_place(channel, segment, place, sends);
}

/* ---- What lies in the lanes ------------------------------------------------------------------------------------ */

/* Where the slowest of those begins who still have to take it: the receivers that a broadcast has, or the one cursor. */
static uint64_t head_of(const struct channel *channel, unsigned lane, uint64_t tail)
{
    const struct layout_receivers *receivers = (const struct layout_receivers *)channel->receivers.control;
    uint64_t most = 0;
    if (channel->header->deliver != LAYOUT_BROADCAST)
        return load(&receivers->cursors[lane].head);
    for (unsigned place = 0; place < LAYOUT_PLACES; place++) {
        uint64_t left = tail - load(&receivers->seats[place].positions[lane].head);
        bool open = session_state(load(&receivers->control.places[place].session)) == SESSION_OPEN;
        most = open && left <= channel->header->capacity && left > most ? left : most;
    }
    return tail - most;
}

static void add_lanes(struct channel *channel)
{
    uint64_t used = load(&channel->senders.control->used), capacity = channel->header->capacity;
    uint64_t depth = 0, lanes = 0, fullest = 0, passed = 0;
    for (unsigned lane = 0; lane < LAYOUT_PLACES; lane++) {
        uint64_t tail = load(&channel->senders.control->places[lane].tail), head = head_of(channel, lane, tail);
        passed += used >> lane & 1 ? tail : 0;
        if (!(used >> lane & 1) || !layout_cursors_agree(tail, head, capacity))
            continue;
        uint64_t left = tail - head <= capacity ? tail - head : 0; /* the tail may be one publication behind */
        depth += left;
        lanes++;
        fullest = left > fullest ? left : fullest;
        if (left)
            say(channel, "; %llu byte%s from sender %u", (unsigned long long)left, plural(left, "", "s"), lane);
    }
    tong_object *object = graph_object_at(channel->scan->graph, channel->object);
    object->depth = depth;
    object->passed = passed;
    object->capacity = capacity * (lanes ? lanes : 1);
    object->flags |= capacity - fullest < record_room(1) ? TONG_OBJECT_FULL : 0;
}

/* ---- The object, and the files that belong to it --------------------------------------------------------------- */

static const uint32_t file_kinds[] = { TONG_KIND_SHM, TONG_KIND_MAP, TONG_KIND_FIFO };

static void mark_ours(struct tong_snapshot *graph, const struct stat *status)
{
    char key[GRAPH_KEY];
    graph_file_key(status->st_dev, status->st_ino, key);
    for (size_t i = 0; i < sizeof file_kinds / sizeof *file_kinds; i++) {
        uint32_t object = graph_find_object(graph, file_kinds[i], key);
        if (object != TONG_NOBODY)
            graph_object_at(graph, object)->flags |= TONG_OBJECT_OURS;
    }
}

/* A lock of a file that is ours is a place that is taken. */
static void mark_lock(struct tong_snapshot *graph, tong_object *lock)
{
    char key[GRAPH_KEY];
    graph_file_key(lock->device, lock->inode, key);
    for (size_t i = 0; i < sizeof file_kinds / sizeof *file_kinds; i++) {
        uint32_t object = graph_find_object(graph, file_kinds[i], key);
        lock->flags |= object != TONG_NOBODY ? graph_object_at(graph, object)->flags & TONG_OBJECT_OURS : 0;
    }
}

static void mark_fifos(const struct channel *channel, const char *word, const struct segment *side)
{
    uint64_t used = side->control ? load(&side->control->used) : 0;
    char path[PATH_MOST];
    struct stat status;
    for (unsigned place = 0; place < LAYOUT_PLACES; place++) {
        int at = snprintf(path, sizeof path, "%s.%016llx.%s", channel->path, (unsigned long long)channel->header->id, word);
        if (place && at > 0 && at < PATH_MOST)
            snprintf(path + at, sizeof path - (size_t)at, ".%u", place);
        int r = place == 0 || used >> place & 1 ? sys_lstat(path, &status) : -ENOENT;
        graph_missed(channel->scan->graph, "files of channels of tong", r);
        if (r == 0)
            mark_ours(channel->scan->graph, &status);
    }
}

static uint32_t add_object(const struct channel *channel)
{
    struct tong_snapshot *graph = channel->scan->graph;
    const struct stat *status = &channel->senders.status;
    bool fresh, in_memory = !strncmp(channel->path, TONG_SHM, sizeof TONG_SHM - 1);
    uint32_t number = file_object(graph, TONG_KIND_CHANNEL, status->st_dev, status->st_ino, &fresh);
    if (number == TONG_NOBODY || !fresh)
        return TONG_NOBODY;
    const char *name = graph_address(graph, in_memory ? "shm:" : "mmap:",
                                     channel->path + (in_memory ? sizeof TONG_SHM - 1 : 0));
    tong_object *object = graph_object_at(graph, number);
    object->name = object->address = name;
    object->source = "layout";
    object->uid = status->st_uid;
    object->gid = status->st_gid;
    object->mode = status->st_mode & 07777;
    object->flags |= TONG_OBJECT_OURS | (object->mode & S_IWOTH ? TONG_OBJECT_WORLD_WRITABLE : 0);
    return number;
}

static void describe(struct channel *channel)
{
    static const char *const delivers[] = { "to one", "queue", "broadcast" };
    struct tong_snapshot *graph = channel->scan->graph;
    say(channel, "%s%s", delivers[channel->header->deliver], channel->header->features & LAYOUT_DURABLE ? ", durable" : "");
    if (channel->receivers.control)
        channel->progress = channel_begin(channel->senders.fd, channel->senders.control, channel->receivers.control);
    add_places(channel, &channel->senders, true);
    add_places(channel, &channel->receivers, false);
    if (channel->receivers.control)
        add_lanes(channel);
    mark_ours(graph, &channel->senders.status);
    if (channel->receivers.control)
        mark_ours(graph, &channel->receivers.status);
    mark_fifos(channel, "room", &channel->senders);
    mark_fifos(channel, "bell", &channel->receivers);
    const char *detail = graph_text(graph, channel->words);
    tong_object *object = graph_object_at(graph, channel->object);
    object->detail = detail;
    object->flags |= channel->count[0] + channel->count[1] == 0 ? TONG_OBJECT_ORPHAN : 0;
    object->flags |= channel->dead[0] + channel->dead[1] > 0 ? TONG_OBJECT_DEAD_PLACES : 0;
    object->flags |= channel->header->features & LAYOUT_DURABLE ? TONG_OBJECT_DURABLE : 0;
}

static bool is_file(const struct segment *segment, const tong_object *object)
{
    return segment->fd >= 0 && segment->status.st_dev == object->device && segment->status.st_ino == object->inode;
}

/* 0: both, or the senders' alone. */
static int open_both(struct channel *channel)
{
    char side[PATH_MOST];
    int r = open_segment(channel->path, LAYOUT_KIND_SENDERS, &channel->senders);
    if (r < 0)
        return r;
    channel->header = &channel->senders.control->header;
    snprintf(side, sizeof side, "%s.%016llx" RECEIVE, channel->path, (unsigned long long)channel->header->id);
    r = open_segment(side, LAYOUT_KIND_RECEIVERS, &channel->receivers);
    return r == -ENOENT || r == -ENODEV ? 0 : r;
}

static uint64_t mix(uint64_t hash, const struct segment *segment, uint32_t kind)
{
    const unsigned char *bytes = (const unsigned char *)segment->control;
    for (size_t i = 0; segment->control && i < layout_control_size(kind); i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t mark_of(const struct channel *channel)
{
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), &channel->senders, LAYOUT_KIND_SENDERS);
    return mix(hash, &channel->receivers, LAYOUT_KIND_RECEIVERS) | 1;
}

uint64_t channel_mark(const char *path)
{
    struct channel channel = { .path = path, .senders.fd = -1, .receivers.fd = -1 };
    uint64_t mark = open_both(&channel) == 0 ? mark_of(&channel) : 0;
    close_segment(&channel.senders);
    close_segment(&channel.receivers);
    return mark;
}

/* Nobody is there: whether it is left over is judged later (finding_leftover.c), and then it is too late to ask. */
static void remember(const struct channel *channel)
{
    struct leftover *leftover = graph_push(channel->scan->graph, &channel->scan->graph->leftovers, sizeof *leftover);
    if (leftover)
        *leftover = (struct leftover){
            .object = channel->object, .kind = TONG_KIND_CHANNEL,
            .path = graph_text(channel->scan->graph, channel->path), .device = channel->senders.status.st_dev,
            .inode = channel->senders.status.st_ino, .channel = channel->header->id, .mark = mark_of(channel),
        };
}

/* A segment that is damaged or of another version stays what it is: a file.  So does one that was seen under this name,
 * if that is another's here, in another mount namespace. */
static int look_at(struct scan *scan, const char *path, uint32_t seen)
{
    struct channel channel = { .scan = scan, .path = path, .senders.fd = -1, .receivers.fd = -1 };
    int r = open_both(&channel);
    const tong_object *file = graph_object_at(scan->graph, seen);
    bool same = r == 0 && (is_file(&channel.senders, file) || is_file(&channel.receivers, file));
    channel.object = same ? add_object(&channel) : TONG_NOBODY;
    if (channel.object != TONG_NOBODY)
        describe(&channel);
    if (channel.object != TONG_NOBODY && channel.count[0] + channel.count[1] == 0)
        remember(&channel);
    if (r != -ENODEV && r != -ELOOP)
        graph_missed(scan->graph, "channels of tong", r);
    close_segment(&channel.senders);
    close_segment(&channel.receivers);
    return r == -ENOMEM || r == -EMFILE || r == -ENFILE ? r : scan->graph->error;
}

/* Where the name of a receivers' segment has that of its channel, "PATH.0123456789abcdef.receive"; 0: it is none. */
static size_t base_of(const char *name)
{
    size_t size = strlen(name), tail = 1 + ID_DIGITS + sizeof RECEIVE - 1;
    if (size <= tail || strcmp(name + size - (sizeof RECEIVE - 1), RECEIVE) || name[size - tail] != '.')
        return 0;
    return strspn(name + size - tail + 1, "0123456789abcdef") == ID_DIGITS ? size - tail : 0;
}

/* Without opening it. */
static bool has_size_of_senders(const char *path)
{
    struct stat status;
    if (sys_lstat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return false;
    for (uint64_t capacity = LAYOUT_CAPACITY_LOW; capacity <= LAYOUT_CAPACITY_HIGH; capacity *= 2)
        if (layout_size(LAYOUT_KIND_SENDERS, capacity) == (uint64_t)status.st_size)
            return true;
    return false;
}

/* A file that is mapped: the receivers' segment, or the senders'. */
static int look_at_mapped(struct scan *scan, const char *name, uint32_t seen)
{
    char path[PATH_MOST];
    size_t base = base_of(name);
    snprintf(path, sizeof path, "%.*s", (int)(base ? base : strlen(name)), name);
    return base || has_size_of_senders(path) ? look_at(scan, path, seen) : 0;
}

int probe_channels(struct scan *scan)
{
    size_t count = scan->graph->objects.count;
    int r = 0;
    for (uint32_t i = 0; i < count && r == 0; i++) {
        const tong_object *object = graph_object_at(scan->graph, i);
        bool in_memory = object->kind == TONG_KIND_SHM && !strncmp(object->name, TONG_SHM, sizeof TONG_SHM - 1) &&
                         !strchr(object->name + sizeof TONG_SHM - 1, '/'); /* a directory there is somebody's own */
        if (object->flags & TONG_OBJECT_DELETED)
            continue;
        if (in_memory && !base_of(object->name))
            r = look_at(scan, object->name, i);
        else if (object->kind == TONG_KIND_MAP)
            r = look_at_mapped(scan, object->name, i);
    }
    for (uint32_t i = 0; i < count; i++)
        if (graph_object_at(scan->graph, i)->kind == TONG_KIND_LOCK)
            mark_lock(scan->graph, graph_object_at(scan->graph, i));
    return r;
}
