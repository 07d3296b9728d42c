/* SPDX-License-Identifier: MIT */
/*
 * region ROW [TEST...]: runs every test whose needs the row has.  region --rows: that every mechanism with regions, and
 * every one with locks, has a row.  region --heir ADDRESS: what a test becomes by exec.
 */
#include "region.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#define FILES (HAS_NAME | HAS_FILE | HAS_STAYING | HAS_SHARING)

static const struct region_row rows[] = {
    { "shm", "shm", "shm:%N", IS_REGION | FILES | HAS_HEIRS | HAS_MAKING },
    { "mmap", "mmap", "mmap:%P", IS_REGION | FILES | HAS_DISK | HAS_HEIRS | HAS_MAKING },
    { "mmap-nameless", "mmap", "mmap:", IS_REGION | HAS_HEIRS | HAS_SEAL | HAS_MAKING },
    { "memfd", "memfd", "memfd:%N", IS_REGION | HAS_HEIRS | HAS_SEAL | HAS_MAKING },
    { "fd", "fd", "fd:%F", IS_REGION | HAS_HEIRS | HAS_DISK },
    { "sysvshm", "sysvshm", "sysvshm:%K", IS_REGION | HAS_NAME | HAS_COUNT | HAS_MAKING | HAS_STAYING },
    { "lock-file", "file", "file:%P", IS_LOCK | FILES },
    { "lock-shm", "shm", "shm:%N", IS_LOCK | FILES },
    { "lock-mmap", "mmap", "mmap:%P", IS_LOCK | FILES },
    { "lock-sysvshm", "sysvshm", "sysvshm:%K", IS_LOCK | HAS_NAME | HAS_KEEPING },
    { "lock-sysvsem", "sysvsem", "sysvsem:%K", IS_LOCK | HAS_NAME | HAS_KEEPING },
};
#define ROWS ((int)(sizeof rows / sizeof *rows))

static const struct { uint32_t bit; const char *words; } facets[] = {
    { IS_REGION, "memory" },
    { HAS_NAME, "a name" },
    { HAS_FILE, "a file" },
    { HAS_DISK, "a disk" },
    { HAS_HEIRS, "a descriptor to hand on" },
    { HAS_SEAL, "a seal on its size" },
    { HAS_COUNT, "a count of who is attached" },
    { HAS_SHARING, "a descriptor that carries the lock" },
    { HAS_KEEPING, "a lock that stays with the process" },
    { HAS_MAKING, "a way to make it" },
    { HAS_STAYING, "a life after its name" },
    { IS_LOCK, "a lock without memory" },
};

/* ---- What tests use ----------------------------------------------------------------------------------------- */

static void write_name(char kind, char *ret, size_t size)
{
    if (kind == 'K')
        snprintf(ret, size, "%d", (int)frame_key());
    else if (kind == 'P')
        snprintf(ret, size, "%s/region", frame_directory());
    else if (kind == 'F')
        snprintf(ret, size, "%d", 50);
    else
        snprintf(ret, size, "%sregion", frame_mark());
}

const char *region_address(const struct region_row *row, const char *options)
{
    static char turns[2][256];
    static int turn;
    char *address = turns[turn ^= 1];
    char name[200] = "";
    const char *place = strchr(row->form, '%');
    if (place)
        write_name(place[1], name, sizeof name);
    size_t before = place ? (size_t)(place - row->form) : strlen(row->form);
    snprintf(address, 256, "%.*s%s%s%s", (int)before, row->form, name, options ? "?" : "", options ? options : "");
    return address;
}

/* What fd: takes over: some memory, as a program would have got it from another. */
static void give_descriptor(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    MUST(fd >= 0 && ftruncate(fd, REGION_BYTES) == 0 && dup2(fd, 50) == 50, "memfd: %s", strerror(errno));
    close(fd);
}

tong_region *region_make(const struct region_row *row)
{
    tong_region *region = NULL;
    if (!(row->has & HAS_MAKING))
        give_descriptor();
    OK(tong_region_open(region_address(row, row->has & HAS_MAKING ? "size=8192" : NULL), BOTH_WAYS, &region));
    return region;
}

tong_region *region_again(const struct region_row *row, tong_region *inherited)
{
    tong_region *region = inherited;
    if (row->has & HAS_NAME)
        OK(tong_region_open(region_address(row, "create=no"), BOTH_WAYS, &region));
    return region;
}

void region_end(const struct region_row *row, tong_region *region)
{
    OK(tong_region_close(region));
    if (row->has & HAS_NAME)
        OK(tong_remove(region_address(row, NULL)));
}

/* ---- Running ------------------------------------------------------------------------------------------------ */

static const struct region_row *current_row;
static const struct region_test *current_test;

static void run_current(int unused)
{
    (void)unused;
    current_test->run(current_row);
}

static void run_test(const struct region_row *row, const struct region_test *test)
{
    char name[128], reason[160] = "";
    snprintf(name, sizeof name, "%s/%s", row->name, test->name);
    for (size_t i = 0; i < sizeof facets / sizeof *facets && !*reason; i++)
        if (facets[i].bit & test->needs & ~row->has)
            snprintf(reason, sizeof reason, "it does not offer %s", facets[i].words);
    if (*reason) {
        frame_skip(name, reason);
        return;
    }
    current_row = row;
    current_test = test;
    frame_run(name, run_current, 0, test->seconds);
}

static void need_row(const tong_mechanism_info *mechanism, uint32_t offer, uint32_t kind)
{
    bool found = false;
    for (int i = 0; i < ROWS; i++)
        found |= !strcmp(rows[i].scheme, mechanism->scheme) && rows[i].has & kind;
    MUST(found == !!(mechanism->offers & offer), "%s: %s", mechanism->scheme,
         found ? "has a row in test/contract/region.c for what it does not offer" : "has no row in test/contract/region.c");
}

static void test_rows(int unused)
{
    (void)unused;
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    for (size_t i = 0; tong_mechanism_describe(i, &info) == 0; i++) {
        need_row(&info, TONG_HAS_REGION, IS_REGION);
        need_row(&info, TONG_HAS_LOCK, IS_LOCK);
    }
}

/* Turns every byte over, as it can only do with the right ones. */
static int heir_main(const char *address)
{
    tong_region *region;
    if (tong_region_open(address, BOTH_WAYS, &region) < 0 || tong_region_lock(region, TONG_SECOND) < 0) {
        fprintf(stderr, "heir of %s: %s\n", address, tong_detail());
        return 1;
    }
    unsigned char *bytes = tong_region_data(region);
    for (size_t i = 0; i < tong_region_size(region); i++)
        bytes[i] ^= 0xff;
    return tong_region_close(region) < 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    if (argc == 3 && !strcmp(argv[1], "--heir"))
        return heir_main(argv[2]);
    frame_begin("region", argc - 1, argv + 1);
    if (!strcmp(argv[1], "--rows")) {
        frame_run("region/rows", test_rows, 0, 10);
        return frame_end();
    }
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].name, argv[1])) {
            for (const struct region_test *test = region_tests; test->name && rows[i].has & IS_REGION; test++)
                run_test(&rows[i], test);
            for (const struct region_test *test = lock_tests; test->name; test++)
                run_test(&rows[i], test);
            return frame_end();
        }
    fprintf(stderr, "region: there is no row '%s'\n", argv[1]);
    return 2;
}
