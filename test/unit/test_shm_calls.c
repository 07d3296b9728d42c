/* SPDX-License-Identifier: MIT */
/*
 * shm: system calls of a message: none while both ends are awake, which the kernel itself is asked for (seccomp(2)): whoever
 * makes one dies of it; and where the other end sleeps, what wakes it, once.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "shm_fixture.h"
#include "sys/sys.h"

#define MANY 20000

static const char *const rows[] = { "?capacity=64K", "?capacity=64K&receivers=16", "?capacity=64K&deliver=broadcast" };

/* ---- Awake ----------------------------------------------------------------------------------------------- */

/* From now on only the end of this process is permitted, and to ask for the time, which is no call where the machine can tell. */
static void forbid_system_calls(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    const struct sock_fprog program = { sizeof code / sizeof *code, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(2);
}

static bool copied(tong_channel *out, tong_channel *in)
{
    char buffer[100] = "";
    return tong_channel_send(out, buffer, sizeof buffer, NULL, LONG) == 0 &&
           tong_channel_receive(in, buffer, sizeof buffer, NULL, LONG) == sizeof buffer;
}

static bool by_hand(tong_channel *out, tong_channel *in)
{
    tong_token put = TONG_TOKEN_INIT, got = TONG_TOKEN_INIT;
    return tong_channel_reserve(out, 100, LONG, &put) == 0 && tong_channel_commit(out, &put, 50, NULL) == 0 &&
           tong_channel_peek(in, LONG, NULL, &got) == 50 && tong_channel_release(in, &got) == 0;
}

static bool in_batches(tong_channel *out, tong_channel *in)
{
    char buffer[4][100] = { "" };
    tong_batch batch[4];
    for (int i = 0; i < 4; i++)
        batch[i] = (tong_batch){ sizeof *batch, 0, 0, buffer[i], sizeof buffer[i], 100 };
    return tong_channel_send_batch(out, batch, 4, LONG) == 4 && tong_channel_receive_batch(in, batch, 4, LONG) == 4;
}

static bool (*const ways[])(tong_channel *out, tong_channel *in) = { copied, by_hand, in_batches };

/* The first of each may make what it needs once. */
START_TEST(none_while_both_are_awake)
{
    tong_channel *in = open_with(rows[_i], TONG_RECEIVE), *out = open_with("", TONG_SEND);
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
        ck_assert(ways[way](out, in));
    pid_t pid = fork();
    if (pid == 0) { /* whose ends are its own, because those of its parent are not */
        tong_channel_close(in);
        tong_channel_close(out);
        snprintf(address + strlen(address), 3, "-2");
        in = open_with(rows[_i], TONG_RECEIVE);
        out = open_with("", TONG_SEND);
        for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
            if (!ways[way](out, in))
                _exit(3);
        forbid_system_calls();
        for (int i = 0; i < MANY; i++)
            if (!ways[i % 3](out, in))
                _exit(4);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(status == 0, "%s: status 0x%x%s", rows[_i], (unsigned)status, WIFSIGNALED(status) ? ": a system call" : "");
    tong_channel_close(out);
    tong_channel_close(in);
    char second[80];
    snprintf(second, sizeof second, "%s-2", address);
    ck_assert_int_eq(tong_remove(second), 0);
}
END_TEST

/* ---- Asleep ---------------------------------------------------------------------------------------------- */

static char made[256]; /* names of calls, each with a blank behind it */

static int note_call(const char *call)
{
    size_t length = strlen(made);
    snprintf(made + length, sizeof made - length, "%s ", call);
    return 0;
}

static const char *calls_of_a_message(tong_channel *out)
{
    made[0] = '\0';
    sys_fault = note_call;
    int r = tong_channel_send(out, "x", 1, NULL, LONG);
    sys_fault = NULL;
    ck_assert_int_eq(r, 0);
    return made;
}

/* Until the child sleeps in that system call: the first word of a line that is "running" while it does not sleep. */
static void await_call(long call)
{
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)child);
    for (int64_t until = clock_now() + LONG; clock_now() < until; usleep(1000)) {
        FILE *file = fopen(path, "re");
        char *end = text;
        bool read = file && fgets(text, sizeof text, file);
        if (file)
            fclose(file);
        if (read && strtol(text, &end, 10) == call && end != text)
            return;
    }
    ck_abort_msg("process %d does not sleep in call %ld", (int)child, call);
}

/* Who has slept for longer than a slice sleeps on its bell, and is woken by that, too; before, by its futex alone. */
START_TEST(one_wake_where_it_sleeps)
{
    tong_channel *out = open_with(rows[_i], TONG_SEND);
    int woken = 0;
    send_text(out, "first");
    if (in_child()) {
        tong_channel_close(out);
        tong_channel *in = open_with("", TONG_RECEIVE);
        if (write(said[1], "x", 1) != 1)
            _exit(2);
        while (try_receive(in, TONG_FOREVER) >= 0)
            continue;
        _exit(0);
    }
    await_word();
    await_call(SYS_ppoll);
    ck_assert_int_eq(kill(child, SIGSTOP), 0);
    ck_assert_str_eq(calls_of_a_message(out), "futex_wake write ");
    ck_assert_str_eq(calls_of_a_message(out), "");
    ck_assert_int_eq(kill(child, SIGCONT), 0);
    for (int64_t until = clock_now() + LONG; woken < 10 && clock_now() < until; usleep(1000)) {
        const char *calls = calls_of_a_message(out);
        ck_assert_msg(!calls[0] || !strcmp(calls, "futex_wake ") || !strcmp(calls, "futex_wake write "), "calls: %s", calls);
        woken += !strcmp(calls, "futex_wake ");
    }
    ck_assert_int_eq(woken, 10);
    tong_channel_close(out);
    reap(0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shm_calls");
    TCase *all = tcase_create("shm_calls");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, none_while_both_are_awake, 0, sizeof rows / sizeof *rows);
    tcase_add_loop_test(all, one_wake_where_it_sleeps, 0, sizeof rows / sizeof *rows);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
