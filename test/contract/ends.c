/* SPDX-License-Identifier: MIT */
/* Getting two ends of each row, in one process or in two, and what the tests share. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "contract.h"

/* ---- Addresses ------------------------------------------------------------------------------------------- */

/* Several conduits may be open at once in a test: each gets a number. */
static int conduit_number;
static bool connected_by_port; /* the last of them */

static void expand(const char *form, const char *options, int fd, char *ret, size_t size)
{
    size_t used = 0;
    for (; *form && used < size; form++) {
        if (*form != '%') {
            ret[used++] = *form;
            continue;
        }
        size_t left = size - used;
        switch (*++form) {
        case 'P': used += (size_t)snprintf(ret + used, left, "%s/end%d", frame_directory(), conduit_number); break;
        case 'N': used += (size_t)snprintf(ret + used, left, "%s%d", frame_mark(), conduit_number); break;
        case 'K': used += (size_t)snprintf(ret + used, left, "0x%x", (unsigned)frame_key() + conduit_number % 256); break;
        case 'I': used += (size_t)snprintf(ret + used, left, "%d", (int)getpid()); break;
        case 'S': used += (size_t)snprintf(ret + used, left, "RTMIN+%d", conduit_number % 30); break;
        case 'F': used += (size_t)snprintf(ret + used, left, "%d", fd); break;
        }
    }
    MUST(used < size, "the address is too long for the test");
    ret[used] = '\0';
    if (options)
        snprintf(ret + used, size - used, "%c%s", strchr(ret, '?') ? '&' : '?', options);
}

static void write_addresses(struct ends *ends, const char *options)
{
    expand(ends->row->sender, options, ends->fds[1], ends->address[0], sizeof ends->address[0]);
    expand(ends->row->receiver, options, ends->fds[0], ends->address[1], sizeof ends->address[1]);
}

void ends_address(struct ends *ends, const struct row *row, const char *options)
{
    *ends = (struct ends){ .row = row, .fds = { -1, -1 } };
    conduit_number++;
    connected_by_port = row->has & HAS_PORT;
    write_addresses(ends, options);
}

/* Where the kernel chose the port, both ends go by the address that came of it. */
static void learn_address(struct ends *ends, const char *address)
{
    if (!(ends->row->has & HAS_PORT))
        return;
    for (int i = 0; i < 2; i++)
        snprintf(ends->address[i], sizeof ends->address[i], "%s", address);
}

static void learn_from(struct ends *ends, tong_channel *receiver)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    OK(tong_channel_describe(receiver, &info));
    learn_address(ends, info.object);
}

/* ---- Opening --------------------------------------------------------------------------------------------- */

static uint32_t flags_for(uint32_t flags, uint32_t direction)
{
    return flags & TONG_BOTH ? flags : flags | direction;
}

static void make_descriptors(struct ends *ends, const char *options)
{
    int type = ends->row->making == MAKE_SEQPACKETS ? SOCK_SEQPACKET : SOCK_STREAM;
    int r = ends->row->making == MAKE_PIPE ? pipe2(ends->fds, O_CLOEXEC)
                                           : socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends->fds);
    MUST(r == 0, "no descriptors for the test: %s", strerror(errno));
    write_addresses(ends, options);
}

/* Before any thread is started, and for the children too. */
static void block_signals(void)
{
    for (int number = tong_signal_number("RTMIN"); number <= tong_signal_number("RTMAX"); number++)
        OK(tong_signal_block(TONG_SIGNAL_BIT(number), NULL));
}

void ends_prepare(struct ends *ends, const struct row *row, const char *options, uint32_t flags)
{
    if (row->has & HAS_NUMBERS)
        block_signals();
    ends_address(ends, row, options);
    tong_channel *pair[2];
    switch (row->making) {
    case MAKE_LISTEN:
        OK(tong_listener_open(ends->address[1], flags & TONG_CANCELLABLE, &ends->listener));
        learn_address(ends, tong_listener_address(ends->listener));
        break;
    case MAKE_PAIR:
        OK(tong_channel_pair(ends->address[0], flags_for(flags, TONG_SEND), pair));
        ends->sender = pair[0];
        ends->receiver = pair[1];
        break;
    case MAKE_PIPE:
    case MAKE_SOCKETPAIR:
    case MAKE_SEQPACKETS:
        make_descriptors(ends, options);
        break;
    case MAKE_OPEN:
        break;
    }
}

static void close_descriptor(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void ends_open_receiver(struct ends *ends, uint32_t flags)
{
    switch (ends->row->making) {
    case MAKE_LISTEN:
        OK(tong_listener_accept(ends->listener, flags_for(flags, TONG_RECEIVE), 10 * TONG_SECOND, &ends->receiver));
        break;
    case MAKE_PAIR:
        break;
    default:
        OK(tong_channel_open(ends->address[1], flags_for(flags, TONG_RECEIVE), 10 * TONG_SECOND, &ends->receiver));
        ends->fds[0] = -1; /* fd: has taken it over */
        if (ends->row->making == MAKE_OPEN)
            learn_from(ends, ends->receiver);
    }
}

void ends_open_sender(struct ends *ends, uint32_t flags)
{
    if (ends->row->making == MAKE_PAIR)
        return;
    OK(tong_channel_open(ends->address[0], flags_for(flags, TONG_SEND), 10 * TONG_SECOND, &ends->sender));
    ends->fds[1] = -1;
}

void ends_open(struct ends *ends, const struct row *row, const char *options, uint32_t flags)
{
    ends_prepare(ends, row, options, flags);
    /* A client connects before it is accepted; elsewhere the receiver is there first. */
    if (row->making == MAKE_LISTEN) {
        ends_open_sender(ends, flags);
        ends_open_receiver(ends, flags);
    } else {
        ends_open_receiver(ends, flags);
        ends_open_sender(ends, flags);
    }
}

/* Lets go of the end that the other process has. */
static void drop(tong_channel **channel, int *fd)
{
    tong_channel_close(*channel);
    *channel = NULL;
    close_descriptor(fd);
}

static void child_sends(struct ends *ends, uint32_t flags, void (*child)(tong_channel *))
{
    drop(&ends->receiver, &ends->fds[0]);
    ends_open_sender(ends, flags);
    child(ends->sender);
    _exit(0);
}

static void child_receives(struct ends *ends, uint32_t flags, int told, void (*child)(tong_channel *))
{
    drop(&ends->sender, &ends->fds[1]);
    ends_open_receiver(ends, flags);
    MUST(write(told, ends->address[1], sizeof ends->address[1]) == sizeof ends->address[1], "write: %s", strerror(errno));
    close(told);
    child(ends->receiver);
    _exit(0);
}

pid_t ends_with_sender(struct ends *ends, const struct row *row, const char *options, uint32_t flags,
                       void (*child)(tong_channel *))
{
    ends_prepare(ends, row, options, flags);
    /* A receiver by name is there before its sender. */
    if (row->making == MAKE_OPEN)
        ends_open_receiver(ends, flags);
    pid_t pid = frame_fork();
    if (pid == 0)
        child_sends(ends, flags, child);
    drop(&ends->sender, &ends->fds[1]);
    if (row->making != MAKE_OPEN)
        ends_open_receiver(ends, flags);
    return pid;
}

/* A FIFO, or a socket's path, may not be there yet when this process comes to open it. */
static void open_when_there(struct ends *ends, uint32_t flags)
{
    int64_t deadline = frame_now() + INT64_C(10000000000);
    int r;
    do {
        r = tong_channel_open(ends->address[0], flags_for(flags, TONG_SEND), 10 * TONG_SECOND, &ends->sender);
        if (r == 0) {
            ends->fds[1] = -1;
            return;
        }
        usleep(1000);
    } while ((r == -ENOENT || r == -ECONNREFUSED || r == -ENXIO) && frame_now() < deadline);
    GIVES(r, 0);
}

pid_t ends_with_receiver(struct ends *ends, const struct row *row, const char *options, uint32_t flags,
                         void (*child)(tong_channel *))
{
    int told[2];
    char address[sizeof ends->address[1]];
    ends_prepare(ends, row, options, flags);
    MUST(pipe2(told, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    pid_t pid = frame_fork();
    if (pid == 0)
        child_receives(ends, flags, told[1], child);
    close(told[1]);
    if (row->making == MAKE_OPEN && row->has & HAS_PORT) {
        MUST(read(told[0], address, sizeof address) == sizeof address, "the receiver never said its address");
        learn_address(ends, address);
    }
    close(told[0]);
    drop(&ends->receiver, &ends->fds[0]);
    if (row->making != MAKE_PAIR)
        open_when_there(ends, flags);
    return pid;
}

void ends_close(struct ends *ends)
{
    tong_channel_close(ends->sender);
    tong_channel_close(ends->receiver);
    tong_listener_close(ends->listener);
    close_descriptor(&ends->fds[0]);
    close_descriptor(&ends->fds[1]);
    ends->sender = ends->receiver = NULL;
    ends->listener = NULL;
    if (ends->row->required & TONG_HAS_REMOVE) {
        int r = tong_remove(ends->address[1]);
        MUST(r == 0 || r == -ENOENT, "tong_remove(%s) gave %d: %s", ends->address[1], r, tong_detail());
    } else if (ends->row->has & HAS_PATH) {
        tong_remove(ends->address[1]);
    }
}

void finish_and_close(tong_channel *channel)
{
    int r = tong_channel_finish(channel, TONG_FOREVER);
    if (r != -EOPNOTSUPP)
        GIVES(r, 0);
    OK(tong_channel_close(channel));
}

/* ---- What the tests share --------------------------------------------------------------------------------- */

/* Letters, so that lines stay lines; the number is in every eighth of them, so that no two messages agree. */
static unsigned char letter(size_t index, uint32_t number)
{
    return (unsigned char)('A' + (number * 7 + index * 5 + (index >> 6) + (number >> (index % 8 * 4))) % 50);
}

void pattern_fill(void *data, size_t size, uint32_t number)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)data)[i] = letter(i, number);
}

bool pattern_holds(const void *data, size_t size, uint32_t number)
{
    for (size_t i = 0; i < size; i++)
        if (((const unsigned char *)data)[i] != letter(i, number))
            return false;
    return true;
}

void receive_bytes(tong_channel *channel, void *data, size_t size)
{
    for (size_t got = 0; got < size; ) {
        int64_t r = OK(tong_channel_receive(channel, (char *)data + got, size - got, NULL, 10 * TONG_SECOND));
        MUST(r > 0, "an empty piece of a byte stream");
        got += (size_t)r;
    }
}

/* A connection that is full has room again while acknowledgements that were held back (up to 40 ms) come in: it is
 * full when it stays so. */
int fill(tong_channel *channel, size_t size)
{
    char *data = malloc(size);
    pattern_fill(data, size, 1);
    int count = 0, refused = 0, enough = connected_by_port ? 20 : 1, r;
    do {
        if (refused)
            usleep(10000);
        r = tong_channel_send(channel, data, size, NULL, 0);
        count += r == 0;
        refused = r == 0 ? 0 : refused + 1;
        MUST(count < 10000000, "it is never full");
    } while (r == 0 || (r == -EAGAIN && refused < enough));
    GIVES(r, -EAGAIN);
    free(data);
    return count;
}

uint64_t largest(tong_channel *channel)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    OK(tong_channel_describe(channel, &info));
    return info.largest;
}
