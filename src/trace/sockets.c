/* SPDX-License-Identifier: MIT */
/* What sockets are called, told by the kernel's program when it first sees one: a snapshot comes too late for most. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "trace/state.h"

#define SOCKETS_MOST 65536
#define NAME_MOST 160

/* ---- Names, as src/inspect makes them --------------------------------------------------------------------------- */

static void write_unix(const struct trace_name *name, char ret[NAME_MOST])
{
    size_t size = name->size <= sizeof name->bytes ? name->size : 0;
    if (size == 0)
        size = strnlen(name->bytes, sizeof name->bytes);
    for (size_t i = 0; i < size; i++)
        ret[i] = name->bytes[i] ? name->bytes[i] : '@';
    ret[size] = '\0';
}

static void write_end(uint16_t family, const unsigned char *address, uint16_t port, char *ret, size_t size)
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    char words[INET6_ADDRSTRLEN] = "";
    bool six = family == AF_INET6 && memcmp(address, mapped, sizeof mapped) != 0;
    const unsigned char *bytes = family == AF_INET6 && !six ? address + sizeof mapped : address;
    inet_ntop(six ? AF_INET6 : AF_INET, bytes, words, sizeof words);
    snprintf(ret, size, six ? "[%s]:%u" : "%s:%u", words, port);
}

static void write_name(const struct trace_socket *seen, char ret[NAME_MOST])
{
    char here[64], there[64];
    *ret = '\0';
    if (seen->family == AF_UNIX) {
        write_unix(&seen->name, ret);
    } else if (seen->here_port) {
        write_end(seen->family, seen->here, seen->here_port, here, sizeof here);
        write_end(seen->family, seen->there, seen->there_port, there, sizeof there);
        snprintf(ret, NAME_MOST, seen->there_port ? "%s %s" : "%s", here, there);
    }
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

static size_t hash(uint64_t number, size_t room)
{
    return (size_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (room - 1);
}

static struct socket_known *place_of(const struct sockets *sockets, uint64_t inode)
{
    size_t at = hash(inode, sockets->room);
    while (sockets->known[at].inode && sockets->known[at].inode != inode)
        at = (at + 1) & (sockets->room - 1);
    return &sockets->known[at];
}

static void list(struct sockets *sockets, struct socket_known *known)
{
    uint32_t *first = &sockets->by_self[hash(known->self, sockets->room)];
    known->next = *first;
    *first = (uint32_t)(known - sockets->known) + 1;
}

static void unlist(struct sockets *sockets, const struct socket_known *known)
{
    uint32_t *at = &sockets->by_self[hash(known->self, sockets->room)];
    while (*at && &sockets->known[*at - 1] != known)
        at = &sockets->known[*at - 1].next;
    if (*at)
        *at = known->next;
}

static bool grow(struct sockets *sockets)
{
    struct sockets larger = { .room = sockets->room ? 2 * sockets->room : 64, .count = sockets->count };
    larger.known = calloc(larger.room, sizeof *larger.known);
    larger.by_self = calloc(larger.room, sizeof *larger.by_self);
    if (!larger.known || !larger.by_self) {
        free(larger.known);
        free(larger.by_self);
        return false;
    }
    for (size_t i = 0; i < sockets->room; i++)
        if (sockets->known[i].inode)
            *place_of(&larger, sockets->known[i].inode) = sockets->known[i];
    for (size_t i = 0; i < larger.room; i++)
        if (larger.known[i].self)
            list(&larger, &larger.known[i]);
    free(sockets->known);
    free(sockets->by_self);
    *sockets = larger;
    return true;
}

/* One place in the kernel has been many sockets' in turn: it is that of the last who was told of. */
static struct socket_known *at_place(const struct sockets *sockets, uint64_t self)
{
    uint32_t at = self && sockets->room ? sockets->by_self[hash(self, sockets->room)] : 0;
    while (at && sockets->known[at - 1].self != self)
        at = sockets->known[at - 1].next;
    return at ? &sockets->known[at - 1] : NULL;
}

/* Who had the place before has closed, and is not found by it any more. */
static void move(struct sockets *sockets, struct socket_known *known, uint64_t self)
{
    struct socket_known *before = at_place(sockets, self);
    if (before == known)
        return;
    if (before) {
        unlist(sockets, before);
        before->self = 0;
    }
    if (known->self)
        unlist(sockets, known);
    known->self = self;
    if (self)
        list(sockets, known);
}

/* The other end of a connection that was not accepted yet when it was told of, or is closed by now. */
static uint64_t find_peer(const struct sockets *sockets, uint64_t inode, uint64_t other)
{
    struct socket_known *known = at_place(sockets, other);
    if (!known || (known->peer && known->peer != inode))
        return 0;
    known->peer = inode;
    return known->inode;
}

/* A name may have been handed out, and stays; what was not known then may be now. */
void trace_add_socket(struct sockets *sockets, uint64_t inode, const struct trace_socket *seen)
{
    char name[NAME_MOST];
    if (inode == 0 || (2 * sockets->count >= sockets->room && (sockets->count >= SOCKETS_MOST || !grow(sockets))))
        return;
    struct socket_known *known = place_of(sockets, inode);
    if (!known->inode) {
        write_name(seen, name);
        known->name = strdup(name);
        if (!known->name)
            return;
        known->inode = inode;
        sockets->count++;
    }
    uint64_t peer = seen->peer ? seen->peer : find_peer(sockets, inode, seen->other);
    known->peer = peer ? peer : known->peer;
    move(sockets, known, seen->self);
}

const struct socket_known *trace_socket(const struct sockets *sockets, uint64_t inode)
{
    const struct socket_known *known = sockets->room ? place_of(sockets, inode) : NULL;
    return known && known->inode ? known : NULL;
}

void trace_free_sockets(struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->room; i++)
        free(sockets->known[i].name);
    free(sockets->known);
    free(sockets->by_self);
}
