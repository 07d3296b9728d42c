/* SPDX-License-Identifier: MIT */
/*
 * Anybody can send datagrams to a port: any bytes, any numbers, from many places.  An input is a list of datagrams, each
 * behind a byte that says where it comes from and two with its length; what is a frame goes where the receiver of udp:
 * puts it.  No count is ever more than the numbers allow, and nobody who was told to have come before is told twice.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "mechanism/udp_channel.h"

/* What holds of every sender, whatever came of it. */
static void check(const struct udp_senders *senders, const struct udp_sender *sender)
{
    PROMISE(senders->count <= UDP_SENDERS);
    PROMISE(sender >= senders->senders && sender < senders->senders + senders->count);
    PROMISE(sender->sequence.first <= sender->sequence.next);
    PROMISE(sender->sequence.first >= 0);
}

static void take(struct udp_senders *senders, const union inet_address *from, const struct frame *frame)
{
    uint64_t lost = 0, again = 1;
    struct udp_sender *sender = udp_sender_of(senders, from, frame->writer);
    PROMISE(udp_sender_of(senders, from, frame->writer) == sender);
    if (!sender->known)
        udp_sender_begins(senders, sender, frame->number);
    check(senders, sender);
    if (frame->flags == FRAME_BEGIN)
        return;
    int64_t next = sender->sequence.next;
    bool fresh = udp_sequence_note(&sender->sequence, frame->number, &lost);
    PROMISE(lost <= UINT32_MAX && (fresh || lost == 0));
    PROMISE(sender->sequence.next >= next && sender->sequence.next - next <= (INT64_C(1) << 32));
    PROMISE((uint64_t)(sender->sequence.next - next) >= lost);
    if (sender->sequence.next > next)
        PROMISE(fresh && !udp_sequence_note(&sender->sequence, frame->number, &again) && again == 0);
    check(senders, sender);
    senders->answered = sender;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct udp_senders senders;
    union inet_address from;
    memset(&senders, 0, sizeof senders);
    memset(&from, 0, sizeof from);
    from.four.sin_family = AF_INET;
    for (size_t at = 0; size - at >= 3; ) {
        size_t length = (size_t)(bytes[at + 1] | bytes[at + 2] << 8), left = size - at - 3;
        from.four.sin_port = bytes[at];
        uint8_t *datagram = malloc(length < left ? length : left); /* of its own, so that a byte beyond it is seen */
        struct frame frame;
        length = length < left ? length : left;
        if (length)
            memcpy(datagram, bytes + at + 3, length);
        if (udp_is_frame(datagram, length, &frame)) {
            PROMISE(frame.length == length - FRAME_HEADER);
            take(&senders, &from, &frame);
        }
        free(datagram);
        at += 3 + length;
    }
    return 0;
}
