/* SPDX-License-Identifier: MIT */
/* Coming and going.  The name may be removed, and the place taken or left, at any moment of it. */
#include "ring/end.h"

#include <errno.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/wait.h"
#include "ring/sleep.h"
#include "sys/sys.h"

#define SETTLING 20 /* ms for which a place may be held by somebody who is just coming or going */

static const struct ring_objects *objects_of(const struct ring_end *end)
{
    return end->object.home->objects;
}

/* ---- Telling --------------------------------------------------------------------------------------------- */

/* The FIFO of a place of the other side; opened when it is first wanted. */
static int bell_of(struct ring_end *end, unsigned place)
{
    if (place == 0)
        return end->sender ? end->object.bell_fd : end->object.room_fd;
    if (end->fifo[place] < 0)
        end->fifo[place] = objects_of(end)->open_fifo(&end->object, !end->sender, place);
    return end->fifo[place];
}

static void ring_bells(struct ring_end *end)
{
    uint64_t used = shared_used(end->peer);
    for (unsigned place = 0; place < LAYOUT_PLACES; place++) {
        uint32_t turn = used >> place & 1 ? shared_bell(&end->peer->places[place]) : 0;
        if (!(turn & 1) || turn == end->rung[place])
            continue;
        end->rung[place] = turn;
        ring_bell_disturb(bell_of(end, place));
    }
}

/* Whoever it is may have called before it could be heard. */
int ring_end_meet(struct ring_end *end)
{
    int fd = end->object.meeting_fd;
    int r = fd < 0 ? 0 : objects_of(end)->meet(&end->object, end->sender);
    if (r <= 0)
        return r;
    ring_bell_ignore(&end->bell, fd);
    end->peer_fd = end->sender ? end->object.receivers_fd : end->object.senders_fd;
    end->answered = ~shared_calls(end->peer);
    ring_end_answer(end);
    return r;
}

/* Only what was called before the look is answered; who calls meanwhile is found by the next.  As long as nobody is there
 * to call, each publication looks whether he is. */
void ring_end_answer(struct ring_end *end)
{
    if (end->object.meeting_fd >= 0) {
        ring_end_meet(end);
        return;
    }
    uint64_t calls = shared_calls(end->peer), before = end->answered;
    end->answered = calls;
    if (!end->own)
        return;
    if ((uint32_t)calls != (uint32_t)before)
        ring_wake(end->own);
    if (calls >> 32 != before >> 32)
        ring_bells(end);
}

int ring_end_cut(const struct ring_end *end)
{
    return ring_end_is_cut(end) ? objects_of(end)->cut(&end->object, end->sender) : 0;
}

int ring_end_open_bell(struct ring_end *end)
{
    if (!end->own)
        return ring_bell_open_clock(&end->bell);
    if (end->own_fifo < 0)
        end->own_fifo = end->made_fifo = objects_of(end)->make_fifo(&end->object, end->sender, end->place.index);
    if (end->own_fifo < 0)
        return end->own_fifo;
    return ring_bell_open(&end->bell, end->own, end->place.row, end->own_fifo, end->object.meeting_fd);
}

void ring_end_disturb(const struct ring_end *end)
{
    if (!end->open)
        return;
    ring_disturb(end->peer);
    ring_bell_disturb(end->own_fifo);
}

/* ---- Coming ---------------------------------------------------------------------------------------------- */

/* It did not die in that session if it says something newer. */
int ring_end_peer_died(const struct ring_end *end, unsigned place, uint64_t word)
{
    int held = ring_place_held(end->peer_fd, place);
    return held < 0 ? held : !held && shared_session(&end->peer->places[place]) == word;
}

static unsigned places_of(const struct ring_end *end)
{
    return end->sender ? LAYOUT_PLACES : end->object.shape.receivers;
}

/* Only receivers of a broadcast have names. */
static uint64_t name_of(const struct ring_end *end, const struct address *address)
{
    return end->sender || end->object.shape.deliver != LAYOUT_BROADCAST ? 0 : (uint64_t)address->value[OPTION_AS];
}

static int name_taken(const struct ring_end *end, const struct layout_place *row)
{
    if (session_state(shared_session(row)) != SESSION_OPEN)
        return 1;
    tong_identity holder = TONG_IDENTITY_INIT;
    uint64_t name = shared_name(row);
    ring_place_identity(row, &holder);
    return fail(-EBUSY, "%s: process %lld%s is there as=%.8s: wait until it leaves, or take another name", end->object.path,
                (long long)holder.pid, holder.pid ? "" : " (of another pid namespace)", (const char *)&name);
}

/* A place that is held though its session is not open belongs to one who is just coming or going: 1. */
static int taken(const struct ring_end *end, uint64_t name)
{
    int named = ring_place_named(end->own, places_of(end), name);
    if (named >= 0)
        return name_taken(end, &end->own->places[named]);
    for (unsigned place = 0; place < places_of(end); place++)
        if (session_state(shared_session(&end->own->places[place])) != SESSION_OPEN)
            return 1;
    tong_identity holder = TONG_IDENTITY_INIT;
    ring_place_identity(&end->own->places[0], &holder);
    if (places_of(end) > 1)
        return fail(-EBUSY, "%s: its %u places for %s are all held: wait until one leaves, or take another name",
                    end->object.path, places_of(end), end->sender ? "senders" : "receivers");
    return fail(-EBUSY, "%s: its one place for a receiver is held by process %lld%s: wait until it leaves, take another"
                " name, or make it with receivers=%d", end->object.path, (long long)holder.pid,
                holder.pid ? "" : " (of another pid namespace)", LAYOUT_PLACES);
}

static void prepare(struct ring_end *end)
{
    end->made_fifo = -1;
    for (unsigned place = 0; place < LAYOUT_PLACES; place++)
        end->fifo[place] = -1;
    end->place.fd = -1;
    ring_bell_init(&end->bell);
    end->patience = (struct ring_patience){ .budget = RING_SPIN_MOST };
}

/* Who only watches has no place, and nothing of its own in the channel. */
static int watch(struct ring_end *end)
{
    end->own = NULL;
    end->peer = end->object.senders;
    end->peer_fd = end->object.senders_fd;
    end->own_fifo = -1;
    return 0;
}

/* Finds the two sides of the object in the terms of ours and theirs, and takes our place. */
static int attach(struct ring_end *end, uint64_t name)
{
    struct ring_object *object = &end->object;
    bool sender = end->sender;
    prepare(end);
    if (!object->receivers)
        return watch(end);
    struct layout_control *receivers = &object->receivers->control;
    end->own = sender ? object->senders : receivers;
    end->peer = sender ? receivers : object->senders;
    end->peer_fd = sender ? object->receivers_fd : object->senders_fd;
    end->answered = ~shared_calls(end->peer);
    end->fences = !ring_fence_register();
    int r = ring_place_take(&end->place, end->own, sender ? object->senders_fd : object->receivers_fd, places_of(end), name);
    if (r == 0)
        end->own_fifo = end->place.index != 0 ? -1 : sender ? object->room_fd : object->bell_fd;
    return r;
}

/* 0 attached; 1 the name or the holder changed meanwhile, so try again; or an error.  Leaves nothing but on 0. */
static int try_attach(struct ring_end *end, const struct ring_home *home, const struct address *address,
                      const char *name, bool sender)
{
    int r = home->objects->open(home, address, name, sender, &end->object);
    if (r < 0)
        return r;
    end->sender = sender;
    r = attach(end, name_of(end, address));
    if (r == 0) {
        r = objects_of(end)->named(&end->object);
        if (r > 0) {
            end->open = true;
            return 0;
        }
        ring_place_leave(&end->place);
        r = r < 0 ? r : 1;
    } else if (r == -EBUSY) {
        r = taken(end, name_of(end, address));
    } else if (r == -EAGAIN) {
        r = 1;
    }
    ring_object_close(&end->object);
    if (r < 0 && end->object.created)
        home->objects->remove_unused(&end->object);
    return r;
}

int ring_end_open(struct ring_end *end, const struct ring_home *home, const struct address *address, const char *name,
                  bool sender)
{
    int r = 1;
    for (int pause = 0; r == 1 && pause < SETTLING; pause++) {
        r = pause ? wait_pause(1000000, -1, DEADLINE_NEVER) : 0;
        if (r == 0)
            r = try_attach(end, home, address, name, sender);
        if (r == -EBUSY && pause == 0 && !sender && end->object.shape.deliver == LAYOUT_QUEUE)
            r = 1; /* who recovers what a dead receiver left holds that one's place for a moment */
    }
    return r == 1 ? fail(-EBUSY, "%s:%s: others keep coming and going, or hold its place without using it", home->scheme,
                         name) : r;
}

void ring_end_announce(struct ring_end *end)
{
    if (!end->own)
        return;
    ring_place_open(&end->place);
    end->announced = true;
    ring_end_tell(end);
}

void ring_end_close(struct ring_end *end, int64_t removal, bool forked)
{
    if (!end->open)
        return;
    ring_bell_close(&end->bell);
    sys_close(end->made_fifo);
    for (unsigned place = 0; place < LAYOUT_PLACES; place++)
        sys_close(end->fifo[place]);
    ring_place_leave(&end->place);
    bool in_vain = end->object.created && !end->announced;
    if (!forked && end->own && (removal == REMOVE_LAST || in_vain))
        objects_of(end)->remove_unused(&end->object);
    if (!forked && removal == REMOVE_OWNER && end->object.created)
        objects_of(end)->remove_ours(&end->object);
    ring_object_close(&end->object);
}
