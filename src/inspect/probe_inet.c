/* SPDX-License-Identifier: MIT */
/*
 * TCP and UDP, by INET_DIAG (sock_diag(7)).  Both ends of a connection on this machine are in the dump; the other end
 * of one is who has its addresses the other way round, in the same network namespace.  IPv4 addresses that an IPv6
 * socket uses (::ffff:1.2.3.4) are the same addresses.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/diag.h"
#include "inspect/inet.h"
#include "inspect/probe.h"

#define LISTENING 10 /* TCP_LISTEN */

struct inet_dump {
    struct scan *scan;
    uint32_t kind;
};

static bool is_mapped(const uint32_t address[4])
{
    return address[0] == 0 && address[1] == 0 && address[2] == htonl(0xffff);
}

static void write_end(int family, const struct inet_address *address, char *ret, size_t size)
{
    char words[INET6_ADDRSTRLEN] = "";
    bool six = family == AF_INET6 && !is_mapped(address->words);
    const uint32_t *bytes = family == AF_INET6 && !six ? &address->words[3] : address->words;
    inet_ntop(six ? AF_INET6 : AF_INET, bytes, words, sizeof words);
    snprintf(ret, size, six ? "[%s]:%u" : "%s:%u", words, ntohs(address->port));
}

int inet_add(struct tong_snapshot *graph, const struct inet_socket *socket)
{
    char key[GRAPH_KEY], here[64], there[64];
    if (socket->inode == 0) /* a connection that is being closed */
        return 0;
    graph_number_key(socket->inode, key);
    write_end(socket->family, &socket->here, here, sizeof here);
    write_end(socket->family, &socket->there, there, sizeof there);
    const char *name = socket->there.port ? graph_format(graph, "%s %s", here, there) : graph_text(graph, here);
    uint32_t number = graph_object(graph, socket->kind, key, NULL);
    if (number == TONG_NOBODY)
        return graph->error;
    tong_object *object = graph_object_at(graph, number);
    object->name = name;
    object->source = socket->source;
    object->uid = socket->uid;
    object->inode = socket->inode;
    object->namespace_inode = socket->namespace_inode;
    object->flags |= socket->listens ? TONG_OBJECT_LISTENING : 0;
    *(socket->listens ? &object->messages : &object->depth) = socket->queued;
    return 0;
}

static int add_socket(void *context, const struct diag_socket *socket)
{
    const struct inet_dump *dump = context;
    const struct inet_diag_msg *message = socket->message;
    struct inet_socket added = {
        .kind = dump->kind, .inode = message->idiag_inode, .uid = message->idiag_uid, .family = message->idiag_family,
        .listens = dump->kind == TONG_KIND_TCP && message->idiag_state == LISTENING, .queued = message->idiag_rqueue,
        .namespace_inode = dump->scan->namespaces[SCAN_NETWORK], .source = "inet_diag",
    };
    memcpy(added.here.words, message->id.idiag_src, sizeof added.here.words);
    memcpy(added.there.words, message->id.idiag_dst, sizeof added.there.words);
    added.here.port = message->id.idiag_sport;
    added.there.port = message->id.idiag_dport;
    return inet_add(dump->scan->graph, &added);
}

static int dump(struct scan *scan, uint32_t kind, int family, int protocol)
{
    const struct inet_diag_req_v2 request = { .sdiag_family = (uint8_t)family, .sdiag_protocol = (uint8_t)protocol,
                                              .idiag_states = UINT32_MAX };
    struct inet_dump context = { scan, kind };
    int r = diag_dump(&request, sizeof request, sizeof(struct inet_diag_msg), add_socket, &context);
    if (r < 0 && r != -ENOMEM && r != -ENOENT)
        graph_gap(scan->graph, kind == TONG_KIND_TCP ? "TCP sockets" : "UDP sockets", "sock_diag(7) is refused here");
    return r == -ENOMEM ? r : 0;
}

/* ---- The other end of a connection ----------------------------------------------------------------------------- */

struct connection {
    uint64_t namespace_inode;
    const char *name;
    uint32_t object;
};

static int compare(const void *left, const void *right)
{
    const struct connection *a = left, *b = right;
    if (a->namespace_inode != b->namespace_inode)
        return a->namespace_inode < b->namespace_inode ? -1 : 1;
    return strcmp(a->name, b->name);
}

static void find_peer(struct tong_snapshot *graph, const struct connection *all, size_t count, const struct connection *one)
{
    char reversed[128];
    const char *blank = strchr(one->name, ' ');
    snprintf(reversed, sizeof reversed, "%s %.*s", blank + 1, (int)(blank - one->name), one->name);
    const struct connection wanted = { one->namespace_inode, reversed, 0 };
    const struct connection *other = bsearch(&wanted, all, count, sizeof *all, compare);
    if (other && graph_object_at(graph, other->object)->kind == graph_object_at(graph, one->object)->kind)
        graph_object_at(graph, one->object)->peer = other->object;
}

static bool is_connected(const tong_object *object)
{
    return (object->kind == TONG_KIND_TCP || object->kind == TONG_KIND_UDP) && strchr(object->name, ' ');
}

int probe_inet_peers(struct scan *scan)
{
    struct tong_snapshot *graph = scan->graph;
    struct connection *all = malloc((graph->objects.count + 1) * sizeof *all);
    size_t count = 0;
    if (!all)
        return -ENOMEM;
    for (uint32_t i = 0; i < graph->objects.count; i++) {
        const tong_object *object = graph_object_at(graph, i);
        if (is_connected(object))
            all[count++] = (struct connection){ object->namespace_inode, object->name, i };
    }
    qsort(all, count, sizeof *all, compare);
    for (size_t i = 0; i < count; i++)
        find_peer(graph, all, count, &all[i]);
    free(all);
    return 0;
}

int probe_inet(struct scan *scan)
{
    static const struct { uint32_t kind; int family, protocol; } dumps[] = {
        { TONG_KIND_TCP, AF_INET, IPPROTO_TCP }, { TONG_KIND_TCP, AF_INET6, IPPROTO_TCP },
        { TONG_KIND_UDP, AF_INET, IPPROTO_UDP }, { TONG_KIND_UDP, AF_INET6, IPPROTO_UDP },
    };
    int r = 0;
    for (size_t i = 0; i < sizeof dumps / sizeof *dumps && r == 0; i++)
        r = dump(scan, dumps[i].kind, dumps[i].family, dumps[i].protocol);
    return r;
}
