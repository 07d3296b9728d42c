/* SPDX-License-Identifier: MIT */
/* What the library can do, computed from the table of mechanisms. */
#include <errno.h>
#include <string.h>

#include "base/detail.h"
#include "base/give.h"
#include "handle.h"
#include "tong/mechanism.h"

/* Stands in for the variants of a mechanism that has no channels. */
static const struct channel_facet no_channel = { .variant = "" };
static const struct channel_facet *const no_channels[] = { &no_channel, NULL };

static uint32_t offers(const struct mechanism *mechanism, const struct channel_facet *channel)
{
    const struct { uint32_t offer; bool has; } table[] = {
        { TONG_HAS_CHANNEL, mechanism->open != NULL || mechanism->pair != NULL },
        { TONG_HAS_LISTENER, mechanism->listener != NULL && channel->accepted },
        { TONG_HAS_REGION, mechanism->region != NULL },
        { TONG_HAS_SEMAPHORE, mechanism->semaphore != NULL },
        { TONG_HAS_LOCK, mechanism->lock != NULL },
        { TONG_HAS_PAIR, mechanism->pair != NULL },
        { TONG_HAS_REMOVE, mechanism->remove != NULL },
        { TONG_HAS_ZERO_COPY, channel->reserve && channel->peek },
        { TONG_HAS_SELECT, channel->select != NULL },
        { TONG_HAS_READINESS, channel->pollfd != NULL },
        { TONG_HAS_FINISH, channel->finish != NULL },
        { TONG_HAS_SYNC, channel->sync != NULL },
        { TONG_HAS_PEER, channel->peer != NULL },
        { TONG_HAS_DESCRIPTOR, channel->descriptor != NULL },
        { TONG_HAS_AFTER_FORK, channel->after_fork != NULL },
    };
    uint32_t result = channel->shape;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        result |= table[i].has ? table[i].offer : 0;
    return result;
}

int tong_mechanism_describe(size_t index, tong_mechanism_info *ret)
{
    for (const struct mechanism *const *m = mechanism_table; *m; m++)
        for (const struct channel_facet *const *channel = (*m)->channels ? (*m)->channels : no_channels; *channel; channel++) {
            if (index--)
                continue;
            tong_mechanism_info info = {
                sizeof info, offers(*m, *channel), (*channel)->identity, 0,
                (*m)->scheme, (*channel)->variant, (*m)->form, (*m)->summary, (*m)->medium, (*m)->unit,
                (*m)->reach, (*m)->order, (*m)->lifetime, (*m)->family,
            };
            give(ret, &info, sizeof info);
            return 0;
        }
    return fail_static(-ENOENT, "there are no more mechanisms");
}

static int need(const char *scheme, const struct mechanism **ret)
{
    *ret = scheme ? mechanism_find(scheme) : NULL;
    return *ret ? 0 : fail(-EPROTONOSUPPORT, "there is no mechanism '%s:'", scheme ? scheme : "");
}

static const uint32_t nouns[] = { TONG_HAS_CHANNEL, TONG_HAS_REGION, TONG_HAS_SEMAPHORE, TONG_HAS_LOCK };
#define NOUNS (sizeof nouns / sizeof *nouns)

int tong_mechanism_option(const char *scheme, size_t index, tong_option_info *ret)
{
    static _Thread_local struct option_words words;
    const struct mechanism *mechanism;
    int r = need(scheme, &mechanism);
    if (r < 0)
        return r;
    for (size_t i = 0; i < NOUNS; i++)
        for (const struct option_use *use = noun_options(mechanism, nouns[i]); use && use->id != OPTION_COUNT; use++) {
            if (index--)
                continue;
            option_describe(use, &words);
            tong_option_info info = { sizeof info, nouns[i], words.name, words.values, words.fallback, words.help };
            give(ret, &info, sizeof info);
            return 0;
        }
    return fail_static(-ENOENT, "there are no more options");
}

int tong_mechanism_limit(const char *scheme, size_t index, tong_limit_info *ret)
{
    const struct mechanism *mechanism;
    int r = need(scheme, &mechanism);
    if (r < 0)
        return r;
    const struct limit *limit = mechanism->limits;
    while (limit && limit->name && index--)
        limit++;
    if (!limit || !limit->name)
        return fail_static(-ENOENT, "there are no more limits");
    tong_limit_info info = { sizeof info, 0, limit->read(limit->source), limit->name, limit->unit, limit->source };
    give(ret, &info, sizeof info);
    return 0;
}
