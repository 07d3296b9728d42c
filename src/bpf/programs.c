/* SPDX-License-Identifier: MIT */
/*
 * Loading is this: the kernel's description of itself is looked through for what the programs depend on; maps are made;
 * and each program's instructions, with those places and maps filled in, are handed to the verifier.
 *
 * An instruction that needs a place that is not there becomes a call of nothing, which the verifier refuses if it could be
 * reached: programs ask whether a place is there before they go there.
 */
#include "bpf/programs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/detail.h"
#include "bpf/ask.h"
#include "bpf/attributes.h"
#include "bpf/image.h"
#include "bpf/map.h"
#include "bpf/types.h"
#include "sys/sys.h"

#define DESCRIPTION "/sys/kernel/btf/vmlinux"
#define LOCKDOWN "/sys/kernel/security/lockdown"
#define MOST 24              /* programs, maps, links */
#define LOG_SIZE (1u << 22)  /* before Linux 6.4 it has to hold all that the verifier says */
#define NOTHING 0xbad2310    /* a function that no kernel has */
#define KERNEL_LACKS 524     /* the kernel's own ENOTSUPP, which no header gives */

struct programs {
    const struct bpf_image *image;
    int map[MOST], program[MOST], link[MOST]; /* descriptors, or -1; the first two by their numbers in the image */
    size_t links;
};

/* What is needed while programs are loaded. */
struct loading {
    struct programs *programs;
    struct types *types;
    struct types_place *place; /* by their numbers in the image */
    bool *is_there;
    int signatures;            /* descriptor */
};

/* ---- Words ------------------------------------------------------------------------------------------------ */

static bool is_locked_down(void)
{
    char words[80] = "";
    int fd = sys_open(LOCKDOWN, O_RDONLY, 0);
    ssize_t size = fd < 0 ? 0 : sys_read(fd, words, sizeof words - 1);
    sys_close(fd);
    return size > 0 && strstr(words, "[confidentiality]");
}

/* What does not pass becomes -EPERM or -EOPNOTSUPP, and is not asked for again; NULL: what the kernel said to the programs. */
static const struct reason { int error, becomes; const char *words; } reasons[] = {
    { -EPERM, -EPERM, "needs CAP_BPF and CAP_PERFMON (root has them), and a sandbox that allows bpf(2)" },
    { -ENOMEM, -ENOMEM, "out of memory" },
    { -ENOBUFS, -ENOBUFS, "beyond the limit of locked memory (ulimit -l), which counts before Linux 5.11" },
    { -EMFILE, -EMFILE, "too many descriptors are open in this process" },
    { -ENFILE, -ENFILE, "too many files are open on this machine" },
    { -EINTR, -EINTR, "interrupted by a signal" },
    { -EAGAIN, -EAGAIN, "interrupted by signals again and again" },
    { -ENOSYS, -EOPNOTSUPP, "this kernel is built without bpf(2)" },
    { -EINVAL, -EOPNOTSUPP, NULL }, { -EACCES, -EOPNOTSUPP, NULL }, { -E2BIG, -EOPNOTSUPP, NULL },
    { -ENOENT, -EOPNOTSUPP, NULL }, { -EOPNOTSUPP, -EOPNOTSUPP, NULL }, { -KERNEL_LACKS, -EOPNOTSUPP, NULL },
};

static int cannot(const struct bpf_image *image, int error, const char *what, const char *said)
{
    if (is_locked_down())
        return fail(-EOPNOTSUPP, "%s the kernel's programs \"%s\": this kernel is locked down (confidentiality)", what,
                    image->name);
    return fail(-EOPNOTSUPP, "%s the kernel's programs \"%s\": this kernel cannot (%s is new enough; error %d)%s%s", what,
                image->name, image->since, -error, *said ? ": " : "", said);
}

/* NULL: none that is known. */
static const struct reason *reason_of(int error)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].error == error)
            return &reasons[i];
    return NULL;
}

/* Whether the verifier has more to say. */
static bool is_of_code(int error)
{
    const struct reason *reason = reason_of(error);
    return reason && !reason->words;
}

static int refused(const struct bpf_image *image, int error, const char *what, const char *said)
{
    const struct reason *reason = reason_of(error);
    if (!reason)
        return fail_call(error, "%s the kernel's programs \"%s\"", what, image->name);
    if (!reason->words)
        return cannot(image, error, what, said);
    return fail(reason->becomes, "%s the kernel's programs \"%s\": %s", what, image->name, reason->words);
}

static int not_described(const struct bpf_image *image, int error)
{
    if (error == -EOPNOTSUPP)
        return fail(error, "loading the kernel's programs \"%s\": this kernel describes itself (%s) in a way newer than this "
                           "tong", image->name, DESCRIPTION);
    if (error != -ENOENT && error != -EBADMSG && error != -EACCES)
        return refused(image, error, "loading", "");
    return fail(-EOPNOTSUPP, "loading the kernel's programs \"%s\": this kernel does not describe itself in %s (%s, built with "
                             "CONFIG_DEBUG_INFO_BTF): %s", image->name, DESCRIPTION, image->since, strerror(-error));
}

/* The last that the verifier said, before how much work it was. */
static const char *last_words(char *log)
{
    char *end = strstr(log, "\nprocessed ");
    size_t size = end ? (size_t)(end - log) : strlen(log);
    while (size && log[size - 1] == '\n')
        size--;
    log[size] = '\0';
    char *line = strrchr(log, '\n');
    return line ? line + 1 : log;
}

/* ---- Maps ------------------------------------------------------------------------------------------------- */

/* What never changes, the verifier may rely on. */
static int fill_map(int map, const void *content)
{
    union bpf_attr freeze = no_attributes();
    freeze.map_fd = (uint32_t)map;
    int r = map_put(map, &(uint32_t){ 0 }, content);
    return r < 0 ? r : sys_bpf(BPF_MAP_FREEZE, &freeze);
}

static int make_map(const struct image_map *map)
{
    union bpf_attr make = no_attributes();
    make.map_type = map->sort;
    make.key_size = map->key_size;
    make.value_size = map->value_size;
    make.max_entries = map->entries;
    make.map_flags = map->flags;
    snprintf(make.map_name, sizeof make.map_name, "%s", map->name);
    return ask_kernel(BPF_MAP_CREATE, &make);
}

static int make_maps(struct programs *programs)
{
    for (size_t i = 0; i < programs->image->map_count; i++) {
        const struct image_map *map = &programs->image->maps[i];
        int r = programs->map[i] = make_map(map);
        if (r >= 0 && map->content)
            r = fill_map(programs->map[i], map->content);
        if (r < 0)
            return refused(programs->image, r, "making the maps of", "");
    }
    return 0;
}

/* ---- Instructions ----------------------------------------------------------------------------------------- */

/* A load has to be as wide as what it loads; false: it cannot be. */
static bool widen(struct bpf_insn *instruction, const struct types_place *place)
{
    static const struct { unsigned char bytes, width; } widths[] = {
        { 1, BPF_B }, { 2, BPF_H }, { 4, BPF_W }, { 8, BPF_DW },
    };
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        bool is_same = BPF_SIZE(instruction->code) == widths[i].width;
        if (place->size != widths[i].bytes || (place->is_signed && !is_same))
            continue;
        instruction->code = (uint8_t)((instruction->code & ~BPF_SIZE(0xff)) | widths[i].width);
        return true;
    }
    return false;
}

static bool fill_place(struct bpf_insn *instruction, const struct types_place *place, uint64_t value)
{
    if (BPF_CLASS(instruction->code) != BPF_LDX) {
        instruction->imm = (int32_t)value;
        return value <= INT32_MAX;
    }
    instruction->off = (int16_t)value;
    return value <= INT16_MAX && widen(instruction, place);
}

static void fill_in(const struct loading *loading, const struct image_fixup *fixup, struct bpf_insn *code)
{
    struct bpf_insn *instruction = &code[fixup->at];
    if (fixup->what == IMAGE_MAP) {
        instruction->imm = loading->programs->map[fixup->number];
        return;
    }
    const struct types_place *place = &loading->place[fixup->number];
    bool is_there = loading->is_there[fixup->number];
    if (fixup->what == IMAGE_EXISTS)
        instruction->imm = is_there;
    else if (!is_there || !fill_place(instruction, place, fixup->what == IMAGE_SIZE ? place->size : place->offset))
        *instruction = (struct bpf_insn){ .code = BPF_JMP | BPF_CALL, .imm = NOTHING };
}

/* ---- Programs --------------------------------------------------------------------------------------------- */

/* Once more, to be told why; should it succeed now, that is as well. */
static int ask_why(const struct bpf_image *image, union bpf_attr *load, const char *name, int error)
{
    char *log = is_of_code(error) ? calloc(1, LOG_SIZE) : NULL;
    char said[400] = "";
    if (log) {
        load->log_level = 1;
        load->log_size = LOG_SIZE;
        load->log_buf = (uintptr_t)log;
        int r = ask_kernel(BPF_PROG_LOAD, load);
        snprintf(said, sizeof said, "%s: %s", name, last_words(log));
        free(log);
        if (r >= 0)
            return r;
    }
    return refused(image, error, "loading", said);
}

static union bpf_attr describe(const struct loading *loading, const struct image_program *program,
                               const struct bpf_insn *code)
{
    union bpf_attr load = no_attributes();
    load.prog_type = BPF_PROG_TYPE_TRACING;
    load.expected_attach_type = program->sort == IMAGE_ITERATOR ? BPF_TRACE_ITER : BPF_TRACE_RAW_TP;
    load.attach_btf_id = types_number(loading->types, program->hook);
    load.insns = (uintptr_t)code;
    load.insn_cnt = (uint32_t)program->code_count;
    load.license = (uintptr_t)loading->programs->image->license;
    load.prog_btf_fd = (uint32_t)loading->signatures;
    load.func_info = (uintptr_t)program->functions;
    load.func_info_cnt = (uint32_t)program->function_count;
    load.func_info_rec_size = sizeof *program->functions;
    snprintf(load.prog_name, sizeof load.prog_name, "%s", program->name);
    return load;
}

static int load_code(const struct loading *loading, const struct image_program *program, const struct bpf_insn *code)
{
    const struct bpf_image *image = loading->programs->image;
    union bpf_attr load = describe(loading, program, code);
    char said[80];
    snprintf(said, sizeof said, "it has no \"%s\"", image->types[program->hook].name);
    if (!load.attach_btf_id)
        return refused(image, -ENOENT, "loading", said);
    int r = ask_kernel(BPF_PROG_LOAD, &load);
    return r < 0 ? ask_why(image, &load, program->name, r) : r;
}

static int load_program(const struct loading *loading, const struct image_program *program)
{
    size_t size = program->code_count * sizeof(struct bpf_insn);
    struct bpf_insn *code = malloc(size);
    if (!code)
        return refused(loading->programs->image, -ENOMEM, "loading", "");
    memcpy(code, program->code, size);
    for (size_t i = 0; i < program->fixup_count; i++)
        fill_in(loading, &program->fixups[i], code);
    int r = load_code(loading, program, code);
    free(code);
    return r;
}

/* ---- All of it -------------------------------------------------------------------------------------------- */

static bool is_among(const char *name, const char *const *names)
{
    for (; names && *names; names++)
        if (!strcmp(*names, name))
            return true;
    return !names;
}

static int find_places(struct loading *loading)
{
    const struct bpf_image *image = loading->programs->image;
    int r = types_open(DESCRIPTION, image->types, image->type_count, &loading->types);
    if (r < 0)
        return not_described(image, r);
    loading->place = calloc(image->place_count, sizeof *loading->place);
    loading->is_there = calloc(image->place_count, sizeof *loading->is_there);
    if (!loading->place || !loading->is_there)
        return refused(image, -ENOMEM, "loading", "");
    for (size_t i = 0; i < image->place_count; i++)
        loading->is_there[i] = types_find(loading->types, &image->places[i], &loading->place[i]);
    return 0;
}

static int load_signatures(struct loading *loading)
{
    const struct bpf_image *image = loading->programs->image;
    union bpf_attr load = no_attributes();
    load.btf = (uintptr_t)image->signatures;
    load.btf_size = (uint32_t)image->signatures_size;
    int r = sys_bpf(BPF_BTF_LOAD, &load);
    loading->signatures = r < 0 ? -1 : r;
    return r < 0 ? refused(image, r, "loading", "") : 0;
}

static int load(struct programs *programs, const char *const *wanted)
{
    const struct bpf_image *image = programs->image;
    struct loading loading = { .programs = programs, .signatures = -1 };
    int r = find_places(&loading);
    if (r == 0)
        r = load_signatures(&loading);
    if (r == 0)
        r = make_maps(programs);
    for (size_t i = 0; i < image->program_count && r >= 0; i++)
        if (is_among(image->programs[i].name, wanted))
            r = programs->program[i] = load_program(&loading, &image->programs[i]);
    sys_close(loading.signatures);
    types_close(loading.types);
    free(loading.place);
    free(loading.is_there);
    return r < 0 ? r : 0;
}

int programs_load(const struct bpf_image *image, const char *const *wanted, struct programs **ret)
{
    const uint16_t probe = 1;
    if (sizeof(void *) != 8) /* structures of the kernel, and of what its programs tell, are laid out so */
        return fail(-EOPNOTSUPP, "the kernel's programs \"%s\" are for 64-bit builds", image->name);
    if (!*(const unsigned char *)&probe)
        return fail(-EOPNOTSUPP, "the kernel's programs \"%s\" are for little-endian processors", image->name);
    if (image->program_count > MOST || image->map_count > MOST)
        return fail(-EINVAL, "the kernel's programs \"%s\": too many", image->name);
    struct programs *programs = malloc(sizeof *programs);
    if (!programs)
        return refused(image, -ENOMEM, "loading", "");
    *programs = (struct programs){ .image = image };
    for (size_t i = 0; i < MOST; i++)
        programs->map[i] = programs->program[i] = programs->link[i] = -1;
    int r = load(programs, wanted);
    if (r < 0) {
        programs_unload(programs);
        return r;
    }
    *ret = programs;
    return 0;
}

void programs_unload(struct programs *programs)
{
    if (!programs)
        return;
    for (size_t i = 0; i < MOST; i++) {
        sys_close(programs->link[i]);
        sys_close(programs->program[i]);
        sys_close(programs->map[i]);
    }
    free(programs);
}

/* ---- Using them ------------------------------------------------------------------------------------------- */

/* The descriptor of a loaded program. */
static int find(const struct programs *programs, const char *name)
{
    for (size_t i = 0; i < programs->image->program_count; i++)
        if (programs->program[i] >= 0 && !strcmp(programs->image->programs[i].name, name))
            return programs->program[i];
    return fail(-EINVAL, "the kernel's programs \"%s\": no \"%s\" is loaded", programs->image->name, name);
}

int programs_attach(struct programs *programs, const char *name)
{
    int program = find(programs, name);
    if (program < 0)
        return program;
    if (programs->links == MOST)
        return fail(-EINVAL, "the kernel's programs \"%s\": too many are attached", programs->image->name);
    union bpf_attr attach = no_attributes();
    attach.raw_tracepoint.prog_fd = (uint32_t)program;
    int r = sys_bpf(BPF_RAW_TRACEPOINT_OPEN, &attach);
    if (r < 0)
        return refused(programs->image, r, "attaching", name);
    programs->link[programs->links++] = r;
    return 0;
}

int programs_iterate(struct programs *programs, const char *name)
{
    int program = find(programs, name);
    if (program < 0)
        return program;
    union bpf_attr attach = no_attributes(), make = attach;
    attach.link_create.prog_fd = (uint32_t)program;
    attach.link_create.attach_type = BPF_TRACE_ITER;
    int link = sys_bpf(BPF_LINK_CREATE, &attach);
    if (link < 0)
        return refused(programs->image, link, "attaching", name);
    make.iter_create.link_fd = (uint32_t)link;
    int r = sys_bpf(BPF_ITER_CREATE, &make);
    sys_close(link);
    return r < 0 ? refused(programs->image, r, "running", name) : r;
}

int programs_map(const struct programs *programs, const char *name)
{
    for (size_t i = 0; i < programs->image->map_count; i++)
        if (!strcmp(programs->image->maps[i].name, name))
            return programs->map[i];
    return fail(-EINVAL, "the kernel's programs \"%s\": no map \"%s\"", programs->image->name, name);
}

int programs_messages(const struct programs *programs, const char *name, struct messages **ret)
{
    for (size_t i = 0; i < programs->image->map_count; i++)
        if (!strcmp(programs->image->maps[i].name, name))
            return messages_open(programs->map[i], programs->image->maps[i].entries, ret);
    return -EINVAL;
}
