/* SPDX-License-Identifier: MIT */
/*
 * shm: - a channel in shared memory: a ring (src/ring) in files of /dev/shm (shm_object.c), with a sender's and a
 * receiver's place (shm_end.c).
 *
 * After opening, the kernel is asked for nothing while both ends are awake: an end that must wait sleeps on the
 * other's cursor, and after a while on its bell (shm_wait.c).  A sender begins a session when it opens and ends it
 * when it finishes or closes (shm_send.c); the receiver is told where one ends (shm_receive.c).
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/detail.h"
#include "shm_channel.h"
#include "shm_region.h"

int shm_damaged(const struct shm_end *end)
{
    return fail(-EBADMSG, "%s is damaged: the other end wrote what cannot be; remove it and begin again",
                end->object.path);
}

int shm_contradictory(const struct shm_end *end, int error)
{
    if (error == -EBADMSG)
        return fail(-EPROTO, "%s is damaged: its cursors contradict each other; remove it", end->object.path);
    return fail(error, "%s: out of memory", end->object.path);
}

int shm_bad_token(const struct conduit *conduit)
{
    return fail(-EINVAL, "%s: the token was given back already, or is used for more than was reserved",
                conduit->object);
}

void shm_fill_token(struct conduit *conduit, uint32_t direction, uint64_t start, uint64_t size, uint64_t claim,
                    tong_token *ret)
{
    const struct shm_object *object = &shm_end_of((struct shm *)conduit, direction)->object;
    struct ring_span span[2];
    ret->parts = ring_spans(object->data, object->capacity, start, size, span);
    for (unsigned i = 0; i < ret->parts; i++) {
        ret->span[i].data = span[i].data;
        ret->span[i].size = span[i].size;
    }
    ret->private_word[0] = claim;
    ret->private_word[1] = direction;
    ret->private_word[2] = size;
    ret->private_word[3] = (uintptr_t)conduit;
}

/* ---- Questions and cancelling ---------------------------------------------------------------------------- */

static int shm_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret)
{
    struct shm *shm = (struct shm *)conduit;
    struct shm_end *end = shm_end_of(shm, direction);
    int r = ring_bell_is_open(&end->bell) ? 0 : ring_bell_open(&end->bell, &end->own->places[0], end->own_fifo);
    *ret = (struct pollfd){ end->bell.epoll_fd, POLLIN, 0 };
    return r;
}

static void cancel_end(const struct shm_end *end)
{
    if (!end->open)
        return;
    ring_disturb(&end->peer->cursor);
    ring_bell_disturb(end->own_fifo);
}

/* Async-signal-safe: two system calls an end. */
static int shm_cancel(struct conduit *conduit)
{
    struct shm *shm = (struct shm *)conduit;
    cancel_end(&shm->in);
    cancel_end(&shm->out);
    return 0;
}

static int shm_peer(struct conduit *conduit, tong_identity *ret)
{
    struct shm *shm = (struct shm *)conduit;
    const struct shm_end *end = shm->in.open ? &shm->in : &shm->out;
    int held = session_state(ring_place_session(end->peer)) == SESSION_OPEN ? ring_place_held(end->peer_fd) : 0;
    if (held < 0)
        return held;
    if (!held)
        return fail(-ENOTCONN, "%s: nobody is at the other end now", conduit->object);
    ring_place_identity(end->peer, ret);
    return 0;
}

/* May run beside a call in either direction, so it reads shared words and what never changes. */
static int shm_describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct shm *shm = (struct shm *)conduit;
    const struct shm_end *end = shm->out.open ? &shm->out : &shm->in;
    const struct shm_object *object = &end->object;
    uint64_t head = atomic_load_explicit(&object->receivers->cursor, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&object->senders->cursor, memory_order_acquire);
    ret->largest = record_largest(object->capacity);
    ret->capacity = object->capacity;
    ret->depth = tail - head <= object->capacity ? tail - head : TONG_UNKNOWN;
    return 0;
}

/* ---- Opening and closing --------------------------------------------------------------------------------- */

static int shm_close(struct conduit *conduit, bool forked)
{
    struct shm *shm = (struct shm *)conduit;
    int r = 0;
    if (!forked && shm->out.announced && !conduit->finished) {
        ring_abandon(&shm->writer);
        r = shm_finish(conduit, DEADLINE_NOW);
    }
    if (!forked && shm->in.announced)
        ring_place_close(&shm->in.place);
    shm_end_close(&shm->out, shm->remove, forked);
    shm_end_close(&shm->in, shm->remove, forked);
    ring_writer_close(&shm->writer);
    ring_reader_close(&shm->reader);
    conduit_free(conduit);
    return r;
}

/* Nobody is told of the first end before the second one is open too: if that fails, there was none. */
static int open_ends(struct shm *shm, const struct address *address)
{
    const char *to = address->second ? address->second : address->name;
    int r = shm->base.flags & TONG_RECEIVE ? shm_open_receiver(shm, address, address->name) : 0;
    if (r == 0 && shm->base.flags & TONG_SEND)
        r = shm_open_sender(shm, address, to);
    if (r < 0)
        return r;
    if (shm->in.open)
        shm_end_announce(&shm->in);
    if (shm->out.open)
        shm_end_announce(&shm->out);
    if (shm->in.object.created || shm->out.object.created)
        shm->base.flags |= TONG_INFO_CREATED;
    return 0;
}

static const struct channel_facet facet;

static int check_names(const struct open_request *request)
{
    bool both = (request->flags & TONG_BOTH) == TONG_BOTH;
    if (both && !request->address->second)
        return fail(-EOPNOTSUPP, "%s goes one way: name two channels, shm:IN,OUT, for both", request->address->text);
    if (!both && request->address->second)
        return fail(-EINVAL, "%s names two channels, but only one direction is opened", request->address->text);
    return 0;
}

static int shm_open_end(const struct open_request *request, struct conduit **ret)
{
    const struct address *address = request->address;
    char object[2 * SHM_NAME_MAX + 16];
    int r = check_names(request);
    if (r < 0)
        return r;
    snprintf(object, sizeof object, "shm:%s%s%s", address->name, address->second ? "," : "",
             address->second ? address->second : "");
    struct conduit *conduit;
    r = conduit_new(request, &facet, sizeof(struct shm), object, &conduit);
    if (r < 0)
        return r;
    struct shm *shm = (struct shm *)conduit;
    shm->remove = address->value[OPTION_REMOVE];
    shm->reconnect = address->value[OPTION_RECONNECT];
    conduit->flags |= TONG_INFO_FRAMED;
    r = open_ends(shm, address);
    if (r == 0)
        *ret = conduit;
    else
        shm_close(conduit, false);
    return r;
}

/* One name may be a channel's and a region's, and nothing says which of the two is meant. */
static int remove_one(const char *name)
{
    bool region = shm_region_named(name);
    if (region && shm_object_exists(name))
        return fail(-EEXIST, "shm:%s is a channel and a region: remove the region with rm " SHM_DIRECTORY "/%s, and then, by "
                    "this, the channel", name, name);
    return region ? shm_region_remove(name) : shm_object_remove(name);
}

static int shm_remove(const struct address *address)
{
    int r = remove_one(address->name);
    int second = address->second ? remove_one(address->second) : 0;
    return r < 0 ? r : second;
}

static const struct channel_facet facet = {
    .variant = "",
    .identity = TONG_IDENTITY_CLAIMED,
    .shape = TONG_HAS_TWO_WAY_PAIR,
    .send = shm_send,
    .receive = shm_receive,
    .reserve = shm_reserve,
    .commit = shm_commit,
    .abort = shm_abort,
    .peek = shm_peek,
    .release = shm_release,
    .finish = shm_finish,
    .pollfd = shm_pollfd,
    .cancel = shm_cancel,
    .peer = shm_peer,
    .describe = shm_describe,
    .close = shm_close,
};

static const struct channel_facet *const variants[] = { &facet, NULL };

static const struct option_use options[] = {
    { OPTION_MODE, 0600, 0, 0666, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 0 },
    { OPTION_CAPACITY, 4 << 20, (int64_t)LAYOUT_CAPACITY_LOW, (int64_t)LAYOUT_CAPACITY_HIGH, 0 },
    { OPTION_FULL, FULL_WAIT, 0, 0, 0 },
    { OPTION_RECONNECT, 0, 0, 0, 0 },
    { OPTION_DELIVER, DELIVER_QUEUE, 0, 0, 1 << DELIVER_QUEUE },
    OPTIONS_END
};

static uint64_t largest_message(const char *source)
{
    (void)source;
    return record_largest(LAYOUT_CAPACITY_HIGH);
}

static const struct limit limits[] = {
    { "free space", "bytes", SHM_DIRECTORY, limit_space },
    { "largest message", "bytes", "capacity=1G", largest_message },
    { NULL, NULL, NULL, NULL },
};

const struct mechanism mechanism_shm = {
    .scheme = "shm",
    .form = "shm:NAME, shm:IN,OUT",
    .summary = "shared memory: a ring of messages without a system call, or a region of plain bytes",
    .medium = "memory",
    .unit = "message, and bytes of a region",
    .reach = "one machine",
    .order = "a lock-free ring; who must wait sleeps on a futex, then on a FIFO, as event loops do",
    .lifetime = "until removed or the machine restarts",
    .family = "POSIX shared memory (/dev/shm), futexes and OFD locks: Linux",
    .options = options,
    .limits = limits,
    .channels = variants,
    .region = &shm_region,
    .lock = &shm_lock,
    .open = shm_open_end,
    .remove = shm_remove,
};
