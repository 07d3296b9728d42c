/* SPDX-License-Identifier: MIT */
/*
 * Loading programs into the kernel: places are found in a description of types, however it is spoiled; and when a call
 * of the kernel fails, or the verifier refuses, the reason is told, nothing is left, and a look goes on by /proc.
 */
#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/image.h"
#include "bpf/programs.h"
#include "bpf/types.h"
#include "inspect/kernel.h"
#include "look.h"
#include "sys/sys.h"

#define FILE_MOST 2048
#define LIST(...) (const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ })

/* ---- A description of types, as a kernel would give it ---------------------------------------------------------------- */

enum { INT = 1, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, CONST = 10, FUNC = 12, FUNC_PROTO, ENUM64 = 19 };
enum { SIGNED = 1, UNSIGNED, POINTER, THREE, EITHER, NAMED, INNER };

static char rows[FILE_MOST], strings[FILE_MOST];
static size_t rows_size, strings_size;

static uint32_t name(const char *text)
{
    size_t at = strings_size;
    memcpy(strings + at, text, strlen(text) + 1);
    strings_size += strlen(text) + 1;
    return (uint32_t)at;
}

static void add(const char *called, uint32_t kind, uint32_t count, uint32_t size, const uint32_t *tail, size_t tail_size)
{
    const uint32_t head[] = { *called ? name(called) : 0, kind << 24 | count, size };
    memcpy(rows + rows_size, head, sizeof head);
    rows_size += sizeof head;
    if (tail_size)
        memcpy(rows + rows_size, tail, tail_size);
    rows_size += tail_size;
}

/* struct outer { union { unsigned a; void *p; }; named in; unsigned list[3]; int end; }; and a later one of that name; twice differs */
static size_t describe(char ret[FILE_MOST])
{
    rows_size = 0;
    strings_size = 1;
    add("int", INT, 0, 4, LIST(1u << 24 | 32));
    add("unsigned int", INT, 0, 4, LIST(32));
    add("", PTR, 0, 0, NULL, 0);
    add("", ARRAY, 0, 0, LIST(UNSIGNED, UNSIGNED, 3));
    add("", UNION, 2, 8, LIST(name("a"), UNSIGNED, 0, name("p"), POINTER, 0));
    add("named", TYPEDEF, 0, INNER, NULL, 0);
    add("inner", 0x80 | STRUCT, 2, 16, LIST(name("bits"), UNSIGNED, 3u << 24, name("whole"), THREE, 32));
    add("outer", FWD, 0, 0, NULL, 0);
    add("outer", STRUCT, 4, 40, LIST(0, EITHER, 0, name("in"), NAMED, 64, name("list"), THREE, 192, name("end"), SIGNED, 288));
    add("outer", STRUCT, 1, 8, LIST(name("only"), SIGNED, 32));
    add("numbers", ENUM, 1, 4, LIST(name("ONE"), 1));
    add("numbers", ENUM64, 1, 8, LIST(name("TWO"), 2, 0));
    add("twice", STRUCT, 2, 8, LIST(name("first"), SIGNED, 0, name("second"), SIGNED, 32));
    add("twice", STRUCT, 2, 8, LIST(name("second"), SIGNED, 0, name("first"), SIGNED, 0));
    add("", FUNC_PROTO, 1, 0, LIST(name("it"), SIGNED));
    add("called", FUNC, 0, 13, NULL, 0); /* the last name is one that is read */
    const uint32_t head[] = { 1u << 16 | 0xeb9f, 24, 0, (uint32_t)rows_size, (uint32_t)rows_size, (uint32_t)strings_size };
    memcpy(ret, head, sizeof head);
    memcpy(ret + sizeof head, rows, rows_size);
    memcpy(ret + sizeof head + rows_size, strings, strings_size);
    return sizeof head + rows_size + strings_size;
}

static const struct image_type sought[] = {
    { IMAGE_STRUCT, "outer" }, { IMAGE_ENUM, "numbers" }, { IMAGE_FUNCTION, "called" }, { IMAGE_NAME, "named" },
    { IMAGE_STRUCT, "nobody" }, { IMAGE_STRUCT, "twice" },
};

static int open_described(const char *data, size_t size, struct types **ret)
{
    char path[40];
    int fd = memfd_create("types", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size, "memfd_create");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int r = types_open(path, sought, sizeof sought / sizeof *sought, ret);
    close(fd);
    return r;
}

static int refuse_mapping(const char *call)
{
    return strcmp(call, "mmap") ? 0 : -ENODEV;
}

static void test_places(int is_read)
{
    static const struct { struct image_place place; bool is_there; uint64_t offset, size; bool is_signed; } rows_wanted[] = {
        { { 0, IMAGE_STRUCT, "" }, false, 0, 0, false },          { { 0, IMAGE_NUMBER, "a" }, true, 0, 4, false },
        { { 0, IMAGE_POINTER, "p" }, true, 0, 8, false },         { { 0, IMAGE_NUMBER, "p" }, false, 0, 0, false },
        { { 0, IMAGE_ARRAY, "list" }, true, 24, 12, false },      { { 0, IMAGE_POINTER, "list" }, false, 0, 0, false },
        { { 0, IMAGE_NUMBER, "list.2" }, true, 32, 4, false },    { { 0, IMAGE_NUMBER, "list.3" }, false, 0, 0, false },
        { { 0, IMAGE_STRUCT, "in" }, true, 8, 16, false },        { { 0, IMAGE_NUMBER, "in.whole.1" }, true, 16, 4, false },
        { { 0, IMAGE_NUMBER, "in.bits" }, false, 0, 0, false },   { { 0, IMAGE_NUMBER, "end" }, true, 36, 4, true },
        { { 0, IMAGE_NUMBER, "only" }, true, 4, 4, true },        { { 0, IMAGE_NUMBER, "en" }, false, 0, 0, false },
        { { 1, IMAGE_ENUM, "ONE" }, true, 0, 4, false },          { { 1, IMAGE_ENUM, "TWO" }, true, 0, 8, false },
        { { 1, IMAGE_ENUM, "TEN" }, false, 0, 0, false },         { { 4, IMAGE_STRUCT, "" }, false, 0, 0, false },
        { { 5, IMAGE_STRUCT, "" }, true, 0, 8, false },           { { 5, IMAGE_NUMBER, "first" }, true, 0, 4, true },
        { { 5, IMAGE_NUMBER, "second" }, false, 0, 0, false },
    };
    char data[FILE_MOST];
    struct types *types;
    struct types_place place;
    sys_fault = is_read ? refuse_mapping : NULL;
    OK(open_described(data, describe(data), &types));
    for (size_t i = 0; i < sizeof rows_wanted / sizeof *rows_wanted; i++) {
        const char *path = rows_wanted[i].place.path;
        MUST(types_find(types, &rows_wanted[i].place, &place) == rows_wanted[i].is_there, "\"%s\"", path);
        MUST(!rows_wanted[i].is_there || (place.offset == rows_wanted[i].offset && place.size == rows_wanted[i].size &&
                                          place.is_signed == rows_wanted[i].is_signed),
             "\"%s\" lies at %llu, %llu bytes", path, (unsigned long long)place.offset, (unsigned long long)place.size);
    }
    MUST(types_number(types, 0) == 9 && types_number(types, 2) == 16 && types_number(types, 3) == 6 &&
         types_number(types, 4) == 0, "numbers of types");
    types_close(types);
    sys_fault = NULL;
}

/* Nothing is read that is not there, which the sanitizers see; and the search ends. */
static void find_all(const char *data, size_t size, int *opened)
{
    static const struct { uint32_t type; const char *path; } asked[] = {
        { 0, "a" }, { 0, "in.whole.1" }, { 0, "list.2" }, { 0, "end" }, { 0, "only" }, { 1, "ONE" }, { 1, "TWO" },
    };
    struct types *types;
    struct types_place place;
    int r = open_described(data, size, &types);
    MUST(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP, "a spoiled description gives %d", r);
    for (size_t i = 0; r == 0 && i < sizeof asked / sizeof *asked; i++)
        types_find(types, &(struct image_place){ asked[i].type, IMAGE_NUMBER, asked[i].path }, &place);
    if (r == 0)
        types_close(types);
    *opened += r == 0;
}

static void test_spoiled(int is_read)
{
    char data[FILE_MOST];
    const size_t size = describe(data);
    int opened = 0;
    sys_fault = is_read ? refuse_mapping : NULL;
    for (size_t i = 0; i < size; i++)
        find_all(data, i, &opened);
    MUST(opened == 0, "%d shortened descriptions are taken", opened);
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 9; bit++) {
            const char whole = data[i];
            data[i] = (char)(bit < 8 ? whole ^ 1 << bit : 0xff);
            find_all(data, size, &opened);
            data[i] = whole;
        }
    MUST(opened > 0, "none is taken");
    sys_fault = NULL;
}

/* Of a sort of types that is not known, nobody knows where it ends. */
static void test_newer(int unused)
{
    (void)unused;
    char data[FILE_MOST];
    struct types *types;
    const size_t size = describe(data);
    data[24 + 7] = 20; /* behind the head: of the first type */
    GIVES(open_described(data, size, &types), -EOPNOTSUPP);
    data[24 + 7] = 0;
    GIVES(open_described(data, size, &types), -EBADMSG);
}

/* ---- Calls that fail -------------------------------------------------------------------------------------------------- */

static unsigned calls, fails_at;
static int fails_with;
static bool goes_on; /* all behind it fail, too */

static int fail_bpf(const char *call)
{
    if (strcmp(call, "bpf"))
        return 0;
    unsigned nth = calls++;
    return nth == fails_at || (goes_on && nth > fails_at) ? fails_with : 0;
}

static int no_description(const char *call)
{
    return strcmp(call, "open") ? 0 : -ENOENT;
}

static int newer_description(const char *call)
{
    return strcmp(call, "open") ? 0 : -EOPNOTSUPP;
}

static int load_failing(const struct bpf_image *image, int (*fault)(const char *call))
{
    struct programs *programs;
    calls = 0;
    sys_fault = fault;
    int r = programs_load(image, NULL, &programs);
    sys_fault = NULL;
    if (r == 0)
        programs_unload(programs);
    return r;
}

static const struct { int error, becomes; const char *words; } errors[] = {
    { -EPERM, -EPERM, "needs CAP_BPF and CAP_PERFMON" },        { -ENOSYS, -EOPNOTSUPP, "built without bpf(2)" },
    { -ENOMEM, -ENOMEM, "out of memory" },                      { -EMFILE, -EMFILE, "too many descriptors" },
    { -EINTR, -EINTR, "by a signal" },                          { -EINVAL, -EOPNOTSUPP, "is new enough" },
    { -E2BIG, -EOPNOTSUPP, "is new enough" },                   { -EAGAIN, -EAGAIN, "again and again" },
    { -EIO, -EIO, "Input/output error" },                       { -EBUSY, -EBUSY, "busy" },
};

/* Each call in turn, and all behind it. */
static void test_failing(int is_trace)
{
    const struct bpf_image *image = is_trace ? &trace_image : &look_image;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i += is_trace ? 3 : 1) { /* a trace takes long to be verified */
        fails_with = errors[i].error;
        goes_on = true;
        int r = -1;
        for (fails_at = 0; r < 0; fails_at++) {
            r = load_failing(image, fail_bpf);
            MUST(r == 0 || r == errors[i].becomes, "call %u fails with %d: %d, %s", fails_at, fails_with, r, tong_detail());
            MUST(r == 0 || (strstr(tong_detail(), errors[i].words) && strstr(tong_detail(), image->name)),
                 "call %u fails with %d: %s", fails_at, fails_with, tong_detail());
        }
        MUST(fails_at > image->program_count, "only %u calls", fails_at);
    }
}

/* How often one call may fail of all that load the programs. */
static unsigned load_with_one_failure(int (*fault)(const char *call), int expected)
{
    unsigned loaded = 0;
    goes_on = false;
    fails_at = UINT_MAX;
    OK(load_failing(&look_image, fault));
    const unsigned all = calls;
    for (fails_at = 0; fails_at < all; fails_at++) {
        int r = load_failing(&look_image, fault);
        MUST(r == 0 || r == expected, "call %u: %d", fails_at, r);
        loaded += r == 0;
    }
    return loaded;
}

/* What the verifier refuses it is asked once more, to say why. */
static void test_refused_once(int unused)
{
    (void)unused;
    fails_with = -EINVAL;
    unsigned loaded = load_with_one_failure(fail_bpf, -EOPNOTSUPP);
    MUST(loaded == look_image.program_count, "%u of %zu programs are asked for once more", loaded, look_image.program_count);
}

/* ---- The limit of locked memory ----------------------------------------------------------------------------------------- */

#define LOW ((rlim_t)65536)

static unsigned changes;      /* of the limit */
static bool is_lifted;        /* as far as this user may, at the call behind the one that failed */
static void (*when_lifted)(void);

static int fail_by_limit(const char *call)
{
    struct rlimit now;
    changes += !strcmp(call, "setrlimit");
    if (!strcmp(call, "bpf") && calls == fails_at + 1) {
        OK(getrlimit(RLIMIT_MEMLOCK, &now));
        is_lifted = now.rlim_cur == now.rlim_max && now.rlim_max > LOW;
        if (when_lifted)
            when_lifted();
    }
    return fail_bpf(call);
}

/* As before Linux 5.11. */
static int fail_by_old_limit(const char *call)
{
    return strcmp(call, "uname") ? fail_by_limit(call) : -EFAULT;
}

/* Nobody may lift it. */
static int fail_by_fixed_limit(const char *call)
{
    return strcmp(call, "setrlimit") ? fail_by_old_limit(call) : -EPERM;
}

static void set_limit(rlim_t limit)
{
    struct rlimit now;
    OK(getrlimit(RLIMIT_MEMLOCK, &now));
    now.rlim_cur = limit;
    OK(setrlimit(RLIMIT_MEMLOCK, &now));
}

static rlim_t limit_now(void)
{
    struct rlimit now;
    OK(getrlimit(RLIMIT_MEMLOCK, &now));
    return now.rlim_cur;
}

/* Maps and programs are asked for once more without the limit; where it does not count it is left alone. */
static void test_limit(int is_old)
{
    const size_t limited = look_image.program_count + look_image.map_count;
    set_limit(LOW);
    fails_with = -EPERM;
    changes = 0;
    unsigned loaded = load_with_one_failure(is_old ? fail_by_old_limit : fail_by_limit, -EPERM);
    MUST(loaded == (is_old ? limited : 0), "%u of %zu are asked for once more", loaded, limited);
    MUST(is_old || changes == 0, "the limit is set %u times", changes);
    MUST(limit_now() == LOW, "the limit is another one");
}

/* The first map, which the limit forbids: what is done while it is lifted. */
static void load_while(void (*then)(void))
{
    set_limit(LOW);
    fails_with = -EPERM;
    fails_at = 1;
    goes_on = is_lifted = false;
    when_lifted = then;
    OK(load_failing(&look_image, fail_by_old_limit));
    MUST(is_lifted, "the limit is not lifted");
}

static void set_another(void)
{
    set_limit(2 * LOW);
}

static pthread_t forking;
static atomic_int forking_tid;

static void *fork_in_thread(void *unused)
{
    atomic_store(&forking_tid, (int)syscall(SYS_gettid));
    pid_t child = frame_fork();
    if (child == 0)
        _exit(limit_now() != LOW);
    frame_join(child);
    return unused;
}

static void fork_meanwhile(void)
{
    when_lifted = NULL;
    MUST(pthread_create(&forking, NULL, fork_in_thread, NULL) == 0, "no thread");
    while (!atomic_load(&forking_tid))
        usleep(1000);
    frame_asleep(0, atomic_load(&forking_tid));
}

static void test_lifted(int unused)
{
    (void)unused;
    load_while(NULL);
    MUST(limit_now() == LOW, "the limit stays lifted");
    load_while(set_another);
    MUST(limit_now() == 2 * LOW, "what another has set is gone");
    load_while(fork_meanwhile);
    MUST(pthread_join(forking, NULL) == 0, "the forking thread");
}

/* It passes, when others let go of memory. */
static void test_fixed_limit(int unused)
{
    (void)unused;
    fails_with = -EPERM;
    fails_at = 1;
    goes_on = false;
    GIVES(load_failing(&look_image, fail_by_fixed_limit), -ENOBUFS);
    MUST(strstr(tong_detail(), "limit of locked memory") && strstr(tong_detail(), "5.11"), "%s", tong_detail());
}

/* ---- Reasons ------------------------------------------------------------------------------------------------------------ */

static void test_words(int unused)
{
    (void)unused;
    static const uint64_t nothing[] = { UINT64_C(0x0bad231000000085), 0x95 };
    static const struct image_function whole[] = { { 0, 1 } };
    struct image_program program = look_image.programs[0];
    struct bpf_image image = look_image;
    struct image_type *types = calloc(image.type_count, sizeof *types);
    GIVES(load_failing(&look_image, no_description), -EOPNOTSUPP);
    MUST(strstr(tong_detail(), "does not describe itself"), "%s", tong_detail());
    GIVES(load_failing(&look_image, newer_description), -EOPNOTSUPP);
    MUST(strstr(tong_detail(), "newer than this tong"), "%s", tong_detail());
    program.code = nothing;
    program.code_count = 2;
    program.functions = whole;
    program.function_count = 1;
    program.fixup_count = 0;
    image.programs = &program;
    image.program_count = 1;
    GIVES(load_failing(&image, NULL), -EOPNOTSUPP);
    MUST(strstr(tong_detail(), "invalid func"), "the verifier's words are not told: %s", tong_detail());
    memcpy(types, image.types, image.type_count * sizeof *types);
    types[program.hook].name = "bpf_iter_nothing";
    image.types = types;
    GIVES(load_failing(&image, NULL), -EOPNOTSUPP);
    MUST(strstr(tong_detail(), "it has no \"bpf_iter_nothing\""), "%s", tong_detail());
    free(types);
}

/* ---- Looks ------------------------------------------------------------------------------------------------------------ */

static unsigned look_failing(void)
{
    calls = 0;
    sys_fault = fail_bpf;
    tong_snapshot *snapshot = look_for(0);
    sys_fault = NULL;
    MUST(!is_by_kernel(snapshot), "it failed, and the look is by BPF");
    tong_snapshot_free(snapshot);
    return calls;
}

/* A reason that does not pass is asked for but once; one that passes is asked for until it has. */
static void test_look(int number)
{
    const bool passes = errors[number].becomes != -EPERM && errors[number].becomes != -EOPNOTSUPP;
    fails_with = errors[number].error;
    goes_on = true;
    fails_at = 1;
    MUST(look_failing() > 0, "it was not tried");
    MUST(passes ? !*kernel_never : strstr(kernel_never, errors[number].words) != NULL, "the reason: %s", kernel_never);
    unsigned again = look_failing();
    MUST(passes ? again > 0 : again == 0, "%u calls at the second look", again);
    MUST(look_is_by_kernel() == passes, "later");
}

int main(int argc, char **argv)
{
    static const char *const names[] = {
        "looks without the rights", "looks without bpf(2)", NULL, "looks without descriptors", "interrupted looks",
        "looks where the kernel cannot", NULL, NULL, "looks where something failed", "looks where it is busy",
    };
    frame_begin("inspect_loading", argc, argv);
    frame_run("places in a description that is mapped", test_places, 0, 20);
    frame_run("places in a description that is read", test_places, 1, 20);
    frame_run("spoiled descriptions that are mapped", test_spoiled, 0, 100);
    frame_run("spoiled descriptions that are read", test_spoiled, 1, 100);
    frame_run("a newer description", test_newer, 0, 20);
    if (look_is_by_kernel()) {
        frame_run("each call for \"look\" fails", test_failing, 0, 60);
        frame_run("each call for \"trace\" fails", test_failing, 1, 120);
        frame_run("one call fails", test_refused_once, 0, 60);
        frame_run("one call is not permitted", test_limit, false, 60);
        frame_run("one call is beyond the limit of old kernels", test_limit, true, 60);
        frame_run("while that limit is lifted", test_lifted, 0, 60);
        frame_run("that limit cannot be lifted", test_fixed_limit, 0, 20);
        frame_run("reasons in words", test_words, 0, 20);
        for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
            if (names[i])
                frame_run(names[i], test_look, i, 60);
    } else
        frame_skip("failing calls", "BPF is not allowed, or this kernel cannot");
    return frame_end();
}
