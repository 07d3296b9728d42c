/* SPDX-License-Identifier: MIT */
/*
 * semaphore ROW [TEST...]: runs every test whose needs the row has.  semaphore --rows: that every mechanism with
 * semaphores has a row.
 */
#include "semaphore.h"

#include <limits.h>
#include <stdio.h>
#include <sys/sem.h>
#include <sys/stat.h>

static unsigned mode_of_name(const char *address)
{
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "/dev/shm/sem.%s", strchr(address, '/') + 1);
    MUST(stat(path, &status) == 0, "stat(%s): %s", path, strerror(errno));
    return status.st_mode & 07777;
}

static unsigned mode_of_key(const char *address)
{
    (void)address;
    struct semid_ds state;
    int id = semget(frame_key(), 0, 0);
    MUST(id >= 0 && semctl(id, 0, IPC_STAT, &state) >= 0, "semctl: %s", strerror(errno));
    return state.sem_perm.mode & 07777u;
}

static const struct semaphore_row rows[] = {
    { "sem", "sem", "sem:/%N", HAS_SILENCE | HAS_SINGLE | HAS_STAYING, INT_MAX, mode_of_name },
    { "sysvsem", "sysvsem", "sysvsem:%K", HAS_SETS | HAS_UNDO | HAS_SETTING | HAS_WAITERS | HAS_REMOVAL, 32767, mode_of_key },
};
#define ROWS ((int)(sizeof rows / sizeof *rows))

static const struct { uint32_t bit; const char *words; } facets[] = {
    { HAS_SETS, "sets of counters" },
    { HAS_UNDO, "undo" },
    { HAS_SETTING, "a way to set a counter" },
    { HAS_WAITERS, "a count of those who wait" },
    { HAS_REMOVAL, "word of a removal" },
    { HAS_SILENCE, "a way around the kernel" },
    { HAS_SINGLE, "single steps only" },
    { HAS_STAYING, "a life after its name" },
};

/* ---- What tests use ----------------------------------------------------------------------------------------- */

const char *semaphore_address(const struct semaphore_row *row, const char *options)
{
    static char address[256];
    char name[64];
    const char *place = strchr(row->form, '%');
    if (place[1] == 'K')
        snprintf(name, sizeof name, "%d", (int)frame_key());
    else
        snprintf(name, sizeof name, "%ssem", frame_mark());
    snprintf(address, sizeof address, "%.*s%s%s%s%s", (int)(place - row->form), row->form, name, place + 2,
             options ? "?" : "", options ? options : "");
    return address;
}

tong_semaphore *semaphore_open(const struct semaphore_row *row, const char *options)
{
    tong_semaphore *semaphore = NULL;
    OK(tong_semaphore_open(semaphore_address(row, options), 0, &semaphore));
    return semaphore;
}

void semaphore_end(const struct semaphore_row *row, tong_semaphore *semaphore)
{
    OK(tong_semaphore_close(semaphore));
    OK(tong_remove(semaphore_address(row, NULL)));
}

unsigned semaphore_value(tong_semaphore *semaphore, unsigned index)
{
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    OK(tong_semaphore_get(semaphore, index, &info));
    return info.value;
}

/* ---- Running ------------------------------------------------------------------------------------------------ */

static const struct semaphore_row *current_row;
static const struct semaphore_test *current_test;

static void run_current(int unused)
{
    (void)unused;
    current_test->run(current_row);
}

static void run_test(const struct semaphore_row *row, const struct semaphore_test *test)
{
    char name[128], reason[160] = "";
    snprintf(name, sizeof name, "%s/%s", row->name, test->name);
    for (size_t i = 0; i < sizeof facets / sizeof *facets && !*reason; i++)
        if (facets[i].bit & test->needs & ~row->has)
            snprintf(reason, sizeof reason, "it does not offer %s", facets[i].words);
    if (frame_watched() && test->needs & HAS_SILENCE)
        snprintf(reason, sizeof reason, "a sanitizer makes system calls of its own");
    if (*reason) {
        frame_skip(name, reason);
        return;
    }
    current_row = row;
    current_test = test;
    frame_run(name, run_current, 0, test->seconds);
}

/* Mechanisms with the noun and rows are the same. */
static void test_rows(int unused)
{
    (void)unused;
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    uint32_t seen = 0;
    for (size_t i = 0; tong_mechanism_describe(i, &info) == 0; i++) {
        if (!(info.offers & TONG_HAS_SEMAPHORE))
            continue;
        int row = 0;
        while (row < ROWS && strcmp(rows[row].scheme, info.scheme))
            row++;
        MUST(row < ROWS, "%s: has semaphores and no row in test/contract/semaphore.c", info.scheme);
        MUST(info.offers & TONG_HAS_REMOVE, "%s: semaphores have names, and names can be removed", info.scheme);
        seen |= 1u << row;
    }
    MUST(seen == (1u << ROWS) - 1, "a row's mechanism does not offer semaphores");
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    frame_begin("semaphore", argc - 1, argv + 1);
    if (!strcmp(argv[1], "--rows")) {
        frame_run("semaphore/rows", test_rows, 0, 10);
        return frame_end();
    }
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].name, argv[1])) {
            for (const struct semaphore_test *test = semaphore_tests; test->name; test++)
                run_test(&rows[i], test);
            for (const struct semaphore_test *test = semaphore_process_tests; test->name; test++)
                run_test(&rows[i], test);
            return frame_end();
        }
    fprintf(stderr, "semaphore: there is no row '%s'\n", argv[1]);
    return 2;
}
