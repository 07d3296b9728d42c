/* SPDX-License-Identifier: MIT */
/* Regions: the same bytes for all, of the size and mode that was asked for, made whole or not at all. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "region.h"

static unsigned char *bytes_of(tong_region *region)
{
    return tong_region_data(region);
}

static bool all_are(const unsigned char *bytes, size_t size, unsigned char value)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

/* ---- The same bytes ------------------------------------------------------------------------------------------ */

static void test_shared(const struct region_row *row)
{
    tong_region *region = region_make(row);
    MUST(tong_region_size(region) == REGION_BYTES, "%zu bytes", tong_region_size(region));
    MUST(((uintptr_t)bytes_of(region) & 4095) == 0, "it does not begin on a page");
    MUST(all_are(bytes_of(region), REGION_BYTES, 0), "a new one is not all 0");
    strcpy((char *)bytes_of(region), "from the parent");
    pid_t child = frame_fork();
    if (child == 0) {
        tong_region *other = region_again(row, region);
        MUST(tong_region_size(other) == REGION_BYTES, "the child sees %zu bytes", tong_region_size(other));
        MUST(!strcmp((char *)bytes_of(other), "from the parent"), "the child sees '%s'", (char *)bytes_of(other));
        strcpy((char *)bytes_of(other) + REGION_BYTES - 16, "from the child");
        OK(tong_region_close(other));
        _exit(0);
    }
    frame_join(child);
    MUST(!strcmp((char *)bytes_of(region) + REGION_BYTES - 16, "from the child"), "what the child wrote is not there");
    region_end(row, region);
}

/* Programs that never heard of us, by the bare calls. */
static unsigned char *foreign_map(const struct region_row *row, int *ret_id)
{
    const char *name = strchr(region_address(row, NULL), ':') + 1;
    char path[256];
    if (!strcmp(row->scheme, "sysvshm")) {
        *ret_id = shmget(frame_key(), 0, 0);
        void *memory = *ret_id < 0 ? (void *)-1 : shmat(*ret_id, NULL, 0);
        return memory == (void *)-1 ? NULL : memory;
    }
    snprintf(path, sizeof path, "/%s", name);
    int fd = !strcmp(row->scheme, "shm") ? shm_open(path, O_RDWR, 0) : open(name, O_RDWR | O_CLOEXEC);
    void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

static void test_foreign(const struct region_row *row)
{
    tong_region *region = region_make(row);
    strcpy((char *)bytes_of(region) + 100, "tong");
    pid_t child = frame_fork();
    if (child == 0) {
        int id;
        unsigned char *memory = foreign_map(row, &id);
        MUST(memory, "the bare calls do not find it: %s", strerror(errno));
        MUST(!strcmp((char *)memory + 100, "tong"), "they see '%s'", (char *)memory + 100);
        strcpy((char *)memory, "strcpy");
        _exit(0);
    }
    frame_join(child);
    MUST(!strcmp((char *)bytes_of(region), "strcpy"), "strcpy by another program is not seen");
    region_end(row, region);
}

/* ---- Size, mode, making ---------------------------------------------------------------------------------------- */

static int try_open(const struct region_row *row, const char *options, uint32_t flags)
{
    tong_region *region;
    int r = tong_region_open(region_address(row, options), flags, &region);
    if (r == 0)
        OK(tong_region_close(region));
    return r;
}

static void test_sizes(const struct region_row *row)
{
    GIVES(try_open(row, NULL, BOTH_WAYS), -ENOENT);
    MUST(strstr(tong_detail(), "size="), "how to make it is not said: %s", tong_detail());
    GIVES(try_open(row, "size=0", BOTH_WAYS), -EINVAL);
    GIVES(try_open(row, "size=-1", BOTH_WAYS), -EINVAL);
    int64_t began = frame_now();
    int r = try_open(row, "size=7E18", BOTH_WAYS);
    MUST(r == -EINVAL, "7E18 gave %d", r);
    r = try_open(row, "size=1000000G", BOTH_WAYS);
    MUST(r == -ENOSPC || r == -ENOMEM || r == -EINVAL, "a petabyte gave %d: %s", r, tong_detail());
    MUST(frame_now() - began < 2 * TONG_SECOND, "and that took %lld ms", (long long)(frame_now() - began) / 1000000);
    tong_region *region = region_make(row);
    OK(try_open(row, "size=8192", BOTH_WAYS));
    OK(try_open(row, "size=100", TONG_READ));
    GIVES(try_open(row, "size=8193", BOTH_WAYS), -EOVERFLOW);
    MUST(strstr(tong_detail(), "8192"), "the size it has is not said: %s", tong_detail());
    region_end(row, region);
}

static void test_create(const struct region_row *row)
{
    GIVES(try_open(row, "size=100&create=no", BOTH_WAYS), -ENOENT);
    GIVES(try_open(row, "size=100", TONG_READ), -ENOENT);
    GIVES(try_open(row, "size=100&create=excl", TONG_READ), -EINVAL);
    tong_region *region;
    tong_region_info info = TONG_REGION_INFO_INIT;
    OK(tong_region_open(region_address(row, "size=100&create=excl"), BOTH_WAYS, &region));
    OK(tong_region_describe(region, &info));
    MUST(info.flags & TONG_INFO_CREATED, "who made it does not know");
    GIVES(try_open(row, "size=100&create=excl", BOTH_WAYS), -EEXIST);
    tong_region *other = region_again(row, NULL);
    OK(tong_region_describe(other, &info));
    MUST(!(info.flags & TONG_INFO_CREATED) && info.bytes == 100, "who did not make it says so, or %llu bytes",
         (unsigned long long)info.bytes);
    OK(tong_region_close(other));
    region_end(row, region);
}

static void check_mode(const struct region_row *row, const char *options, mode_t mask, uint32_t mode)
{
    tong_region_info info = TONG_REGION_INFO_INIT;
    tong_region *region;
    umask(mask);
    OK(tong_region_open(region_address(row, options), BOTH_WAYS, &region));
    OK(tong_region_describe(region, &info));
    MUST(info.mode == mode, "%s under umask 0%o has mode 0%o", options, (unsigned)mask, info.mode);
    MUST(info.uid == geteuid(), "it belongs to %u", info.uid);
    umask(022);
    region_end(row, region);
}

static void test_modes(const struct region_row *row)
{
    check_mode(row, "size=10", 0, 0600);
    check_mode(row, "size=10&mode=0666", 077, 0666);
    check_mode(row, "size=10&mode=0400", 0, 0400);
}

static void test_nameless_needs_size(const struct region_row *row)
{
    GIVES(try_open(row, NULL, BOTH_WAYS), -EINVAL);
    GIVES(try_open(row, "size=100", TONG_READ), -EINVAL);
    int r = try_open(row, "size=1000000G", BOTH_WAYS);
    MUST(r == -ENOSPC, "a petabyte gave %d: %s", r, tong_detail());
}

static const char *path_of(const struct region_row *row)
{
    static char path[256];
    const char *name = strchr(region_address(row, NULL), ':') + 1;
    snprintf(path, sizeof path, "%s%s", *name == '/' ? "" : "/dev/shm/", name);
    return path;
}

/* Another program has made it and not yet given it a size. */
static void test_empty(const struct region_row *row)
{
    int fd = open(path_of(row), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0, "open(%s): %s", path_of(row), strerror(errno));
    close(fd);
    tong_region *region;
    OK(tong_region_open(region_address(row, NULL), TONG_READ, &region));
    MUST(tong_region_size(region) == 0 && !tong_region_data(region), "an empty one has %zu bytes", tong_region_size(region));
    OK(tong_region_close(region));
    GIVES(try_open(row, "size=8192&create=no", BOTH_WAYS), -EOVERFLOW);
    region_end(row, region_make(row));
}

static void test_in_the_way(const struct region_row *row)
{
    char target[300];
    snprintf(target, sizeof target, "%s/target", frame_directory());
    MUST(symlink(target, path_of(row)) == 0, "symlink: %s", strerror(errno));
    GIVES(try_open(row, "size=100", BOTH_WAYS), -ELOOP);
    MUST(access(target, F_OK) < 0, "the link was followed");
    GIVES(tong_remove(region_address(row, NULL)), -EEXIST);
    unlink(path_of(row));
    MUST(mkfifo(path_of(row), 0600) == 0, "mkfifo: %s", strerror(errno));
    GIVES(try_open(row, NULL, TONG_READ), -EEXIST);
    GIVES(tong_remove(region_address(row, NULL)), -EEXIST);
    unlink(path_of(row));
}

/* ---- Reading only ---------------------------------------------------------------------------------------------- */

static void test_read_only(const struct region_row *row)
{
    tong_region *writer = region_make(row), *reader;
    bytes_of(writer)[5] = 'x';
    if (row->has & HAS_NAME) {
        OK(tong_region_open(region_address(row, NULL), TONG_READ, &reader));
    } else {
        char address[32];
        snprintf(address, sizeof address, "fd:%d", fcntl(tong_region_descriptor(writer), F_DUPFD_CLOEXEC, 60));
        OK(tong_region_open(address, TONG_READ, &reader));
    }
    MUST(bytes_of(reader)[5] == 'x', "a reader sees %u", bytes_of(reader)[5]);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile unsigned char *)&bytes_of(reader)[5] = 'y';
        _exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child, "waitpid: %s", strerror(errno));
    MUST(frame_watched() ? status != 0 : WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
         "a write through a reader's mapping ended in %d", status);
    OK(tong_region_lock(reader, 0));
    GIVES(tong_region_lock(writer, 0), -EAGAIN);
    OK(tong_region_close(reader));
    region_end(row, writer);
}

/* The kernel answers a file beyond RLIMIT_FSIZE with a signal that kills. */
static void test_file_size_limit(const struct region_row *row)
{
    if (row->has & HAS_COUNT) /* no file */
        return;
    pid_t child = frame_fork();
    if (child == 0) {
        MUST(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4096, 4096 }) == 0, "setrlimit: %s", strerror(errno));
        GIVES(try_open(row, "size=8192", BOTH_WAYS), -EFBIG);
        _exit(0);
    }
    frame_join(child);
}

/* ---- Lives ------------------------------------------------------------------------------------------------------ */

static void test_removed(const struct region_row *row)
{
    tong_region *region = region_make(row);
    OK(tong_remove(region_address(row, NULL)));
    GIVES(tong_remove(region_address(row, NULL)), -ENOENT);
    GIVES(try_open(row, NULL, TONG_READ), -ENOENT);
    memset(bytes_of(region), 7, REGION_BYTES);
    tong_region *next = region_make(row);
    MUST(all_are(bytes_of(next), REGION_BYTES, 0), "the next one of that name has the old one's bytes");
    OK(tong_region_close(region));
    region_end(row, next);
}

static void test_remove_owner(const struct region_row *row)
{
    tong_region *region, *other;
    OK(tong_region_open(region_address(row, "size=100&remove=owner"), BOTH_WAYS, &region));
    OK(tong_region_open(region_address(row, "size=100&remove=owner"), BOTH_WAYS, &other));
    OK(tong_region_close(other));
    pid_t child = frame_fork();
    if (child == 0) {
        OK(tong_region_close(region));
        _exit(0);
    }
    frame_join(child);
    OK(try_open(row, NULL, TONG_READ));
    OK(tong_region_close(region));
    GIVES(try_open(row, NULL, TONG_READ), -ENOENT);
}

static void test_remove_last(const struct region_row *row)
{
    tong_region *region, *other;
    OK(tong_region_open(region_address(row, "size=100&remove=last"), BOTH_WAYS, &region));
    OK(tong_region_open(region_address(row, "remove=last"), BOTH_WAYS, &other));
    OK(tong_region_close(region));
    OK(try_open(row, NULL, TONG_READ));
    OK(tong_region_close(other));
    GIVES(try_open(row, NULL, TONG_READ), -ENOENT);
}

static void test_attached(const struct region_row *row)
{
    tong_region *region = region_make(row);
    tong_region_info info = TONG_REGION_INFO_INIT;
    OK(tong_region_describe(region, &info));
    MUST(info.attached == 1, "one attachment is counted as %llu", (unsigned long long)info.attached);
    pid_t child = frame_fork();
    if (child == 0) {
        tong_region *other = region_again(row, NULL);
        OK(tong_region_describe(other, &info));
        MUST(info.attached == 3, "parent, child by fork and by name are %llu", (unsigned long long)info.attached);
        MUST(info.last.pid == getppid(), "the last before the child is process %lld", (long long)info.last.pid);
        OK(tong_region_close(other));
        _exit(0);
    }
    frame_join(child);
    OK(tong_region_describe(region, &info));
    MUST(info.last.source == TONG_IDENTITY_LAST && info.last.pid == child, "the last is process %lld", (long long)info.last.pid);
    region_end(row, region);
}

/* mincore(2) says of a file that may only be read that all of it is in memory. */
static void test_resident(const struct region_row *row)
{
    if (geteuid() != 0 || strcmp(row->scheme, "shm")) /* whose directory everybody reaches */
        return;
    tong_region *region;
    OK(tong_region_open(region_address(row, "size=8192&mode=0644"), BOTH_WAYS, &region));
    pid_t child = frame_fork();
    if (child == 0) {
        tong_region_info info = TONG_REGION_INFO_INIT;
        tong_region *other;
        MUST(seteuid(65534) == 0, "seteuid: %s", strerror(errno));
        OK(tong_region_open(region_address(row, NULL), TONG_READ, &other));
        OK(tong_region_describe(other, &info));
        MUST(info.resident == TONG_UNKNOWN, "it claims to know: %llu", (unsigned long long)info.resident);
        OK(tong_region_close(other));
        _exit(0);
    }
    frame_join(child);
    region_end(row, region);
}

static void test_describe(const struct region_row *row)
{
    tong_region *region = region_make(row);
    struct { tong_region_info info; uint64_t behind; } wide = { TONG_REGION_INFO_INIT, 77 };
    bytes_of(region)[0] = bytes_of(region)[REGION_BYTES - 1] = 1;
    OK(tong_region_describe(region, &wide.info));
    MUST(wide.info.bytes == REGION_BYTES && wide.info.page == (uint64_t)sysconf(_SC_PAGESIZE), "bytes or page are wrong");
    MUST(wide.info.resident == REGION_BYTES, "%llu bytes are resident", (unsigned long long)wide.info.resident);
    MUST(!strcmp(wide.info.scheme, row->scheme), "the scheme is %s", wide.info.scheme);
    MUST(!strncmp(wide.info.object, row->scheme, strlen(row->scheme)), "the object is %s", wide.info.object);
    MUST((wide.info.flags & BOTH_WAYS) == BOTH_WAYS && wide.behind == 77, "flags 0x%x", wide.info.flags);
    tong_region_info narrow = { .size = 16, .page = 99 };
    OK(tong_region_describe(region, &narrow));
    MUST(narrow.bytes == REGION_BYTES && narrow.page == 99, "a shorter structure was overrun");
    region_end(row, region);
}

static void test_sync(const struct region_row *row)
{
    tong_region *region = region_make(row);
    bool has = row->has & HAS_DISK;
    GIVES(tong_region_sync(region, 0, REGION_BYTES), has ? 0 : -EOPNOTSUPP);
    GIVES(tong_region_sync(region, 5000, 17), has ? 0 : -EOPNOTSUPP);
    GIVES(tong_region_sync(region, REGION_BYTES, 0), has ? 0 : -EOPNOTSUPP);
    GIVES(tong_region_sync(region, 1, REGION_BYTES), has ? -ERANGE : -EOPNOTSUPP);
    GIVES(tong_region_sync(region, SIZE_MAX, 2), has ? -ERANGE : -EOPNOTSUPP);
    region_end(row, region);
}

/* ---- Handing on -------------------------------------------------------------------------------------------------- */

static void test_heir(const struct region_row *row)
{
    tong_region *region = region_make(row);
    memset(bytes_of(region), 0x55, REGION_BYTES);
    pid_t child = frame_fork();
    if (child == 0) {
        char address[32], tiny[3];
        GIVES(tong_region_inherit(region, tiny, sizeof tiny), -ENAMETOOLONG);
        OK(tong_region_inherit(region, address, sizeof address));
        execl("/proc/self/exe", "region", "--heir", address, (char *)NULL);
        _exit(127);
    }
    frame_join(child);
    MUST(all_are(bytes_of(region), REGION_BYTES, 0xaa), "the heir has other bytes: %02x", bytes_of(region)[0]);
    region_end(row, region);
}

static void test_no_descriptor(const struct region_row *row)
{
    tong_region *region = region_make(row);
    if (row->has & HAS_HEIRS)
        MUST(fcntl((int)OK(tong_region_descriptor(region)), F_GETFD) & FD_CLOEXEC, "the descriptor is not close-on-exec");
    else
        GIVES(tong_region_descriptor(region), -EOPNOTSUPP);
    region_end(row, region);
}

/* Whoever gets the descriptor cannot pull the memory from under those who have it mapped. */
static void test_sealed(const struct region_row *row)
{
    tong_region *region = region_make(row);
    int fd = (int)OK(tong_region_descriptor(region));
    MUST(ftruncate(fd, 0) < 0 && errno == EPERM, "it can be cut short");
    MUST(ftruncate(fd, 1 << 20) < 0 && errno == EPERM, "it can be made longer");
    MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 && errno == EPERM, "others can seal it against writers");
    region_end(row, region);
}

static void test_durable(const struct region_row *row)
{
    if (row->has & HAS_MAKING) {
        tong_region *region = region_make(row);
        strcpy((char *)bytes_of(region) + 4090, "over the page");
        OK(tong_region_close(region));
        char text[32] = "";
        int fd = open(path_of(row), O_RDONLY | O_CLOEXEC);
        MUST(fd >= 0 && pread(fd, text, sizeof text - 1, 4090) > 13 && !strcmp(text, "over the page"), "the file has '%s'", text);
        close(fd);
        region = region_again(row, NULL);
        MUST(!strcmp((char *)bytes_of(region) + 4090, "over the page"), "the next to open it does not see it");
        region_end(row, region);
    }
}

/* What was refused has left nothing, and says why in one line. */
static void test_refusals(const struct region_row *row)
{
    tong_region *region;
    GIVES(tong_region_open(region_address(row, NULL), 0, &region), -EINVAL);
    GIVES(tong_region_open(region_address(row, NULL), TONG_WRITE, &region), -EINVAL);
    GIVES(tong_region_open(region_address(row, "colour=red"), TONG_READ, &region), -EINVAL);
    MUST(strstr(tong_detail(), "colour"), "the option is not named: %s", tong_detail());
    char two[300];
    snprintf(two, sizeof two, "%s,other", region_address(row, NULL));
    GIVES(tong_region_open(two, TONG_READ, &region), -EINVAL);
    OK(tong_region_close(NULL));
}

/* A channel of the same name is another object, and nothing says which of the two is meant. */
static void test_beside_a_channel(const struct region_row *row)
{
    if (strcmp(row->scheme, "shm"))
        return;
    tong_region *region = region_make(row);
    tong_channel *channel;
    OK(tong_channel_open(region_address(row, NULL), TONG_SEND, 0, &channel));
    OK(tong_channel_close(channel));
    GIVES(tong_remove(region_address(row, NULL)), -EEXIST);
    unlink(path_of(row));
    OK(tong_remove(region_address(row, NULL)));
    OK(tong_region_close(region));
}

const struct region_test region_tests[] = {
    { "shared", test_shared, 0, 10 },
    { "foreign", test_foreign, HAS_NAME, 10 },
    { "sizes", test_sizes, HAS_NAME | HAS_MAKING, 10 },
    { "nameless-size", test_nameless_needs_size, HAS_SEAL, 10 },
    { "create", test_create, HAS_NAME | HAS_MAKING, 10 },
    { "modes", test_modes, HAS_NAME | HAS_MAKING, 10 },
    { "empty", test_empty, HAS_FILE, 10 },
    { "in-the-way", test_in_the_way, HAS_FILE, 10 },
    { "read-only", test_read_only, 0, 10 },
    { "file-size-limit", test_file_size_limit, HAS_MAKING, 10 },
    { "resident", test_resident, HAS_FILE, 10 },
    { "removed", test_removed, HAS_STAYING, 10 },
    { "remove-owner", test_remove_owner, HAS_NAME, 10 },
    { "remove-last", test_remove_last, HAS_COUNT, 10 },
    { "attached", test_attached, HAS_COUNT, 10 },
    { "describe", test_describe, 0, 10 },
    { "sync", test_sync, 0, 10 },
    { "heir", test_heir, HAS_HEIRS, 10 },
    { "descriptor", test_no_descriptor, 0, 10 },
    { "sealed", test_sealed, HAS_SEAL, 10 },
    { "durable", test_durable, HAS_DISK, 10 },
    { "refusals", test_refusals, 0, 10 },
    { "beside-a-channel", test_beside_a_channel, HAS_FILE, 10 },
    { NULL, NULL, 0, 0 },
};
