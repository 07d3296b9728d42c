/* SPDX-License-Identifier: MIT */
/* side.h - opening one end for a verb: as a client or as a server, saying what was made and who is waited for. */
#ifndef TOOL_SIDE_H
#define TOOL_SIDE_H

#include <stdbool.h>

#include "tong/tong.h"

struct side {
    tong_channel *channel;         /* NULL while a server waits for its next client */
    tong_listener *listener;       /* NULL unless this is a server */
    const char *address;
    tong_mechanism_info mechanism; /* the variant that the address asks for */
    tong_channel_info info;        /* of the channel */
};

/* What verbs ask for. */
struct side_request {
    const char *address;
    uint32_t flags;     /* TONG_RECEIVE, TONG_SEND or both */
    bool listen;        /* be the server where the mechanism has one (wanted: it must) */
    bool wanted;
    bool next;          /* more clients will follow: keep listening */
    int64_t wait;       /* for a peer; NOT_GIVEN: for ever on a terminal, else not at all (a server: see `accept`) */
    int64_t accept;     /* how long a server waits for a client when `wait` is not given */
};

/* Fills in `side`; 0, or an exit code after saying why. */
int side_open(const struct side_request *request, struct side *side);

/* Client if a server is there, else the server; where there are no servers, as side_open(). */
int side_meet(const struct side_request *request, struct side *side);

/* After the end of a conversation: the next client, or the same object once more.  As side_open(). */
int side_open_next(const struct side_request *request, struct side *side);

/* Closes in order: receivers are told that this is the end.  0, or an exit code. */
int side_close(struct side *side);

/* Lets go of the listener only: the process is about to exit, and the receiver shall see that it did not finish. */
void side_abandon(struct side *side);

/* Whether a message's type, or priority, arrives at the other end. */
bool side_carries_types(const struct side *side);

/* The mechanism, and its variant, that an address names: false when there is none. */
bool find_mechanism(const char *address, tong_mechanism_info *ret);

/* Whether addresses of a noun (TONG_HAS_...) take option `name`, with that value among others; NULL: any. */
bool noun_takes(uint32_t noun, const char *scheme, const char *name, const char *value);

/* Whether the mechanism's addresses take option `name`; *ret may be NULL. */
bool find_option(const char *scheme, const char *name, tong_option_info *ret);

#endif
