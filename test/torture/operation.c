/* SPDX-License-Identifier: MIT */
/* The operations.  The victim's messages lie in the ledger, so that the survivors can look at what it received. */
#include "operation.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "step.h"


/* ---- Steps that are not stepped --------------------------------------------------------------------------------- */

static size_t least(const struct victim *victim)
{
    return victim->operation->flags & LARGE ? 4500 : 0;
}

/* Message `i` of what the operation sends: from now on it may be seen. */
static void write_message(struct victim *victim, unsigned i)
{
    struct ledger_sender *row = &victim->ledger->sender[VICTIM];
    victim->size[i] = ledger_write(victim->ledger->buffer[i], VICTIM, row->begun, least(victim));
    row->begun++;
}

static void send_some(struct victim *victim, unsigned sender, int count)
{
    struct ledger_sender *row = &victim->ledger->sender[sender];
    unsigned char buffer[LEDGER_BIGGEST];
    for (; count > 0; count--) {
        size_t size = ledger_write(buffer, sender, row->begun, 0);
        row->begun++;
        int r = tong_channel_send(victim->channel, buffer, size, NULL, LONG);
        MUST(victim->ledger, r == 0, "victim: send: %d %s", r, tong_detail());
        row->done++;
    }
}

static void reserve(struct victim *victim, unsigned i, size_t size)
{
    victim->token[i] = (tong_token)TONG_TOKEN_INIT;
    int r = tong_channel_reserve(victim->channel, size, LONG, &victim->token[i]);
    MUST(victim->ledger, r == 0, "victim: reserve: %d %s", r, tong_detail());
}

/* Room with a message in it that nobody must ever see. */
static void reserve_unseen(struct victim *victim, unsigned i)
{
    size_t size = ledger_write(victim->ledger->buffer[i], VICTIM, 1000000 + i, 0);
    reserve(victim, i, size);
    memcpy(victim->token[i].span[0].data, victim->ledger->buffer[i], size);
}

/* Room with the next message in it, to be committed by the operation. */
static void reserve_written(struct victim *victim, unsigned i)
{
    write_message(victim, i);
    reserve(victim, i, victim->size[i]);
    memcpy(victim->token[i].span[0].data, victim->ledger->buffer[i], victim->size[i]);
}

static void peek(struct victim *victim, unsigned i)
{
    tong_message meta = TONG_MESSAGE_INIT;
    victim->token[i] = (tong_token)TONG_TOKEN_INIT;
    ssize_t r = tong_channel_peek(victim->channel, LONG, &meta, &victim->token[i]);
    MUST(victim->ledger, r >= 0, "victim: peek: %zd %s", r, tong_detail());
    ledger_enter(victim->ledger, victim->view, victim->token[i].span[0].data, (size_t)r, &meta);
}

/* What is held comes again after a death, but perhaps for the messages that the operation releases. */
static void hold(struct victim *victim, unsigned held)
{
    for (unsigned i = 0; i < held; i++)
        ledger_hold(victim->ledger, victim->view, victim->token[i].span[0].data, i >= victim->operation->releases);
}

static void receive_some(struct victim *victim, int count)
{
    unsigned char buffer[LEDGER_BIGGEST];
    for (; count > 0; count--) {
        tong_message meta = TONG_MESSAGE_INIT;
        ssize_t r = tong_channel_receive(victim->channel, buffer, sizeof buffer, &meta, LONG);
        MUST(victim->ledger, r >= 0, "victim: receive: %zd %s", r, tong_detail());
        ledger_enter(victim->ledger, victim->view, buffer, (size_t)r, &meta);
    }
}

/* ---- Sending ---------------------------------------------------------------------------------------------------- */

static void prepare_send(struct victim *victim)
{
    send_some(victim, VICTIM, 3);
    write_message(victim, 0);
}

static void prepare_send_behind_token(struct victim *victim)
{
    prepare_send(victim);
    reserve_unseen(victim, 1);
    MUST(victim->ledger, tong_channel_abort(victim->channel, &victim->token[1]) == 0, "abort: %s", tong_detail());
}

static void prepare_batch(struct victim *victim)
{
    send_some(victim, VICTIM, 1);
    for (unsigned i = 0; i < LEDGER_BATCH; i++)
        write_message(victim, i);
}

static void prepare_reserve(struct victim *victim)
{
    send_some(victim, VICTIM, 2);
}

static void prepare_commit(struct victim *victim)
{
    send_some(victim, VICTIM, 2);
    reserve_written(victim, 0);
    reserve_unseen(victim, 1);
}

/* The second is settled first, and waits for the first. */
static void prepare_commit_two(struct victim *victim)
{
    reserve_written(victim, 0);
    reserve_written(victim, 1);
    reserve_unseen(victim, 2);
    int r = tong_channel_commit(victim->channel, &victim->token[1], victim->size[1], NULL);
    MUST(victim->ledger, r == 0, "commit: %s", tong_detail());
}

/* Aborting the older one makes the younger visible. */
static void prepare_abort(struct victim *victim)
{
    reserve_unseen(victim, 0);
    reserve_written(victim, 1);
    int r = tong_channel_commit(victim->channel, &victim->token[1], victim->size[1], NULL);
    MUST(victim->ledger, r == 0, "commit: %s", tong_detail());
}

static void prepare_full(struct victim *victim)
{
    struct ledger_sender *row = &victim->ledger->sender[VICTIM];
    for (;;) {
        write_message(victim, 0);
        int r = tong_channel_send(victim->channel, victim->ledger->buffer[0], victim->size[0], NULL, 0);
        if (r == -EAGAIN)
            return;
        MUST(victim->ledger, r == 0, "victim: send: %d %s", r, tong_detail());
        row->done++;
    }
}

static void prepare_wake(struct victim *victim)
{
    prepare_send(victim);
    ledger_until_asleep(victim->ledger);
}

static int run_send(struct victim *victim)
{
    return tong_channel_send(victim->channel, victim->ledger->buffer[0], victim->size[0], NULL, LONG);
}

static int run_batch(struct victim *victim)
{
    tong_batch batch[LEDGER_BATCH];
    for (unsigned i = 0; i < LEDGER_BATCH; i++)
        batch[i] = (tong_batch){ sizeof *batch, 0, 5, victim->ledger->buffer[i], 0, victim->size[i] };
    return tong_channel_send_batch(victim->channel, batch, LEDGER_BATCH, LONG) == LEDGER_BATCH ? 0 : -EIO;
}

static int run_reserve(struct victim *victim)
{
    victim->token[0] = (tong_token)TONG_TOKEN_INIT;
    return tong_channel_reserve(victim->channel, 40, LONG, &victim->token[0]);
}

static int run_commit(struct victim *victim)
{
    return tong_channel_commit(victim->channel, &victim->token[0], victim->size[0], NULL);
}

static int run_abort(struct victim *victim)
{
    return tong_channel_abort(victim->channel, &victim->token[0]);
}

static int run_finish(struct victim *victim)
{
    return tong_channel_finish(victim->channel, LONG);
}

/* ---- Receiving -------------------------------------------------------------------------------------------------- */

static void take_ahead(struct victim *victim)
{
    ledger_risk(victim->ledger, victim->view, victim->operation->receives, SENDERS);
}

static void prepare_receive(struct victim *victim)
{
    receive_some(victim, 2);
    take_ahead(victim);
}

static void prepare_peek(struct victim *victim)
{
    peek(victim, 0);
    hold(victim, 1);
}

static void prepare_release(struct victim *victim)
{
    for (unsigned i = 0; i < 3; i++)
        peek(victim, i);
    hold(victim, 3);
}

/* The oldest last, which releases all. */
static void prepare_release_all(struct victim *victim)
{
    for (unsigned i = 0; i < 3; i++)
        peek(victim, i);
    for (unsigned i = 1; i < 3; i++)
        MUST(victim->ledger, tong_channel_release(victim->channel, &victim->token[i]) == 0, "release: %s", tong_detail());
    hold(victim, 3);
}

static void prepare_wake_sender(struct victim *victim)
{
    ledger_until_asleep(victim->ledger);
    take_ahead(victim);
}

static int run_receive(struct victim *victim)
{
    ssize_t r = tong_channel_receive(victim->channel, victim->ledger->buffer[0], LEDGER_BIGGEST, NULL, LONG);
    return r < 0 ? (int)r : 0;
}

static int run_receive_batch(struct victim *victim)
{
    tong_batch batch[2];
    for (unsigned i = 0; i < 2; i++)
        batch[i] = (tong_batch){ sizeof *batch, 0, 0, victim->ledger->buffer[i], LEDGER_BIGGEST, 0 };
    return tong_channel_receive_batch(victim->channel, batch, 2, LONG) == 2 ? 0 : -EIO;
}

static int run_peek(struct victim *victim)
{
    victim->token[1] = (tong_token)TONG_TOKEN_INIT;
    ssize_t r = tong_channel_peek(victim->channel, LONG, NULL, &victim->token[1]);
    if (r > 0 && r <= LEDGER_BIGGEST)
        memcpy(victim->ledger->buffer[0], victim->token[1].span[0].data, (size_t)r);
    return r < 0 ? (int)r : 0;
}

static int run_release(struct victim *victim)
{
    return tong_channel_release(victim->channel, &victim->token[0]);
}

/* ---- Coming and going ------------------------------------------------------------------------------------------- */

static int run_open(struct victim *victim)
{
    return tong_channel_open(victim->address, victim->operation->direction, LONG, &victim->channel);
}

static int run_close(struct victim *victim)
{
    return tong_channel_close(victim->channel);
}

static int run_pollfd(struct victim *victim)
{
    struct pollfd ret;
    return tong_channel_pollfd(victim->channel, victim->operation->direction, &ret);
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

#define S TONG_SEND
#define R TONG_RECEIVE

const struct operation operations[] = {
    { "send", S, PART, 1, 0, 0, 0, prepare_send, run_send },
    { "send after an abort", S, 0, 1, 0, 0, 0, prepare_send_behind_token, run_send },
    { "send in bulk", S, LARGE, 1, 0, 0, 0, prepare_send, run_send },
    { "send and wake", S, ASLEEP | PART, 1, 0, 0, 0, prepare_wake, run_send },
    { "send_batch", S, WHOLE, LEDGER_BATCH, 0, 0, 0, prepare_batch, run_batch },
    { "reserve", S, 0, 0, 0, 0, 0, prepare_reserve, run_reserve },
    { "commit", S, PART, 1, 0, 0, 0, prepare_commit, run_commit },
    { "commit of two", S, WHOLE, 2, 0, 0, 0, prepare_commit_two, run_commit },
    { "abort", S, 0, 1, 0, 0, 0, prepare_abort, run_abort },
    { "wait for room", S, HELD, 1, 0, 0, 0, prepare_full, run_send },
    { "pollfd (sender)", S, 0, 0, 0, 0, 0, prepare_reserve, run_pollfd },
    { "finish", S, ENDS | PART, 0, 0, 0, 0, prepare_reserve, run_finish },
    { "detach (sender)", S, ENDS, 0, 0, 0, 0, prepare_reserve, run_close },
    { "attach (sender)", S, OPENS, 0, 0, 0, 0, NULL, run_open },
    { "attach (sender), making", S, OPENS | ALONE, 0, 0, 0, 0, NULL, run_open },
    { "recover (sender)", S, OPENS | HEIR | HELD | PART, 0, 0, 0, 0, NULL, run_open },
    { "receive", R, PART, 0, 1, 0, 0, prepare_receive, run_receive },
    { "claim", R, QUIET, 0, 1, 0, 0, prepare_receive, run_receive },
    { "receive and wake", R, FULL | ASLEEP, 0, 1, 0, 0, prepare_wake_sender, run_receive },
    { "receive in bulk", R, LARGE, 0, 1, 0, 0, prepare_receive, run_receive },
    { "receive_batch", R, 0, 0, 2, 0, 0, prepare_receive, run_receive_batch },
    { "peek", R, 0, 0, 0, 1, 0, prepare_peek, run_peek },
    { "peek again", R, HEIR, 0, 0, 1, 0, NULL, run_peek },
    { "release", R, PART, 0, 0, 0, 1, prepare_release, run_release },
    { "release of three", R, FULL, 0, 0, 0, 3, prepare_release_all, run_release },
    { "wait for a message", R, HELD | PART, 0, 1, 0, 0, take_ahead, run_receive },
    { "pollfd (receiver)", R, 0, 0, 0, 0, 0, NULL, run_pollfd },
    { "detach (receiver)", R, ENDS, 0, 0, 0, 0, prepare_release, run_close },
    { "attach (receiver)", R, OPENS, 0, 0, 0, 0, NULL, run_open },
    { "attach (receiver), making", R, OPENS | ALONE, 0, 0, 0, 0, NULL, run_open },
    { "recover (receiver)", R, OPENS | HEIR | PART, 0, 0, 0, 0, NULL, run_open },
    { NULL, 0, 0, 0, 0, 0, 0, NULL, NULL },
};

/* ---- The processes ---------------------------------------------------------------------------------------------- */

/* Where all see every message, who comes before and after a receiver has its name. */
void scene_address(const struct scene *scene, uint32_t direction, unsigned view, char *ret, size_t size)
{
    int length = snprintf(ret, size, "%s", scene->address);
    if (direction == TONG_RECEIVE && scene->delivery->receiver)
        snprintf(ret + length, size - (size_t)length, scene->delivery->receiver, view == SURVIVOR ? "second" : "first");
}

tong_channel *scene_open(const struct scene *scene, uint32_t direction, unsigned view)
{
    char address[256];
    scene_address(scene, direction, view, address, sizeof address);
    return ledger_open(scene->ledger, address, direction);
}

static struct victim begin(const struct scene *scene, unsigned view)
{
    struct victim victim = { .ledger = scene->ledger, .scene = scene, .operation = scene->operation };
    victim.view = scene->delivery->shared ? view : FIRST;
    scene_address(scene, victim.operation->direction, victim.view, victim.address, sizeof victim.address);
    return victim;
}

void operation_victim(const struct scene *scene)
{
    struct victim victim = begin(scene, FIRST);
    struct ledger *ledger = scene->ledger;
    if (!(victim.operation->flags & OPENS))
        victim.channel = ledger_open(ledger, victim.address, victim.operation->direction);
    if (victim.operation->prepare)
        victim.operation->prepare(&victim);
    step_await();
    ledger->inside = 1;
    ledger->result = victim.operation->run(&victim);
    ledger->inside = 0;
    for (;;)
        pause();
}

void operation_predecessor(const struct scene *scene)
{
    struct victim victim = begin(scene, FORMER_VIEW);
    victim.channel = ledger_open(scene->ledger, victim.address, victim.operation->direction);
    if (victim.operation->direction == TONG_SEND) {
        send_some(&victim, PREDECESSOR, 2);
        reserve_unseen(&victim, 0);
    } else {
        for (unsigned i = 0; i < 2; i++)
            peek(&victim, i);
        hold(&victim, 2);
    }
    raise(SIGSTOP);
    _exit(1);
}
