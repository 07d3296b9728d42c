/* SPDX-License-Identifier: MIT */
/* Counting what is missed of each sender, in bounded memory. */
#include "mechanism/udp_senders.h"

#include <string.h>

#include "base/hot.h"

#define WINDOW 64

HOT bool udp_sequence_note(struct udp_sequence *sequence, uint32_t number, uint64_t *ret_lost)
{
    int64_t ahead = (int32_t)(number - (uint32_t)sequence->next);
    *ret_lost = 0;
    if (__builtin_expect(ahead == 0, 1)) {
        sequence->seen = sequence->seen << 1 | 1;
        sequence->next++;
        return true;
    }
    if (sequence->next + ahead < 0) /* nobody counts below 0 */
        ahead += INT64_C(1) << 32;
    if (ahead > 0) {
        uint64_t gap = (uint64_t)ahead, late = sequence->late < gap ? sequence->late : gap;
        sequence->seen = gap + 1 < WINDOW ? sequence->seen << (gap + 1) | 1 : 1;
        sequence->next += ahead + 1;
        sequence->late -= late;
        *ret_lost = gap - late;
        return true;
    }
    if (sequence->next + ahead < sequence->first)
        return true;
    uint64_t back = (uint64_t)(-ahead - 1);
    if (back < WINDOW && sequence->seen >> back & 1)
        return false;
    if (back < WINDOW)
        sequence->seen |= UINT64_C(1) << back;
    sequence->late++;
    return true;
}

static bool is_sender(const struct udp_sender *sender, const union inet_address *from, uint32_t writer)
{
    return sender->writer == writer && !memcmp(&sender->from, from, sizeof *from);
}

static struct udp_sender *make_room(struct udp_senders *senders)
{
    if (senders->count < UDP_SENDERS)
        return &senders->senders[senders->count++];
    struct udp_sender *oldest = NULL;
    for (struct udp_sender *sender = senders->senders; sender < senders->senders + UDP_SENDERS; sender++)
        if (sender != senders->answered && (!oldest || sender->touched < oldest->touched))
            oldest = sender;
    senders->forgot = true;
    return oldest;
}

static struct udp_sender *find(struct udp_senders *senders, const union inet_address *from, uint32_t writer)
{
    for (unsigned i = 0; i < senders->count; i++)
        if (is_sender(&senders->senders[i], from, writer))
            return &senders->senders[i];
    struct udp_sender *sender = make_room(senders);
    *sender = (struct udp_sender){ .from = *from, .writer = writer, .answer_writer = senders->next_writer++ };
    return sender;
}

HOT struct udp_sender *udp_sender_of(struct udp_senders *senders, const union inet_address *from, uint32_t writer)
{
    struct udp_sender *sender = senders->recent;
    if (!sender || !is_sender(sender, from, writer))
        senders->recent = sender = find(senders, from, writer);
    sender->touched = ++senders->clock;
    return sender;
}

void udp_sender_begins(const struct udp_senders *senders, struct udp_sender *sender, uint32_t number)
{
    int64_t first = senders->forgot ? number : 0;
    sender->known = true;
    sender->sequence = (struct udp_sequence){ .first = first, .next = first };
}

void udp_senders_after_fork(struct udp_senders *senders, uint32_t next_writer)
{
    senders->next_writer = next_writer;
    for (struct udp_sender *sender = senders->senders; sender < senders->senders + senders->count; sender++) {
        sender->answer_writer = senders->next_writer++;
        sender->answers = 0;
    }
}
