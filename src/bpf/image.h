/* SPDX-License-Identifier: MIT */
/*
 * image.h - what scripts/bpf.py makes of the programs in src/bpf/kernel: their instructions, and what has to be filled in
 * when they are loaded, since it differs from kernel to kernel (CO-RE): by name, as it stands in their source.
 */
#ifndef BPF_IMAGE_H
#define BPF_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/* Sorts of types; the second line only of what is inside of one. */
enum image_kind { IMAGE_STRUCT = 1, IMAGE_ENUM, IMAGE_FUNCTION, IMAGE_NAME,
                  IMAGE_NUMBER, IMAGE_POINTER, IMAGE_ARRAY };

/* A type of the running kernel that is looked up. */
struct image_type {
    enum image_kind kind;
    const char *name;
};

/* A place in such a type: names of members and numbers of elements with '.' between; of an enum a value; "": all of it. */
struct image_place {
    uint32_t type;
    enum image_kind leads; /* to a member of this sort, or it is another one */
    const char *path;
};

/* A map: Linux gives the numbers for its sort and its flags (BPF_MAP_TYPE_..., BPF_F_...). */
struct image_map {
    const char *name;
    uint32_t sort, key_size, value_size, entries, flags;
    const void *content; /* of its only value, which never changes; or NULL */
};

/* A function of a program, for the verifier: at which instruction it begins, and which of the signatures it has. */
struct image_function {
    uint32_t at, signature;
};

/* What goes into an instruction: the descriptor of a map; or of a place where it lies, whether it is there, its size. */
struct image_fixup {
    uint32_t at;
    enum { IMAGE_MAP, IMAGE_OFFSET, IMAGE_EXISTS, IMAGE_SIZE } what;
    uint32_t number; /* of the map, of the place */
};

struct image_program {
    const char *name;
    enum { IMAGE_ITERATOR, IMAGE_TRACEPOINT } sort;
    uint32_t hook; /* the type that the kernel knows it by */
    const uint64_t *code;
    size_t code_count;
    const struct image_function *functions;
    size_t function_count;
    const struct image_fixup *fixups;
    size_t fixup_count;
};

struct bpf_image {
    const char *name, *license;
    const char *since; /* the oldest kernel that can run them, or the most of them */
    const struct image_program *programs;
    size_t program_count;
    const struct image_map *maps;
    size_t map_count;
    const struct image_type *types;
    size_t type_count;
    const struct image_place *places;
    size_t place_count;
    const unsigned char *signatures; /* of functions, as BTF */
    size_t signatures_size;
};

#define IMAGE_TABLE(table) table, sizeof(table) / sizeof *(table)
#define IMAGE_PROGRAM(name, sort, hook) \
    { #name, sort, hook, IMAGE_TABLE(name##_code), IMAGE_TABLE(name##_functions), IMAGE_TABLE(name##_fixups) }

extern const struct bpf_image look_image;
extern const struct bpf_image trace_image;

#endif
