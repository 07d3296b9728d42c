/* SPDX-License-Identifier: MIT */
/* What a trace remembers of sockets: who is at the other end of each, also when that one was told of first. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "trace/state.h"

#define MANY 3000 /* inodes and addresses each once, so that the table grows */
#define FAMILY_UNIX 1

static uint64_t place_of(uint64_t number)
{
    return UINT64_C(0xffff888000000000) + number * 1088; /* as the kernel's allocator spaces them */
}

static void tell(struct sockets *sockets, uint64_t inode, uint64_t self, uint64_t other)
{
    struct trace_socket seen = { .family = FAMILY_UNIX, .self = place_of(self), .other = other ? place_of(other) : 0 };
    snprintf(seen.name.bytes, sizeof seen.name.bytes, "/tmp/%llu", (unsigned long long)inode);
    trace_add_socket(sockets, inode, &seen);
}

static uint64_t peer_of(const struct sockets *sockets, uint64_t inode)
{
    ck_assert_ptr_nonnull(trace_socket(sockets, inode));
    return trace_socket(sockets, inode)->peer;
}

START_TEST(each_finds_the_end_that_was_told_of_before)
{
    struct sockets sockets = { 0 };
    for (uint64_t i = 1; i <= MANY; i++)
        tell(&sockets, i, i, 0);
    for (uint64_t i = 1; i <= MANY; i++)
        tell(&sockets, MANY + i, MANY + i, i);
    for (uint64_t i = 1; i <= MANY; i++) {
        ck_assert_uint_eq(peer_of(&sockets, i), MANY + i);
        ck_assert_uint_eq(peer_of(&sockets, MANY + i), i);
    }
    ck_assert_str_eq(trace_socket(&sockets, 7)->name, "/tmp/7");
    trace_free_sockets(&sockets);
}
END_TEST

/* The first user of the place never had a peer. */
START_TEST(a_place_in_the_kernel_is_the_one_s_who_has_it_now)
{
    struct sockets sockets = { 0 };
    for (uint64_t i = 1; i <= MANY; i++) {
        tell(&sockets, i, i, 0);
        tell(&sockets, MANY + i, i, 0);
    }
    for (uint64_t i = 1; i <= MANY; i++) {
        tell(&sockets, 2 * MANY + i, MANY + i, i);
        ck_assert_uint_eq(peer_of(&sockets, 2 * MANY + i), MANY + i);
        ck_assert_uint_eq(peer_of(&sockets, i), 0);
    }
    trace_free_sockets(&sockets);
}
END_TEST

START_TEST(a_socket_that_moves_is_not_found_where_it_was)
{
    struct sockets sockets = { 0 };
    tell(&sockets, 1, 1, 0);
    for (uint64_t i = 2; i <= MANY; i++)
        tell(&sockets, 1, i, 0);
    tell(&sockets, 2, MANY + 1, 1);
    ck_assert_uint_eq(peer_of(&sockets, 2), 0);
    tell(&sockets, 3, MANY + 2, MANY);
    ck_assert_uint_eq(peer_of(&sockets, 3), 1);
    trace_free_sockets(&sockets);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace_sockets");
    TCase *tests = tcase_create("sockets");
    tcase_add_test(tests, each_finds_the_end_that_was_told_of_before);
    tcase_add_test(tests, a_place_in_the_kernel_is_the_one_s_who_has_it_now);
    tcase_add_test(tests, a_socket_that_moves_is_not_found_where_it_was);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
