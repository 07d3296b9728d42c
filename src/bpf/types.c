/* SPDX-License-Identifier: MIT */
/*
 * BTF is a row of types, each with a head of twelve bytes and a tail by its kind, and the strings that it names.  It comes
 * from the kernel, but it is not trusted: whatever leads out of the file ends the search.
 */
#include "bpf/types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

#define MAGIC 0xeb9f
#define SAME_NAMED 8  /* a kernel has types of one name that differ; more are not looked at */
#define HASHED 8
#define LAYERS_MOST 32 /* typedefs of typedefs, and members without a name within such */
#define POINTER 8     /* of a 64-bit kernel: no other runs these programs */

enum kind { VOID, INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR,
            DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64, KINDS };

struct head {
    uint16_t magic;
    uint8_t version, flags;
    uint32_t size, types_at, types_size, strings_at, strings_size;
};

struct type {
    uint32_t name, about, size; /* the last: or a type */
};

struct member {
    uint32_t name, type, offset; /* bits */
};

struct array {
    uint32_t element, index, count;
};

struct types {
    char *data;
    size_t size;
    bool is_mapped;
    const char *rows, *strings;
    uint32_t rows_size, strings_size;
    uint32_t *at; /* where each type begins */
    uint32_t count;
    const struct image_type *sought;
    size_t sought_count;
    uint32_t (*found)[SAME_NAMED]; /* numbers of the types of that name */
    uint16_t *by_name;             /* of what is sought, + 1; open addressing */
    uint32_t name_mask;
};

/* ---- Rows ------------------------------------------------------------------------------------------------- */

static enum kind kind_of(const struct type *type)
{
    return type->about >> 24 & 31;
}

static uint32_t count_of(const struct type *type)
{
    return type->about & 0xffff;
}

static const void *tail_of(const struct type *type)
{
    return type + 1;
}

/* Behind the head: of all of that kind, and for each that it counts.  -1: no such kind is known. */
static int64_t tail_size(const struct type *type)
{
    static const struct { uint8_t all, each; } tails[KINDS] = {
        [INT] = { 4, 0 },        [ARRAY] = { 12, 0 }, [STRUCT] = { 0, 12 },  [UNION] = { 0, 12 },   [ENUM] = { 0, 8 },
        [FUNC_PROTO] = { 0, 8 }, [VAR] = { 4, 0 },    [DATASEC] = { 0, 12 }, [DECL_TAG] = { 4, 0 }, [ENUM64] = { 0, 12 },
    };
    enum kind kind = kind_of(type);
    return kind == VOID || kind >= KINDS ? -1 : tails[kind].all + (int64_t)tails[kind].each * count_of(type);
}

static const char *text(const struct types *types, uint32_t offset)
{
    return offset < types->strings_size ? types->strings + offset : "";
}

static const struct type *type_at(const struct types *types, uint32_t number)
{
    return number && number < types->count ? (const void *)(types->rows + types->at[number]) : NULL;
}

/* Behind all its names and qualities; NULL: void, or nothing. */
static const struct type *plain(const struct types *types, uint32_t number)
{
    const struct type *type = type_at(types, number);
    for (int i = 0; i < LAYERS_MOST && type; i++) {
        enum kind kind = kind_of(type);
        if (kind != TYPEDEF && kind != VOLATILE && kind != CONST && kind != RESTRICT && kind != TYPE_TAG)
            return type;
        type = type_at(types, type->size);
    }
    return NULL;
}

/* ---- What is sought --------------------------------------------------------------------------------------- */

/* Of the begin of a name alone, by which nearly all others are told apart: every name of the kernel comes here. */
static uint32_t hash(const char *name)
{
    uint32_t sum = 2166136261u; /* FNV-1a */
    for (int i = 0; i < HASHED && name[i]; i++)
        sum = (sum ^ (unsigned char)name[i]) * 16777619u;
    return sum;
}

static bool is_of(enum kind kind, enum image_kind sought)
{
    static const enum image_kind kinds[KINDS] = {
        [INT] = IMAGE_NUMBER,     [PTR] = IMAGE_POINTER,  [ARRAY] = IMAGE_ARRAY, [STRUCT] = IMAGE_STRUCT,
        [UNION] = IMAGE_STRUCT,   [ENUM] = IMAGE_ENUM,    [ENUM64] = IMAGE_ENUM, [TYPEDEF] = IMAGE_NAME,
        [FUNC] = IMAGE_FUNCTION,
    };
    return kind < KINDS && kinds[kind] == sought;
}

/* Whether something of this kind can be sought. */
static bool is_named(enum kind kind)
{
    return is_of(kind, IMAGE_STRUCT) || is_of(kind, IMAGE_ENUM) || is_of(kind, IMAGE_NAME) || is_of(kind, IMAGE_FUNCTION);
}

static int index_sought(struct types *types)
{
    uint32_t places = 16;
    while (places < 2 * types->sought_count)
        places *= 2;
    types->found = calloc(types->sought_count + 1, sizeof *types->found);
    types->by_name = calloc(places, sizeof *types->by_name);
    types->name_mask = places - 1;
    if (!types->found || !types->by_name)
        return -ENOMEM;
    for (size_t i = 0; i < types->sought_count; i++) {
        uint32_t at = hash(types->sought[i].name) & types->name_mask;
        while (types->by_name[at])
            at = (at + 1) & types->name_mask;
        types->by_name[at] = (uint16_t)(i + 1);
    }
    return 0;
}

static void take_if_sought(struct types *types, const struct type *type, uint32_t number)
{
    const char *name = text(types, type->name);
    for (uint32_t at = hash(name) & types->name_mask; types->by_name[at]; at = (at + 1) & types->name_mask) {
        uint32_t *found = types->found[types->by_name[at] - 1];
        const struct image_type *sought = &types->sought[types->by_name[at] - 1];
        if (!is_of(kind_of(type), sought->kind) || strcmp(sought->name, name))
            continue;
        for (int i = 0; i < SAME_NAMED; i++)
            if (!found[i]) {
                found[i] = number;
                return;
            }
        return;
    }
}

/* ---- Reading ---------------------------------------------------------------------------------------------- */

/* As sysfs hands it out: a page at a time. */
static int copy_file(int fd, char **ret, size_t size)
{
    size_t used = 0;
    ssize_t got = 1;
    char *data = malloc(size);
    if (!data)
        return -ENOMEM;
    while (got > 0 && used < size) {
        got = sys_read(fd, data + used, size - used);
        used += got > 0 ? (size_t)got : 0;
    }
    if (got <= 0 && used < size) {
        free(data);
        return got < 0 ? (int)got : -EBADMSG;
    }
    *ret = data;
    return 0;
}

/* Linux 6.16 lets it be mapped, which saves more than the pass over it takes. */
static int read_file(struct types *types, const char *path)
{
    struct stat status;
    int error, fd = sys_open(path, O_RDONLY, 0);
    int r = fd < 0 ? fd : sys_fstat(fd, &status);
    if (r == 0 && status.st_size == 0)
        r = -EBADMSG;
    if (r == 0) {
        types->size = (size_t)status.st_size;
        types->data = sys_mmap(types->size, PROT_READ, MAP_PRIVATE, fd, 0, &error);
        types->is_mapped = types->data;
        r = types->data ? 0 : copy_file(fd, &types->data, types->size);
    }
    sys_close(fd);
    return r;
}

static bool read_head(struct types *types)
{
    struct head head;
    if (types->size < sizeof head)
        return false;
    memcpy(&head, types->data, sizeof head);
    uint64_t types_end = (uint64_t)head.size + head.types_at + head.types_size;
    uint64_t strings_end = (uint64_t)head.size + head.strings_at + head.strings_size;
    if (head.magic != MAGIC || types_end > types->size || strings_end > types->size || head.strings_size == 0 ||
        (head.size + head.types_at) % sizeof(uint32_t))
        return false;
    types->rows = types->data + head.size + head.types_at;
    types->rows_size = head.types_size;
    types->strings = types->data + head.size + head.strings_at;
    types->strings_size = head.strings_size;
    return types->strings[head.strings_size - 1] == '\0';
}

static int read_rows(struct types *types)
{
    uint32_t at = 0;
    types->at = malloc((types->rows_size / sizeof(struct type) + 1) * sizeof *types->at);
    if (!types->at)
        return -ENOMEM;
    for (types->count = 1; types->rows_size - at >= sizeof(struct type); types->count++) {
        const struct type *type = (const void *)(types->rows + at);
        int64_t tail = tail_size(type);
        if (kind_of(type) >= KINDS)
            return -EOPNOTSUPP;
        if (tail < 0 || tail > types->rows_size - at - (int64_t)sizeof *type)
            return -EBADMSG;
        types->at[types->count] = at;
        if (is_named(kind_of(type)))
            take_if_sought(types, type, types->count);
        at += (uint32_t)(sizeof *type + (size_t)tail);
    }
    return 0;
}

int types_open(const char *path, const struct image_type *sought, size_t count, struct types **ret)
{
    struct types *types = calloc(1, sizeof *types);
    if (!types)
        return -ENOMEM;
    types->sought = sought;
    types->sought_count = count;
    int r = read_file(types, path);
    if (r == 0)
        r = read_head(types) ? index_sought(types) : -EBADMSG;
    if (r == 0)
        r = read_rows(types);
    if (r < 0) {
        types_close(types);
        return r;
    }
    *ret = types;
    return 0;
}

void types_close(struct types *types)
{
    if (!types)
        return;
    if (types->is_mapped)
        sys_munmap(types->data, types->size);
    else
        free(types->data);
    free(types->at);
    free(types->found);
    free(types->by_name);
    free(types);
}

uint32_t types_number(const struct types *types, uint32_t type)
{
    return types->found[type][0];
}

/* ---- Places ----------------------------------------------------------------------------------------------- */

struct walk {
    const struct types *types;
    const struct type *type;
    uint64_t bits; /* from the begin of the first type */
};

/* The first step of a path, and what is behind it. */
static const char *next_step(const char *path, size_t *ret_size)
{
    *ret_size = strcspn(path, ".");
    return path[*ret_size] ? path + *ret_size + 1 : path + *ret_size;
}

static bool is_called(const struct types *types, uint32_t name, const char *step, size_t size)
{
    const char *called = text(types, name);
    return !strncmp(called, step, size) && !called[size];
}

static bool enter_member(struct walk *walk, const char *step, size_t size, int layers)
{
    const struct member *member = tail_of(walk->type);
    const struct walk here = *walk;
    bool has_bitfields = here.type->about >> 31;
    for (uint32_t i = 0; i < count_of(here.type); i++, member++) {
        bool is_inside = !member->name && layers < LAYERS_MOST;
        if (!is_inside && !is_called(here.types, member->name, step, size))
            continue;
        walk->bits = here.bits + (has_bitfields ? member->offset & 0xffffff : member->offset);
        walk->type = plain(here.types, member->type);
        if (!is_inside)
            return walk->type && !(has_bitfields && member->offset >> 24);
        bool has_members = walk->type && is_of(kind_of(walk->type), IMAGE_STRUCT);
        if (has_members && enter_member(walk, step, size, layers + 1))
            return true;
        *walk = here;
    }
    return false;
}

static uint64_t size_of(const struct types *types, const struct type *type)
{
    uint64_t count = 1;
    for (int i = 0; i < LAYERS_MOST && type && kind_of(type) == ARRAY; i++) {
        const struct array *array = tail_of(type);
        count *= array->count;
        type = plain(types, array->element);
    }
    return !type ? 0 : count * (kind_of(type) == PTR ? POINTER : type->size);
}

static bool enter_element(struct walk *walk, const char *step)
{
    const struct array *array = tail_of(walk->type);
    uint64_t number = strtoull(step, NULL, 10);
    if (array->count && number >= array->count)
        return false;
    walk->type = plain(walk->types, array->element);
    walk->bits += walk->type ? 8 * number * size_of(walk->types, walk->type) : 0;
    return walk->type;
}

static bool has_value(const struct walk *walk, const char *name)
{
    const char *value = tail_of(walk->type);
    size_t each = kind_of(walk->type) == ENUM ? 8 : 12;
    for (uint32_t i = 0; i < count_of(walk->type); i++, value += each) {
        uint32_t at;
        memcpy(&at, value, sizeof at);
        if (!strcmp(text(walk->types, at), name))
            return true;
    }
    return false;
}

static bool enter(struct walk *walk, const char *step, size_t size)
{
    switch (kind_of(walk->type)) {
    case STRUCT:
    case UNION:
        return enter_member(walk, step, size, 0);
    case ARRAY:
        return enter_element(walk, step);
    case ENUM:
    case ENUM64:
        return has_value(walk, step);
    default:
        return false;
    }
}

static bool follow(struct walk *walk, const struct image_place *place)
{
    size_t size;
    for (const char *step = place->path; *step;) {
        const char *behind = next_step(step, &size);
        if (!enter(walk, step, size))
            return false;
        step = behind;
    }
    return is_of(kind_of(walk->type), place->leads);
}

static bool is_same(const struct types_place *one, const struct types_place *other)
{
    return one->offset == other->offset && one->size == other->size && one->is_signed == other->is_signed;
}

/* Which of several types of one name is meant nobody knows: where they differ there is no place, as for libbpf. */
bool types_find(const struct types *types, const struct image_place *place, struct types_place *ret)
{
    struct types_place first;
    bool is_there = false;
    for (int i = 0; i < SAME_NAMED && types->found[place->type][i]; i++) {
        struct walk walk = { types, type_at(types, types->found[place->type][i]), 0 };
        if (!walk.type || !follow(&walk, place))
            continue;
        const uint32_t *encoding = tail_of(walk.type);
        const struct types_place found = { walk.bits / 8, size_of(types, walk.type),
                                           kind_of(walk.type) == INT && *encoding >> 24 & 1 };
        if (is_there && !is_same(&found, &first))
            return false;
        first = found;
        is_there = true;
    }
    if (is_there)
        *ret = first;
    return is_there;
}
