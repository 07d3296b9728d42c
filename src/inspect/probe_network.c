/* SPDX-License-Identifier: MIT */
/*
 * Netlink sockets, and the sockets of other network namespaces than the caller's, from the tables in /proc/PID/net of
 * one process in each.  Those tables do not say who a unix socket's peer is, which is a gap.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/inet.h"
#include "inspect/probe.h"
#include "sys/sys.h"

#define UNIX_LISTENS 0x10000 /* __SO_ACCEPTCON */
#define TCP_LISTENS 10
#define SEEN_MOST 256

struct network {
    struct scan *scan;
    uint64_t inode;
    int directory;                   /* /proc/PID/net */
    const struct network_table *table;
};

struct network_table {
    const char *file;
    int (*add)(struct network *network, const char *line);
    uint32_t kind;
    int family;
};

static uint64_t number_at(const char *line, unsigned word, int base)
{
    return strtoull(proc_word(line, word), NULL, base);
}

/*
 * The object with that inode, and what all kinds have; NULL: it is known, or memory is short.  A socket's name may hold a
 * newline, and behind it what looks like a row: so no row changes what another said.
 */
static tong_object *object_of(const struct network *network, uint32_t kind, const char *inode, const char *name,
                              const char *source)
{
    struct tong_snapshot *graph = network->scan->graph;
    char key[24];
    snprintf(key, sizeof key, "%llu", strtoull(inode, NULL, 10));
    uint32_t number = graph_object(graph, kind, key, NULL);
    tong_object *object = number == TONG_NOBODY ? NULL : graph_object_at(graph, number);
    if (!object || *object->source)
        return NULL;
    object->name = name;
    object->source = source;
    object->inode = strtoull(inode, NULL, 10);
    object->namespace_inode = network->inode;
    return object;
}

/* ---- Netlink --------------------------------------------------------------------------------------------------- */

static const char *const protocols[] = {
    [0] = "route", [2] = "usersock", [4] = "sock_diag", [5] = "nflog", [6] = "xfrm", [7] = "selinux", [8] = "iscsi",
    [9] = "audit", [10] = "fib_lookup", [11] = "connector", [12] = "netfilter", [15] = "kobject_uevent", [16] = "generic",
    [18] = "scsitransport", [20] = "rdma", [21] = "crypto",
};

/* sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode; "Pid" is the address, which is 0 for the kernel's own. */
static int add_netlink(struct network *network, const char *line)
{
    struct tong_snapshot *graph = network->scan->graph;
    uint64_t protocol = number_at(line, 1, 10), port = number_at(line, 2, 10);
    if (port == 0)
        return 0;
    const char *word = protocol < sizeof protocols / sizeof *protocols ? protocols[protocol] : NULL;
    const char *name = word ? graph_text(graph, word) : graph_format(graph, "protocol %llu", (unsigned long long)protocol);
    const char *detail = graph_format(graph, "port %llu, groups %08llx", (unsigned long long)port,
                                      (unsigned long long)number_at(line, 3, 16));
    tong_object *object = object_of(network, TONG_KIND_NETLINK, proc_word(line, 9), name, "/proc/net/netlink");
    if (object) {
        object->detail = detail;
        object->depth = number_at(line, 4, 10);
    }
    return graph->error;
}

/* ---- Unix ------------------------------------------------------------------------------------------------------ */

/* Num RefCount Protocol Flags Type St Inode Path */
static int add_unix(struct network *network, const char *line)
{
    static const char *const types[] = { "", "stream", "datagram", "", "", "seqpacket" };
    uint64_t type = number_at(line, 4, 16);
    const char *name = graph_text(network->scan->graph, proc_word(line, 7));
    tong_object *object = object_of(network, TONG_KIND_UNIX, proc_word(line, 6), name, "/proc/PID/net/unix");
    if (object) {
        object->detail = type < sizeof types / sizeof *types ? types[type] : "";
        object->flags |= number_at(line, 3, 16) & UNIX_LISTENS ? TONG_OBJECT_LISTENING : 0;
        graph_gap(network->scan->graph, "peers of unix sockets", "they are in another network namespace");
    }
    return network->scan->graph->error;
}

/* ---- TCP and UDP ----------------------------------------------------------------------------------------------- */

/* "0100007F:1F90": words as they lie in memory, the port as a number. */
static void read_end(const char *text, struct inet_address *ret)
{
    *ret = (struct inet_address){ .port = 0 };
    for (size_t i = 0; i < 4 && strspn(text, "0123456789ABCDEFabcdef") >= 8; i++, text += 8) {
        char word[9] = "";
        memcpy(word, text, 8);
        ret->words[i] = (uint32_t)strtoul(word, NULL, 16);
    }
    ret->port = *text == ':' ? htons((uint16_t)strtoul(text + 1, NULL, 16)) : 0;
}

/* sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode */
static int add_inet(struct network *network, const char *line)
{
    const char *queues = strchr(proc_word(line, 4), ':');
    struct inet_socket socket = {
        .kind = network->table->kind, .family = network->table->family, .uid = (uint32_t)number_at(line, 7, 10),
        .inode = (uint32_t)number_at(line, 9, 10), .namespace_inode = network->inode, .source = "/proc/PID/net",
        .listens = network->table->kind == TONG_KIND_TCP && number_at(line, 3, 16) == TCP_LISTENS,
        .queued = queues ? strtoull(queues + 1, NULL, 16) : 0,
    };
    read_end(proc_word(line, 1), &socket.here);
    read_end(proc_word(line, 2), &socket.there);
    return inet_add(network->scan->graph, &socket);
}

/* ---- One network ----------------------------------------------------------------------------------------------- */

/* The caller's own needs the first only: the others were asked for by sock_diag(7). */
static const struct network_table tables[] = {
    { "netlink", add_netlink, TONG_KIND_NETLINK, AF_NETLINK },
    { "unix", add_unix, TONG_KIND_UNIX, AF_UNIX },
    { "tcp", add_inet, TONG_KIND_TCP, AF_INET },
    { "tcp6", add_inet, TONG_KIND_TCP, AF_INET6 },
    { "udp", add_inet, TONG_KIND_UDP, AF_INET },
    { "udp6", add_inet, TONG_KIND_UDP, AF_INET6 },
};

/* Names of columns have no digit where every row has its number. */
static int add_line(void *context, char *line)
{
    struct network *network = context;
    const char *first = proc_word(line, 0);
    bool heading = !strncmp(first, "sk ", 3) || !strncmp(first, "Num ", 4) || !strncmp(first, "sl ", 3);
    return heading || !*first ? 0 : network->table->add(network, line);
}

static int look_at(struct scan *scan, const char *path, uint64_t inode, size_t count)
{
    struct network network = { .scan = scan, .inode = inode, .directory = proc_directory(scan->proc.fd, path) };
    int r = 0;
    if (network.directory < 0)
        graph_gap(scan->graph, "sockets of other network namespaces", "not permitted to this user");
    for (size_t i = 0; i < count && r == 0 && network.directory >= 0; i++) {
        network.table = &tables[i];
        if (proc_read(&scan->proc, network.directory, tables[i].file) > 0)
            r = proc_lines(&scan->proc, add_line, &network);
    }
    sys_close(network.directory);
    return r;
}

static bool is_in(const uint64_t *list, size_t count, uint64_t inode)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == inode)
            return true;
    return false;
}

int probe_networks(struct scan *scan)
{
    uint64_t looked[SEEN_MOST] = { 0, scan->namespaces[SCAN_NETWORK] }; /* 0: not known */
    size_t count = 2;
    char path[32];
    int r = look_at(scan, "self/net", looked[1], 1);
    for (uint32_t i = 0; i < scan->graph->processes.count && r == 0; i++) {
        const tong_process *process = graph_process_at(scan->graph, i);
        uint64_t inode = process->namespaces[SCAN_NETWORK];
        if (is_in(looked, count, inode))
            continue;
        if (count == SEEN_MOST) {
            graph_gap(scan->graph, "sockets of other network namespaces", "there are too many of them");
            continue;
        }
        looked[count++] = inode;
        snprintf(path, sizeof path, "%lld/net", (long long)process->pid);
        r = look_at(scan, path, inode, sizeof tables / sizeof *tables);
    }
    return r;
}
