/* SPDX-License-Identifier: MIT */
/* udp: where it can be pushed: long sequences, floods, readiness to answer, forked children, errors from elsewhere. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tong/tong.h>
#include <unistd.h>

#include "frame.h"
#include "mechanism/udp_senders.h"
#include "sys/sys.h"

#define LONG (5 * TONG_SECOND)

static char address[128], buffer[64];

static tong_channel *bind_here(const char *options, uint32_t flags)
{
    char text[64];
    tong_channel *channel;
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    snprintf(text, sizeof text, "udp:127.0.0.1:0%s", options);
    OK(tong_channel_open(text, flags, 0, &channel));
    OK(tong_channel_describe(channel, &info));
    snprintf(address, sizeof address, "%s", info.object);
    return channel;
}

static tong_channel *reach(uint32_t flags)
{
    tong_channel *channel;
    OK(tong_channel_open(address, flags, LONG, &channel));
    return channel;
}

static int64_t receive(tong_channel *channel, int64_t timeout)
{
    return tong_channel_receive(channel, buffer, sizeof buffer, NULL, timeout);
}

/* ---- Counting ------------------------------------------------------------------------------------------------ */

static void note(struct udp_sequence *sequence, uint32_t number, bool fresh, uint64_t lost)
{
    uint64_t told;
    MUST(udp_sequence_note(sequence, number, &told) == fresh && told == lost, "%u: %llu lost, not %llu, or taken wrongly",
         number, (unsigned long long)told, (unsigned long long)lost);
}

/* A long life is counted like a short one, also past the numbers that a header holds. */
static void numbers_of_a_long_life(int unused)
{
    struct udp_sequence sequence = { .next = 0 };
    (void)unused;
    note(&sequence, 0, true, 0);
    for (uint32_t base = 1; base; base = base <= UINT32_MAX - 0x40000000 ? base + 0x40000000 : 0) {
        uint64_t lost;
        udp_sequence_note(&sequence, base, &lost);
        note(&sequence, base + 2, true, 1 - (sequence.late > 0));
        note(&sequence, base + 1, true, 0);
        note(&sequence, base + 1, false, 0);
        note(&sequence, base + 2, false, 0);
    }
    sequence.late = 0;
    note(&sequence, 7, true, 3 + 0x40000000);
    note(&sequence, 6, true, 0);
    note(&sequence, 6, false, 0);
}

/* Who has sent for long before its receiver came has lost all of that, however much it was. */
static void a_sender_older_than_its_receiver(int unused)
{
    struct udp_senders *senders = calloc(1, sizeof *senders);
    union inet_address from = { .four = { .sin_family = AF_INET } };
    struct udp_sender *sender = udp_sender_of(senders, &from, 1);
    (void)unused;
    udp_sender_begins(senders, sender, 3000000000);
    note(&sender->sequence, 3000000000, true, 3000000000);
    note(&sender->sequence, 3000000000, false, 0);
    note(&sender->sequence, 3000000002, true, 1);
    free(senders);
}

/* ---- Floods -------------------------------------------------------------------------------------------------- */

static void flood(const char *bytes, size_t size, int count)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (int i = 0; i < count; i++)
        OK(sendto(fd, bytes, size, 0, (struct sockaddr *)&to, sizeof to));
    close(fd);
}

/* As long as there is something to pass over, nothing sleeps; who was cancelled goes all the same. */
static void a_flood_does_not_hold_who_is_cancelled(int unused)
{
    tong_channel *receiver = bind_here("", TONG_RECEIVE | TONG_CANCELLABLE);
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    (void)unused;
    flood("flood", 5, 200);
    OK(tong_channel_cancel(receiver));
    GIVES(receive(receiver, TONG_FOREVER), -ECANCELED);
    OK(tong_channel_describe(receiver, &info));
    MUST(info.refused < 100, "%llu were passed over first", (unsigned long long)info.refused);
    OK(tong_channel_close(receiver));
}

/* ---- Readiness to answer --------------------------------------------------------------------------------------- */

static bool is_ready(const struct pollfd *item, int milliseconds)
{
    struct pollfd copy = *item;
    return poll(&copy, 1, milliseconds) == 1;
}

/* What makes sending possible may be received before anybody looks whether sending is possible. */
static void ready_to_answer(int when)
{
    tong_channel *server = bind_here(when & 1 ? "?frame=none" : "", TONG_BOTH);
    struct pollfd item;
    OK(tong_channel_pollfd(server, TONG_SEND, &item));
    MUST(!is_ready(&item, 0), "nobody was heard");
    tong_channel *client = reach(TONG_BOTH);
    OK(tong_channel_send(client, "ask", 3, NULL, LONG));
    MUST(is_ready(&item, 5000), "somebody waits to be heard");
    if (when & 2)
        GIVES(receive(server, LONG), 3);
    else
        OK(tong_channel_send(server, "greet", 5, NULL, 0));
    MUST(is_ready(&item, 0), "somebody was heard");
    while (receive(server, 0) >= 0)
        ;
    MUST(is_ready(&item, 0), "nothing is left to be heard");
    OK(tong_channel_pollfd(server, TONG_SEND, &item));
    MUST(is_ready(&item, 0), "somebody was heard, and long ago");
    OK(tong_channel_close(client));
    OK(tong_channel_close(server));
}

/* ---- Fork ------------------------------------------------------------------------------------------------------ */

/* A child that answers is another sender than its parent: neither's answers pass for the other's. */
static void parent_and_child_answer(int unused)
{
    tong_channel *server = bind_here("", TONG_BOTH), *client = reach(TONG_BOTH);
    tong_message message = TONG_MESSAGE_INIT;
    (void)unused;
    OK(tong_channel_send(client, "?", 1, NULL, LONG));
    GIVES(receive(server, LONG), 1);
    OK(tong_channel_send(server, "parent", 6, NULL, LONG));
    pid_t child = frame_fork();
    if (child == 0) {
        OK(tong_channel_after_fork(server));
        OK(tong_channel_send(server, "child", 5, NULL, LONG));
        OK(tong_channel_close(server));
        _exit(0);
    }
    frame_join(child);
    OK(tong_channel_send(server, "again", 5, NULL, LONG));
    for (const char *const *text = (const char *[]){ "parent", "child", "again", NULL }; *text; text++) {
        ssize_t size = tong_channel_receive(client, buffer, sizeof buffer, &message, LONG);
        MUST(size == (ssize_t)strlen(*text) && !memcmp(buffer, *text, (size_t)size), "'%.*s' came", (int)size, buffer);
        MUST(message.lost == 0, "%llu are said to be lost before %s", (unsigned long long)message.lost, *text);
    }
    OK(tong_channel_close(client));
    OK(tong_channel_close(server));
}

/* A message that did not fit is its parent's, who will receive it. */
static void a_child_does_not_have_what_is_kept(int unused)
{
    tong_channel *receiver = bind_here("", TONG_RECEIVE), *sender = reach(TONG_SEND);
    struct pollfd item;
    (void)unused;
    OK(tong_channel_send(sender, "twelve bytes", 12, NULL, LONG));
    OK(tong_channel_pollfd(receiver, TONG_RECEIVE, &item));
    GIVES(tong_channel_receive(receiver, buffer, 3, NULL, LONG), -EMSGSIZE);
    pid_t child = frame_fork();
    if (child == 0) {
        OK(tong_channel_after_fork(receiver));
        GIVES(receive(receiver, 0), -EAGAIN);
        OK(tong_channel_close(receiver));
        _exit(0);
    }
    frame_join(child);
    MUST(is_ready(&item, 0), "the parent's message waits, but its readiness went with the child");
    GIVES(receive(receiver, 0), 12);
    OK(tong_channel_close(sender));
    OK(tong_channel_close(receiver));
}

/* ---- Errors from elsewhere --------------------------------------------------------------------------------------- */

static const char *fault_call;
static int fault_error;

static int fault_once(const char *call)
{
    if (!fault_call || strcmp(call, fault_call))
        return 0;
    fault_call = NULL;
    return fault_error;
}

/* A firewall of this machine says EPERM. */
static void a_firewall_is_explained(int unused)
{
    tong_channel *receiver = bind_here("", TONG_RECEIVE), *sender;
    (void)unused;
    GIVES(tong_channel_open("udp:127.0.0.1:x", TONG_SEND, 0, &sender), -EPROTONOSUPPORT);
    fault_call = "send";
    fault_error = -EPERM;
    sys_fault = fault_once;
    int r = tong_channel_open(address, TONG_SEND, 0, &sender);
    sys_fault = NULL;
    MUST(r == -EACCES && strstr(tong_detail(), address) && strstr(tong_detail(), "firewall"), "%d: %s", r, tong_detail());
    OK(tong_channel_close(receiver));
}

/* The kernel has learned that something sent before was too large for the way: no message is kept here for that. */
static void a_narrow_way_is_no_message(int unused)
{
    tong_channel *server = bind_here("", TONG_BOTH), *client = reach(TONG_BOTH);
    (void)unused;
    fault_call = "recv";
    fault_error = -EMSGSIZE;
    sys_fault = fault_once;
    int64_t r = receive(client, 0);
    sys_fault = NULL;
    MUST(r == -EAGAIN, "%lld: %s", (long long)r, tong_detail());
    OK(tong_channel_close(client));
    OK(tong_channel_close(server));
}

int main(int argc, char **argv)
{
    frame_begin("udp", argc, argv);
    frame_run("numbers_of_a_long_life", numbers_of_a_long_life, 0, 10);
    frame_run("a_sender_older_than_its_receiver", a_sender_older_than_its_receiver, 0, 10);
    frame_run("a_flood_does_not_hold_who_is_cancelled", a_flood_does_not_hold_who_is_cancelled, 0, 20);
    frame_run("ready_to_answer", ready_to_answer, 0, 20);
    frame_run("ready_to_answer/unframed", ready_to_answer, 1, 20);
    frame_run("ready_to_answer/received", ready_to_answer, 2, 20);
    frame_run("ready_to_answer/unframed,received", ready_to_answer, 3, 20);
    frame_run("parent_and_child_answer", parent_and_child_answer, 0, 20);
    frame_run("a_child_does_not_have_what_is_kept", a_child_does_not_have_what_is_kept, 0, 20);
    frame_run("a_firewall_is_explained", a_firewall_is_explained, 0, 20);
    frame_run("a_narrow_way_is_no_message", a_narrow_way_is_no_message, 0, 20);
    return frame_end();
}
