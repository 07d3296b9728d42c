/* SPDX-License-Identifier: MIT */
/* What an address asks a channel to be made with, and whether one that was made is what it asks for. */
#include <errno.h>
#include <unistd.h>

#include "base/detail.h"
#include "ring/object.h"

/* ---- Asked ----------------------------------------------------------------------------------------------- */

/* Lanes are mapped each for itself. */
uint64_t ring_shape_rounded(uint64_t capacity)
{
    uint64_t power = LAYOUT_CAPACITY_LOW, page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (power < page)
        power = page;
    while (power < capacity)
        power *= 2;
    return power;
}

static uint32_t receivers_asked(const struct address *address)
{
    bool broadcast = address->value[OPTION_DELIVER] == DELIVER_BROADCAST;
    return broadcast && !address_given(address, OPTION_RECEIVERS) ? LAYOUT_PLACES
                                                                  : (uint32_t)address->value[OPTION_RECEIVERS];
}

static uint32_t delivery_asked(const struct address *address)
{
    if (address->value[OPTION_DELIVER] == DELIVER_BROADCAST)
        return LAYOUT_BROADCAST;
    return receivers_asked(address) > 1 ? LAYOUT_QUEUE : LAYOUT_ONE;
}

static uint32_t features_asked(const struct address *address)
{
    return address->value[OPTION_DURABLE] ? LAYOUT_DURABLE : 0;
}

int ring_shape_asked(const char *path, const struct address *address, struct layout_shape *ret)
{
    *ret = (struct layout_shape){
        .capacity = ring_shape_rounded((uint64_t)address->value[OPTION_CAPACITY]),
        .deliver = delivery_asked(address),
        .receivers = receivers_asked(address),
        .features = features_asked(address),
    };
    if (address->value[OPTION_SYNC] && !ret->features)
        return fail(-EINVAL, "%s: sync=on needs a durable channel: add durable=yes", path);
    if (ret->features & LAYOUT_DURABLE && ret->deliver != LAYOUT_ONE)
        return fail(-EOPNOTSUPP, "%s: a durable channel has one receiver: leave durable=yes away, or deliver= and receivers=",
                    path);
    return 0;
}

/* ---- Made ------------------------------------------------------------------------------------------------ */

bool ring_shape_is(const struct layout_header *header, const struct layout_shape *shape)
{
    struct layout_shape theirs = layout_shape_of(header);
    return theirs.id == shape->id && theirs.capacity == shape->capacity &&
           theirs.deliver == shape->deliver && theirs.receivers == shape->receivers &&
           theirs.features == shape->features;
}

/* What was made cannot be had otherwise; who asks for nothing takes it as it is. */
int ring_shape_check(const char *path, const struct layout_shape *shape, const struct address *address)
{
    static const enum option_id only_broadcast[] = { OPTION_FROM, OPTION_SLOW, OPTION_AS, OPTION_READONLY };
    static const char *const words[] = { "one receiver", "deliver=queue", "deliver=broadcast" };
    uint32_t deliver = shape->deliver;
    bool broadcast = deliver == LAYOUT_BROADCAST;
    if (address_given(address, OPTION_DELIVER) && broadcast != (address->value[OPTION_DELIVER] == DELIVER_BROADCAST))
        return fail(-EINVAL, "%s was made with %s: ask for that, take another name, or remove it", path, words[deliver]);
    if (address_given(address, OPTION_RECEIVERS) && address->value[OPTION_RECEIVERS] != (int64_t)shape->receivers)
        return fail(-EINVAL, "%s was made with receivers=%u: ask for that, take another name, or remove it", path,
                    shape->receivers);
    if (address_given(address, OPTION_DURABLE) && (shape->features & LAYOUT_DURABLE) != features_asked(address))
        return fail(-EINVAL, "%s was made with durable=%s: ask for that, take another name, or remove it", path,
                    shape->features & LAYOUT_DURABLE ? "yes" : "no");
    if (address->value[OPTION_SYNC] && !(shape->features & LAYOUT_DURABLE))
        return fail(-EINVAL, "%s was made with durable=no: sync=on needs durable=yes, and so another name", path);
    for (size_t i = 0; i < sizeof only_broadcast / sizeof *only_broadcast && !broadcast; i++)
        if (address_given(address, only_broadcast[i]))
            return fail(-EINVAL, "%s is made with %s: from=, slow=, as= and readonly= need deliver=broadcast when it is made",
                        path, words[deliver]);
    return 0;
}
