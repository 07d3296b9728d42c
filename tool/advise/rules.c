/* SPDX-License-Identifier: MIT */
/* What the table of mechanisms says rules some out, and says what option of an address a large message needs. */
#include <stdio.h>
#include <string.h>

#include "advise/advise.h"
#include "base/layout.h"
#include "base/number.h"

#define AT_ONCE 4 /* messages that a ring should have room for, lest each waits for the one before */

/* A limit by its name; false: the mechanism has none such. */
static bool find_limit(const struct contestant *c, const char *name, tong_limit_info *ret)
{
    for (size_t i = 0; tong_mechanism_limit(c->mechanism.scheme, i, ret) == 0; i++)
        if (!strcmp(ret->name, name))
            return true;
    return false;
}

static uint64_t limit_of(const struct contestant *c, const char *name)
{
    tong_limit_info limit = TONG_LIMIT_INFO_INIT;
    return find_limit(c, name, &limit) ? limit.value : TONG_UNKNOWN;
}

/* ---- The largest message ---------------------------------------------------------------------------------- */

/* By which limit a mechanism, or a variant that begins so, says how large a message may be, and what option sets that. */
static const struct { const char *variant, *limit, *option; } bounds[] = {
    { "socket=stream", "largest message of a stream", "size" },
    { "socket=", "largest send buffer for an ordinary user", "capacity" },
    { "", "largest message", NULL }, /* as the limit's source says: "capacity=1G" */
    { "", "largest record", NULL },
    { "", "largest datagram over IPv4", NULL },
};

struct room {
    uint64_t largest, usual; /* at most, and without the option */
    char option[16];         /* "": there is none */
    const char *source;
};

/* What an option of so many bytes leaves for a message. */
static uint64_t held_by(const struct contestant *c, uint64_t bytes)
{
    if (!(c->mechanism.offers & TONG_HAS_ZERO_COPY))
        return bytes;
    return c->broadcasts ? record_largest_logged(bytes) : record_largest(bytes);
}

/* What holds when the option is not given; 0: the mechanism says no number. */
static uint64_t usual_value(const struct contestant *c, const char *name)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    int64_t value;
    for (size_t i = 0; tong_mechanism_option(c->mechanism.scheme, i, &option) == 0; i++)
        if (option.noun == TONG_HAS_CHANNEL && !strcmp(option.name, name) && parse_bytes(option.fallback, &value) == 0)
            return (uint64_t)value;
    return 0;
}

static struct room room_of(const struct contestant *c)
{
    struct room room = { .largest = TONG_UNKNOWN, .usual = TONG_UNKNOWN };
    tong_limit_info limit = TONG_LIMIT_INFO_INIT;
    size_t i = 0, count = sizeof bounds / sizeof *bounds;
    while (i < count && (strncmp(c->mechanism.variant, bounds[i].variant, strlen(bounds[i].variant)) ||
                         !find_limit(c, bounds[i].limit, &limit)))
        i++;
    if (i == count || limit.value == TONG_UNKNOWN)
        return room;
    room.source = limit.source;
    size_t named = strcspn(limit.source, "=");
    int64_t most;
    bool given = limit.source[named] && parse_bytes(limit.source + named + 1, &most) == 0;
    room.largest = given ? held_by(c, (uint64_t)most) : limit.value;
    if (given || bounds[i].option)
        snprintf(room.option, sizeof room.option, "%.*s", given ? (int)named : 15,
                 given ? limit.source : bounds[i].option);
    uint64_t usual = *room.option ? usual_value(c, room.option) : 0;
    room.usual = usual ? held_by(c, usual) : room.largest;
    return room;
}

static void say_option(struct verdict *v, const struct room *room, uint64_t size)
{
    static const char units[] = " KMG";
    uint64_t wanted = v->contestant->mechanism.offers & TONG_HAS_ZERO_COPY ? AT_ONCE * size : size;
    uint64_t value = usual_value(v->contestant, room->option);
    int unit = 0;
    if (size <= room->usual || !*room->option)
        return;
    for (uint64_t power = 1; value < wanted && held_by(v->contestant, value) < room->largest; power *= 2)
        value = power > value ? power : value;
    for (; value >= 1024 && value % 1024 == 0 && unit < 3; unit++)
        value /= 1024;
    snprintf(v->option, sizeof v->option, "%s=%llu%.*s", room->option, (unsigned long long)value, unit > 0,
             &units[unit]);
}

static void apply_size(struct verdict *v, const struct settings *s)
{
    struct room room = room_of(v->contestant);
    if ((uint64_t)s->size > room.largest)
        snprintf(v->reason, sizeof v->reason, "its largest message has %llu bytes (%s)",
                 (unsigned long long)room.largest, room.source);
    else
        say_option(v, &room, (uint64_t)s->size);
}

/* ---- Everything else -------------------------------------------------------------------------------------- */

static bool has_listener(const struct contestant *c)
{
    return c->mechanism.offers & TONG_HAS_LISTENER;
}

static bool lacks_senders(const struct settings *s, const struct contestant *c)
{
    return s->senders > 1 && !(c->mechanism.offers & TONG_HAS_MANY_SENDERS) && !has_listener(c);
}

static bool lacks_receivers(const struct settings *s, const struct contestant *c)
{
    return s->receivers > 1 && !s->broadcast && !(c->mechanism.offers & TONG_HAS_MANY_RECEIVERS) && !has_listener(c);
}

static bool has_few_senders(const struct settings *s, const struct contestant *c)
{
    return (uint64_t)s->senders > limit_of(c, "senders at once");
}

static bool has_few_receivers(const struct settings *s, const struct contestant *c)
{
    return (uint64_t)s->receivers > limit_of(c, "receivers at once");
}

static bool gives_to_one(const struct settings *s, const struct contestant *c)
{
    return s->broadcast && !c->broadcasts;
}

static bool gives_to_all(const struct settings *s, const struct contestant *c)
{
    return !s->broadcast && s->receivers > 1 && c->broadcasts;
}

/* From one to one the same memory without the option does the same for less. */
static bool is_for_several(const struct settings *s, const struct contestant *c)
{
    return !s->broadcast && s->receivers == 1 && c->several;
}

static bool is_near(const struct settings *s, const struct contestant *c)
{
    return s->remote && strncmp(c->mechanism.reach, "network", 7) != 0;
}

static bool is_for_family(const struct settings *s, const struct contestant *c)
{
    return !s->related && !strncmp(c->mechanism.reach, "related", 7);
}

static bool is_lost(const struct settings *s, const struct contestant *c)
{
    return s->durable && !strstr(c->mechanism.lifetime, "survives");
}

static bool loses(const struct settings *s, const struct contestant *c)
{
    return !s->lossy && c->mechanism.offers & TONG_MAY_LOSE;
}

static const struct {
    bool (*rules_out)(const struct settings *, const struct contestant *);
    const char *reason;
} rules[] = {
    { is_near, "it does not leave this machine" },
    { is_for_family, "it needs a common parent (--related)" },
    { is_lost, "it does not survive a restart" },
    { loses, "it may lose messages (--lossy allows that)" },
    { gives_to_one, "each message goes to one receiver" },
    { gives_to_all, "every message goes to every receiver (--broadcast asks for that)" },
    { is_for_several, "it is for several receivers" },
    { lacks_senders, "it has one sender" },
    { lacks_receivers, "it has one receiver" },
    { has_few_senders, "it has fewer senders at once" },
    { has_few_receivers, "it has fewer receivers at once" },
};

void advise_rules(struct question *q)
{
    for (int i = 0; i < q->round->count; i++) {
        const struct contestant *c = &q->round->contestants[i];
        if (c->group != GROUP_TONG || c->bursts || c->hands)
            continue;
        struct verdict *v = &q->verdicts[q->count++];
        *v = (struct verdict){ .contestant = c, .time = -1, .cpu = -1 };
        for (size_t k = 0; k < sizeof rules / sizeof *rules && !*v->reason; k++)
            if (rules[k].rules_out(q->settings, c))
                snprintf(v->reason, sizeof v->reason, "%s", rules[k].reason);
        if (!*v->reason)
            apply_size(v, q->settings);
    }
}
