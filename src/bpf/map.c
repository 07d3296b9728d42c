/* SPDX-License-Identifier: MIT */
#include "bpf/map.h"

#include <linux/bpf.h>
#include <stdint.h>

#include "sys/sys.h"

static int map_call(int command, int map, const void *key, const void *value)
{
    union bpf_attr attributes = { .map_fd = (uint32_t)map, .key = (uintptr_t)key, .value = (uintptr_t)value };
    return sys_bpf(command, &attributes);
}

int map_get(int map, const void *key, void *ret_value)
{
    return map_call(BPF_MAP_LOOKUP_ELEM, map, key, ret_value);
}

int map_put(int map, const void *key, const void *value)
{
    return map_call(BPF_MAP_UPDATE_ELEM, map, key, value);
}

int map_remove(int map, const void *key)
{
    return map_call(BPF_MAP_DELETE_ELEM, map, key, NULL);
}

int map_next(int map, const void *key, void *ret_next)
{
    return map_call(BPF_MAP_GET_NEXT_KEY, map, key, ret_next);
}
