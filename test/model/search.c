/* SPDX-License-Identifier: MIT */
/* The search: threads as coroutines, the choices of an execution, and which of them were looked at already. */
#undef _FORTIFY_SOURCE /* its longjmp does not leave a stack for another */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

#define STACK 65536
#define CHOICES 8192
#define PRIVATE (1 << 20)
#define POINTS_MOST 3000 /* of an execution */
#define STATES_MOST (UINT64_C(1) << 24)
#define SHOWN_MOST 400

enum { BEGUN, COMPLETE, FAILED, SEEN };

struct thread threads[MODEL_THREADS];
struct thread *current;
bool tracing;

static unsigned many_threads, many_choices, replayed, points;
static uint8_t choices[CHOICES], widths[CHOICES];
static int preemptions, stale; /* left */
static bool quiet, random_walk;
static uint64_t random_state;
static jmp_buf engine;
static _Alignas(64) unsigned char stacks[MODEL_THREADS][STACK];
static _Alignas(64) unsigned char private_memory[PRIVATE];
static size_t private_used;
static char failure[512];
static struct search *counts;
static unsigned shown; /* lines of a trace */

/* ---- States that were met ---------------------------------------------------------------------------------------- */

static uint64_t *met, met_size, met_many;

static void met_insert(uint64_t key)
{
    uint64_t at = key & (met_size - 1);
    while (met[at] && met[at] != key)
        at = (at + 1) & (met_size - 1);
    met_many += met[at] == 0;
    met[at] = key;
}

static void met_grow(void)
{
    uint64_t *old = met, size = met_size;
    met_size = size ? 2 * size : 1 << 16;
    met = calloc(met_size, sizeof *met);
    met_many = 0;
    if (!met)
        abort();
    for (uint64_t i = 0; i < size; i++)
        if (old[i])
            met_insert(old[i]);
    free(old);
}

static void met_forget(void)
{
    free(met);
    met = NULL;
    met_size = met_many = 0;
}

/* True the second time. */
static bool met_before(uint64_t key)
{
    uint64_t before = met_many;
    if (2 * met_many >= met_size && met_size < STATES_MOST)
        met_grow();
    if (4 * met_many >= 3 * met_size)
        return false;
    met_insert(key ? key : 1);
    return met_many == before;
}

static bool is_ready(const struct thread *thread)
{
    if (thread->status == PAUSED)
        return thread->saw_old || thread->stores_at_pause != stores_made;
    if (thread->status == AWAITING)
        return threads[thread->awaits].status >= ENDED;
    if (thread->status == ASLEEP)
        return kernel_ready(thread);
    return thread->status == READY;
}

/* Of all that is to come. */
static uint64_t state(void)
{
    uint64_t sum = memory_hash;
    for (unsigned i = 1; i < many_threads; i++)
        sum += mix(threads[i].hash, mix(i, threads[i].status + 16U * threads[i].saw_old +
                                        32U * is_ready(&threads[i]) + 64U * threads[i].idle));
    bool equal = preemptions < 0 && !current->mortal; /* who may go on does not depend on who does */
    return mix(mix(sum, equal ? 0 : (uint64_t)(current - threads)), mix((uint64_t)preemptions, (uint64_t)stale));
}

/* ---- Choices ----------------------------------------------------------------------------------------------------- */

static __attribute__((noreturn)) void leave(int how)
{
    _longjmp(engine, how);
}

void model_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure, sizeof failure, format, arguments);
    va_end(arguments);
    leave(FAILED);
}

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

/* A walk does the ordinary thing three times of four. */
static unsigned choose_randomly(unsigned many)
{
    uint64_t random = next_random() >> 20;
    return random & 3 ? 0 : (unsigned)((random >> 2) % many);
}

unsigned choose(unsigned many)
{
    if (many <= 1 || quiet)
        return 0;
    if (many_choices == CHOICES || many > UINT8_MAX)
        model_fail("the execution does not end: too many choices");
    unsigned at = many_choices++;
    if (at >= replayed) {
        choices[at] = (uint8_t)(random_walk ? choose_randomly(many) : 0);
        widths[at] = (uint8_t)many;
    }
    return choices[at];
}

unsigned choose_store(unsigned many)
{
    if (stale == 0)
        return 0;
    unsigned back = choose(many);
    stale -= back > 0 && stale > 0;
    return back;
}

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

void *model_allocate(size_t size)
{
    size_t at = private_used;
    private_used += (size + 63) & ~(size_t)63;
    if (private_used > PRIVATE)
        model_fail("the execution does not end: too much private memory");
    return private_memory + at;
}

void *model_allocate_cleared(size_t size)
{
    return memset(model_allocate(size), 0, size);
}

static void begin(void)
{
    current->run(current->argument);
    give_way(ENDED);
}

static void go_on_with(struct thread *next)
{
    struct thread *before = current;
    if (next == before)
        return;
    if (before != threads && before->status < ENDED && _setjmp(before->jump))
        return;
    current = next;
    next->chosen = true;
    if (next->begun)
        _longjmp(next->jump, 1);
    next->begun = true;
    getcontext(&next->context);
    next->context.uc_stack = (stack_t){ .ss_sp = stacks[next - threads], .ss_size = STACK };
    makecontext(&next->context, begin, 0);
    setcontext(&next->context);
}

static unsigned list_ready(struct thread *list[MODEL_THREADS], const struct thread *but)
{
    unsigned many = 0;
    for (unsigned i = 1; i < many_threads; i++)
        if (&threads[i] != but && is_ready(&threads[i]))
            list[many++] = &threads[i];
    return many;
}

static void die(void)
{
    trace("is killed");
    give_way(KILLED);
}

static void note_point(void)
{
    counts->points++;
    if (++points > POINTS_MOST)
        model_fail("the execution does not end: %d points", POINTS_MOST);
    if (!random_walk && many_choices >= replayed && met_before(state()))
        leave(SEEN);
}

static void may_die(void)
{
    if (current->mortal && choose(2) == 1)
        die();
}

/* Who was just chosen to go on does so. */
void point(void)
{
    struct thread *others[MODEL_THREADS];
    if (quiet)
        return;
    if (current->chosen) {
        current->chosen = false;
        may_die();
        return;
    }
    unsigned many = preemptions ? list_ready(others, current) : 0;
    if (many == 0 && !current->mortal)
        return;
    note_point();
    unsigned taken = choose(1 + many + current->mortal);
    if (taken == 0)
        return;
    if (taken > many)
        die();
    preemptions -= preemptions > 0;
    go_on_with(others[taken - 1]);
    current->chosen = false;
    may_die();
}

static void explain_deadlock(void)
{
    char text[400] = "";
    for (unsigned i = 1; i < many_threads; i++) {
        static const char *const words[] = { "", "", "looks in vain", "sleeps", "awaits another" };
        size_t used = strlen(text);
        if (threads[i].status < ENDED)
            snprintf(text + used, sizeof text - used, "%s %s %s", used ? "," : "", threads[i].name, words[threads[i].status]);
    }
    model_fail("nobody can go on:%s", text);
}

static void run_another(void)
{
    struct thread *others[MODEL_THREADS];
    unsigned many = list_ready(others, NULL), alive = 0;
    for (unsigned i = 1; i < many_threads; i++)
        alive += threads[i].status < ENDED;
    if (alive == 0)
        leave(COMPLETE);
    if (many == 0 && kernel_tick())
        many = list_ready(others, NULL);
    if (many == 0)
        explain_deadlock();
    if (many > 1)
        note_point();
    go_on_with(others[choose(many)]);
}

void give_way(enum status status)
{
    struct thread *thread = current;
    thread->status = status;
    thread->hash = mix(thread->hash, 100 + status);
    if (status >= ENDED)
        kernel_bury(thread);
    run_another();
    thread->status = READY;
}

void model_pause(void)
{
    trace("looks again once others went on");
    current->stores_at_pause = stores_made;
    give_way(PAUSED);
    memory_pass_time();
}

bool model_await(int thread)
{
    current->awaits = thread;
    if (threads[thread].status < ENDED)
        give_way(AWAITING);
    knowledge_join(&current->now, &threads[thread].now);
    current->hash = mix(current->hash, threads[thread].hash);
    return model_was_killed(thread);
}

bool model_was_killed(int thread)
{
    return threads[thread].status == KILLED;
}

int model_spawn(const char *name, void (*run)(void *argument), void *argument)
{
    if (many_threads == MODEL_THREADS)
        model_fail("too many threads");
    threads[many_threads] = (struct thread){ .name = name, .run = run, .argument = argument, .status = READY,
                                             .now = threads[0].now };
    return (int)many_threads++;
}

int model_spawn_mortal(const char *name, void (*run)(void *argument), void *argument)
{
    int made = model_spawn(name, run, argument);
    threads[made].mortal = true;
    return made;
}

/* ---- Executions -------------------------------------------------------------------------------------------------- */

void trace(const char *format, ...)
{
    va_list arguments;
    if (!tracing || quiet || shown++ >= SHOWN_MOST)
        return;
    printf("    %-10s ", current->name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static void reset(void)
{
    memory_reset();
    kernel_reset();
    for (unsigned i = 1; i < MODEL_THREADS; i++)
        threads[i].status = ABSENT;
    threads[0] = (struct thread){ .name = "at first", .status = READY };
    current = threads;
    many_threads = 1;
    many_choices = points = 0;
    private_used = 0;
}

static void conclude(const struct scenario *scenario)
{
    quiet = true;
    current = threads;
    for (unsigned i = 1; i < many_threads; i++)
        knowledge_join(&threads[0].now, &threads[i].now);
    if (scenario->finish)
        scenario->finish();
}

static void set_out(const struct scenario *scenario)
{
    quiet = true;
    scenario->prepare();
    for (unsigned i = 1; i < many_threads; i++)
        threads[i].now = threads[0].now;
    quiet = false;
    run_another();
}

static int run(const struct scenario *scenario, bool deep)
{
    preemptions = deep ? scenario->long_preemptions : scenario->preemptions;
    stale = deep ? scenario->long_stale : scenario->stale;
    volatile int how = BEGUN;
    reset();
    switch (_setjmp(engine)) {
    case BEGUN:
        set_out(scenario);
        break;
    case COMPLETE:
        how = COMPLETE;
        conclude(scenario);
        break;
    case FAILED:
        how = FAILED;
        break;
    default:
        how = SEEN;
    }
    quiet = true;
    current = threads;
    if (scenario->clean)
        scenario->clean();
    return how;
}

/* The last choice that has another left takes it; false: none has. */
static bool next_choices(void)
{
    while (many_choices > 0 && choices[many_choices - 1] + 1 >= widths[many_choices - 1])
        many_choices--;
    if (many_choices == 0)
        return false;
    choices[many_choices - 1]++;
    replayed = many_choices;
    return true;
}

static bool shown_deep;

static int count(int how)
{
    counts->executions += !random_walk;
    counts->random += random_walk;
    counts->whole += how == COMPLETE;
    if (how == FAILED)
        snprintf(counts->failure, sizeof counts->failure, "%s", failure);
    return how;
}

static int walk_randomly(const struct scenario *scenario, bool deep, uint64_t many)
{
    random_walk = true;
    int how = COMPLETE;
    for (uint64_t i = 1; i <= many && how != FAILED; i++) {
        random_state = mix(i, 77) | 1;
        replayed = 0;
        how = count(run(scenario, deep));
    }
    random_walk = false;
    return how;
}

void model_search(const struct scenario *scenario, bool deep, uint64_t most, uint64_t random, struct search *ret)
{
    *ret = (struct search){ 0 };
    counts = ret;
    shown_deep = deep;
    replayed = 0;
    bool more = true;
    int how = COMPLETE;
    while (more && how != FAILED && ret->executions < most) {
        how = count(run(scenario, deep));
        more = how != FAILED && next_choices();
    }
    ret->states = met_many;
    ret->bounded = more;
    met_forget();
    if (how != FAILED)
        how = walk_randomly(scenario, deep, random);
    replayed = many_choices;
}

void model_show(const struct scenario *scenario)
{
    struct search again = { 0 };
    counts = &again;
    tracing = true;
    shown = 0;
    random_walk = true; /* nothing is cut off */
    run(scenario, shown_deep);
    tracing = random_walk = false;
    if (shown > SHOWN_MOST)
        printf("    ... and %u lines more\n", shown - SHOWN_MOST);
    printf("    %s\n", failure);
}
