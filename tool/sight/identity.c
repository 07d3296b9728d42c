/* SPDX-License-Identifier: MIT */
#include "sight/identity.h"

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325) /* FNV-1a */

static uint64_t hash_byte(uint64_t hash, unsigned char byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        hash = hash_byte(hash, (unsigned char)(number >> 8 * i));
    return hash;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = hash_byte(hash, (unsigned char)*text);
    return hash_byte(hash, 0);
}

uint64_t identity_of_object(const tong_object *object)
{
    return hash_text(hash_number(hash_number(HASH_BEGIN, object->kind), object->namespace_inode), object->key);
}

uint64_t identity_of_process(const tong_process *process)
{
    return hash_number(hash_number(HASH_BEGIN, (uint64_t)process->pid), process->start_time);
}

uint64_t identity_of_wait(const tong_snapshot *snapshot, const tong_wait_seen *wait)
{
    const tong_object *object = tong_snapshot_object(snapshot, wait->object);
    uint64_t process = identity_of_process(tong_snapshot_process(snapshot, wait->process));
    uint64_t hash = hash_number(process, (uint64_t)wait->thread);
    return hash_number(hash, object ? identity_of_object(object) : 0);
}

uint64_t identity_of_finding(const tong_snapshot *snapshot, const tong_finding *finding)
{
    const tong_object *object = finding->waits ? NULL : tong_snapshot_object(snapshot, finding->object);
    uint64_t waits = 0; /* in any order */
    for (uint32_t i = 0; i < finding->waits; i++) {
        uint32_t wait = tong_snapshot_stuck(snapshot, finding->first_wait + i);
        waits += identity_of_wait(snapshot, tong_snapshot_wait(snapshot, wait));
    }
    uint64_t hash = hash_number(hash_number(HASH_BEGIN, finding->kind), object ? identity_of_object(object) : 0);
    return hash_text(hash_number(hash, waits), finding->address);
}

uint64_t identity_of_name(const char *name)
{
    return hash_text(HASH_BEGIN, name);
}
