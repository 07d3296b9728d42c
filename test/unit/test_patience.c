/* SPDX-License-Identifier: MIT */
/* Looking again and again: a signal that is caught while the caller looks ends the wait as one during a pause does. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/patience.h"
#include "tong/base.h"

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    (void)number;
    caught++;
}

static void catch(int number)
{
    ck_assert_int_eq(sigaction(number, &(struct sigaction){ .sa_handler = on_signal }, NULL), 0);
    caught = 0;
}

static int64_t soon(void)
{
    return deadline_after(10 * TONG_SECOND);
}

/* Pauses until a deadline, which it gives back: another one, if the machine stood still until there was nothing left of it. */
static int64_t pause_a_moment(struct patience *patience)
{
    for (int64_t moment = TONG_MILLISECOND; moment <= TONG_SECOND; moment *= 2) {
        int64_t deadline = deadline_after(moment);
        int r = patience_pause(patience, -1, deadline);
        if (r == 0)
            return deadline;
        ck_assert_int_eq(r, -ETIMEDOUT);
    }
    ck_abort_msg("there is no pause");
}

START_TEST(a_signal_during_a_look_ends_the_next_pause)
{
    struct patience patience = PATIENCE_OF(10 * TONG_SECOND, 10 * TONG_SECOND);
    int64_t began = clock_now();
    catch(SIGUSR1);
    pause_a_moment(&patience);
    raise(SIGUSR1);
    ck_assert_msg(caught == 0, "it was let in while the caller looked");
    ck_assert_int_eq(patience_pause(&patience, -1, soon()), -EINTR);
    ck_assert_int_eq(caught, 1);
    patience_end(&patience);
    ck_assert_msg(clock_now() - began < 5 * TONG_SECOND, "the pause was slept through");
}
END_TEST

START_TEST(a_look_that_sleeps_sees_it_too)
{
    int ends[2];
    struct patience patience = PATIENCE_INIT;
    catch(SIGUSR1);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(patience_pause(&patience, -1, soon()), 0);
    raise(SIGUSR1);
    ck_assert_int_eq(patience_descriptor(&patience, ends[0], POLLIN, -1, soon()), -EINTR);
    patience_end(&patience);
    ck_assert_int_eq(caught, 1);
}
END_TEST

START_TEST(a_descriptor_ends_a_pause)
{
    int ends[2];
    struct patience patience = PATIENCE_OF(10 * TONG_SECOND, 10 * TONG_SECOND);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(patience_pause_on(&patience, ends[0], POLLIN, -1, soon()), POLLIN);
    ck_assert_int_eq(patience_pause_on(&patience, -1, 0, ends[0], soon()), -ECANCELED);
    patience_end(&patience);
}
END_TEST

START_TEST(the_thread_has_its_mask_back)
{
    sigset_t before, now;
    struct patience patience = PATIENCE_INIT;
    catch(SIGUSR1);
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    ck_assert_int_eq(patience_pause(&patience, -1, soon()), 0);
    raise(SIGUSR1);
    patience_end(&patience);
    ck_assert_msg(caught == 1, "what came after the last pause was lost");
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    for (int number = 1; number < SIGRTMIN; number++)
        ck_assert_msg(sigismember(&before, number) == sigismember(&now, number), "signal %d", number);
}
END_TEST

START_TEST(faults_are_not_held_back)
{
    struct patience patience = PATIENCE_INIT;
    catch(SIGBUS);
    ck_assert_int_eq(patience_pause(&patience, -1, soon()), 0);
    raise(SIGBUS);
    ck_assert_int_eq(caught, 1);
    patience_end(&patience);
}
END_TEST

START_TEST(its_end_is_the_deadline)
{
    struct patience patience = PATIENCE_OF(10 * TONG_SECOND, 10 * TONG_SECOND);
    ck_assert_int_eq(patience_pause(&patience, -1, DEADLINE_NOW), -EAGAIN);
    int64_t deadline = pause_a_moment(&patience);
    ck_assert_int_eq(patience_pause(&patience, -1, deadline), -ETIMEDOUT);
    patience_end(&patience);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("patience");
    TCase *tests = tcase_create("patience");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_signal_during_a_look_ends_the_next_pause);
    tcase_add_test(tests, a_look_that_sleeps_sees_it_too);
    tcase_add_test(tests, a_descriptor_ends_a_pause);
    tcase_add_test(tests, the_thread_has_its_mask_back);
    tcase_add_test(tests, faults_are_not_held_back);
    tcase_add_test(tests, its_end_is_the_deadline);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
