/* SPDX-License-Identifier: MIT */
/* end.h - opening one end for a verb: as a client or as a server, saying what was made and who is waited for. */
#ifndef TOOL_END_H
#define TOOL_END_H

#include <stdbool.h>

#include "tong/tong.h"

struct end {
    tong_channel *channel;         /* NULL while a server waits for its next client */
    tong_listener *listener;       /* NULL unless this is a server */
    const char *address;
    tong_mechanism_info mechanism; /* the variant that the address asks for */
    tong_channel_info info;        /* of the channel */
};

/* What verbs ask for. */
struct end_request {
    const char *address;
    uint32_t flags;     /* TONG_RECEIVE, TONG_SEND or both */
    bool listen;        /* be the server where the mechanism has one (wanted: it must) */
    bool wanted;
    bool next;          /* more clients will follow: keep listening */
    int64_t wait;       /* for a peer; NOT_GIVEN: for ever on a terminal, else not at all (a server: for ever) */
};

/* Fills in `end`; 0, or an exit code after saying why. */
int end_open(const struct end_request *request, struct end *end);

/* Client if a server is there, else the server; where there are no servers, as end_open(). */
int end_meet(const struct end_request *request, struct end *end);

/* After the end of a conversation: the next client, or the same object once more.  As end_open(). */
int end_open_next(const struct end_request *request, struct end *end);

/* Closes in order: receivers are told that this is the end.  0, or an exit code. */
int end_close(struct end *end);

/* Lets go of the listener only: the process is about to exit, and the receiver shall see that it did not finish. */
void end_abandon(struct end *end);

/* The mechanism, and its variant, that an address names: false when there is none. */
bool find_mechanism(const char *address, tong_mechanism_info *ret);

/* Whether the mechanism's addresses take option `name`; *ret may be NULL. */
bool find_option(const char *scheme, const char *name, tong_option_info *ret);

#endif
