/* SPDX-License-Identifier: MIT */
#include "web/stream.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define BLOCK 65536
#define SIGN "event: alive\ndata: 1\n\n"

/* One picture, kept until the last follower has all of it. */
struct event {
    unsigned uses;
    struct text text;
};

struct follower {
    struct follower *next;
    struct MHD_Connection *connection;
    struct event *event; /* the last that it was given */
    size_t sent;         /* of that */
    bool asleep, sign;   /* suspended; a sign of life is due */
};

/* All of it under the lock: followers change in the server's thread, the picture in the one that takes it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct follower *followers;
static struct event *latest;
static bool ended;

static void release(struct event *event)
{
    if (!event || --event->uses)
        return;
    text_free(&event->text);
    free(event);
}

static struct event *use(struct event *event)
{
    event->uses++;
    return event;
}

static void sleep_on(struct follower *follower)
{
    follower->asleep = true;
    mhd.suspend_connection(follower->connection);
}

static void wake(struct follower *follower)
{
    if (follower->asleep)
        mhd.resume_connection(follower->connection);
    follower->asleep = false;
}

/* The next piece; 0 after falling asleep. */
static ssize_t next_piece(struct follower *follower, char *out, size_t room)
{
    bool whole = !follower->event || follower->sent == follower->event->text.used;
    if (whole && latest && follower->event != latest) {
        release(follower->event);
        follower->event = use(latest);
        follower->sent = 0;
    } else if (whole && follower->sign && room >= strlen(SIGN)) {
        follower->sign = false;
        memcpy(out, SIGN, strlen(SIGN));
        return (ssize_t)strlen(SIGN);
    } else if (whole) {
        sleep_on(follower);
        return 0;
    }
    size_t left = follower->event->text.used - follower->sent, size = left < room ? left : room;
    memcpy(out, follower->event->text.data + follower->sent, size);
    follower->sent += size;
    return (ssize_t)size;
}

static ssize_t on_room(void *context, uint64_t at, char *out, size_t room)
{
    (void)at;
    pthread_mutex_lock(&lock);
    ssize_t size = ended ? MHD_CONTENT_READER_END_OF_STREAM : next_piece(context, out, room);
    pthread_mutex_unlock(&lock);
    return size;
}

static void on_leave(void *context)
{
    struct follower *follower = context, **place = &followers;
    pthread_mutex_lock(&lock);
    while (*place != follower)
        place = &(*place)->next;
    *place = follower->next;
    release(follower->event);
    pthread_mutex_unlock(&lock);
    free(follower);
}

struct MHD_Response *stream_join(struct MHD_Connection *connection, int wake)
{
    struct follower *follower = calloc(1, sizeof *follower);
    if (!follower)
        return NULL;
    struct MHD_Response *response =
        mhd.create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_room, follower, on_leave);
    if (!response) {
        free(follower);
        return NULL;
    }
    follower->connection = connection;
    pthread_mutex_lock(&lock);
    follower->next = followers;
    followers = follower;
    pthread_mutex_unlock(&lock);
    eventfd_write(wake, 1);
    return response;
}

bool stream_followed(void)
{
    pthread_mutex_lock(&lock);
    bool followed = followers;
    if (!followed) {
        release(latest);
        latest = NULL;
    }
    pthread_mutex_unlock(&lock);
    return followed;
}

static bool is_new(const struct text *text)
{
    return !latest || latest->text.used != text->used || memcmp(latest->text.data, text->data, text->used) != 0;
}

/* Without memory for it, the followers wait for the next one. */
static void replace(struct text *text)
{
    struct event *event = calloc(1, sizeof *event);
    if (!event)
        return;
    event->text = *text;
    *text = (struct text)TEXT_INIT;
    release(latest);
    latest = use(event);
}

void stream_tell(struct text *text)
{
    pthread_mutex_lock(&lock);
    if (is_new(text))
        replace(text);
    for (struct follower *follower = followers; follower; follower = follower->next) {
        follower->sign = follower->event == latest;
        wake(follower);
    }
    pthread_mutex_unlock(&lock);
    text_free(text);
}

void stream_end(void)
{
    pthread_mutex_lock(&lock);
    ended = true;
    for (struct follower *follower = followers; follower; follower = follower->next)
        wake(follower);
    pthread_mutex_unlock(&lock);
}
