/* SPDX-License-Identifier: MIT */
/* Eclipse iceoryx with its daemon: a chunk is loaned, filled and published; taken, read in place and released. */
#include <cstdio>
#include <cstring>
#include <string>
#include <csignal>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sched.h>
#include <unistd.h>

#include "bench/peers/peer.h"
#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/popo/wait_set.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

namespace {

struct side {
    iox::popo::UntypedPublisher *out;
    iox::popo::UntypedSubscriber *in;
    iox::popo::WaitSet<> *wait;
    const void *taken;
};

iox::capro::IdString_t id(const std::string &text)
{
    return iox::capro::IdString_t(iox::cxx::TruncateToCapacity, text.c_str());
}

/* The random part of the measurements' directory and what the clock says tell this measurement from others. */
std::string measurement(const end *end)
{
    std::string name = end->job.directory;
    for (char &c : name)
        c = c == '/' ? '-' : c;
    return name;
}

iox::capro::ServiceDescription service(const end *end, const char *way)
{
    return { id("tong"), id(measurement(end)), id(way) };
}

void publish(const struct end *end, side *side, const char *way)
{
    iox::popo::PublisherOptions options;
    options.historyCapacity = 0;
    options.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    side->out = new iox::popo::UntypedPublisher(service(end, way), options);
}

void subscribe(const struct end *end, side *side, const char *way)
{
    iox::popo::SubscriberOptions options;
    options.queueCapacity = end->job.size <= 1024 ? 256 : 4;
    options.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    side->in = new iox::popo::UntypedSubscriber(service(end, way), options);
    if (!end->job.spin) {
        side->wait = new iox::popo::WaitSet<>();
        side->wait->attachState(*side->in, iox::popo::SubscriberState::HAS_DATA).or_else([&](auto) {
            end_missing(end, "attaching to the wait set failed");
        });
    }
}

void enter(struct end *end)
{
    auto *s = new side{};
    std::string name = measurement(end) + "-" + std::to_string(end->job.role);
    iox::runtime::PoshRuntime::initRuntime(iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name.c_str()));
    bool both = end->job.test == TEST_ROUND_TRIP;
    if (end_sends(end) || both)
        publish(end, s, end_sends(end) ? "there" : "back");
    if (!end_sends(end) || both)
        subscribe(end, s, end_sends(end) ? "back" : "there");
    while (s->out && !s->out->hasSubscribers())
        usleep(1000);
    while (s->in && s->in->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED)
        usleep(1000);
    end->own = s;
}

void send_all(struct end *end, const std::uint8_t *data, unsigned count)
{
    auto *s = static_cast<side *>(end->own);
    for (; count; count--, data += end->job.size)
        for (bool sent = false; !sent;)
            s->out->loan(static_cast<std::uint32_t>(end->job.size), 64)
                .and_then([&](void *chunk) {
                    std::memcpy(chunk, data, end->job.size);
                    s->out->publish(chunk);
                    sent = true;
                })
                .or_else([](auto) { sched_yield(); });
}

unsigned receive(struct end *end, const std::uint8_t **ret)
{
    auto *s = static_cast<side *>(end->own);
    for (s->taken = nullptr; !s->taken;) {
        s->in->take().and_then([&](const void *chunk) { s->taken = chunk; });
        if (!s->taken && s->wait)
            s->wait->wait();
        else if (!s->taken)
            end_look(end);
    }
    *ret = static_cast<const std::uint8_t *>(s->taken);
    return 1;
}

void release(struct end *end)
{
    auto *s = static_cast<side *>(end->own);
    s->in->release(s->taken);
}

void leave(struct end *end)
{
    auto *s = static_cast<side *>(end->own);
    delete s->wait;
    delete s->in;
    delete s->out;
}

/* The daemon with pools for the sizes that are measured. */
void server(const char *directory)
{
    static const struct { unsigned size, count; } pools[] = { { 192, 4096 }, { 2048, 2048 }, { 5120, 256 },
                                                              { 65792, 64 }, { 1048832, 16 } };
    std::string path = std::string(directory) + "/roudi.toml";
    std::FILE *file = std::fopen(path.c_str(), "w");
    if (!file)
        return;
    std::fputs("[general]\nversion = 1\n[[segment]]\n", file);
    for (const auto &pool : pools)
        std::fprintf(file, "[[segment.mempool]]\nsize = %u\ncount = %u\n", pool.size, pool.count);
    std::fclose(file);
    int out = dup(STDOUT_FILENO);
    pid_t daemon = fork();
    if (daemon == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execlp("iox-roudi", "iox-roudi", "-c", path.c_str(), "-l", "error", static_cast<char *>(nullptr));
        _exit(127);
    }
    usleep(1500000);
    int status;
    if (daemon < 0 || waitpid(daemon, &status, WNOHANG) == daemon)
        return;
    dup2(out, STDOUT_FILENO);
    peer_ready();
    static pid_t child = daemon;
    std::signal(SIGTERM, [](int) { kill(child, SIGTERM); });
    waitpid(daemon, &status, 0);
    _exit(0);
}

}

int main(int argc, char **argv)
{
    static const peer iceoryx = {
        { enter, send_all, receive, release, nullptr, leave },
        "name iceoryx\nwaiting spin\nwaiting sleep\nserver\n", server,
    };
    return peer_main(argc, argv, &iceoryx);
}
