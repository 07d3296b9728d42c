/* SPDX-License-Identifier: MIT */
/*
 * inet.h - "HOST:PORT": what tcp: and udp: have in common.
 *
 * HOST is a number (127.0.0.1, [::1], [fe80::1%25eth0]), a name, nothing, which means this machine by its loopback
 * interface, or *, which binds every interface, so that nothing beyond loopback is bound unless it was written; to a
 * sender * is this machine.  PORT is a number or a service (http); 0 lets the kernel choose one.
 * Names are looked up by getaddrinfo(3), which no deadline bounds.
 */
#ifndef CORE_INET_H
#define CORE_INET_H

#include <netinet/in.h>
#include <stdbool.h>

#include "core/address.h"

union inet_address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

#define INET_MOST 16

/* What a name stands for: each to be tried, in this order. */
struct inet_list {
    int count;
    bool everywhere;               /* HOST is *, and this is for binding */
    union inet_address at[INET_MOST];
};

/*
 * Resolves the address's name.  type: SOCK_STREAM or SOCK_DGRAM.  -EINVAL it is not HOST:PORT; -EADDRNOTAVAIL no such
 * host, -EPROTONOSUPPORT no such service, -EHOSTUNREACH nobody who knows names answers.
 */
int inet_resolve(const struct address *address, int type, bool binds, struct inet_list *ret);

socklen_t inet_size(const union inet_address *address);
bool inet_port_is_zero(const union inet_address *address);

/* "127.0.0.1:80", "[::1]:80"; IPv4 in IPv6 as IPv4. */
#define INET_TEXT 80
void inet_text(const union inet_address *address, char ret[INET_TEXT]);

/* Where a socket is bound, and where it is connected to; -errno with words. */
int inet_here(int fd, union inet_address *ret);
int inet_there(int fd, union inet_address *ret);

/* "tcp:127.0.0.1:40000 to 127.0.0.1:80": a connected socket in words. */
#define INET_OBJECT (2 * INET_TEXT + 32)
int inet_object(const char *scheme, int fd, char ret[INET_OBJECT]);

/* Why a socket cannot be connected, in words, for what is the same with every protocol; returns `error`. */
int inet_connect_failed(const char *text, int error);

/*
 * Makes a socket of `type` (with SOCK_NONBLOCK or not) and binds it to the first address that can be bound.
 * `prepare`, called before bind, sets what has to be there first.  0 or -errno with words: -EADDRINUSE,
 * -EADDRNOTAVAIL the host is not this machine, -EACCES the port is for root.
 */
typedef int inet_prepare(int fd, const struct address *address);
int inet_bind(const struct address *address, const struct inet_list *list, int type, inet_prepare *prepare, int *ret);

/*
 * The address that others open, with the port that the kernel chose for a bound socket: as it was given when it says
 * one, else with the number in its place.  Allocated; NULL when there is no memory.
 */
char *inet_open_to_others(const struct address *address, const union inet_address *bound);

/* Limits: the last number of a sysctl that has several, and the lowest port that an ordinary user may bind. */
uint64_t inet_limit_last(const char *source);
uint64_t inet_limit_lowest_port(const char *source);

#endif
