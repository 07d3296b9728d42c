/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets, by UNIX_DIAG (sock_diag(7)): each with its type, its name, its peer's inode, how many bytes wait to be read
 * and, of a listener, the clients that wait.  The key is the inode, which /proc/PID/fd shows too.  A peer may come later in
 * the dump, so pairs are made once it is whole.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "inspect/diag.h"
#include "inspect/probe.h"

#define NAME_MOST 108 /* sun_path */
#define LISTENING 10  /* TCP_LISTEN, which unix sockets use too */

static const char *type_words(unsigned type)
{
    return type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "datagram" : type == SOCK_SEQPACKET ? "seqpacket" : "";
}

/* "/run/x", or "@name" of the abstract namespace, whose NUL bytes become '@' as everybody writes them. */
static const char *name_of(struct tong_snapshot *graph, const struct diag_socket *socket)
{
    char name[NAME_MOST + 1];
    size_t size = diag_size(socket, UNIX_DIAG_NAME);
    const char *bytes = diag_value(socket, UNIX_DIAG_NAME, 1);
    if (!bytes)
        return "";
    size = size < NAME_MOST ? size : NAME_MOST;
    bool abstract = *bytes == '\0';
    for (size_t i = 0; i < size; i++)
        name[i] = bytes[i] || !abstract ? bytes[i] : '@';
    name[size] = '\0';
    return graph_text(graph, name);
}

static void fill(struct tong_snapshot *graph, uint32_t number, const struct diag_socket *socket)
{
    const struct unix_diag_msg *message = socket->message;
    const char *name = name_of(graph, socket);
    const struct unix_diag_rqlen *queued = diag_value(socket, UNIX_DIAG_RQLEN, sizeof *queued);
    const struct unix_diag_vfs *file = diag_value(socket, UNIX_DIAG_VFS, sizeof *file);
    tong_object *object = graph_object_at(graph, number);
    bool listens = message->udiag_state == LISTENING;
    object->name = name;
    object->source = "unix_diag";
    object->detail = type_words(message->udiag_type);
    object->flags |= listens ? TONG_OBJECT_LISTENING : 0;
    object->inode = message->udiag_ino;
    if (queued) {
        *(listens ? &object->messages : &object->depth) = queued->udiag_rqueue;
        *(listens ? &object->capacity : &object->messages) = listens ? queued->udiag_wqueue : TONG_UNKNOWN;
    }
    if (file)
        object->device = file->udiag_vfs_dev;
}

static int add_socket(void *context, const struct diag_socket *socket)
{
    const struct scan *scan = context;
    struct tong_snapshot *graph = scan->graph;
    const struct unix_diag_msg *message = socket->message;
    const uint32_t *peer = diag_value(socket, UNIX_DIAG_PEER, sizeof *peer);
    char key[GRAPH_KEY];
    graph_number_key(message->udiag_ino, key);
    uint32_t number = graph_object(graph, TONG_KIND_UNIX, key, NULL);
    if (number == TONG_NOBODY)
        return graph->error;
    fill(graph, number, socket);
    graph_object_at(graph, number)->namespace_inode = scan->namespaces[SCAN_NETWORK];
    if (!peer || *peer == 0)
        return 0;
    graph_number_key(*peer, key);
    uint32_t other = graph_object(graph, TONG_KIND_UNIX, key, NULL);
    graph_object_at(graph, number)->peer = other;
    return graph->error;
}

/* A client that nobody has accepted yet has a peer that no process has open: the listener's clients name it. */
int probe_unix(struct scan *scan)
{
    const struct unix_diag_req request = {
        .sdiag_family = AF_UNIX, .udiag_states = UINT32_MAX,
        .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN,
    };
    int r = diag_dump(&request, sizeof request, sizeof(struct unix_diag_msg), add_socket, scan);
    if (r < 0 && r != -ENOMEM)
        graph_gap(scan->graph, "peers of unix sockets", "sock_diag(7) is refused here");
    return r == -ENOMEM ? r : 0;
}
