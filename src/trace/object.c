/* SPDX-License-Identifier: MIT */
/* Objects as the kernel's program tells of them, and as snapshots have them: inspect/graph.h says how keys are made. */
#include <stdio.h>
#include <sys/sysmacros.h>

#include "trace/state.h"

#define MINOR_BITS 20

uint32_t trace_device(uint64_t device)
{
    return (uint32_t)(major(device) << MINOR_BITS | minor(device));
}

static void write_number(const struct trace_object *seen, tong_trace_object *ret)
{
    snprintf(ret->key, sizeof ret->key, "%llu", seen->inode);
}

static void write_system_v(const struct trace_object *seen, tong_trace_object *ret)
{
    snprintf(ret->key, sizeof ret->key, "%u:%llu", seen->device, seen->inode);
}

static void write_file(const struct trace_object *seen, tong_trace_object *ret)
{
    unsigned high = seen->device >> MINOR_BITS, low = seen->device & ((1u << MINOR_BITS) - 1);
    ret->device = makedev(high, low);
    ret->inode = seen->inode;
    snprintf(ret->key, sizeof ret->key, "%u:%u:%llu", high, low, seen->inode);
}

static void write_word(const struct trace_object *seen, tong_trace_object *ret)
{
    unsigned high = seen->device >> MINOR_BITS, low = seen->device & ((1u << MINOR_BITS) - 1);
    write_file(seen, ret);
    snprintf(ret->key, sizeof ret->key, "%u:%u:%llu:%llu", high, low, seen->inode, seen->offset);
}

static void add_name(const struct tong_trace *trace, tong_trace_object *object, uint64_t inode)
{
    bool socket = object->kind == TONG_KIND_UNIX || object->kind == TONG_KIND_TCP || object->kind == TONG_KIND_UDP;
    const struct socket_known *known = socket ? trace_socket(&trace->sockets, inode) : NULL;
    object->name = known ? known->name : "";
    object->peer = known ? known->peer : 0;
}

void trace_object_of(const struct tong_trace *trace, const struct trace_object *seen, tong_trace_object *ret)
{
    static const struct { uint32_t kind; void (*write)(const struct trace_object *, tong_trace_object *); } rows[] = {
        { TONG_KIND_PIPE, write_number },   { TONG_KIND_UNIX, write_number },     { TONG_KIND_TCP, write_number },
        { TONG_KIND_UDP, write_number },    { TONG_KIND_NETLINK, write_number },  { TONG_KIND_EVENTFD, write_number },
        { TONG_KIND_MSGQ, write_system_v }, { TONG_KIND_SYSVSEM, write_system_v }, { TONG_KIND_FUTEX, write_word },
    };
    *ret = (tong_trace_object){ .kind = seen->kind };
    add_name(trace, ret, seen->inode);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].kind == seen->kind) {
            rows[i].write(seen, ret);
            return;
        }
    write_file(seen, ret);
}
