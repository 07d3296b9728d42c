/* SPDX-License-Identifier: MIT */
/* tong's own channels: who sends, who receives, what lies in them, who died, and which files are theirs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "look.h"

static const char *address_of(bool in_memory, const char *options)
{
    static char text[300];
    if (in_memory)
        snprintf(text, sizeof text, "shm:%s%s", frame_mark(), options);
    else
        snprintf(text, sizeof text, "mmap:%s/channel%s", frame_directory(), options);
    return text;
}

/* Files, of any kind, whose name begins as the channel's, and how many of them are said to be ours. */
static size_t count_files(const tong_snapshot *snapshot, const char *begins, bool only_ours)
{
    size_t count = 0;
    for (size_t i = 0; i < tong_snapshot_objects(snapshot); i++) {
        const tong_object *object = tong_snapshot_object(snapshot, i);
        count += !strncmp(object->name, begins, strlen(begins)) && (!only_ours || object->flags & TONG_OBJECT_OURS);
    }
    return count;
}

static pid_t receiver(const char *address)
{
    pid_t child = frame_fork();
    if (child == 0) {
        tong_channel *channel;
        OK(tong_channel_open(address, TONG_RECEIVE, 0, &channel));
        pause();
    }
    frame_asleep(child, child);
    return child;
}

static void test_channel(int in_memory)
{
    size_t number;
    char path[300];
    tong_channel *channel;
    OK(tong_channel_open(address_of(in_memory, ""), TONG_SEND, 0, &channel));
    OK(tong_channel_send(channel, "twelve bytes", 12, NULL, 0));
    pid_t child = receiver(address_of(in_memory, ""));
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_CHANNEL, address_of(in_memory, ""), &number);
    MUST(object->depth >= 12 && object->depth <= 64, "%llu bytes lie in it", (unsigned long long)object->depth);
    MUST(object->capacity >= 4096 && !(object->flags & (TONG_OBJECT_ORPHAN | TONG_OBJECT_FULL)), "it is in use");
    const tong_end *ours = end_of(snapshot, number, getpid(), 0), *theirs = end_of(snapshot, number, child, 0);
    MUST(ours && ours->direction == TONG_SEND, "we send");
    MUST(theirs && theirs->direction == TONG_RECEIVE, "the child receives");
    if (in_memory)
        snprintf(path, sizeof path, "/dev/shm/tong.%s", frame_mark());
    else
        snprintf(path, sizeof path, "%s/channel", frame_directory());
    MUST(count_files(snapshot, path, true) >= 2, "its files are there");
    GIVES(count_files(snapshot, path, true), (int64_t)count_files(snapshot, path, false));
    tong_snapshot_free(snapshot);
    frame_kill(child);
    snapshot = look();
    object = see(snapshot, TONG_KIND_CHANNEL, address_of(in_memory, ""), &number);
    MUST(!end_of(snapshot, number, child, 0) && strstr(object->detail, "died") &&
         object->flags & TONG_OBJECT_DEAD_PLACES, "it says %s", object->detail);
    tong_snapshot_free(snapshot);
    OK(tong_channel_close(channel));
    OK(tong_remove(address_of(in_memory, "")));
}

/* It is full; then nobody is there any more. */
static void test_left(int unused)
{
    (void)unused;
    size_t number;
    const char *address = address_of(true, "?receivers=4&capacity=4K");
    tong_channel *channel;
    OK(tong_channel_open(address, TONG_SEND, 0, &channel));
    while (tong_channel_send(channel, "01234567", 8, NULL, 0) == 0)
        ;
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_CHANNEL, address_of(true, ""), &number);
    MUST(object->flags & TONG_OBJECT_FULL, "%llu of %llu bytes", (unsigned long long)object->depth,
         (unsigned long long)object->capacity);
    MUST(!strncmp(object->detail, "queue;", 6), "it says %s", object->detail);
    tong_snapshot_free(snapshot);
    OK(tong_channel_close(channel));
    snapshot = look();
    object = see(snapshot, TONG_KIND_CHANNEL, address_of(true, ""), &number);
    MUST(object->flags & TONG_OBJECT_ORPHAN && object->certainty == TONG_EXACT, "nobody holds a place in it");
    tong_snapshot_free(snapshot);
    OK(tong_remove(address_of(true, "")));
}

static const tong_end *receiver_in(const tong_snapshot *snapshot, size_t object)
{
    size_t first, count = tong_snapshot_ends_of(snapshot, object, &first);
    for (size_t i = first; i < first + count; i++) {
        const tong_end *end = tong_snapshot_end(snapshot, i);
        if (end->direction == TONG_RECEIVE && end->flags & TONG_END_COUNTED)
            return end;
    }
    MUST(false, "no receiver is counted");
    return NULL;
}

/* What a look says of the one receiver: how many messages it is behind, and what it lost. */
static void counts(uint64_t behind, uint64_t lost)
{
    size_t number;
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_CHANNEL, address_of(true, ""), &number);
    const tong_end *end = receiver_in(snapshot, number);
    MUST(end->messages_behind == behind && end->lost == lost, "it is %lld behind and lost %lld, not %lld and %lld: %s",
         (long long)end->messages_behind, (long long)end->lost, (long long)behind, (long long)lost, object->detail);
    MUST(!end->behind == !behind && end->behind >= 8 * behind, "%llu bytes", (unsigned long long)end->behind);
    tong_snapshot_free(snapshot);
}

static void send_some(tong_channel *channel, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        OK(tong_channel_send(channel, "01234567", 8, NULL, 0));
}

static uint64_t take_some(tong_channel *channel, unsigned count)
{
    char bytes[8];
    tong_message meta = TONG_MESSAGE_INIT;
    uint64_t lost = 0;
    for (unsigned i = 0; i < count; i++) {
        GIVES(tong_channel_receive(channel, bytes, sizeof bytes, &meta, 0), 8);
        lost += meta.lost;
    }
    return lost;
}

/* How far a receiver is behind, also after indexes came in between, what it lost, and that it left. */
static void test_progress(int unused)
{
    (void)unused;
    size_t number;
    tong_channel *sender, *receiver;
    OK(tong_channel_open(address_of(true, "?deliver=broadcast&capacity=4K"), TONG_SEND, 0, &sender));
    OK(tong_channel_open(address_of(true, "?deliver=broadcast&capacity=4K&as=logger&slow=skip"), TONG_RECEIVE, 0, &receiver));
    counts(0, 0);
    send_some(sender, 40);
    counts(40, 0);
    GIVES((int64_t)take_some(receiver, 15), 0);
    counts(25, 0);
    send_some(sender, 500);
    uint64_t lost = take_some(receiver, 1);
    MUST(lost > 0, "nothing was overwritten");
    counts(524 - lost, lost);
    OK(tong_channel_close(receiver));
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_CHANNEL, address_of(true, ""), &number);
    MUST(strstr(object->detail, "receiver 0 'logger': pid ") && strstr(object->detail, ", left, ") &&
         !(object->flags & TONG_OBJECT_DEAD_PLACES), "it says %s", object->detail);
    tong_snapshot_free(snapshot);
    OK(tong_channel_close(sender));
    OK(tong_remove(address_of(true, "")));
}

/* Those of a pool share a position; what is lost is what the sender gave up. */
static void test_pool(int unused)
{
    (void)unused;
    size_t number;
    tong_channel *sender, *receiver;
    tong_token token = TONG_TOKEN_INIT;
    OK(tong_channel_open(address_of(true, "?receivers=4&capacity=4K&full=drop"), TONG_SEND, 0, &sender));
    OK(tong_channel_open(address_of(true, "?receivers=4"), TONG_RECEIVE, 0, &receiver));
    send_some(sender, 500);
    GIVES(tong_channel_peek(receiver, 0, NULL, &token), 8);
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_CHANNEL, address_of(true, ""), &number);
    const tong_end *end = receiver_in(snapshot, number);
    MUST(end->behind >= 8 && end->behind < 64 && end->messages_behind == TONG_UNKNOWN && end->lost == 0, "it says %s",
         object->detail);
    MUST(strstr(object->detail, " bytes in hand"), "it says %s", object->detail);
    tong_snapshot_free(snapshot);
    OK(tong_channel_release(receiver, &token));
    OK(tong_channel_close(receiver));
    OK(tong_channel_close(sender));
    OK(tong_remove(address_of(true, "")));
}

int main(int argc, char **argv)
{
    frame_begin("inspect_channel", argc, argv);
    frame_run("a channel in shared memory", test_channel, true, 20);
    frame_run("a channel in a file", test_channel, false, 20);
    frame_run("how far receivers are", test_progress, 0, 20);
    frame_run("what one of a pool has in hand", test_pool, 0, 20);
    frame_run("a full channel, and one that was left", test_left, 0, 20);
    return frame_end();
}
