/* SPDX-License-Identifier: MIT */
/* The kernel of the model and what else the rings ask for.  What it does for one process it does at once. */
#include "world.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/process.h"
#include "core/wait.h"
#include "inside.h"
#include "sys/sys.h"

#define SENDERS_FD 100
#define RECEIVERS_FD 101
#define BELL_FD 102 /* of the receiver in place 0, and so on */
#define ROOM_FD (BELL_FD + LAYOUT_PLACES) /* the same of senders */
#define FIFOS (2 * LAYOUT_PLACES)
#define FIRST_FD 200
#define DESCRIPTIONS 32
#define PID 1000 /* of thread 0 */

enum kind { NOTHING, SEGMENT, EPOLL, TIMER, PROCESS };

struct description {
    enum kind kind;
    int owner;      /* a thread */
    int of;         /* SEGMENT: the descriptor; PROCESS: the thread; TIMER: whether it ticks while everybody sleeps */
    bool ticked;    /* TIMER */
    uint64_t set;   /* EPOLL: bits of FIFOs; PROCESS and EPOLL: of descriptions from FIFOS on */
};

struct seat {
    int holder; /* description + 1 */
    struct knowledge left;
    uint64_t hash;
};

struct world world;

static struct description descriptions[DESCRIPTIONS];
static int many_descriptions;
static struct seat locks[2][LAYOUT_PLACES + 1]; /* the last is that of who comes with a name */
static unsigned fifos[FIFOS];
static unsigned registered; /* bits of threads */
static int acting;          /* for which thread the first one prepares something */
static struct ring_channel *channels[MODEL_THREADS];
static unsigned many_channels;

static int self(void)
{
    return acting ? acting : (int)(current - threads);
}

/* What the current thread has learned of the kernel. */
static void learn(uint64_t what)
{
    current->hash = mix(current->hash, 1000 + what);
}

void kernel_reset(void)
{
    memset(locks, 0, sizeof locks);
    memset(fifos, 0, sizeof fifos);
    many_descriptions = 0;
    registered = 0;
    acting = 0;
    many_channels = 0;
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------- */

static int describe(enum kind kind, int of)
{
    if (many_descriptions == DESCRIPTIONS)
        model_fail("too many descriptors");
    descriptions[many_descriptions] = (struct description){ .kind = kind, .owner = self(), .of = of };
    return FIRST_FD + many_descriptions++;
}

static struct description *described(int fd)
{
    bool is = fd >= FIRST_FD && fd < FIRST_FD + many_descriptions;
    return is && descriptions[fd - FIRST_FD].kind ? &descriptions[fd - FIRST_FD] : NULL;
}

static void unlock(struct seat *lock, const struct thread *by)
{
    lock->holder = 0;
    knowledge_join(&lock->left, &by->now);
    lock->hash = mix(lock->hash, by->hash);
}

static void release(struct description *description, const struct thread *by)
{
    for (unsigned i = 0; i < 2 * (LAYOUT_PLACES + 1); i++) {
        struct seat *lock = &locks[i / (LAYOUT_PLACES + 1)][i % (LAYOUT_PLACES + 1)];
        if (lock->holder == description - descriptions + 1)
            unlock(lock, by);
    }
}

/* The kernel closes what a process had open. */
void kernel_bury(struct thread *thread)
{
    for (int i = 0; i < many_descriptions; i++)
        if (descriptions[i].owner == thread - threads)
            release(&descriptions[i], thread);
}

int sys_open(const char *path, int flags, mode_t mode)
{
    int of = 0;
    (void)flags;
    (void)mode;
    if (sscanf(path, "/proc/self/fd/%d", &of) != 1)
        model_fail("the model cannot open %s", path);
    return describe(SEGMENT, of);
}

int sys_close(int fd)
{
    struct description *description = described(fd);
    if (description) {
        point();
        trace("closes    %d", fd);
        release(description, current);
        description->kind = NOTHING;
    }
    return 0;
}

static int fifo_of(int fd)
{
    return fd >= BELL_FD && fd < BELL_FD + FIFOS ? fd - BELL_FD : -1;
}

ssize_t sys_read(int fd, void *to, size_t size)
{
    int fifo = fifo_of(fd);
    if (fifo < 0) {
        described(fd)->ticked = false;
        return -EAGAIN;
    }
    point();
    size_t many = fifos[fifo] < size ? fifos[fifo] : size;
    fifos[fifo] -= (unsigned)many;
    memset(to, 0, many);
    learn(many);
    trace("empties   bell %d of %zu bytes", fifo, many);
    return many ? (ssize_t)many : -EAGAIN;
}

ssize_t sys_write(int fd, const void *from, size_t size)
{
    int fifo = fifo_of(fd);
    (void)from;
    if (fifo < 0)
        return -EBADF;
    point();
    fifos[fifo] += (unsigned)size;
    learn(size);
    trace("rings     bell %d", fifo);
    return (ssize_t)size;
}

int sys_epoll_create(void)
{
    return describe(EPOLL, 0);
}

int sys_epoll_ctl(int fd, int operation, int target, struct epoll_event *event)
{
    int bit = fifo_of(target) >= 0 ? fifo_of(target) : target - FIRST_FD + FIFOS;
    (void)event;
    if (operation == EPOLL_CTL_ADD)
        described(fd)->set |= UINT64_C(1) << bit;
    else
        described(fd)->set &= ~(UINT64_C(1) << bit);
    return 0;
}

int sys_timerfd(void)
{
    return describe(TIMER, 0);
}

/* The one that makes up for what no descriptor tells; once a second is never. */
int sys_timerfd_settime(int fd, const struct itimerspec *value)
{
    described(fd)->of = value->it_interval.tv_sec == 0;
    return 0;
}

int sys_pidfd_open(pid_t pid)
{
    return describe(PROCESS, pid - PID);
}

/* ---- Locks ------------------------------------------------------------------------------------------------------- */

static bool is_held_by_other(const struct seat *lock, const struct description *description)
{
    return lock->holder && (!description || lock->holder != description - descriptions + 1);
}

/* By the byte that is locked. */
static uint64_t place_at(uint64_t start)
{
    const uint64_t first = offsetof(struct layout_control, places);
    return start < first ? LAYOUT_PLACES : (start - first) / sizeof(struct layout_place);
}

/* Asking for a lock and taking it are one step, and whoever finds it free knows what its last holder did. */
int sys_fcntl_lock(int fd, int command, struct flock *wanted)
{
    struct description *description = described(fd);
    int segment = description ? description->of : fd;
    uint64_t place = place_at((uint64_t)wanted->l_start);
    struct seat *lock = &locks[segment == RECEIVERS_FD][place];
    point();
    bool held = is_held_by_other(lock, description);
    learn(held + 2 * place);
    if (!held) {
        knowledge_join(&current->now, &lock->left);
        current->hash = mix(current->hash, lock->hash);
    }
    if (wanted->l_type == F_UNLCK)
        unlock(lock, current);
    else if (command == F_OFD_SETLK && !held)
        lock->holder = (int)(description - descriptions) + 1;
    if (command == F_OFD_GETLK)
        wanted->l_type = held ? F_WRLCK : F_UNLCK;
    trace("%s place %d of %s: %s", command == F_OFD_SETLK ? "locks    " : "asks for ", (int)place,
          segment == RECEIVERS_FD ? "receivers" : "senders", held ? "held" : "free");
    return command == F_OFD_SETLK && held ? -EAGAIN : 0;
}

/* ---- Sleeping ---------------------------------------------------------------------------------------------------- */

/* Who has ended, or does not run, has passed a fence by that. */
int sys_membarrier(int command)
{
    unsigned own = 1U << self();
    if (command == MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) {
        registered |= own & ~world.fencing;
        return own & world.fencing ? -EPERM : 0;
    }
    if (model_skips("sys_membarrier"))
        return 0;
    point();
    memory_fence_in(current);
    for (int i = 1; i < MODEL_THREADS; i++)
        if (registered >> i & 1 && &threads[i] != current && threads[i].status != ABSENT) {
            point();
            memory_fence_in(&threads[i]);
        }
    memory_fence_in(current);
    trace("fences    all that registered");
    return 0;
}

/* The kernel compares and goes to sleep in one step, against every wake that follows. */
int sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout)
{
    (void)timeout;
    point();
    uint64_t value = memory_newest(word, sizeof(uint32_t));
    if (model_skips("sys_futex_wait"))
        expected = (uint32_t)value;
    trace("sleeps    if %u is %u%s", (unsigned)value, expected, world.impatient ? ", for an instant" : "");
    if (value != expected)
        return -EAGAIN;
    if (world.impatient)
        return -ETIMEDOUT;
    current->sleeps_on = word;
    give_way(ASLEEP);
    return 0;
}

int sys_futex_wake(const void *word, int count)
{
    (void)count;
    if (model_skips("sys_futex_wake"))
        return 0;
    point();
    trace("wakes");
    for (int i = 1; i < MODEL_THREADS; i++)
        if (threads[i].status == ASLEEP && threads[i].sleeps_on == word) {
            threads[i].status = READY;
            threads[i].hash = mix(threads[i].hash, 99);
        }
    return 0;
}

static bool is_readable(const struct description *epoll)
{
    for (unsigned i = 0; i < FIFOS; i++)
        if (epoll->set >> i & 1 && fifos[i] > 0)
            return true;
    for (int i = 0; i < many_descriptions; i++) {
        const struct description *in = &descriptions[i];
        bool ready = in->kind == PROCESS ? threads[in->of].status >= ENDED : in->kind == TIMER && in->ticked;
        if (epoll->set >> (FIFOS + i) & 1 && ready)
            return true;
    }
    return false;
}

bool kernel_tick(void)
{
    bool any = false;
    for (int i = 0; i < many_descriptions; i++) {
        struct description *timer = &descriptions[i];
        if (timer->kind != TIMER || !timer->of || threads[timer->owner].status >= ENDED)
            continue;
        any |= !timer->ticked;
        timer->ticked = true;
    }
    return any;
}

bool kernel_ready(const struct thread *thread)
{
    const struct description *first = descriptions, *polled = thread->sleeps_on;
    return polled >= first && polled < first + DESCRIPTIONS && is_readable(polled);
}

int wait_descriptor(int fd, short events, int cancel_fd, int64_t deadline)
{
    (void)events;
    (void)cancel_fd;
    (void)deadline;
    point();
    trace("polls     %d", fd);
    current->sleeps_on = described(fd);
    if (!is_readable(described(fd)))
        give_way(ASLEEP);
    learn(1);
    return POLLIN;
}

int wait_expired(int64_t deadline)
{
    (void)deadline;
    return -EAGAIN;
}

int wait_may_look_on(const atomic_bool *cancelled, int64_t deadline)
{
    (void)cancelled;
    (void)deadline;
    return 0;
}

int wait_pause(int64_t nanoseconds, int cancel_fd, int64_t deadline)
{
    (void)nanoseconds;
    (void)cancel_fd;
    (void)deadline;
    model_pause();
    return 0;
}

/* ---- Processes --------------------------------------------------------------------------------------------------- */

pid_t model_getpid(void)
{
    return PID + self();
}

uint64_t process_start_time(pid_t pid)
{
    return (uint64_t)pid;
}

uint64_t process_pid_namespace(void)
{
    return 1;
}

bool process_alive(pid_t pid, uint64_t start_time)
{
    (void)start_time;
    point();
    bool alive = threads[pid - PID].status < ENDED;
    learn(alive);
    return alive;
}

int sys_getaffinity(pid_t pid, cpu_set_t *ret)
{
    (void)pid;
    CPU_ZERO(ret);
    CPU_SET(0, ret);
    CPU_SET(1, ret);
    return 0;
}

/* ---- The channel's files ----------------------------------------------------------------------------------------- */

static int open_object(const struct ring_home *home, const struct address *address, const char *name, bool sender,
                       struct ring_object *ret)
{
    (void)address;
    (void)name;
    (void)sender;
    ret->home = home;
    ret->shape = (struct layout_shape){ .capacity = world.capacity, .deliver = world.deliver,
                                        .receivers = world.receivers_most };
    ret->senders_fd = SENDERS_FD;
    ret->receivers_fd = RECEIVERS_FD;
    ret->bell_fd = BELL_FD;
    ret->room_fd = ROOM_FD;
    ret->meeting_fd = -1;
    ret->senders = world.senders;
    ret->receivers = world.receivers;
    return 0;
}

static int is_named(const struct ring_object *object)
{
    (void)object;
    return 1;
}

static int fifo_of_place(const struct ring_object *object, bool sender, unsigned place)
{
    (void)object;
    return (sender ? ROOM_FD : BELL_FD) + (int)place;
}

/* Somebody may always come. */
static int never(const struct ring_object *object, bool sender)
{
    (void)object;
    (void)sender;
    return 0;
}

static int met(struct ring_object *object, bool sender)
{
    return never(object, sender);
}

static int keep_names(const struct ring_object *object)
{
    (void)object;
    return 0;
}

static const struct ring_objects objects = {
    .open = open_object,
    .named = is_named,
    .open_fifo = fifo_of_place,
    .make_fifo = fifo_of_place,
    .gone = never,
    .cut = never,
    .meet = met,
    .remove_ours = keep_names,
    .remove_unused = keep_names,
};

int ring_object_map_lane(struct ring_object *object, unsigned lane, bool writes)
{
    (void)writes;
    object->lane[lane] = world.lane[lane];
    return 0;
}

int ring_object_allocate_lane(const struct ring_object *object, unsigned lane)
{
    (void)object;
    return lane < WORLD_LANES ? 0 : -ENOSPC;
}

void ring_object_populate_lane(const struct ring_object *object, unsigned lane)
{
    (void)object;
    (void)lane;
}

int ring_object_remove(const struct ring_home *home, const char *name)
{
    (void)home;
    (void)name;
    return 0;
}

void ring_object_close(struct ring_object *object)
{
    (void)object;
}

/* No channel here is on a disk. */
int sys_fdatasync(int fd)
{
    (void)fd;
    return -EIO;
}

uint64_t process_boot(void)
{
    return 1;
}

/* ---- Channels ---------------------------------------------------------------------------------------------------- */

int conduit_new(const struct open_request *request, const struct channel_facet *facet, size_t size, const char *object,
                struct conduit **ret)
{
    static char words[] = "the ring";
    struct ring_channel *channel = model_allocate(size);
    (void)object;
    memset(channel, 0, size);
    channel->base.facet = facet;
    channel->base.flags = request->flags;
    channel->base.object = words;
    channel->base.cancel_fd = -1;
    channels[many_channels++] = channel;
    *ret = &channel->base;
    return 0;
}

void conduit_free(struct conduit *conduit)
{
    (void)conduit;
}

void world_make(uint64_t capacity)
{
    world = (struct world){ .senders = (struct layout_control *)model_memory, .capacity = capacity,
                             .receivers_most = 1 };
    world.receivers = (struct layout_receivers *)(model_memory + sizeof(struct layout_control));
    for (unsigned lane = 0; lane < WORLD_LANES; lane++)
        world.lane[lane] = model_memory + WORLD_LANES_AT + 2 * lane * capacity;
    model_lay_rings(WORLD_LANES_AT, capacity, WORLD_LANES);
}

void world_make_broadcast(uint64_t capacity, unsigned receivers)
{
    const size_t places = offsetof(struct layout_control, places);
    const size_t seats = sizeof(struct layout_control) + offsetof(struct layout_receivers, seats);
    const size_t lanes = LAYOUT_PLACES - WORLD_LANES;
    world_make(capacity);
    world.deliver = LAYOUT_BROADCAST;
    world.receivers_most = receivers;
    model_leave_out(places + WORLD_LANES * sizeof(struct layout_place), lanes * sizeof(struct layout_place));
    for (unsigned seat = 0; seat < receivers; seat++)
        model_leave_out(seats + seat * sizeof(struct layout_seat) + WORLD_LANES * sizeof(struct layout_cursor),
                        lanes * sizeof(struct layout_cursor));
}

/* Who never spins sleeps at once. */
static void tire(struct ring_end *end)
{
    end->patience.budget = 0;
    end->patience.pause = end->patience.penalty = UINT32_MAX;
}

struct ring_channel *world_open(int thread, uint32_t flags)
{
    static const struct ring_home home = { .objects = &objects, .scheme = "model", .removers = "nobody",
                                           .in_memory = true };
    static char name[] = "ring";
    struct address address = { .name = name, .text = name };
    address.value[OPTION_FROM] = world.from;
    address.value[OPTION_SLOW] = world.slow;
    address.value[OPTION_AS] = world.name;
    struct open_request request = { .address = &address, .flags = flags, .deadline = -1 };
    struct conduit *conduit = NULL;
    acting = thread;
    int r = ring_channel_open(&home, &request, &conduit);
    acting = 0;
    MODEL_CHECK(r == 0, "open: %d %s", r, tong_detail());
    struct ring_channel *channel = (struct ring_channel *)conduit;
    tire(&channel->in);
    tire(&channel->out);
    return channel;
}

/* The list of places in src/ring/place.c forgets those of processes that are no more. */
void world_clean(void)
{
    for (unsigned i = 0; i < many_channels; i++) {
        ring_place_leave(&channels[i]->in.place);
        ring_place_leave(&channels[i]->out.place);
    }
}
