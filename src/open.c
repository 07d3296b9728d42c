/* SPDX-License-Identifier: MIT */
/* From an address to an open end: finding the mechanism, asking it, wrapping what it gives. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/process.h"
#include "handle.h"

const char *tong_version(void)
{
    return TONG_VERSION;
}

const struct mechanism *mechanism_find(const char *scheme)
{
    for (const struct mechanism *const *m = mechanism_table; *m; m++)
        if (!strcmp((*m)->scheme, scheme))
            return *m;
    return NULL;
}

static int unknown_scheme(const char *scheme)
{
    char known[256] = "";
    size_t used = 0;
    for (const struct mechanism *const *m = mechanism_table; *m && used < sizeof known; m++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s:", used ? ", " : "", (*m)->scheme);
    return fail(-EPROTONOSUPPORT, "there is no mechanism '%s:'; there are %s", scheme, known);
}

const struct option_use *noun_options(const struct mechanism *mechanism, uint32_t noun)
{
    switch (noun) {
    case TONG_HAS_CHANNEL: return mechanism->channels ? mechanism->options : NULL;
    case TONG_HAS_REGION: return mechanism->region ? mechanism->region->options : NULL;
    case TONG_HAS_SEMAPHORE: return mechanism->semaphore ? mechanism->semaphore->options : NULL;
    case TONG_HAS_LOCK: return mechanism->lock ? mechanism->lock->options : NULL;
    }
    return NULL;
}

static const struct { uint32_t noun; const char *words; } noun_words[] = {
    { TONG_HAS_CHANNEL, "a channel" }, { TONG_HAS_REGION, "a region" }, { TONG_HAS_SEMAPHORE, "a semaphore" },
    { TONG_HAS_LOCK, "a lock" },
};
#define NOUNS (sizeof noun_words / sizeof *noun_words)

/* Says what the mechanism is, if not this noun: "sem: is not a channel; it is a semaphore". */
static int wrong_noun(const struct mechanism *mechanism, uint32_t noun)
{
    char is[64] = "";
    const char *wanted = "";
    size_t used = 0;
    for (size_t i = 0; i < NOUNS; i++) {
        if (noun_words[i].noun == noun)
            wanted = noun_words[i].words;
        else if (noun_options(mechanism, noun_words[i].noun) && used < sizeof is)
            used += (size_t)snprintf(is + used, sizeof is - used, "%s%s", used ? " and " : "", noun_words[i].words);
    }
    if (noun == TONG_HAS_LOCK && mechanism->semaphore)
        return fail(-EOPNOTSUPP, "%s: is not a lock: what a process took and then died with, nobody gives back; use file:, "
                    "shm: or sysvsem:, where the kernel does", mechanism->scheme);
    return fail(-EOPNOTSUPP, "%s: is not %s; it is %s", mechanism->scheme, wanted, is);
}

int resolve(const char *text, uint32_t noun, struct address *ret_address, const struct mechanism **ret_mechanism)
{
    struct address address;
    if (!text)
        return fail(-EINVAL, "the address is NULL");
    int r = address_parse(text, &address);
    if (r < 0)
        return r;
    const struct mechanism *mechanism = mechanism_find(address.scheme);
    if (!mechanism)
        r = unknown_scheme(address.scheme);
    else if (!noun_options(mechanism, noun))
        r = wrong_noun(mechanism, noun);
    else
        r = address_settle(&address, noun_options(mechanism, noun));
    if (r < 0) {
        address_free(&address);
        return r;
    }
    *ret_address = address;
    *ret_mechanism = mechanism;
    return 0;
}

int handle_new(struct conduit *conduit, tong_channel **ret)
{
    tong_channel *channel = malloc(sizeof *channel);
    if (!channel) {
        conduit->facet->close(conduit, false);
        return fail(-ENOMEM, "tong_channel: out of memory");
    }
    *channel = (tong_channel){ conduit, fork_generation };
    *ret = channel;
    return 0;
}

static int check_flags(uint32_t flags)
{
    if ((flags & TONG_BOTH) && !(flags & ~(TONG_BOTH | TONG_CANCELLABLE)))
        return 0;
    return fail(-EINVAL, "flags 0x%x: give TONG_RECEIVE, TONG_SEND or TONG_BOTH, and perhaps TONG_CANCELLABLE", flags);
}

int tong_channel_open(const char *text, uint32_t flags, int64_t timeout, tong_channel **ret)
{
    struct address address;
    struct open_request request = { NULL, &address, flags, deadline_after(timeout) };
    int r = check_flags(flags);
    if (r < 0 || (r = resolve(text, TONG_HAS_CHANNEL, &address, &request.mechanism)) < 0)
        return r;
    fork_watch();
    struct conduit *conduit;
    if (request.mechanism->open)
        r = request.mechanism->open(&request, &conduit);
    else
        r = fail(-EOPNOTSUPP, "%s: is not opened as a channel", address.scheme);
    address_free(&address);
    return r < 0 ? r : handle_new(conduit, ret);
}

int tong_channel_pair(const char *text, uint32_t flags, tong_channel *ret[2])
{
    struct address address;
    struct open_request request = { NULL, &address, flags, DEADLINE_NEVER };
    int r = check_flags(flags);
    if (r < 0 || (r = resolve(text, TONG_HAS_CHANNEL, &address, &request.mechanism)) < 0)
        return r;
    fork_watch();
    struct conduit *conduits[2];
    if (request.mechanism->pair)
        r = request.mechanism->pair(&request, conduits);
    else
        r = fail(-EOPNOTSUPP, "%s: has no pairs; its ends are opened by name, one by one", address.scheme);
    address_free(&address);
    if (r < 0)
        return r;
    tong_channel *first = NULL;
    r = handle_new(conduits[0], &first);
    if (r < 0) {
        conduits[1]->facet->close(conduits[1], false);
        return r;
    }
    r = handle_new(conduits[1], &ret[1]);
    if (r < 0) {
        tong_channel_close(first);
        return r;
    }
    ret[0] = first;
    return 0;
}

/* Removing takes the options of any noun, since they say nothing of the name: the address that made it will do.  What is
 * wrong is said by the first noun that the mechanism has. */
static int resolve_any(const char *text, struct address *ret_address, const struct mechanism **ret_mechanism)
{
    size_t first = NOUNS;
    for (size_t i = 0; i < NOUNS; i++) {
        int r = resolve(text, noun_words[i].noun, ret_address, ret_mechanism);
        if (r == 0)
            return 0;
        if (first == NOUNS && r != -EOPNOTSUPP)
            first = i;
    }
    return resolve(text, noun_words[first % NOUNS].noun, ret_address, ret_mechanism);
}

int tong_remove(const char *text)
{
    struct address address;
    const struct mechanism *mechanism;
    int r = resolve_any(text, &address, &mechanism);
    if (r < 0)
        return r;
    if (mechanism->remove)
        r = mechanism->remove(&address);
    else
        r = fail(-EOPNOTSUPP, "%s: has no name, so there is nothing to remove: it goes with its last descriptor",
                 address.scheme);
    address_free(&address);
    return r;
}
