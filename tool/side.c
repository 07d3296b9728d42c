/* SPDX-License-Identifier: MIT */
/* Opening one end.  Who comes first makes the object and says so; who finds nobody there waits only where a
 * person can see it or asked for it, so that scripts do not hang. */
#include "side.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "report.h"
#include "stop.h"
#include "text.h"

#define ANSWER (3 * TONG_SECOND)

/* Whether the address says "socket=seqpacket" for that variant. */
static bool names_variant(const char *address, const char *variant)
{
    size_t size = strlen(variant);
    for (const char *at = strchr(address, '?'); size && at; at = strchr(at, '&')) {
        at++;
        if (!strncmp(at, variant, size) && (at[size] == '\0' || at[size] == '&'))
            return true;
    }
    return false;
}

bool find_mechanism(const char *address, tong_mechanism_info *ret)
{
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    size_t size = strcspn(address, ":");
    bool found = false;
    for (size_t i = 0; tong_mechanism_describe(i, &info) == 0; i++) {
        bool same = strlen(info.scheme) == size && !memcmp(info.scheme, address, size);
        if (!same || (found && !names_variant(address, info.variant)))
            continue;
        *ret = info;
        found = true;
    }
    return found;
}

bool find_option(const char *scheme, const char *name, tong_option_info *ret)
{
    tong_option_info info = TONG_OPTION_INFO_INIT;
    for (size_t i = 0; tong_mechanism_option(scheme, i, &info) == 0; i++) {
        if (strcmp(info.name, name))
            continue;
        if (ret)
            *ret = info;
        return true;
    }
    return false;
}

/* What frames nothing though it could has no place for a type; what never frames has one of its own. */
bool side_carries_types(const struct side *side)
{
    return side->info.flags & TONG_INFO_FRAMED || !find_option(side->mechanism.scheme, "frame", NULL);
}

static void say_made(const struct side *side)
{
    tong_option_info option;
    if (!find_option(side->mechanism.scheme, "mode", &option)) {
        say("made %s", side->info.object);
        return;
    }
    size_t size;
    const char *mode = text_find_option(side->address, "mode", &size);
    if (mode)
        say("made %s (mode %.*s)", side->info.object, (int)size, mode);
    else
        say("made %s (mode %s)", side->info.object, option.fallback);
}

static int describe(struct side *side)
{
    side->info = (tong_channel_info)TONG_CHANNEL_INFO_INIT;
    int r = tong_channel_describe(side->channel, &side->info);
    if (r < 0)
        return fail_library(r, NULL);
    if (side->info.flags & TONG_INFO_CREATED)
        say_made(side);
    if (side->info.flags & TONG_RECEIVE && find_option(side->mechanism.scheme, "signal", NULL))
        say("receives as %s", side->info.object);
    return 0;
}

/* A signal is received only where it is blocked, which opening leaves to the program: here, before any thread. */
static void block_signal(const struct side *side, uint32_t flags)
{
    tong_option_info option;
    char name[32];
    size_t size;
    if (!(flags & TONG_RECEIVE) || !find_option(side->mechanism.scheme, "signal", &option))
        return;
    const char *given = text_find_option(side->address, option.name, &size);
    snprintf(name, sizeof name, "%.*s", given ? (int)size : (int)sizeof name, given ? given : option.fallback);
    int number = tong_signal_number(name);
    if (number > 0)
        tong_signal_block(TONG_SIGNAL_BIT(number), NULL);
}

static void say_waiting(const struct side *side, uint32_t flags)
{
    bool serves = side->mechanism.offers & TONG_HAS_LISTENER;
    const char *whom = serves ? "a server" : flags & TONG_SEND ? "a reader" : "a writer";
    say("waiting for %s on %.*s, Ctrl-C to stop", whom, (int)strcspn(side->address, "?"), side->address);
}

/* What opening says when nobody is there, or the other side has not made the object yet. */
static bool lacks_peer(int error)
{
    return error == -ENXIO || error == -ENOENT;
}

/* A machine that is far away cannot answer at once: then as long as an answer may take. */
static int look(const struct side_request *request, struct side *side)
{
    int r = tong_channel_open(side->address, request->flags, 0, &side->channel);
    return r == -EAGAIN ? tong_channel_open(side->address, request->flags, ANSWER, &side->channel) : r;
}

/* Looks without waiting first, to know whether there is anything to say. */
static int open_channel(const struct side_request *request, struct side *side)
{
    bool waits = request->wait != NOT_GIVEN, terminal = isatty(STDERR_FILENO);
    block_signal(side, request->flags);
    int r = look(request, side);
    if (lacks_peer(r) && (waits || terminal)) {
        if (terminal)
            say_waiting(side, request->flags);
        do
            r = tong_channel_open(side->address, request->flags, waits ? request->wait : TONG_FOREVER, &side->channel);
        while (r == -EINTR && !stop_asked());
    }
    if (r == -EINTR)
        return CODE_FAILED;
    return r < 0 ? fail_library(r, NULL) : describe(side);
}

static int accept_client(const struct side_request *request, struct side *side)
{
    int r;
    do
        r = tong_listener_accept(side->listener, request->flags,
                                 request->wait == NOT_GIVEN ? request->accept : request->wait, &side->channel);
    while (r == -EINTR && !stop_asked());
    if (!request->next) {
        tong_listener_close(side->listener);
        side->listener = NULL;
    }
    if (r == -EINTR)
        return CODE_FAILED;
    return r < 0 ? fail_library(r, "waiting for a client") : describe(side);
}

/* What was left to the kernel, such as a port, nobody could guess. */
static int accept_first(const struct side_request *request, struct side *side)
{
    const char *address = tong_listener_address(side->listener);
    if (isatty(STDERR_FILENO))
        say("waiting for a client on %.*s, Ctrl-C to stop", (int)strcspn(address, "?"), address);
    else if (strcmp(address, side->address))
        say("waiting for a client on %s", address);
    return accept_client(request, side);
}

static int open_listener(const struct side_request *request, struct side *side)
{
    int r = tong_listener_open(side->address, 0, &side->listener);
    return r < 0 ? fail_library(r, NULL) : accept_first(request, side);
}

int side_open(const struct side_request *request, struct side *side)
{
    *side = (struct side){ .address = request->address };
    bool known = find_mechanism(request->address, &side->mechanism);
    bool serves = known && side->mechanism.offers & TONG_HAS_LISTENER;
    if (request->wanted && known && !serves) {
        say("%s: has no servers and clients, so there is no --listen or --connect", side->mechanism.scheme);
        return CODE_USAGE;
    }
    return serves && request->listen ? open_listener(request, side) : open_channel(request, side);
}

/* Whoever binds between our look and our bind is the server that was looked for. */
int side_meet(const struct side_request *request, struct side *side)
{
    *side = (struct side){ .address = request->address };
    if (!find_mechanism(request->address, &side->mechanism) || !(side->mechanism.offers & TONG_HAS_LISTENER))
        return open_channel(request, side);
    int r = look(request, side);
    if (lacks_peer(r))
        r = tong_listener_open(side->address, 0, &side->listener);
    if (r == -EADDRINUSE)
        return open_channel(request, side);
    if (r < 0)
        return fail_library(r, NULL);
    return side->listener ? accept_first(request, side) : describe(side);
}

int side_open_next(const struct side_request *request, struct side *side)
{
    tong_channel_close(side->channel);
    side->channel = NULL;
    if (stop_asked())
        return CODE_FAILED;
    return side->listener ? accept_client(request, side) : open_channel(request, side);
}

int side_close(struct side *side)
{
    int r = tong_channel_close(side->channel);
    tong_listener_close(side->listener);
    side->channel = NULL;
    side->listener = NULL;
    return r < 0 ? fail_library(r, NULL) : 0;
}

void side_abandon(struct side *side)
{
    tong_listener_close(side->listener);
    side->listener = NULL;
}

bool noun_takes(uint32_t noun, const char *scheme, const char *name, const char *value)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    for (size_t i = 0; tong_mechanism_option(scheme, i, &option) == 0; i++)
        if (option.noun == noun && !strcmp(option.name, name))
            return !value || strstr(option.values, value);
    return false;
}
