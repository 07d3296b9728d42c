/* SPDX-License-Identifier: MIT */
/* state.h - a trace, between its files. */
#ifndef TRACE_STATE_H
#define TRACE_STATE_H

#include <stdbool.h>

#include "bpf/programs.h"
#include "bpf/trace.h"
#include "tong/trace.h"

/* One row of the ledger: what the kernel counts now, and what it counted before it had to make room. */
struct ledger_row {
    struct trace_count_key key;
    struct trace_count live, before;
};

struct ledger {
    struct ledger_row *row;
    size_t count, room;
    struct ledger_row rest;  /* of all that found no row */
    uint32_t *place, places; /* open addressing: row number + 1; a power of two */
};

struct socket_known {
    uint64_t inode; /* 0: none */
    uint64_t peer, self;
    char *name;
    uint32_t next;  /* place + 1 of one whose `self` begins the same list; 0: it is the last */
};

struct sockets {
    struct socket_known *known; /* open addressing; a power of two */
    uint32_t *by_self;          /* as many lists of them, place + 1 of the first, who came last */
    size_t count, room;
};

struct tong_trace {
    struct programs *programs;
    struct messages *messages;
    int counts, pairs, lost, settings, ring; /* maps, which are the programs' */
    tong_trace_event event;
    bool fresh;                    /* `event` has not been handed out */
    _Alignas(8) char content[TRACE_CONTENT_MOST];
    struct ledger ledger;
    uint64_t given_back;           /* counts that were taken out of the kernel */
    struct sockets sockets;
    bool crowded;                  /* the kernel says that they become many */
    tong_trace_count *count;
    size_t count_number;
    tong_trace_pair *pair;
    size_t pair_number;
};

/* ---- choose.c --------------------------------------------------------------------------------------------------- */

/* Fills in the maps, before anything is attached: 0, or why not, told. */
int trace_choose(struct programs *programs, const tong_trace_options *options);

/* ---- counts.c --------------------------------------------------------------------------------------------------- */

/* Takes the counts out of the kernel where it runs short of room for new ones. */
void trace_make_room(struct tong_trace *trace);
void trace_free_counts(struct tong_trace *trace);

/* ---- object.c --------------------------------------------------------------------------------------------------- */

void trace_object_of(const struct tong_trace *trace, const struct trace_object *seen, tong_trace_object *ret);

/* How the kernel writes the number of a device. */
uint32_t trace_device(uint64_t device);

/* ---- sockets.c -------------------------------------------------------------------------------------------------- */

/* Remembers what a socket is called, as long as there is room; and says it. */
void trace_add_socket(struct sockets *sockets, uint64_t inode, const struct trace_socket *seen);
const struct socket_known *trace_socket(const struct sockets *sockets, uint64_t inode); /* NULL: not known */
void trace_free_sockets(struct sockets *sockets);

#endif
