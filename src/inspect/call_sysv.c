/* SPDX-License-Identifier: MIT */
/*
 * semop, msgrcv and msgsnd.  Whoever knows the identifier could end such a wait.  Who took a counter with SEM_UNDO
 * holds it for certain, which only BPF can see; else the kernel's book of who used the object last is all there is to
 * conclude from.  A counter whose last user is dead or is the one who waits says nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "inspect/waits.h"
#include "sys/sys.h"

#define OPERATIONS 64 /* of one semop that are read */

static uint32_t object_of(struct look_at_thread *look, uint32_t kind, int id)
{
    char key[GRAPH_KEY];
    snprintf(key, sizeof key, "%llu:%d",
             (unsigned long long)graph_process_at(look->scan->graph, look->process)->namespaces[SCAN_IPC], id);
    uint32_t object = graph_object(look->scan->graph, kind, key, NULL);
    if (object != TONG_NOBODY && !*graph_object_at(look->scan->graph, object)->source)
        graph_object_at(look->scan->graph, object)->source = "/proc/TID/syscall";
    return object;
}

static int ask(struct look_at_thread *look, int id, int counter, int command)
{
    int r = sys_semctl(id, counter, command, (union sem_argument){ .values = NULL });
    graph_missed(look->scan->graph, "values of System V semaphores", r == -EINVAL || r == -EIDRM ? 0 : r);
    return r;
}

/* "counter 1 (now 0; 2 wait for more)".  How many wait is the kernel's own count. */
static const char *describe(struct look_at_thread *look, int id, const struct sembuf *operation)
{
    int counter = operation->sem_num, value = ask(look, id, counter, GETVAL), wish = -operation->sem_op;
    int more = ask(look, id, counter, GETNCNT), zero = ask(look, id, counter, GETZCNT);
    char wished[48] = "", waiting[2][48] = { "", "" };
    if (wish != 1)
        snprintf(wished, sizeof wished, wish ? ", to be %d or more" : ", to be %d", wish);
    if (more > 0)
        snprintf(waiting[0], sizeof waiting[0], "%d wait%s for more", more, plural((uint64_t)more, "s", ""));
    if (zero > 0)
        snprintf(waiting[1], sizeof waiting[1], "%d wait%s for zero", zero, plural((uint64_t)zero, "s", ""));
    const char *comma = more > 0 && zero > 0 ? ", " : "";
    return graph_format(look->scan->graph, "counter %d (now %d%s; %s%s%s)", counter, value, wished, waiting[0], comma,
                        waiting[1]);
}

/* When a set was used last, or changed, which names its users, too. */
static uint64_t used_at(int id)
{
    struct semid_ds state;
    if (sys_semctl(id, 0, IPC_STAT, (union sem_argument){ .state = &state }) < 0)
        return 0;
    return (uint64_t)(state.sem_otime > state.sem_ctime ? state.sem_otime : state.sem_ctime);
}

static bool blocks(struct look_at_thread *look, int id, const struct sembuf *operation)
{
    int value = ask(look, id, operation->sem_num, GETVAL);
    return value >= 0 && (operation->sem_op < 0 ? value + operation->sem_op < 0 : operation->sem_op == 0 && value > 0);
}

static const struct sembuf *blocking(struct look_at_thread *look, int id, const struct sembuf *operations, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (blocks(look, id, &operations[i]))
            return &operations[i];
    return NULL;
}

static bool is_held(const struct scan *scan, const struct undo *undo)
{
    size_t place = 0;
    return undo_holder(scan, undo, &place) != TONG_NOBODY;
}

void call_semop(struct look_at_thread *look)
{
    struct sembuf operations[OPERATIONS];
    int id = (int)look->argument[0];
    uint64_t count = look->argument[2];
    uint32_t object = object_of(look, TONG_KIND_SYSVSEM, id);
    struct wait_fact fact = { .rule = RULE_OPEN, .fd = -1, .inferred = true };
    bool read = wait_same_namespace(look, SCAN_IPC) && count <= OPERATIONS &&
                wait_peek(look, look->argument[1], operations, count * sizeof *operations);
    const struct sembuf *operation = read ? blocking(look, id, operations, count) : NULL;
    if (!operation) {
        wait_add(look, &fact, object, TONG_RECEIVE, "a counter that could not be read");
        return;
    }
    fact.number = ask(look, id, operation->sem_num, GETPID);
    fact.used_at = used_at(id);
    fact.undo = (struct undo){ look->scan->namespaces[SCAN_IPC], id, operation->sem_num, operation->sem_op < 0 };
    fact.rule = is_held(look->scan, &fact.undo) ? RULE_HELD : fact.number > 0 ? RULE_USED : RULE_OPEN;
    if (!look->scan->kernel)
        graph_gap(look->scan->graph, "who holds counters of System V sets with undo", look->scan->kernel_refusal);
    wait_add(look, &fact, object, operation->sem_op < 0 ? TONG_RECEIVE : TONG_SEND, describe(look, id, operation));
}

/* The last sender and the last receiver of a queue, which everybody may read here. */
struct last_users {
    int id;
    int64_t sender, receiver;
    uint64_t sent_at, received_at;
};

static int find_users(void *context, char *line)
{
    struct last_users *users = context;
    if (atoll(proc_word(line, 1)) != users->id || line[strspn(line, " ")] == 'k')
        return 0;
    users->sender = atoll(proc_word(line, 5));
    users->receiver = atoll(proc_word(line, 6));
    users->sent_at = strtoull(proc_word(line, 11), NULL, 10);
    users->received_at = strtoull(proc_word(line, 12), NULL, 10);
    return 1;
}

static void wait_for_queue(struct look_at_thread *look, uint32_t direction, const char *detail)
{
    struct last_users users = { .id = (int)look->argument[0] };
    struct wait_fact fact = { .rule = RULE_OPEN, .fd = -1, .inferred = true };
    if (wait_same_namespace(look, SCAN_IPC) && proc_read(&look->scan->proc, look->scan->proc.fd, "sysvipc/msg") > 0)
        proc_lines(&look->scan->proc, find_users, &users);
    fact.number = direction == TONG_RECEIVE ? users.sender : users.receiver;
    fact.used_at = direction == TONG_RECEIVE ? users.sent_at : users.received_at;
    fact.rule = fact.number > 0 ? RULE_USED : RULE_OPEN;
    wait_add(look, &fact, object_of(look, TONG_KIND_MSGQ, users.id), direction, detail);
}

void call_msgrcv(struct look_at_thread *look)
{
    long type = (long)look->argument[3];
    wait_for_queue(look, TONG_RECEIVE, type == 0 ? "a message" : type > 0
                   ? graph_format(look->scan->graph, "a message of type %ld", type)
                   : graph_format(look->scan->graph, "a message of a type up to %ld", -type));
}

void call_msgsnd(struct look_at_thread *look)
{
    wait_for_queue(look, TONG_SEND, "room for a message");
}
