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

static struct socket_known *place_of(const struct sockets *sockets, uint64_t inode)
{
    size_t at = (size_t)(inode * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (sockets->room - 1);
    while (sockets->known[at].inode && sockets->known[at].inode != inode)
        at = (at + 1) & (sockets->room - 1);
    return &sockets->known[at];
}

static bool grow(struct sockets *sockets)
{
    struct sockets larger = { .room = sockets->room ? 2 * sockets->room : 64, .count = sockets->count };
    larger.known = calloc(larger.room, sizeof *larger.known);
    if (!larger.known)
        return false;
    for (size_t i = 0; i < sockets->room; i++)
        if (sockets->known[i].inode)
            *place_of(&larger, sockets->known[i].inode) = sockets->known[i];
    free(sockets->known);
    *sockets = larger;
    return true;
}

/* The other end of a connection that was not accepted yet when it was told of, or is closed by now. */
static uint64_t find_peer(struct sockets *sockets, uint64_t inode, uint64_t other)
{
    for (size_t i = 0; other && i < sockets->room; i++) {
        struct socket_known *known = &sockets->known[i];
        if (known->self != other || !known->inode || (known->peer && known->peer != inode))
            continue;
        known->peer = inode;
        return known->inode;
    }
    return 0;
}

/* A name may have been handed out, and stays; what was not known then may be now. */
void trace_add_socket(struct sockets *sockets, uint64_t inode, const struct trace_socket *seen)
{
    char name[NAME_MOST];
    if (inode == 0 || (2 * sockets->count >= sockets->room && (sockets->count >= SOCKETS_MOST || !grow(sockets))))
        return;
    uint64_t peer = seen->peer ? seen->peer : find_peer(sockets, inode, seen->other);
    struct socket_known *known = place_of(sockets, inode);
    known->peer = peer ? peer : known->peer;
    known->self = seen->self;
    if (known->inode)
        return;
    write_name(seen, name);
    known->name = strdup(name);
    known->inode = known->name ? inode : 0;
    sockets->count += known->name != NULL;
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
}
