/* SPDX-License-Identifier: MIT */
/* System V semaphores, and queues of both kinds, whose users wait for each other; and their twins that are well. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "look.h"
#include "stage.h"

#define PATIENCE (10 * INT64_C(1000000000))

/* ---- Semaphores ------------------------------------------------------------------------------------------- */

static void take(const struct stage *stage, unsigned short counter)
{
    struct sembuf operation = { counter, -1, (short)stage->step };
    OK(semop(stage->set, &operation, 1));
}

static void begin_counters(struct stage *stage, int undo)
{
    unsigned short ones[] = { 1, 1 };
    stage_begin(stage);
    stage->step = undo ? SEM_UNDO : 0;
    stage->set = (int)OK(semget(frame_key(), 2, IPC_CREAT | IPC_EXCL | 0600));
    OK(semctl(stage->set, 0, SETALL, ones));
}

static void end_counters(struct stage *stage)
{
    stage_dismiss(stage);
    semctl(stage->set, 0, IPC_RMID);
    stage_end(stage);
}

static void take_forward(struct stage *stage)
{
    take(stage, 0);
    stage_meet(stage, 2);
    take(stage, 1);
}

static void take_backward(struct stage *stage)
{
    take(stage, 1);
    stage_meet(stage, 2);
    take(stage, 0);
}

static void take_and_idle(struct stage *stage)
{
    take(stage, 1);
    stage_meet(stage, 2);
    stage_idle(stage);
}

static void take_for_an_hour(struct stage *stage)
{
    struct sembuf operation = { 0, -1, 0 };
    take(stage, 1);
    stage_meet(stage, 2);
    semtimedop(stage->set, &operation, 1, &(struct timespec){ .tv_sec = 3600 });
}

#ifdef SYS_semtimedop
#define SEMOP SYS_semtimedop /* libc's semop() too */
#else
#define SEMOP SYS_semop
#endif

static void counters(int undo)
{
    struct stage stage;
    begin_counters(&stage, undo);
    stage_start_two(&stage, take_forward, SEMOP, take_backward, SEMOP);
    stage_found(&stage, TONG_FINDING_STUCK, undo && look_is_by_kernel() ? "which is held with undo by"
                                                                      : "which was last taken by");
    end_counters(&stage);
}

static void counters_well(int undo)
{
    struct stage stage;
    begin_counters(&stage, undo);
    stage_start_two(&stage, take_forward, SEMOP, take_and_idle, SYS_clock_nanosleep);
    stage_quiet(&stage);
    end_counters(&stage);
}

static void counters_timed(int undo)
{
    struct stage stage;
    begin_counters(&stage, undo);
    stage_start_two(&stage, take_forward, SEMOP, take_for_an_hour, SEMOP);
    stage_quiet(&stage);
    end_counters(&stage);
}

static void take_once(struct stage *stage)
{
    take(stage, 0);
}

/* How many wait for the same counter is the kernel's own count. */
static void crowd(int well)
{
    struct stage stage;
    begin_counters(&stage, 0);
    stage_start_two(&stage, take_forward, SEMOP, well ? take_and_idle : take_backward,
                    well ? SYS_clock_nanosleep : SEMOP);
    stage_act(&stage, take_once, SEMOP);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "which was last taken by");
    stage_waits(&stage, 2, TONG_KIND_SYSVSEM, 0, well ? "counter 0 (now 0; 1 waits for more)"
                                                      : "counter 0 (now 0; 2 wait for more)");
    end_counters(&stage);
}

static void wait_for_zero(struct stage *stage)
{
    struct sembuf operation = { 1, 0, 0 };
    semop(stage->set, &operation, 1);
}

/* Who set the counter last is this program, which can do it again. */
static void zero(int i)
{
    struct stage stage;
    (void)i;
    begin_counters(&stage, 0);
    stage_act(&stage, wait_for_zero, SEMOP);
    stage_quiet(&stage);
    stage_waits(&stage, 0, TONG_KIND_SYSVSEM, 0, "counter 1 (now 1, to be 0; 1 waits for zero)");
    end_counters(&stage);
}

/* It took the last itself, as who works off what others post: they may come again. */
static void take_both(struct stage *stage)
{
    take(stage, 0);
    take(stage, 0);
}

static void consumer(int i)
{
    struct stage stage;
    (void)i;
    begin_counters(&stage, 0);
    stage_act(&stage, take_both, SEMOP);
    stage_quiet(&stage);
    end_counters(&stage);
}

/* Who took it is dead and did not give it back; but who knows whether somebody else will. */
static void dead_taker(int i)
{
    struct stage stage;
    (void)i;
    begin_counters(&stage, 0);
    pid_t taker = frame_fork();
    if (taker == 0) {
        take(&stage, 0);
        _exit(0);
    }
    frame_join(taker);
    stage_act(&stage, take_once, SEMOP);
    stage_found(&stage, TONG_FINDING_UNSURE, "which is no more");
    end_counters(&stage);
}

/* A child with that number, which nobody has now, that is at leisure; -1: this user may not choose numbers. */
static pid_t idle_with_number(pid_t number, struct stage *stage)
{
    struct clone_args arguments = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = 1 };
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        stage_idle(stage);
    }
    return (pid_t)pid;
}

/* Who took it is dead, and its number is another's by now: of a process that began after that use. */
static void number_of_another(int i)
{
    struct stage stage;
    struct semid_ds state;
    (void)i;
    begin_counters(&stage, 0);
    pid_t taker = frame_fork();
    if (taker == 0) {
        take(&stage, 0);
        _exit(0);
    }
    frame_join(taker);
    OK(semctl(stage.set, 0, IPC_STAT, &state));
    while (time(NULL) < state.sem_otime + 3) /* the kernel counts these in seconds */
        sched_yield();
    pid_t other = idle_with_number(taker, &stage);
    for (int64_t end = frame_now() + PATIENCE; other < 0 && errno == EEXIST && frame_now() < end; sched_yield())
        other = idle_with_number(taker, &stage); /* a stranger had it for a moment */
    MUST(other == taker, "clone3: %s", strerror(errno));
    stage_act(&stage, take_once, SEMOP);
    stage_found(&stage, TONG_FINDING_UNSURE, "which is no more");
    end_counters(&stage);
    frame_kill(other);
}

/* ---- System V queues -------------------------------------------------------------------------------------- */

struct letter {
    long type;
    char text[64];
};

static void begin_queues(struct stage *stage)
{
    stage_begin(stage);
    for (int i = 0; i < 3; i++)
        stage->queue[i] = (int)OK(msgget(frame_key() + i, IPC_CREAT | IPC_EXCL | 0600));
}

static void end_queues(struct stage *stage)
{
    stage_dismiss(stage);
    for (int i = 0; i < 3; i++)
        msgctl(stage->queue[i], IPC_RMID, NULL);
    stage_end(stage);
}

/* One round of messages, by which each is known to its neighbour; then all wait. */
static void pass_on(struct stage *stage, int place, bool idle)
{
    struct letter letter = { .type = 1 };
    OK(msgsnd(stage->queue[(place + 1) % 3], &letter, sizeof letter.text, 0));
    while (msgrcv(stage->queue[place], &letter, sizeof letter.text, 0, IPC_NOWAIT) < 0)
        ;
    stage_meet(stage, 3);
    if (idle)
        stage_idle(stage);
    msgrcv(stage->queue[place], &letter, sizeof letter.text, 0, 0);
}

static void pass_first(struct stage *stage)
{
    pass_on(stage, 0, false);
}

static void pass_second(struct stage *stage)
{
    pass_on(stage, 1, false);
}

static void pass_third(struct stage *stage)
{
    pass_on(stage, 2, false);
}

static void pass_third_and_idle(struct stage *stage)
{
    pass_on(stage, 2, true);
}

static void ring(int well)
{
    struct stage stage;
    begin_queues(&stage);
    stage_start(&stage, pass_first);
    stage_start(&stage, pass_second);
    stage_start(&stage, well ? pass_third_and_idle : pass_third);
    stage_asleep(&stage, 0, SYS_msgrcv);
    stage_asleep(&stage, 1, SYS_msgrcv);
    stage_asleep(&stage, 2, well ? SYS_clock_nanosleep : SYS_msgrcv);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "whose last sender is");
    end_queues(&stage);
}

/* Takes one from its own queue, then sends to the other's until it is full. */
static void flood(struct stage *stage, int place, bool idle)
{
    struct letter letter = { .type = 1 };
    OK(msgsnd(stage->queue[1 - place], &letter, sizeof letter.text, 0));
    while (msgrcv(stage->queue[place], &letter, sizeof letter.text, 0, IPC_NOWAIT) < 0)
        ;
    stage_meet(stage, 2);
    if (idle)
        stage_idle(stage);
    for (;;)
        msgsnd(stage->queue[1 - place], &letter, sizeof letter.text, 0);
}

static void flood_second(struct stage *stage)
{
    flood(stage, 0, false);
}

static void flood_first(struct stage *stage)
{
    flood(stage, 1, false);
}

static void idle_as_flood(struct stage *stage)
{
    flood(stage, 1, true);
}

static void full_queues(int well)
{
    struct stage stage;
    begin_queues(&stage);
    stage_start_two(&stage, flood_second, SYS_msgsnd, well ? idle_as_flood : flood_first,
              well ? SYS_clock_nanosleep : SYS_msgsnd);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "whose last receiver is");
    end_queues(&stage);
}

/* A server to which nobody has sent yet. */
static void receive_first(struct stage *stage)
{
    struct letter letter;
    msgrcv(stage->queue[0], &letter, sizeof letter.text, 0, 0);
}

static void server(int i)
{
    struct stage stage;
    (void)i;
    begin_queues(&stage);
    stage_act(&stage, receive_first, SYS_msgrcv);
    stage_quiet(&stage);
    end_queues(&stage);
}

/* ---- POSIX queues ----------------------------------------------------------------------------------------- */

static void name_of(int number, char ret[64])
{
    snprintf(ret, 64, "/%s-%d", frame_mark(), number);
}

static int open_queue(int number, int flags)
{
    struct mq_attr attributes = { .mq_maxmsg = 2, .mq_msgsize = 16 };
    char name[64];
    name_of(number, name);
    return (int)OK(mq_open(name, flags | O_CREAT | O_CLOEXEC, 0600, &attributes));
}

static void fill_other(struct stage *stage, int place, bool idle)
{
    open_queue(place, O_RDONLY);
    int other = open_queue(1 - place, O_WRONLY);
    stage_meet(stage, 2);
    if (idle)
        stage_idle(stage);
    for (;;)
        mq_send(other, "x", 1, 0);
}

static void fill_second(struct stage *stage)
{
    fill_other(stage, 0, false);
}

static void fill_first(struct stage *stage)
{
    fill_other(stage, 1, false);
}

static void idle_as_fill(struct stage *stage)
{
    fill_other(stage, 1, true);
}

static void unlink_queues(int count)
{
    char name[64];
    for (int i = 0; i < count; i++) {
        name_of(i, name);
        mq_unlink(name);
    }
}

static void full_posix(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage_start_two(&stage, fill_second, SYS_mq_timedsend, well ? idle_as_fill : fill_first,
                    well ? SYS_clock_nanosleep : SYS_mq_timedsend);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "whose only receiver is");
    unlink_queues(2);
    stage_end(&stage);
}

/* Each would pass on to its neighbour what it is given. */
static void pass_on_posix(struct stage *stage)
{
    char message[16];
    int place = stage->actors;
    int mine = open_queue(place, O_RDONLY);
    open_queue((place + 1) % 3, O_WRONLY);
    stage_meet(stage, 3);
    if (stage->step && place == 2)
        stage_idle(stage);
    mq_receive(mine, message, sizeof message, NULL);
}

static void ring_posix(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = well;
    for (int i = 0; i < 3; i++)
        stage_start(&stage, pass_on_posix);
    for (int i = 0; i < 3; i++)
        stage_asleep(&stage, i, well && i == 2 ? SYS_clock_nanosleep : SYS_mq_timedreceive);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "whose only sender is");
    unlink_queues(3);
    stage_end(&stage);
}

static void receive_posix(struct stage *stage)
{
    char message[16];
    (void)stage;
    mq_receive(open_queue(0, O_RDONLY), message, sizeof message, NULL);
}

static void server_posix(int i)
{
    struct stage stage;
    (void)i;
    stage_begin(&stage);
    stage_act(&stage, receive_posix, SYS_mq_timedreceive);
    stage_quiet(&stage);
    unlink_queues(1);
    stage_end(&stage);
}

static const struct stage_case cases[] = {
    { "semaphores without undo", counters, 0, "semaphores of one at leisure", counters_well, 0 },
    { "semaphores with undo", counters, 1, "semaphores with undo of one at leisure", counters_well, 1 },
    { "three who wait for semaphores", crowd, 0, "three who wait for semaphores of one at leisure", crowd, 1 },
    { "a dead taker", dead_taker, 0, "a consumer", consumer, 0 },
    { "a ring of three queues", ring, 0, "a ring of three queues, one at leisure", ring, 1 },
    { "two full queues", full_queues, 0, "two full queues, one at leisure", full_queues, 1 },
    { "two full POSIX queues", full_posix, 0, "two full POSIX queues, one at leisure", full_posix, 1 },
    { "a ring of three POSIX queues", ring_posix, 0, "a ring of three POSIX queues, one at leisure", ring_posix, 1 },
    { NULL, NULL, 0, "a semaphore that is to be zero", zero, 0 },
    { NULL, NULL, 0, "a semaphore with a limit", counters_timed, 0 },
    { NULL, NULL, 0, "a semaphore with undo and a limit", counters_timed, 1 },
    { NULL, NULL, 0, "a server on a queue", server, 0 },
    { NULL, NULL, 0, "a server on a POSIX queue", server_posix, 0 },
};

static const struct stage_case numbers[] = {
    { "a dead taker whose number is another's", number_of_another, 0, "a taker that lives", counters_well, 0 },
};

/* A number that was free a moment ago: of a child that ended. */
static bool may_choose_numbers(void)
{
    struct stage stage = { .actors = 0 };
    pid_t ended = fork();
    if (ended == 0)
        _exit(0);
    waitpid(ended, NULL, 0);
    pid_t chosen = idle_with_number(ended, &stage);
    if (chosen > 0)
        frame_kill(chosen);
    return chosen > 0 || errno == EEXIST;
}

int main(int argc, char **argv)
{
    frame_begin("deadlock_queues", argc, argv);
    stage_run(cases, sizeof cases / sizeof *cases);
    if (may_choose_numbers())
        stage_run(numbers, 1);
    else
        frame_skip(numbers[0].name, "only root may choose a process's number");
    return frame_end();
}
