/* SPDX-License-Identifier: MIT */
/*
 * tong relay: from one channel to another, whatever the mechanisms.
 *
 * Both ways at once are two threads, each one direction that sleeps where its mechanism sleeps: so a side that is
 * full holds up only what goes to it, and mechanisms without readiness take part.  The main thread waits for them and
 * for signals, which the two have blocked; when one fails, both are cancelled.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "command.h"
#include "relay.h"
#include "report.h"
#include "stop.h"

struct settings {
    bool both, listen, connect, empty_ends;
    int64_t count, timeout, wait;
};

static const struct option_row options[] = {
    FLAG(both, "both ways, between two-way channels; the end of one direction leaves the other going"),
    { "count", 'n', TAKES_COUNT, offsetof(struct settings, count), "N", "end after N messages (in each direction)" },
    VALUE(timeout, TAKES_DURATION, "T", "exit with 3 when nothing moves for so long"),
    VALUE(wait, TAKES_DURATION, "T", "wait so long for somebody at either side"),
    { "empty-ends", 0, TAKES_NOTHING, offsetof(struct settings, empty_ends), NULL,
      "an empty message is the end where FROM has no other, as for recv" },
    FLAG(listen, "be the server on TO as well"),
    FLAG(connect, "be the client on FROM as well"),
    OPTIONS_LAST,
};

struct relaying {
    struct settings set;
    struct relay_terms terms;
    struct side from, to;
    struct relay there, back;
};

/* ---- Both sides ---------------------------------------------------------------------------------------- */

/* The receiving side of each direction is opened last: nothing is taken that has nowhere to go. */
static int open_sides(struct relaying *x, const char *from, const char *to)
{
    const struct settings *set = &x->set;
    uint32_t ways = set->both ? TONG_BOTH | TONG_CANCELLABLE : 0;
    struct side_request receive = { from, ways ? ways : TONG_RECEIVE, !set->connect, set->connect, false, set->wait,
                                    set->timeout };
    struct side_request send = { to, ways ? ways : TONG_SEND, set->listen, set->listen, false, set->wait,
                                 set->timeout };
    int code = side_open(&send, &x->to);
    return code ? code : side_open(&receive, &x->from);
}

/* Types that tell the directions of one queue apart belong to the queue. */
static bool shares_types(const struct relaying *x)
{
    return x->set.both && (x->from.mechanism.offers | x->to.mechanism.offers) & TONG_HAS_SELECT;
}

static void begin(struct relaying *x, struct relay *relay, const struct side *from, const struct side *to)
{
    struct relay *other = relay == &x->there ? &x->back : &x->there;
    relay->other = x->set.both ? other : NULL;
    relay->terms = &x->terms;
    relay->from = from;
    relay->to = to;
    relay->typed = side_carries_types(from) && side_carries_types(to) && !shares_types(x);
}

static void say_losses(const struct relaying *x)
{
    struct text there = TEXT_INIT, back = TEXT_INIT;
    const char *from = x->from.info.object, *to = x->to.info.object;
    relay_losses(&x->there, &there);
    if (x->set.both)
        relay_losses(&x->back, &back);
    if (there.used && back.used && !strcmp(there.data, back.data))
        say("%s to %s and back cannot keep: %s", from, to, there.data);
    else if (there.used && back.used)
        say("%s to %s cannot keep: %s; and back: %s", from, to, there.data, back.data);
    else if (there.used || back.used)
        say("%s to %s cannot keep: %s", there.used ? from : to, there.used ? to : from,
            there.used ? there.data : back.data);
    text_free(&there);
    text_free(&back);
}

/* ---- Both ways ----------------------------------------------------------------------------------------- */

struct lane {
    struct relay *relay;
    pthread_t thread;
    int done;          /* where its exit code goes, a pipe */
};

static void *run_lane(void *argument)
{
    struct lane *lane = argument;
    int code = relay_run(lane->relay);
    write_all(lane->done, &code, sizeof code);
    return NULL;
}

/* With signals blocked: they are for the main thread, whose read they interrupt. */
static int start_lane(struct lane *lane)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&lane->thread, NULL, run_lane, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static void cancel_all(const struct relaying *x)
{
    tong_channel_cancel(x->from.channel);
    tong_channel_cancel(x->to.channel);
}

/* The exit codes as they come; the first that is not 0 counts.  Cancelled, the other direction still carries what is
 * there already: what a side said before it left is heard. */
static int await_lanes(const struct relaying *x, int done, int count)
{
    int code = CODE_DONE, heard = 0, one;
    while (heard < count) {
        ssize_t size = read(done, &one, sizeof one);
        if (size == (ssize_t)sizeof one) {
            heard++;
            code = code ? code : one;
        }
        if (code || stop_asked())
            cancel_all(x);
    }
    return code;
}

static int run_both(struct relaying *x)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail_system(-errno, "a pipe");
    struct lane lanes[] = { { &x->there, 0, ends[1] }, { &x->back, 0, ends[1] } };
    int started = 0, r = 0, code;
    while (started < 2 && (r = start_lane(&lanes[started])) == 0)
        started++;
    if (r)
        cancel_all(x);
    code = await_lanes(x, ends[0], started);
    for (int i = 0; i < started; i++)
        pthread_join(lanes[i].thread, NULL);
    close(ends[0]);
    close(ends[1]);
    return r ? fail_system(-r, "a thread") : code;
}

/* ---- What was asked ------------------------------------------------------------------------------------ */

/* On one queue each side must say which messages it takes, or it would take back what it sent. */
static int check_queue(const struct settings *set, const char *address)
{
    tong_mechanism_info mechanism;
    size_t size;
    if (!set->both || !find_mechanism(address, &mechanism) || !(mechanism.offers & TONG_HAS_SELECT))
        return 0;
    if (text_find_option(address, "select", &size) && text_find_option(address, "type", &size))
        return 0;
    return fail_usage("--both on one %s: would take back what it sends: say which types are whose, as in "
                      "'%s:...?select=1&type=2'", mechanism.scheme, mechanism.scheme);
}

/* A side that is only left, not ended, looks dead at its other end. */
static void leave(struct side *side, bool ended)
{
    if (ended)
        side_close(side);
    else
        side_abandon(side);
}

static int relay(struct relaying *x)
{
    begin(x, &x->there, &x->from, &x->to);
    begin(x, &x->back, &x->to, &x->from);
    say_losses(x);
    atomic_store(&x->terms.moved, clock_now());
    int code = x->set.both ? run_both(x) : relay_run(&x->there);
    leave(&x->from, !x->set.both || x->back.ended);
    leave(&x->to, x->there.ended);
    relay_free(&x->there);
    relay_free(&x->back);
    return code;
}

static int run(const struct command *self, int argc, char **argv)
{
    static struct relaying x = { .set = { .timeout = TONG_FOREVER, .wait = NOT_GIVEN } };
    int count, code = options_read(self, argc, argv, &x.set, &count);
    if (code != OPTIONS_GO)
        return code;
    for (int i = 0; i < count; i++)
        if ((code = check_queue(&x.set, argv[i])))
            return code;
    stop_catch();
    code = open_sides(&x, argv[0], argv[1]);
    x.terms.count = x.set.count;
    x.terms.timeout = x.set.timeout;
    x.terms.first = x.from.mechanism.offers & TONG_HAS_LISTENER ? NOT_GIVEN : x.set.wait;
    x.terms.empty_ends = x.set.empty_ends;
    if (code == 0)
        return stop_end(relay(&x));
    leave(&x.to, false);
    side_close(&x.from);
    return stop_end(code);
}

const struct command cmd_relay = {
    "relay", "Between programs", "receive on one address and send on another, whatever they are", "FROM TO",
    "Keeps messages, and their types where both sides have them; what this pair cannot keep is said once,\n"
    "before the first message.  When FROM ends, TO is told; when the sender on FROM dies, or the relay\n"
    "fails, TO sees a death too, where it can tell one from an end, and the exit code says it.  A message\n"
    "larger than TO takes is left in FROM.  Is the server on FROM and the client on TO.",
    "tong send msgq:1234 --type 7 hello; tong relay -n 1 msgq:1234 file:/tmp/hello.log\n"
    "tong recv --lines file:/tmp/hello.log; tong rm msgq:1234 file:/tmp/hello.log\n"
    "tong relay --both unix:/tmp/front unix:/tmp/back   # a server that passes its client on to another",
    options, 2, 2, 0, run,
};
