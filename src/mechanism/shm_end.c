/* SPDX-License-Identifier: MIT */
/* Coming and going.  The name may be removed, and the place taken or left, at any moment of it. */
#include "shm_end.h"

#include <errno.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/wait.h"
#include "ring/ring.h"

#define SETTLING 20 /* ms for which a place may be held by somebody who is just coming or going */

void end_tell(struct end *end)
{
    ring_wake(&end->peer->places[0], &end->own->cursor, &end->woken);
    bell_ring(&end->peer->places[0], end->peer_fifo, &end->rung);
}

/* It did not die in that session if it says something newer. */
int end_peer_died(const struct end *end, uint64_t word)
{
    int held = place_held(end->peer_fd);
    return held < 0 ? held : !held && place_session(end->peer) == word;
}

/* A place that is held though its session is not open belongs to one who is just coming or going: 1. */
static int taken(const struct end *end, bool sender)
{
    if (session_state(place_session(end->own)) != SESSION_OPEN)
        return 1;
    tong_identity holder = TONG_IDENTITY_INIT;
    place_identity(end->own, &holder);
    return fail(-EBUSY, "%s: its one place for a %s is held by process %lld: wait until it leaves, or use another name",
                end->object.path, sender ? "sender" : "receiver", (long long)holder.pid);
}

/* Finds the two sides of the object in the terms of ours and theirs, and takes our place. */
static int attach(struct end *end, bool sender)
{
    struct shm_object *object = &end->object;
    int *own_fd = sender ? &object->senders_fd : &object->receivers_fd, fd = *own_fd;
    end->own = sender ? object->senders : object->receivers;
    end->peer = sender ? object->receivers : object->senders;
    end->peer_fd = sender ? object->receivers_fd : object->senders_fd;
    end->own_fifo = sender ? object->room_fd : object->bell_fd;
    end->peer_fifo = sender ? object->bell_fd : object->room_fd;
    end->bell = (struct bell)BELL_INIT;
    *own_fd = -1;
    return place_take(&end->place, end->own, fd);
}

/* 0 attached; 1 the name or the holder changed meanwhile, so try again; or an error.  Leaves nothing but on 0. */
static int try_attach(struct end *end, const struct address *address, const char *name, bool sender)
{
    int r = shm_object_open(address, name, sender, &end->object);
    if (r < 0)
        return r;
    r = attach(end, sender);
    if (r == 0) {
        r = shm_object_named(&end->object);
        if (r > 0) {
            end->open = true;
            return 0;
        }
        place_leave(&end->place);
        r = r < 0 ? r : 1;
    } else if (r == -EBUSY) {
        r = taken(end, sender);
    }
    shm_object_close(&end->object);
    if (r < 0 && end->object.created)
        shm_object_remove_unused(&end->object);
    return r;
}

int end_open(struct end *end, const struct address *address, const char *name, bool sender)
{
    int r = 1;
    for (int pause = 0; r == 1 && pause < SETTLING; pause++) {
        r = pause ? wait_pause(1000000, -1, DEADLINE_NEVER) : 0;
        if (r == 0)
            r = try_attach(end, address, name, sender);
    }
    return r == 1 ? fail(-EBUSY, "shm:%s: others keep coming and going, or hold its place without using it", name) : r;
}

void end_announce(struct end *end)
{
    place_open(&end->place);
    end->announced = true;
    end_tell(end);
}

void end_close(struct end *end, int64_t removal, bool forked)
{
    if (!end->open)
        return;
    bell_close(&end->bell);
    place_leave(&end->place);
    bool in_vain = end->object.created && !end->announced;
    if (!forked && (removal == REMOVE_LAST || in_vain))
        shm_object_remove_unused(&end->object);
    if (!forked && removal == REMOVE_OWNER && end->object.created)
        shm_object_remove_ours(&end->object);
    shm_object_close(&end->object);
}
