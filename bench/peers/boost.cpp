/* SPDX-License-Identifier: MIT */
/* Boost.Interprocess: its message_queue, in files of /dev/shm. */
#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstdio>
#include <cstring>
#include <string>

#include "bench/peers/peer.h"

namespace ipc = boost::interprocess;

namespace {

struct queues {
    std::string names[2];
    ipc::message_queue *out, *in;
};

/* The last part of the directory's path but one is random. */
std::string name_of(const end *end, const char *way)
{
    std::string name = end->job.directory;
    for (char &c : name)
        c = c == '/' ? '-' : c;
    return "tong-boost" + name + way;
}

std::size_t slots(std::size_t size)
{
    std::size_t fitting = (std::size_t(256) << 10) / size;
    return fitting < 4 ? 4 : fitting;
}

void enter(struct end *end)
{
    auto *q = new queues{ { name_of(end, "-there"), name_of(end, "-back") }, nullptr, nullptr };
    try {
        ipc::message_queue *both[2];
        for (int i = 0; i < 2; i++)
            both[i] = new ipc::message_queue(ipc::open_or_create, q->names[i].c_str(), slots(end->job.size),
                                             end->job.size);
        q->out = both[!end_sends(end)];
        q->in = both[end_sends(end)];
    } catch (const std::exception &e) {
        end_missing(end, "%s", e.what());
    }
    end->own = q;
}

void send_all(struct end *end, const std::uint8_t *data, unsigned count)
{
    auto *q = static_cast<queues *>(end->own);
    for (; count; count--, data += end->job.size) {
        if (!end->job.spin)
            q->out->send(data, end->job.size, 0);
        while (end->job.spin && !q->out->try_send(data, end->job.size, 0))
            end_look(end);
    }
}

unsigned receive(struct end *end, const std::uint8_t **ret)
{
    auto *q = static_cast<queues *>(end->own);
    ipc::message_queue::size_type size;
    unsigned priority;
    if (!end->job.spin)
        q->in->receive(end->buffer, end->job.size, size, priority);
    while (end->job.spin && !q->in->try_receive(end->buffer, end->job.size, size, priority))
        end_look(end);
    *ret = end->buffer;
    return 1;
}

/* The names go when the first is done; who still works keeps the queue. */
void leave(struct end *end)
{
    auto *q = static_cast<queues *>(end->own);
    for (const std::string &name : q->names)
        ipc::message_queue::remove(name.c_str());
}

}

int main(int argc, char **argv)
{
    static const peer boost = {
        { enter, send_all, receive, nullptr, nullptr, leave },
        "name Boost message_queue\nwaiting spin\nwaiting sleep\nends 2 1\nends 2 2\n", nullptr,
    };
    return peer_main(argc, argv, &boost);
}
