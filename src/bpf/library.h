/* SPDX-License-Identifier: MIT */
/*
 * library.h - the calls of libbpf 1.x that are used, loaded when they are needed: who does not look at the machine with
 * BPF does not load it, and building needs neither it nor its headers.
 *
 * Source: libbpf.h of libbpf 1.0, whose names and types stay within its major version (libbpf.so.1).  Of its options
 * only NULL is given, and its structures are opaque here.
 */
#ifndef BPF_LIBRARY_H
#define BPF_LIBRARY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_object;
struct bpf_program;
struct bpf_link;
struct ring_buffer;

typedef int (*libbpf_print)(int level, const char *format, va_list values);

/* CALL(name, result, (parameters)) */
#define LIBBPF_CALLS(CALL)                                                                                        \
    CALL(libbpf_set_print, libbpf_print, (libbpf_print print))                                                    \
    CALL(bpf_object__open_mem, struct bpf_object *, (const void *image, size_t size, const void *options))        \
    CALL(bpf_object__load, int, (struct bpf_object *object))                                                      \
    CALL(bpf_object__close, void, (struct bpf_object *object))                                                    \
    CALL(bpf_object__find_program_by_name, struct bpf_program *, (const struct bpf_object *, const char *name))   \
    CALL(bpf_object__find_map_fd_by_name, int, (const struct bpf_object *, const char *name))                     \
    CALL(bpf_object__next_program, struct bpf_program *, (const struct bpf_object *, struct bpf_program *))       \
    CALL(bpf_program__name, const char *, (const struct bpf_program *))                                           \
    CALL(bpf_program__set_autoload, int, (struct bpf_program *, bool load))                                       \
    CALL(bpf_program__attach, struct bpf_link *, (const struct bpf_program *))                                    \
    CALL(bpf_program__attach_iter, struct bpf_link *, (const struct bpf_program *, const void *options))          \
    CALL(bpf_link__fd, int, (const struct bpf_link *))                                                            \
    CALL(bpf_link__destroy, int, (struct bpf_link *))                                                             \
    CALL(bpf_iter_create, int, (int link))                                                                        \
    CALL(bpf_map_update_elem, int, (int map, const void *key, const void *value, uint64_t flags))                 \
    CALL(bpf_map_lookup_elem, int, (int map, const void *key, void *ret_value))                                   \
    CALL(bpf_map_delete_elem, int, (int map, const void *key))                                                    \
    CALL(bpf_map_get_next_key, int, (int map, const void *key, void *ret_next))                                   \
    CALL(ring_buffer__new, struct ring_buffer *,                                                                  \
         (int map, int (*each)(void *context, void *data, size_t size), void *context, const void *options))      \
    CALL(ring_buffer__epoll_fd, int, (const struct ring_buffer *))                                                \
    CALL(ring_buffer__consume, int, (struct ring_buffer *))                                                       \
    CALL(ring_buffer__free, void, (struct ring_buffer *))

#define LIBBPF_MEMBER(name, result, parameters) result (*name) parameters;
extern struct libbpf { LIBBPF_CALLS(LIBBPF_MEMBER) } libbpf;

/* 0; -ENOPKG: the library is not installed, or is another major version.  Any number of threads may ask. */
int libbpf_find(void);

#endif
