/* SPDX-License-Identifier: MIT */
/* The histogram of tong bench: exact where it is small, within 1/64 elsewhere, and right at the edges. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "bench/histogram.h"

static struct histogram *fresh(void)
{
    struct histogram *h = calloc(1, sizeof *h);
    ck_assert_ptr_nonnull(h);
    return h;
}

START_TEST(small_values_are_exact)
{
    struct histogram *h = fresh();
    for (uint64_t v = 1; v <= 100; v++)
        histogram_add(h, v);
    ck_assert_double_eq(histogram_quantile(h, 0), 1);
    ck_assert_double_eq(histogram_quantile(h, 0.5), 51);
    ck_assert_double_eq(histogram_quantile(h, 0.99), 100);
    ck_assert_double_eq(histogram_quantile(h, 1), 100);
    free(h);
}
END_TEST

START_TEST(large_values_are_within_a_step)
{
    for (uint64_t v = 128; v < UINT64_C(1) << 63; v = v * 2 + v / 3) {
        struct histogram *h = fresh();
        histogram_add(h, v);
        histogram_add(h, UINT64_MAX);
        double off = histogram_quantile(h, 0) / (double)v - 1;
        ck_assert_msg(off < 1.0 / 64 && off > -1.0 / 64, "%llu is %.0f", (unsigned long long)v, histogram_quantile(h, 0));
        free(h);
    }
}
END_TEST

START_TEST(a_rare_value_is_where_it_belongs)
{
    struct histogram *h = fresh();
    for (int i = 0; i < 9990; i++)
        histogram_add(h, 100);
    for (int i = 0; i < 10; i++)
        histogram_add(h, 1000000);
    ck_assert_double_eq(histogram_quantile(h, 0.99), 100);
    ck_assert_double_eq(histogram_quantile(h, 0.9989), 100);
    ck_assert_double_gt(histogram_quantile(h, 0.999), 980000);
    ck_assert_uint_eq(h->samples, 10000);
    ck_assert_uint_eq(h->least, 100);
    ck_assert_uint_eq(h->most, 1000000);
    free(h);
}
END_TEST

START_TEST(the_extremes_fit)
{
    struct histogram *h = fresh();
    histogram_add(h, 0);
    histogram_add(h, UINT64_MAX);
    ck_assert_double_eq(histogram_quantile(h, 0), 0);
    ck_assert_double_gt(histogram_quantile(h, 1), 1.8e19);
    free(h);
}
END_TEST

START_TEST(joined_ones_are_as_one)
{
    struct histogram *all = fresh(), *low = fresh(), *high = fresh();
    for (uint64_t v = 1; v <= 1000; v++) {
        histogram_add(all, v * 37);
        histogram_add(v <= 500 ? low : high, v * 37);
    }
    histogram_join(high, low);
    ck_assert_int_eq(memcmp(high, all, sizeof *all), 0);
    struct histogram *empty = fresh();
    histogram_join(low, empty);
    ck_assert_uint_eq(low->least, 37);
    free(all), free(low), free(high), free(empty);
}
END_TEST

START_TEST(many_are_added_at_once)
{
    struct histogram *one = fresh(), *many = fresh();
    for (int i = 0; i < 7; i++)
        histogram_add(one, 5000);
    histogram_add_many(many, 5000, 7);
    ck_assert_int_eq(memcmp(one, many, sizeof *one), 0);
    free(one), free(many);
}
END_TEST

START_TEST(nothing_has_no_quantile)
{
    struct histogram *h = fresh();
    ck_assert_double_eq(histogram_quantile(h, 0.5), 0);
    free(h);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *tests = tcase_create("histogram");
    tcase_add_test(tests, small_values_are_exact);
    tcase_add_test(tests, large_values_are_within_a_step);
    tcase_add_test(tests, a_rare_value_is_where_it_belongs);
    tcase_add_test(tests, the_extremes_fit);
    tcase_add_test(tests, nothing_has_no_quantile);
    tcase_add_test(tests, joined_ones_are_as_one);
    tcase_add_test(tests, many_are_added_at_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
