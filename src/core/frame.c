/* SPDX-License-Identifier: MIT */
/* Headers and reassembly.  Touches no descriptor, so that a fuzzer can drive it. */
#include "core/frame.h"

#include <errno.h>
#include <stdlib.h>

#include "base/detail.h"

int frame_decode(const uint8_t from[FRAME_HEADER], size_t largest, struct frame *ret)
{
    struct frame_wire wire;
    struct frame frame;
    bool ours = frame_read(from, &frame);
    memcpy(&wire, from, sizeof wire);
    if (le16toh(wire.magic) != FRAME_MAGIC)
        return fail(-EBADMSG, "what arrived does not begin with a tong header: the other end does not frame its messages; "
                    "open with ?frame=line or ?frame=none");
    if (!ours)
        return fail(-EBADMSG, "the other end frames messages in version %u, this library in version %d", wire.version,
                    FRAME_VERSION);
    bool control = frame.flags & (FRAME_BEGIN | FRAME_END);
    if (frame.flags & ~0xf || (control && (frame.length || frame.flags & (FRAME_FIRST | FRAME_LAST))))
        return fail(-EBADMSG, "a header with flags 0x%x and length %u makes no sense", frame.flags, frame.length);
    if (frame.length > largest)
        return fail(-EBADMSG, "a fragment of %u bytes is announced, more than the largest message of %zu: open with a larger "
                    "?size=", frame.length, largest);
    *ret = frame;
    return 0;
}

/* The one to forget: an ended one before an open one, then the one that was silent longest. */
static struct frame_writer *least_needed(struct frame_table *table)
{
    struct frame_writer *found = &table->writers[0];
    for (unsigned i = 1; i < table->count; i++) {
        struct frame_writer *w = &table->writers[i];
        if (w->open != found->open ? !w->open : w->touched < found->touched)
            found = w;
    }
    return found;
}

struct frame_writer *frame_writer_of(struct frame_table *table, uint32_t id)
{
    struct frame_writer *writer = NULL;
    for (unsigned i = 0; i < table->count && !writer; i++)
        if (table->writers[i].id == id)
            writer = &table->writers[i];
    if (!writer) {
        writer = table->count < FRAME_WRITERS ? &table->writers[table->count++] : least_needed(table);
        if (writer->assembling)
            frame_drop(table, writer);
        free(writer->data);
        *writer = (struct frame_writer){ .id = id };
    }
    writer->touched = ++table->clock;
    return writer;
}

void frame_message_begins(struct frame_table *table, struct frame_writer *writer, const struct frame *frame)
{
    if (writer->assembling)
        frame_drop(table, writer);
    writer->lost = table->lost + (writer->known ? (uint32_t)(frame->number - writer->next) : 0);
    table->lost = 0;
    writer->known = writer->open = true;
    writer->next = frame->number + 1;
    writer->type = frame->type;
}

int frame_own(struct frame_table *table, struct frame_writer *writer)
{
    if (!writer->borrowed)
        return 0;
    uint8_t *data = malloc(writer->size ? writer->size : 1);
    if (!data) {
        frame_drop(table, writer);
        return fail(-ENOMEM, "a message of %zu bytes and more: out of memory", writer->size);
    }
    memcpy(data, writer->data, writer->size);
    writer->data = data;
    writer->capacity = writer->size;
    writer->borrowed = false;
    return 0;
}

int frame_make_room(struct frame_table *table, struct frame_writer *writer, size_t more, size_t largest)
{
    if (more > largest - writer->size) {
        frame_drop(table, writer);
        return fail(-EBADMSG, "a message longer than %zu bytes is arriving and was dropped: open with a larger ?size=", largest);
    }
    size_t need = writer->size + more;
    if (need <= writer->capacity)
        return 0;
    int r = frame_own(table, writer);
    if (r < 0)
        return r;
    size_t capacity = need < 2 * writer->capacity ? 2 * writer->capacity : need;
    uint8_t *data = realloc(writer->data, capacity);
    if (!data) {
        frame_drop(table, writer);
        return fail(-ENOMEM, "a message of %zu bytes: out of memory", need);
    }
    writer->data = data;
    writer->capacity = capacity;
    return 0;
}

void frame_drop(struct frame_table *table, struct frame_writer *writer)
{
    table->lost += writer->lost + 1;
    writer->lost = 0;
    writer->assembling = false;
    writer->size = 0;
    if (writer->borrowed) {
        writer->borrowed = false;
        writer->data = NULL;
        writer->capacity = 0;
    }
}

bool frame_any_open(const struct frame_table *table)
{
    for (unsigned i = 0; i < table->count; i++)
        if (table->writers[i].open)
            return true;
    return false;
}

void frame_table_free(struct frame_table *table)
{
    for (unsigned i = 0; i < table->count; i++)
        if (!table->writers[i].borrowed)
            free(table->writers[i].data);
    *table = (struct frame_table){ .count = 0 };
}
