/* SPDX-License-Identifier: MIT */
/* Coming and going.  The name may be removed, and the place taken or left, at any moment of it. */
#include "ring/end.h"

#include <errno.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/wait.h"
#include "ring/ring.h"

#define SETTLING 20 /* ms for which a place may be held by somebody who is just coming or going */

void ring_end_tell(struct ring_end *end)
{
    ring_wake(&end->peer->places[0], &end->own->cursor, &end->woken);
    ring_bell_ring(&end->peer->places[0], end->peer_fifo, &end->rung);
}

/* It did not die in that session if it says something newer. */
int ring_end_peer_died(const struct ring_end *end, uint64_t word)
{
    int held = ring_place_held(end->peer_fd);
    return held < 0 ? held : !held && ring_place_session(end->peer) == word;
}

/* A place that is held though its session is not open belongs to one who is just coming or going: 1. */
static int taken(const struct ring_end *end, bool sender)
{
    if (session_state(ring_place_session(end->own)) != SESSION_OPEN)
        return 1;
    tong_identity holder = TONG_IDENTITY_INIT;
    ring_place_identity(end->own, &holder);
    return fail(-EBUSY, "%s: its one place for a %s is held by process %lld%s: wait until it leaves, or take another"
                " name", end->object.path, sender ? "sender" : "receiver", (long long)holder.pid,
                holder.pid ? "" : " (of another pid namespace)");
}

/* Finds the two sides of the object in the terms of ours and theirs, and takes our place. */
static int attach(struct ring_end *end, bool sender)
{
    struct ring_object *object = &end->object;
    end->own = sender ? object->senders : object->receivers;
    end->peer = sender ? object->receivers : object->senders;
    end->peer_fd = sender ? object->receivers_fd : object->senders_fd;
    end->own_fifo = sender ? object->room_fd : object->bell_fd;
    end->peer_fifo = sender ? object->bell_fd : object->room_fd;
    end->bell = (struct ring_bell)RING_BELL_INIT;
    return ring_place_take(&end->place, end->own, sender ? object->senders_fd : object->receivers_fd);
}

/* 0 attached; 1 the name or the holder changed meanwhile, so try again; or an error.  Leaves nothing but on 0. */
static int try_attach(struct ring_end *end, const struct ring_home *home, const struct address *address,
                      const char *name, bool sender)
{
    int r = ring_object_open(home, address, name, sender, &end->object);
    if (r < 0)
        return r;
    r = attach(end, sender);
    if (r == 0) {
        r = ring_object_named(&end->object);
        if (r > 0) {
            end->open = true;
            return 0;
        }
        ring_place_leave(&end->place);
        r = r < 0 ? r : 1;
    } else if (r == -EBUSY) {
        r = taken(end, sender);
    }
    ring_object_close(&end->object);
    if (r < 0 && end->object.created)
        ring_object_remove_unused(&end->object);
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
    }
    return r == 1 ? fail(-EBUSY, "%s:%s: others keep coming and going, or hold its place without using it", home->scheme,
                         name) : r;
}

void ring_end_announce(struct ring_end *end)
{
    ring_place_open(&end->place);
    end->announced = true;
    ring_end_tell(end);
}

void ring_end_close(struct ring_end *end, int64_t removal, bool forked)
{
    if (!end->open)
        return;
    ring_bell_close(&end->bell);
    ring_place_leave(&end->place);
    bool in_vain = end->object.created && !end->announced;
    if (!forked && (removal == REMOVE_LAST || in_vain))
        ring_object_remove_unused(&end->object);
    if (!forked && removal == REMOVE_OWNER && end->object.created)
        ring_object_remove_ours(&end->object);
    ring_object_close(&end->object);
}
