/* SPDX-License-Identifier: MIT */
/* Making and checking headers.  Every check is on a private copy: what a hostile peer writes later is not seen. */
#include "base/layout.h"

#include <string.h>

uint64_t layout_control_size(uint32_t kind)
{
    return kind == LAYOUT_KIND_SENDERS ? sizeof(struct layout_control) : sizeof(struct layout_receivers);
}

uint64_t layout_touched_size(const struct layout_header *header)
{
    _Bool seats = header->kind == LAYOUT_KIND_RECEIVERS && header->deliver != LAYOUT_ONE;
    return seats || header->kind == LAYOUT_KIND_SENDERS ? layout_control_size(header->kind)
                                                        : offsetof(struct layout_receivers, seats);
}

uint64_t layout_size(uint32_t kind, uint64_t capacity)
{
    return kind == LAYOUT_KIND_SENDERS ? LAYOUT_LANES_AT + LAYOUT_PLACES * capacity : layout_control_size(kind);
}

static uint64_t data_offset(uint32_t kind)
{
    return kind == LAYOUT_KIND_SENDERS ? LAYOUT_LANES_AT : sizeof(struct layout_control);
}

void layout_prepare(struct layout_header *header, uint32_t kind, const struct layout_shape *shape)
{
    *header = (struct layout_header){
        .version = LAYOUT_VERSION,
        .byte_order = LAYOUT_BYTE_ORDER,
        .word_size = sizeof(void *),
        .kind = kind,
        .id = shape->id,
        .file_size = layout_size(kind, shape->capacity),
        .capacity = shape->capacity,
        .data_offset = data_offset(kind),
        .places = LAYOUT_PLACES,
        .place_size = sizeof(struct layout_place),
        .features = shape->features,
        .deliver = shape->deliver,
        .receivers = shape->receivers,
    };
    memcpy(header->magic, LAYOUT_MAGIC, sizeof header->magic);
}

struct layout_shape layout_shape_of(const struct layout_header *copy)
{
    return (struct layout_shape){ copy->id, copy->capacity, copy->deliver, copy->receivers, copy->features };
}

_Bool layout_is_ours(const struct layout_header *copy)
{
    return !memcmp(copy->magic, LAYOUT_MAGIC, sizeof copy->magic);
}

static _Bool geometry_agrees(const struct layout_header *copy)
{
    uint64_t capacity = copy->capacity;
    return capacity >= LAYOUT_CAPACITY_LOW && capacity <= LAYOUT_CAPACITY_HIGH && !(capacity & (capacity - 1)) &&
           copy->places == LAYOUT_PLACES && copy->place_size == sizeof(struct layout_place) &&
           copy->data_offset == data_offset(copy->kind) && copy->receivers >= 1 && copy->receivers <= LAYOUT_PLACES &&
           (copy->deliver != LAYOUT_ONE || copy->receivers == 1);
}

const char *layout_refusal(const struct layout_header *copy, uint32_t kind, uint64_t file_size)
{
    if (!layout_is_ours(copy))
        return "it has no tong header";
    if (copy->byte_order != LAYOUT_BYTE_ORDER)
        return "it was made with the other byte order";
    if (copy->version != LAYOUT_VERSION)
        return "it has another layout version";
    if (copy->word_size != sizeof(void *))
        return "it was made by a process of another word size";
    if (copy->features & ~LAYOUT_FEATURES || copy->deliver > LAYOUT_BROADCAST)
        return "it uses features that this version of tong does not have";
    if (copy->kind != kind)
        return "it is another kind of segment";
    if (!geometry_agrees(copy))
        return "its header is damaged";
    if (copy->file_size != layout_size(kind, copy->capacity) || copy->file_size != file_size)
        return "its size is not what its header says";
    return NULL;
}

_Bool layout_cursors_agree(uint64_t tail, uint64_t head, uint64_t capacity)
{
    return (tail - head <= capacity || head - tail <= capacity) && !((tail | head) & (RECORD_ALIGN - 1));
}
