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
    MUST(!end_of(snapshot, number, child, 0) && strstr(object->detail, "died"), "it says %s", object->detail);
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

int main(int argc, char **argv)
{
    frame_begin("inspect_channel", argc, argv);
    frame_run("a channel in shared memory", test_channel, true, 20);
    frame_run("a channel in a file", test_channel, false, 20);
    frame_run("a full channel, and one that was left", test_left, 0, 20);
    return frame_end();
}
