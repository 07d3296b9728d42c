/* SPDX-License-Identifier: MIT */
/* shm: through the public interface: transfer between processes, zero copy, names, foreign objects, failing calls. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/layout.h"
#include "shm_fixture.h"
#include "sys/sys.h"

/* ---- Transfer -------------------------------------------------------------------------------------------- */

#define TRANSFER (UINT64_C(64) << 20)

static void fill(unsigned char *data, size_t size, uint64_t *state)
{
    for (size_t i = 0; i < size; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        data[i] = (unsigned char)(*state >> 56);
    }
}

static size_t size_at(uint64_t number)
{
    static const size_t sizes[] = { 0, 1, 7, 8, 64, 4095, 4096, 4097, 65536, 1 << 20 };
    return sizes[number % (sizeof sizes / sizeof *sizes)];
}

static void transfer_out(void)
{
    tong_channel *channel;
    unsigned char *data = malloc(1 << 20);
    uint64_t state = 1, sent = 0;
    if (tong_channel_open(address, TONG_SEND, 0, &channel) < 0)
        _exit(1);
    for (uint64_t n = 0; sent < TRANSFER; sent += size_at(n++)) {
        tong_message message = TONG_MESSAGE_INIT;
        message.type = (int64_t)n;
        fill(data, size_at(n), &state);
        if (tong_channel_send(channel, data, size_at(n), &message, LONG) < 0)
            _exit(2);
    }
    free(data);
    _exit(tong_channel_close(channel) < 0 ? 3 : 0);
}

START_TEST(two_processes_move_64_mib)
{
    tong_channel *channel = open_with("", TONG_RECEIVE);
    unsigned char *data = malloc(1 << 20), *expected = malloc(1 << 20);
    uint64_t state = 1, number = 0, received = 0;
    ssize_t size;
    if (in_child())
        transfer_out();
    close(said[0]), close(said[1]);
    tong_message message = TONG_MESSAGE_INIT;
    while ((size = tong_channel_receive(channel, data, 1 << 20, &message, LONG)) >= 0) {
        ck_assert_int_eq(size, (ssize_t)size_at(number));
        ck_assert_int_eq(message.type, (int64_t)number++);
        fill(expected, (size_t)size, &state);
        ck_assert_int_eq(memcmp(data, expected, (size_t)size), 0);
        received += (uint64_t)size;
    }
    ck_assert_int_eq(size, -ENODATA);
    ck_assert_uint_ge(received, TRANSFER);
    reap(0);
    free(data), free(expected);
    tong_channel_close(channel);
}
END_TEST

START_TEST(filled_before_and_drained_after)
{
    tong_channel *channel = open_with("?capacity=64K", TONG_SEND);
    char block[1000] = "";
    int sent = 0, r, received = 0;
    while ((r = tong_channel_send(channel, block, sizeof block, NULL, 0)) == 0)
        sent++;
    ck_assert_int_eq(r, -EAGAIN);
    ck_assert_int_eq(tong_channel_send(channel, block, sizeof block, NULL, 2 * MILLISECOND), -ETIMEDOUT);
    ck_assert_int_eq(tong_channel_send(channel, block, 65536, NULL, 0), -EMSGSIZE);
    ck_assert_int_eq(tong_channel_close(channel), 0);
    channel = open_with("", TONG_RECEIVE);
    while (tong_channel_receive(channel, block, sizeof block, NULL, 0) == (ssize_t)sizeof block)
        received++;
    ck_assert_int_eq(received, sent);
    ck_assert_int_eq(try_receive(channel, 0), -ENODATA);
    tong_channel_close(channel);
}
END_TEST

/* What full=drop gives up is told where it is missing, with whatever comes through next. */
START_TEST(losses_are_told_where_they_are)
{
    static char block[1000];
    tong_channel *out = open_with("?capacity=4K&full=drop", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    tong_message message = TONG_MESSAGE_INIT;
    /* Four fit, also behind the mark. */
    for (int turn = 0; turn < 50; turn++) {
        for (int i = 0; i < 10; i++)
            ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, 0), 0);
        for (int i = 0; i < 4; i++) {
            ck_assert_int_eq(tong_channel_receive(in, block, sizeof block, &message, 0), sizeof block);
            ck_assert_uint_eq(message.lost, i == 0 && turn > 0 ? 6 : 0);
            ck_assert_uint_eq(message.flags, message.lost ? TONG_MESSAGE_LOST_BEFORE : 0);
        }
        ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    }
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

START_TEST(too_small_a_buffer_keeps_the_message)
{
    tong_channel *out = open_with("", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    tong_message message = TONG_MESSAGE_INIT;
    char buffer[4];
    send_text(out, "hello");
    ck_assert_int_eq(tong_channel_receive(in, buffer, sizeof buffer, &message, 0), -EMSGSIZE);
    ck_assert_uint_eq(message.length, 5);
    expect_text(in, "hello");
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

START_TEST(tokens)
{
    tong_channel *out = open_with("?capacity=4K", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    for (int turn = 0; turn < 200; turn++) {
        tong_token first = TONG_TOKEN_INIT, second = TONG_TOKEN_INIT;
        ck_assert_int_eq(tong_channel_reserve(out, 1000, 0, &first), 0);
        ck_assert_int_eq(tong_channel_reserve(out, 300, 0, &second), 0);
        for (unsigned i = 0; i < first.parts; i++)
            memset(first.span[i].data, 'a', first.span[i].size);
        for (unsigned i = 0; i < second.parts; i++)
            memset(second.span[i].data, 'b', second.span[i].size);
        ck_assert_int_eq(tong_channel_commit(out, &second, 301, NULL), -EINVAL);
        ck_assert_int_eq(tong_channel_commit(out, &second, 300, NULL), 0);
        ck_assert_int_eq(tong_channel_commit(out, &second, 300, NULL), -EINVAL);
        ck_assert_int_eq(tong_channel_finish(out, 0), -EBUSY);
        ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
        if (turn & 1)
            ck_assert_int_eq(tong_channel_abort(out, &first), 0);
        else
            ck_assert_int_eq(tong_channel_commit(out, &first, 777, NULL), 0);
        tong_token a = TONG_TOKEN_INIT, b = TONG_TOKEN_INIT;
        if (!(turn & 1))
            ck_assert_int_eq(tong_channel_peek(in, 0, NULL, &a), 777);
        ck_assert_int_eq(tong_channel_peek(in, 0, NULL, &b), 300);
        ck_assert_int_eq(*(char *)b.span[b.parts - 1].data, 'b');
        ck_assert_int_eq(tong_channel_release(in, &b), 0);
        ck_assert_int_eq(tong_channel_release(in, &b), -EINVAL);
        if (!(turn & 1))
            ck_assert_int_eq(tong_channel_release(in, &a), 0);
    }
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

/* ---- Names ----------------------------------------------------------------------------------------------- */

START_TEST(places_are_taken_once)
{
    tong_channel *out[LAYOUT_PLACES], *in = open_with("?capacity=4K", TONG_RECEIVE);
    char pid[32];
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EBUSY);
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    ck_assert_ptr_nonnull(strstr(tong_detail(), pid));
    for (int i = 0; i < LAYOUT_PLACES; i++)
        out[i] = open_with("", TONG_SEND);
    ck_assert_int_eq(refused("", TONG_SEND), -EBUSY);
    tong_channel_close(out[7]);
    out[7] = open_with("", TONG_SEND);
    for (int i = 0; i < LAYOUT_PLACES; i++)
        tong_channel_close(out[i]);
    tong_channel_close(in);
}
END_TEST

START_TEST(creation)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    ck_assert_int_eq(refused("?create=no", TONG_SEND), -ENOENT);
    tong_channel *out = open_with("?create=excl&capacity=5000", TONG_SEND);
    ck_assert_int_eq(tong_channel_describe(out, &info), 0);
    ck_assert(info.flags & TONG_INFO_CREATED);
    ck_assert_uint_eq(info.capacity, 8192);
    ck_assert_int_eq(refused("?create=excl", TONG_RECEIVE), -EEXIST);
    tong_channel *in = open_with("?create=no", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_describe(in, &info), 0);
    ck_assert(!(info.flags & TONG_INFO_CREATED));
    ck_assert_int_eq(count("/dev/shm", name), 4);
    char path[96];
    struct stat status;
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(count("/dev/shm", name), 0);
    send_text(out, "those who have it keep it");
    expect_text(in, "those who have it keep it");
    ck_assert_int_eq(tong_remove(address), -ENOENT);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

START_TEST(removal)
{
    tong_channel *out = open_with("?remove=owner", TONG_SEND), *in = open_with("?remove=owner", TONG_RECEIVE);
    tong_channel_close(in);
    ck_assert_int_eq(count("/dev/shm", name), 4);
    tong_channel_close(out);
    ck_assert_int_eq(count("/dev/shm", name), 0);
    out = open_with("?remove=last", TONG_SEND), in = open_with("?remove=last", TONG_RECEIVE);
    tong_channel_close(out);
    ck_assert_int_eq(count("/dev/shm", name), 4);
    tong_channel_close(in);
    ck_assert_int_eq(count("/dev/shm", name), 0);
}
END_TEST

START_TEST(bad_names)
{
    static const char *const bad[] = { "shm:", "shm:a/b", "shm:.hidden", "shm:..", "shm:a%0ab", "shm:a?capacity=1",
                                       "shm:a?capacity=2G", "shm:a?receivers=17", "shm:a?mode=0777", "shm:a,b" };
    tong_channel *channel;
    char text[300];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(tong_channel_open(bad[i], TONG_SEND, 0, &channel), -EINVAL);
    snprintf(text, sizeof text, "shm:%0201d", 0);
    ck_assert_int_eq(tong_channel_open(text, TONG_SEND, 0, &channel), -ENAMETOOLONG);
    ck_assert_int_eq(refused("", TONG_BOTH), -EOPNOTSUPP);
}
END_TEST

/* Puts `size` bytes under the name. */
static void plant(const void *data, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

START_TEST(foreign_objects)
{
    char path[96];
    struct layout_header header;
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    plant("", 0);
    ck_assert_int_eq(refused("", TONG_SEND), -EEXIST);
    char notes[300];
    memset(notes, 'n', sizeof notes);
    plant(notes, sizeof notes);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EEXIST);
    ck_assert_int_eq(tong_remove(address), -EEXIST);
    layout_prepare(&header, LAYOUT_KIND_SENDERS, &(struct layout_shape){ 1, 1 << 20, LAYOUT_ONE, 1, 0 });
    plant(&header, sizeof header);
    ck_assert_int_eq(refused("", TONG_SEND), -EPROTO);
    header.version++;
    plant(&header, sizeof header);
    ck_assert_int_eq(refused("", TONG_SEND), -EPROTO);
    ck_assert_int_eq(tong_remove(address), -EPROTO);
    unlink(path);
    ck_assert_int_eq(symlink("/etc/hostname", path), 0);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EEXIST);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EEXIST);
    ck_assert_int_eq(refused("", TONG_SEND), -EEXIST);
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(refused("", TONG_SEND), -EEXIST);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EEXIST);
    rmdir(path);
}
END_TEST

/* A peer that writes what cannot be into a live channel. */
START_TEST(a_hostile_peer_is_an_error)
{
    char path[96], text[8] = "";
    tong_channel *out = open_with("?capacity=4K", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    int fd = open(path, O_RDWR);
    struct layout_control *control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    _Atomic uint64_t *lane = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, LAYOUT_LANES_AT);
    ck_assert(control != MAP_FAILED && (void *)lane != MAP_FAILED);
    close(fd);
    atomic_store(lane, record_word(4096, RECORD_MESSAGE, 1));
    ck_assert_int_eq(tong_channel_receive(in, text, sizeof text, NULL, LONG), -EBADMSG);
    ck_assert_int_eq(tong_channel_receive(in, text, sizeof text, NULL, LONG), -EBADMSG);
    tong_channel_close(in);
    tong_channel_close(out);
    atomic_store(lane + 1, record_word(4096, RECORD_MESSAGE, 1));
    ck_assert_int_eq(refused("", TONG_SEND), -EPROTO);
    atomic_store(&control->places[0].tail, 1 << 20);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EPROTO);
    munmap(control, sizeof *control);
    munmap(lane, 4096);
}
END_TEST

/* A lane in which there is nothing but marks, without an end: nobody follows them. */
START_TEST(marks_without_end_are_an_error)
{
    char path[96], text[8] = "";
    tong_channel *out = open_with("?capacity=4K", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    int fd = open(path, O_RDWR);
    _Atomic uint64_t *lane = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, LAYOUT_LANES_AT);
    ck_assert((void *)lane != MAP_FAILED);
    close(fd);
    for (unsigned i = 4096 / sizeof *lane; i-- > 0; )
        atomic_store(lane + i, record_word(1, RECORD_LOST, 0));
    ck_assert_int_eq(tong_channel_receive(in, text, sizeof text, NULL, LONG), -EBADMSG);
    tong_channel_close(in);
    tong_channel_close(out);
    munmap(lane, 4096);
}
END_TEST

/* Behind a good message, where the fast way of one of several receivers looks, into a buffer that would take it. */
START_TEST(what_is_longer_than_its_lane_is_an_error)
{
    static char text[16384];
    for (int batched = 0; batched < 2; batched++) {
        char path[96];
        tong_channel *out = open_with("?capacity=4K&receivers=2", TONG_SEND), *in = open_with("", TONG_RECEIVE);
        tong_batch batch = { .size = sizeof batch, .data = text, .capacity = sizeof text };
        snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
        int fd = open(path, O_RDWR);
        _Atomic uint64_t *lane = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, LAYOUT_LANES_AT);
        ck_assert((void *)lane != MAP_FAILED);
        close(fd);
        send_text(out, "a");
        expect_text(in, "a");
        atomic_store(lane + 2, record_word(12288, RECORD_MESSAGE, 1));
        ssize_t r = batched ? tong_channel_receive_batch(in, &batch, 1, LONG)
                            : tong_channel_receive(in, text, sizeof text, NULL, LONG);
        ck_assert_int_eq(r, -EBADMSG);
        tong_channel_close(in);
        tong_channel_close(out);
        munmap(lane, 4096);
        ck_assert_int_eq(tong_remove(address), 0);
    }
}
END_TEST

/* ---- Every system call fails ----------------------------------------------------------------------------- */

static int calls, failing;

static int inject(const char *call)
{
    (void)call;
    return ++calls == failing ? -EIO : 0;
}

static void one_life(void)
{
    tong_channel *out = NULL, *in = NULL;
    struct pollfd item;
    char text[8];
    sys_fault = inject;
    calls = 0;
    if (tong_channel_open(address, TONG_SEND, 0, &out) == 0 && tong_channel_open(address, TONG_RECEIVE, 0, &in) == 0 &&
        tong_channel_pollfd(in, TONG_RECEIVE, &item) == 0 && tong_channel_send(out, "x", 1, NULL, 0) == 0) {
        tong_channel_receive(in, text, sizeof text, NULL, 0);
        tong_channel_receive(in, text, sizeof text, NULL, 0);
    }
    if (!out && calls >= failing)
        ck_assert_msg(count("/dev/shm", name) == 0, "an open that fails by call %d leaves a name behind", failing);
    tong_channel_close(out);
    tong_channel_close(in);
    sys_fault = NULL;
}

START_TEST(every_system_call_fails_once)
{
    failing = 0;
    one_life();
    int total = calls;
    ck_assert_int_gt(total, 20);
    ck_assert_int_eq(tong_remove(address), 0);
    int left = count("/proc/self/fd", "");
    for (failing = 1; failing <= total; failing++) {
        one_life();
        tong_remove(address);
        ck_assert_msg(count("/dev/shm", name) == 0, "call %d leaves a name behind", failing);
        ck_assert_msg(count("/proc/self/fd", "") == left, "call %d leaves a descriptor behind", failing);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        two_processes_move_64_mib, filled_before_and_drained_after, losses_are_told_where_they_are,
        too_small_a_buffer_keeps_the_message,
        tokens, places_are_taken_once, creation, removal, bad_names, foreign_objects,
        a_hostile_peer_is_an_error, every_system_call_fails_once,
        marks_without_end_are_an_error, what_is_longer_than_its_lane_is_an_error,
    };
    return run_tests("shm", tests, sizeof tests / sizeof *tests);
}
