/* SPDX-License-Identifier: MIT */
/* map.h - what a map of a program holds: each 0, or a negative errno.  Source: bpf(2). */
#ifndef BPF_MAP_H
#define BPF_MAP_H

int map_get(int map, const void *key, void *ret_value);   /* -ENOENT: nothing */
int map_put(int map, const void *key, const void *value); /* -E2BIG: it is full */
int map_remove(int map, const void *key);                 /* -ENOENT */
int map_next(int map, const void *key, void *ret_next);   /* behind a key, or of NULL the first; -ENOENT: none */

#endif
