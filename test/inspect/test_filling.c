/* SPDX-License-Identifier: MIT */
/*
 * What is filled into instructions before the kernel has them, which is caught on its way there; and what is taken from the
 * ring of a program, of which a file in memory is laid out as the kernel does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/image.h"
#include "bpf/messages.h"
#include "bpf/programs.h"
#include "frame.h"
#include "sys/sys.h"

/* ---- Instructions ------------------------------------------------------------------------------------------------------- */

#define MOST 16
#define LOAD(width) (BPF_LDX | BPF_MEM | (width))
#define CALL (BPF_JMP | BPF_CALL)

static struct bpf_insn caught[MOST];
static unsigned caught_count;

int __wrap_sys_bpf(int command, union bpf_attr *attributes);

/* In place of the kernel: whatever it is asked for is a descriptor. */
int __wrap_sys_bpf(int command, union bpf_attr *attributes)
{
    if (command == BPF_PROG_LOAD) {
        caught_count = attributes->insn_cnt;
        MUST(caught_count <= MOST, "%u instructions", caught_count);
        memcpy(caught, (const void *)(uintptr_t)attributes->insns, caught_count * sizeof *caught);
    }
    return sys_open("/dev/null", O_RDONLY, 0);
}

/* Members that no kernel has otherwise. */
static const struct image_type types[] = {
    { IMAGE_STRUCT, "list_head" }, { IMAGE_STRUCT, "inode" }, { IMAGE_STRUCT, "task_struct" }, { IMAGE_FUNCTION, "vfs_read" },
};
enum { NEXT, PREVIOUS, MODE, PID, NOWHERE };
static const struct image_place places[] = {
    { 0, IMAGE_POINTER, "next" }, { 0, IMAGE_POINTER, "prev" }, { 1, IMAGE_NUMBER, "i_mode" }, { 2, IMAGE_NUMBER, "pid" },
    { 2, IMAGE_NUMBER, "nothing_like_it" },
};

/* An instruction as it was compiled, what goes into it, and what the kernel has to get; -1: whatever the offset is. */
static const struct filled {
    unsigned char code, becomes;
    struct image_fixup fixup;
    int imm, off;
} rows[] = {
    { LOAD(BPF_W), LOAD(BPF_DW), { 0, IMAGE_OFFSET, PREVIOUS }, 0, 8 },
    { LOAD(BPF_B), LOAD(BPF_DW), { 1, IMAGE_OFFSET, NEXT }, 0, 0 },
    { LOAD(BPF_DW), LOAD(BPF_H), { 2, IMAGE_OFFSET, MODE }, 0, -1 },
    { LOAD(BPF_W), LOAD(BPF_W), { 3, IMAGE_OFFSET, PID }, 0, -1 },
    { LOAD(BPF_DW), CALL, { 4, IMAGE_OFFSET, PID }, 0xbad2310, 0 }, /* its sign would be lost */
    { LOAD(BPF_W), CALL, { 5, IMAGE_OFFSET, NOWHERE }, 0xbad2310, 0 },
    { BPF_ALU64 | BPF_MOV, BPF_ALU64 | BPF_MOV, { 6, IMAGE_OFFSET, PREVIOUS }, 8, 0 },
    { BPF_ALU64 | BPF_MOV, BPF_ALU64 | BPF_MOV, { 7, IMAGE_SIZE, MODE }, 2, 0 },
    { BPF_ALU64 | BPF_MOV, BPF_ALU64 | BPF_MOV, { 8, IMAGE_EXISTS, PID }, 1, 0 },
    { BPF_ALU64 | BPF_MOV, BPF_ALU64 | BPF_MOV, { 9, IMAGE_EXISTS, NOWHERE }, 0, 0 },
};

#define COUNT (sizeof rows / sizeof *rows)

static void load_rows(void)
{
    static const struct image_function whole[] = { { 0, 1 } };
    static const unsigned char signatures[] = { 0 };
    struct bpf_insn code[COUNT] = { { 0 } };
    struct image_fixup fixups[COUNT];
    struct programs *programs;
    for (size_t i = 0; i < COUNT; i++) {
        code[i].code = rows[i].code;
        fixups[i] = rows[i].fixup;
    }
    const struct image_program program = { "filled", IMAGE_TRACEPOINT, 3, (const uint64_t *)(const void *)code, COUNT,
                                           IMAGE_TABLE(whole), fixups, COUNT };
    const struct bpf_image image = { "filling", "GPL", "Linux 5.8", &program, 1, NULL, 0, IMAGE_TABLE(types),
                                     IMAGE_TABLE(places), IMAGE_TABLE(signatures) };
    OK(programs_load(&image, NULL, &programs));
    programs_unload(programs);
}

static void test_filled(int unused)
{
    (void)unused;
    load_rows();
    GIVES(caught_count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        MUST(caught[i].code == rows[i].becomes, "instruction %zu is 0x%x and not 0x%x", i, caught[i].code, rows[i].becomes);
        MUST(caught[i].imm == rows[i].imm, "instruction %zu has the number %d", i, caught[i].imm);
        MUST(rows[i].off < 0 || caught[i].off == rows[i].off, "instruction %zu has the offset %d", i, caught[i].off);
    }
}

/* ---- The ring ----------------------------------------------------------------------------------------------------------- */

#define SIZE 4096ul /* a page at least */

static struct {
    int fd;
    size_t page, size;
    unsigned long *taken, *given;
    char *ring; /* twice in a row; a message is written where it begins, over the end if it has to be */
    struct messages *messages;
} ring;

static void ring_open(void)
{
    ring.page = (size_t)sysconf(_SC_PAGESIZE);
    ring.size = ring.page > SIZE ? ring.page : SIZE;
    const size_t whole = 2 * ring.page + 2 * ring.size;
    ring.fd = memfd_create("ring", MFD_CLOEXEC);
    MUST(ring.fd >= 0 && ftruncate(ring.fd, (off_t)whole) == 0, "memfd_create: %s", strerror(errno));
    char *data = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, 0);
    MUST(data != MAP_FAILED, "mmap: %s", strerror(errno));
    ring.taken = (void *)data;
    ring.given = (void *)(data + ring.page);
    ring.ring = data + 2 * ring.page;
    OK(messages_open(ring.fd, ring.size, &ring.messages));
}

static void ring_close(void)
{
    messages_close(ring.messages);
    munmap(ring.taken, 2 * ring.page + 2 * ring.size);
    close(ring.fd);
}

static void put(const char *text, uint32_t flags)
{
    const uint32_t word = (uint32_t)strlen(text) | flags;
    char *at = ring.ring + *ring.given % ring.size;
    memcpy(at, &word, sizeof word);
    memcpy(at + BPF_RINGBUF_HDR_SZ, text, strlen(text));
    *ring.given += (strlen(text) + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
}

static char heard[200];

/* Ends it after "stop". */
static int hear(void *context, const void *data, size_t size)
{
    (void)context;
    size_t used = strlen(heard);
    snprintf(heard + used, sizeof heard - used, "%.*s;", (int)size, (const char *)data);
    return size == 4 && !memcmp(data, "stop", 4) ? 7 : 0;
}

static void takes(const char *expected, int result, unsigned long left)
{
    *heard = '\0';
    GIVES(messages_take(ring.messages, hear, NULL), result);
    MUST(!strcmp(heard, expected), "it takes \"%s\" and not \"%s\"", heard, expected);
    MUST(*ring.given - *ring.taken == left, "%lu bytes are left and not %lu", *ring.given - *ring.taken, left);
}

/* What is being written, and all behind it, waits; what was given up is passed over. */
static void test_busy(int unused)
{
    (void)unused;
    ring_open();
    takes("", 0, 0);
    put("one", 0);
    put("given up", BPF_RINGBUF_DISCARD_BIT);
    put("12345678", 0);
    const unsigned long busy = *ring.given;
    put("being written", BPF_RINGBUF_BUSY_BIT);
    put("last", 0);
    takes("one;12345678;", 0, 24 + 16);
    takes("", 0, 24 + 16);
    *(uint32_t *)(void *)(ring.ring + busy) = (uint32_t)strlen("being written");
    takes("being written;last;", 0, 0);
    ring_close();
}

static void test_stopped(int unused)
{
    (void)unused;
    ring_open();
    put("stop", 0);
    put("more", 0);
    takes("stop;", 7, 16);
    takes("more;", 0, 0);
    ring_close();
}

/* One that lies over the end, in the third round. */
static void test_wrapped(int unused)
{
    (void)unused;
    ring_open();
    *ring.taken = *ring.given = 3 * ring.size - 16;
    put("over the end of the ring", 0);
    put("behind", 0);
    takes("over the end of the ring;behind;", 0, 0);
    ring_close();
}

int main(int argc, char **argv)
{
    frame_begin("inspect_filling", argc, argv);
    if (access("/sys/kernel/btf/vmlinux", R_OK) == 0)
        frame_run("instructions are filled in", test_filled, 0, 20);
    else
        frame_skip("instructions are filled in", "this kernel does not describe itself");
    frame_run("messages that are not finished", test_busy, 0, 20);
    frame_run("a reader that stops", test_stopped, 0, 20);
    frame_run("a message over the end", test_wrapped, 0, 20);
    return frame_end();
}
