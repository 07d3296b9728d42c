/* SPDX-License-Identifier: MIT */
/*
 * tong demo-carry: one of the two processes of a row of the demo.
 *
 * It speaks lines of key=value on its standard output, which is the demo's results pipe.  The file is read into
 * memory before the clock runs, what comes is digested after it has stopped; above MEMORY_MAX neither fits, and
 * the time includes them.  With --spawn it makes an unnamed pair and executes its counterpart as its child.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "command.h"
#include "demo/demo.h"
#include "side.h"
#include "report.h"
#include "text.h"

#define CHUNK (64 * 1024)
#define PIECE (1024 * 1024)
#define MEMORY_MAX (INT64_C(256) << 20)
#define DATAGRAM 8192           /* where messages may be lost: what a receive buffer holds many of */
#define PACE_BYTES (256 * 1024)
#define PACE_MICROSECONDS 100
#define PEER_TIMEOUT (30 * TONG_SECOND)

struct settings {
    const char *role, *file;
    int64_t size;
    bool spawn;
};

static const struct option_row options[] = {
    VALUE(role, TAKES_TEXT, "ROLE", "send or receive"),
    VALUE(file, TAKES_TEXT, "FILE", "what to send"),
    VALUE(size, TAKES_NUMBER, "N", "its bytes"),
    FLAG(spawn, "execute the other side as a child"),
    OPTIONS_LAST,
};

struct carry {
    struct settings set;
    const char *address;
    bool sends, keeps;        /* keeps: the whole file fits in memory */
    bool loses;               /* messages may be lost on the way */
    uint64_t sent;            /* messages */
    tong_channel *channel;
    tong_channel_info info;
    char *memory;
    pid_t child;
};

static size_t memory_size(const struct carry *x)
{
    return x->keeps ? (size_t)x->set.size + 1 : PIECE;
}

/* A whole line in one write, so that the lines of two processes do not mix. */
static void speak(const struct carry *x, const char *key, const char *value)
{
    struct text line = TEXT_INIT;
    text_print(&line, "role=%s %s=%s\n", x->set.role, key, value);
    write_all(STDOUT_FILENO, line.data, line.used);
    text_free(&line);
}

static void speak_number(const struct carry *x, const char *key, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    speak(x, key, digits);
}

static int broken(const struct carry *x, const char *why)
{
    speak(x, "failed", why);
    return CODE_FAILED;
}

/* ---- Opening ------------------------------------------------------------------------------------------- */

static void execute_other(const struct carry *x, tong_channel *end)
{
    char address[64], size[24];
    snprintf(size, sizeof size, "%" PRId64, x->set.size);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (tong_channel_inherit(end, address, sizeof address) == 0)
        execl("/proc/self/exe", "tong", "demo-carry", "--role", x->sends ? "receive" : "send", "--file", x->set.file,
              "--size", size, address, (char *)NULL);
    _exit(broken(x, "the child could not be executed"));
}

static int open_pair(struct carry *x)
{
    tong_channel *ends[2];
    int r = tong_channel_pair(x->address, x->sends ? TONG_SEND : TONG_RECEIVE, ends);
    if (r < 0)
        return r;
    x->child = fork();
    if (x->child == 0)
        execute_other(x, ends[1]);
    r = x->child < 0 ? -errno : 0;
    tong_channel_close(ends[1]);
    x->channel = ends[0];
    return r;
}

static int accept_one(struct carry *x)
{
    tong_listener *listener;
    int r = tong_listener_open(x->address, 0, &listener);
    if (r < 0)
        return r;
    speak(x, "address", tong_listener_address(listener));
    speak_number(x, "ready", clock_now());
    r = tong_listener_accept(listener, TONG_RECEIVE, PEER_TIMEOUT, &x->channel);
    tong_listener_close(listener);
    return r;
}

/* A port may have been left to the kernel. */
static void speak_ready(const struct carry *x, const tong_mechanism_info *mechanism)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    if (strstr(mechanism->form, "PORT") && tong_channel_describe(x->channel, &info) == 0)
        speak(x, "address", info.object);
    speak_number(x, "ready", clock_now());
}

static int open_end(struct carry *x)
{
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    bool known = find_mechanism(x->address, &mechanism);
    bool serves = !x->sends && known && mechanism.offers & TONG_HAS_LISTENER;
    x->loses = mechanism.offers & TONG_MAY_LOSE;
    int r = x->set.spawn ? open_pair(x) : serves ? accept_one(x)
          : tong_channel_open(x->address, x->sends ? TONG_SEND : TONG_RECEIVE, PEER_TIMEOUT, &x->channel);
    if (r == 0 && !x->sends && !serves && known)
        speak_ready(x, &mechanism);
    x->info = (tong_channel_info)TONG_CHANNEL_INFO_INIT;
    return r < 0 ? r : tong_channel_describe(x->channel, &x->info);
}

/* ---- Sending ------------------------------------------------------------------------------------------- */

/* Up to `want` bytes of the file into `to`: fewer only at its end. */
static ssize_t read_fully(int fd, char *to, size_t want)
{
    size_t have = 0;
    while (have < want) {
        ssize_t size = read(fd, to + have, want - have);
        if (size < 0 && errno != EINTR)
            return -errno;
        if (size == 0)
            break;
        have += size > 0 ? (size_t)size : 0;
    }
    return (ssize_t)have;
}

/* Who never waits for the receiver would lose most: a pause after so many bytes; what is lost all the same is told. */
static void pace(const struct carry *x, size_t before, size_t after)
{
    if (x->loses && before / PACE_BYTES != after / PACE_BYTES)
        usleep(PACE_MICROSECONDS);
}

static int send_piece(struct carry *x, const char *piece, size_t size)
{
    size_t wanted = x->loses ? DATAGRAM : CHUNK;
    size_t most = x->info.largest < wanted ? (size_t)x->info.largest : wanted;
    int r = 0;
    for (size_t sent = 0; sent < size && r == 0; sent += most) {
        r = tong_channel_send(x->channel, piece + sent, size - sent < most ? size - sent : most, NULL, TONG_FOREVER);
        x->sent += r == 0;
        pace(x, sent, sent + most);
    }
    return r;
}

/* Where even the mark of the end may be lost, it is said more than once. */
static int send_end(struct carry *x)
{
    int r = tong_channel_send(x->channel, NULL, 0, NULL, TONG_FOREVER);
    speak_number(x, "sent", (int64_t)x->sent);
    for (int again = 0; x->loses && again < 5 && r == 0; again++) {
        usleep(10000);
        if (tong_channel_send(x->channel, NULL, 0, NULL, TONG_FOREVER) < 0) /* it has heard, and gone */
            break;
    }
    return r;
}

/* The first piece is read before the clock starts, and is all there is when the file fits in memory. */
static int send_file(struct carry *x, int fd)
{
    size_t room = x->keeps ? (size_t)x->set.size : PIECE;
    ssize_t size = read_fully(fd, x->memory, room);
    int r = size < 0 ? (int)size : open_end(x);
    if (r < 0)
        return r;
    speak_number(x, "start", clock_now());
    while (size > 0 && r == 0) {
        r = send_piece(x, x->memory, (size_t)size);
        size = x->keeps ? 0 : read_fully(fd, x->memory, room);
    }
    if (r == 0)
        r = x->info.flags & TONG_INFO_ENDLESS ? send_end(x) : tong_channel_finish(x->channel, TONG_FOREVER);
    if (r < 0 || size < 0)
        return r < 0 ? r : (int)size;
    r = tong_channel_close(x->channel);
    return x->loses ? 0 : r;
}

/* ---- Receiving ----------------------------------------------------------------------------------------- */

struct arrival {
    struct sha256 sha;
    size_t room;      /* of the memory */
    uint64_t bytes, messages, lost;
};

/* One message; its bytes stay in memory or are digested on the spot.  -ENODATA at the end. */
static int receive_one(struct carry *x, struct arrival *arrival)
{
    size_t at = x->keeps ? (size_t)arrival->bytes : 0;
    tong_message message = TONG_MESSAGE_INIT;
    ssize_t size = tong_channel_receive(x->channel, x->memory + at, arrival->room - at, &message,
                                        x->loses ? PEER_TIMEOUT : TONG_FOREVER);
    if (size < 0)
        return (int)size;
    arrival->lost += message.lost;
    if (size == 0 && x->info.flags & TONG_INFO_ENDLESS)
        return -ENODATA;
    arrival->messages++;
    arrival->bytes += (uint64_t)size;
    if (!x->keeps)
        sha256_add(&arrival->sha, x->memory, (size_t)size);
    return arrival->bytes > (uint64_t)x->set.size ? -EFBIG : 0;
}

static int receive_file(struct carry *x)
{
    struct arrival arrival = { .room = memory_size(x) };
    char digest[SHA256_TEXT];
    sha256_begin(&arrival.sha);
    int r = open_end(x);
    while (r == 0)
        r = receive_one(x, &arrival);
    int64_t end = clock_now();
    if (r != -ENODATA)
        return r;
    if (x->keeps)
        sha256_add(&arrival.sha, x->memory, (size_t)arrival.bytes);
    sha256_end(&arrival.sha, digest);
    speak_number(x, "end", end);
    speak_number(x, "bytes", (int64_t)arrival.bytes);
    speak_number(x, "messages", (int64_t)arrival.messages);
    speak_number(x, "lost", (int64_t)arrival.lost);
    speak_number(x, "hashing", !x->keeps);
    speak(x, "digest", digest);
    return tong_channel_close(x->channel);
}

/* ---- What was asked ------------------------------------------------------------------------------------ */

/* Memory whose pages are there before the clock starts, and that a spawned child does not share: after fork
 * every first write to a shared page would be a fault. */
static char *touched_memory(const struct carry *x)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    char *memory = mmap(NULL, memory_size(x), PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, memory_size(x), MADV_DONTFORK);
    return memory;
}

static int wait_child(const struct carry *x)
{
    int status = 0;
    if (x->child > 0)
        while (waitpid(x->child, &status, 0) < 0 && errno == EINTR)
            ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : CODE_FAILED;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct carry x = { .set = { .role = "receive", .file = "" } };
    int count, code = options_read(self, argc, argv, &x.set, &count);
    if (code != OPTIONS_GO)
        return code;
    x.address = argv[0];
    x.sends = !strcmp(x.set.role, "send");
    x.keeps = x.set.size <= MEMORY_MAX;
    x.memory = touched_memory(&x);
    int fd = x.sends ? open(x.set.file, O_RDONLY | O_CLOEXEC) : -1;
    if (!x.memory || (x.sends && fd < 0))
        return broken(&x, x.memory ? "the file cannot be opened" : "out of memory");
    int r = x.sends ? send_file(&x, fd) : receive_file(&x);
    munmap(x.memory, memory_size(&x));
    if (fd >= 0)
        close(fd);
    if (r < 0)
        return broken(&x, *tong_detail() ? tong_detail() : strerror(-r));
    return wait_child(&x);
}

const struct command cmd_demo_carry = {
    "demo-carry", NULL, "one process of tong demo", "--role ROLE --file FILE --size N ADDRESS", NULL,
    "tong demo", options, 1, 1, 0, run,
};
