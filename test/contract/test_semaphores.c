/* SPDX-License-Identifier: MIT */
/* Semaphores in one process: values, bounds, time, names, modes, steps. */
#include <stdio.h>
#include <sys/stat.h>

#include "semaphore.h"

#define STEP(at, by) { sizeof(tong_semaphore_operation), 0, at, by }

static void test_counts(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, "value=2");
    GIVES(tong_semaphore_count(s), 1);
    OK(tong_semaphore_wait(s, 0, TONG_FOREVER));
    OK(tong_semaphore_wait(s, 0, 0));
    GIVES(semaphore_value(s, 0), 0);
    GIVES(tong_semaphore_wait(s, 0, 0), -EAGAIN);
    OK(tong_semaphore_post(s, 0));
    GIVES(semaphore_value(s, 0), 1);
    OK(tong_semaphore_wait(s, 0, TONG_SECOND));
    GIVES(tong_semaphore_wait(s, 1, 0), -ERANGE);
    GIVES(tong_semaphore_post(s, 1), -ERANGE);
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    GIVES(tong_semaphore_get(s, 1, &info), -ERANGE);
    semaphore_end(row, s);
}

static void test_time(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, NULL);
    int64_t began = frame_now();
    GIVES(tong_semaphore_wait(s, 0, 50 * TONG_MILLISECOND), -ETIMEDOUT);
    int64_t took = frame_now() - began;
    MUST(took >= 50 * TONG_MILLISECOND, "50 ms lasted only %lld ns", (long long)took);
    MUST(took < 2 * TONG_SECOND, "50 ms lasted %lld ns", (long long)took);
    GIVES(tong_semaphore_wait(s, 0, 1), -ETIMEDOUT);
    OK(tong_semaphore_post(s, 0));
    OK(tong_semaphore_wait(s, 0, INT64_MAX));
    semaphore_end(row, s);
}

static void test_create(const struct semaphore_row *row)
{
    tong_semaphore *s = NULL, *other = NULL;
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    GIVES(tong_semaphore_open(semaphore_address(row, "create=no"), 0, &s), -ENOENT);
    GIVES(tong_remove(semaphore_address(row, NULL)), -ENOENT);
    MUST(s == NULL, "a failed open touched its result");
    s = semaphore_open(row, "create=excl&value=3");
    GIVES(tong_semaphore_open(semaphore_address(row, "create=excl"), 0, &other), -EEXIST);
    other = semaphore_open(row, "create=no");
    OK(tong_semaphore_get(s, 0, &info));
    MUST(info.flags & TONG_INFO_CREATED, "who made it is not told so");
    MUST(info.scheme && !strcmp(info.scheme, row->scheme) && info.object && *info.object, "no words for what it is");
    OK(tong_semaphore_get(other, 0, &info));
    MUST(!(info.flags & TONG_INFO_CREATED), "who found it is told that it was made");
    GIVES(info.value, 3);
    OK(tong_semaphore_close(other));
    other = semaphore_open(row, "value=1");
    GIVES(semaphore_value(other, 0), 3);
    OK(tong_semaphore_close(other));
    semaphore_end(row, s);
    OK(tong_semaphore_close(NULL));
}

static void test_owner(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, "remove=owner"), *other = semaphore_open(row, "remove=owner");
    OK(tong_semaphore_close(other));
    OK(tong_semaphore_post(s, 0));
    pid_t child = frame_fork();
    if (child == 0) {
        OK(tong_semaphore_close(s));
        _exit(0);
    }
    frame_join(child);
    other = semaphore_open(row, "create=no");
    GIVES(semaphore_value(other, 0), 1);
    OK(tong_semaphore_close(other));
    OK(tong_semaphore_close(s));
    GIVES(tong_semaphore_open(semaphore_address(row, "create=no"), 0, &other), -ENOENT);
}

static void test_mode(const struct semaphore_row *row)
{
    static const struct { const char *options; unsigned mode; } cases[] = {
        { NULL, 0600 }, { "mode=0666", 0666 }, { "mode=0640", 0640 }, { "mode=0400", 0400 },
    };
    mode_t before = umask(077);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tong_semaphore *s = semaphore_open(row, cases[i].options);
        unsigned mode = row->mode(semaphore_address(row, NULL));
        MUST(mode == cases[i].mode, "asked for %04o, got %04o", cases[i].mode, mode);
        semaphore_end(row, s);
    }
    umask(before);
}

static void test_largest(const struct semaphore_row *row)
{
    char options[64];
    tong_semaphore *s = NULL;
    snprintf(options, sizeof options, "value=%u", row->largest + 1u);
    GIVES(tong_semaphore_open(semaphore_address(row, options), 0, &s), -EINVAL);
    snprintf(options, sizeof options, "value=%u", row->largest);
    s = semaphore_open(row, options);
    GIVES(tong_semaphore_post(s, 0), -EOVERFLOW);
    GIVES(semaphore_value(s, 0), row->largest);
    OK(tong_semaphore_wait(s, 0, 0));
    OK(tong_semaphore_post(s, 0));
    semaphore_end(row, s);
}

static void test_refusals(const struct semaphore_row *row)
{
    tong_semaphore *s = NULL;
    tong_channel *channel = NULL;
    GIVES(tong_semaphore_open(semaphore_address(row, NULL), 1, &s), -EINVAL);
    GIVES(tong_semaphore_open(semaphore_address(row, "size=1"), 0, &s), -EINVAL);
    GIVES(tong_channel_open(semaphore_address(row, NULL), TONG_SEND, 0, &channel), -EOPNOTSUPP);
    s = semaphore_open(row, NULL);
    tong_semaphore_operation wrong[] = { STEP(0, 1), STEP(0, 1) };
    wrong[1].flags = 0x80;
    GIVES(tong_semaphore_operate(s, wrong, 2, 0), -EINVAL);
    wrong[1] = (tong_semaphore_operation){ .size = 4, .index = 0, .change = 1 };
    GIVES(tong_semaphore_operate(s, wrong, 2, 0), -EINVAL);
    wrong[1] = (tong_semaphore_operation)STEP(7, 1);
    GIVES(tong_semaphore_operate(s, wrong, 2, 0), -ERANGE);
    OK(tong_semaphore_operate(s, wrong, 0, 0));
    GIVES(semaphore_value(s, 0), 0);
    semaphore_end(row, s);
}

static void test_single(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, NULL);
    tong_semaphore_operation steps[] = { STEP(0, 1), STEP(0, -1) }, two = STEP(0, 2), zero = STEP(0, 0);
    OK(tong_semaphore_operate(s, &steps[0], 1, TONG_FOREVER));
    OK(tong_semaphore_operate(s, &steps[1], 1, TONG_FOREVER));
    GIVES(tong_semaphore_operate(s, &steps[1], 1, 0), -EAGAIN);
    GIVES(tong_semaphore_operate(s, steps, 2, 0), -EOPNOTSUPP);
    GIVES(tong_semaphore_operate(s, &two, 1, 0), -EOPNOTSUPP);
    GIVES(tong_semaphore_operate(s, &zero, 1, 0), -EOPNOTSUPP);
    steps[0].flags = TONG_SEMAPHORE_UNDO;
    GIVES(tong_semaphore_operate(s, steps, 1, 0), -EOPNOTSUPP);
    GIVES(tong_semaphore_set(s, 0, 1), -EOPNOTSUPP);
    GIVES(semaphore_value(s, 0), 0);
    semaphore_end(row, s);
}

static void test_steps(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, "count=3&value=1"), *other = NULL;
    tong_semaphore_operation all[] = { STEP(0, -1), STEP(1, -1), STEP(2, -1) }, zero = STEP(1, 0);
    GIVES(tong_semaphore_count(s), 3);
    GIVES(tong_semaphore_open(semaphore_address(row, "count=2"), 0, &other), -EINVAL);
    OK(tong_semaphore_wait(s, 2, 0));
    GIVES(tong_semaphore_operate(s, all, 3, 0), -EAGAIN);
    GIVES(tong_semaphore_operate(s, all, 3, TONG_MILLISECOND), -ETIMEDOUT);
    MUST(semaphore_value(s, 0) == 1 && semaphore_value(s, 1) == 1, "half of the steps were done");
    OK(tong_semaphore_post(s, 2));
    OK(tong_semaphore_operate(s, all, 3, 0));
    for (unsigned i = 0; i < 3; i++)
        GIVES(semaphore_value(s, i), 0);
    OK(tong_semaphore_operate(s, &zero, 1, 0));
    OK(tong_semaphore_post(s, 1));
    GIVES(tong_semaphore_operate(s, &zero, 1, 0), -EAGAIN);
    all[0].change = 40000;
    GIVES(tong_semaphore_operate(s, all, 1, 0), -EOVERFLOW);
    semaphore_end(row, s);
}

/* One step as large as the machine allows, and one larger; elements larger than ours, as of a later version. */
static void test_many_steps(const struct semaphore_row *row)
{
    enum { MOST = 100 };
    struct later { tong_semaphore_operation operation; uint64_t more; } later[MOST];
    static tong_semaphore_operation many[70000];
    tong_semaphore *s = semaphore_open(row, "count=100");
    for (unsigned i = 0; i < MOST; i++)
        later[i] = (struct later){ { sizeof(struct later), 0, i, 5 }, 0 };
    OK(tong_semaphore_operate(s, &later[0].operation, MOST, 0));
    for (unsigned i = 0; i < MOST; i++)
        GIVES(semaphore_value(s, i), 5);
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        many[i] = (tong_semaphore_operation)STEP(0, 0);
    GIVES(tong_semaphore_operate(s, many, sizeof many / sizeof *many, 0), -E2BIG);
    semaphore_end(row, s);
}

static void test_setting(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, "count=2");
    OK(tong_semaphore_set(s, 1, 4));
    GIVES(semaphore_value(s, 0), 0);
    GIVES(semaphore_value(s, 1), 4);
    GIVES(tong_semaphore_set(s, 1, row->largest + 1), -ERANGE);
    GIVES(tong_semaphore_set(s, 2, 0), -ERANGE);
    OK(tong_semaphore_set(s, 1, row->largest));
    GIVES(semaphore_value(s, 1), row->largest);
    semaphore_end(row, s);
}

static void test_last(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, "count=2");
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    pid_t child = frame_fork();
    if (child == 0) {
        OK(tong_semaphore_post(s, 1));
        _exit(0);
    }
    frame_join(child);
    OK(tong_semaphore_get(s, 1, &info));
    GIVES(info.last.source, TONG_IDENTITY_LAST);
    GIVES(info.last.pid, child);
    OK(tong_semaphore_post(s, 1));
    OK(tong_semaphore_get(s, 1, &info));
    GIVES(info.last.pid, getpid());
    GIVES(tong_identity_alive(&info.last), 1);
    GIVES(info.waiting, 0);
    GIVES(info.zero, 0);
    semaphore_end(row, s);
}

static void test_staying(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, NULL);
    OK(tong_remove(semaphore_address(row, NULL)));
    OK(tong_semaphore_post(s, 0));
    OK(tong_semaphore_wait(s, 0, TONG_FOREVER));
    GIVES(tong_semaphore_wait(s, 0, TONG_MILLISECOND), -ETIMEDOUT);
    MUST(strstr(tong_detail(), "removed"), "not told that the name is gone: %s", tong_detail());
    tong_semaphore *other = semaphore_open(row, "value=1");
    GIVES(tong_semaphore_wait(s, 0, 0), -EAGAIN);
    OK(tong_semaphore_close(s));
    semaphore_end(row, other);
}

const struct semaphore_test semaphore_tests[] = {
    { "counts", test_counts, 0, 10 },
    { "timeout", test_time, 0, 20 },
    { "create", test_create, 0, 10 },
    { "remove=owner", test_owner, 0, 10 },
    { "mode", test_mode, 0, 10 },
    { "largest", test_largest, 0, 10 },
    { "refusals", test_refusals, 0, 10 },
    { "single-steps", test_single, HAS_SINGLE, 10 },
    { "all-or-nothing", test_steps, HAS_SETS, 10 },
    { "many-steps", test_many_steps, HAS_SETS, 10 },
    { "set", test_setting, HAS_SETTING, 10 },
    { "last", test_last, HAS_WAITERS, 10 },
    { "removed-name", test_staying, HAS_STAYING, 10 },
    { NULL, NULL, 0, 0 },
};
