/* SPDX-License-Identifier: MIT */
/* inet.h - TCP and UDP sockets as objects, from whatever source (probe_inet.c). */
#ifndef INSPECT_INET_H
#define INSPECT_INET_H

#include <stdbool.h>

#include "inspect/graph.h"

struct inet_address {
    uint32_t words[4];  /* in network order; IPv4: the first */
    uint16_t port;      /* in network order */
};

struct inet_socket {
    uint32_t kind, inode, uid;
    int family;
    bool listens;
    struct inet_address here, there;
    uint64_t queued;          /* to be read; of a listener, clients that wait */
    uint64_t namespace_inode; /* of the network */
    const char *source;
};

/* Adds it, unless it is nobody's any more. */
int inet_add(struct tong_snapshot *graph, const struct inet_socket *socket);

#endif
