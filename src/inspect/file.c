/* SPDX-License-Identifier: MIT */
#include "inspect/file.h"

#include <stdio.h>
#include <string.h>

#define DELETED " (deleted)"
#define PATH_MOST 4200

/* The first that the path begins with.  What users call it begins behind `dropped` bytes. */
static const struct file_place {
    const char *begins;
    uint32_t kind;
    size_t dropped;
    const char *before, *scheme;
} places[] = {
    { FILE_SHM "sem.", TONG_KIND_SEM, sizeof FILE_SHM "sem." - 1, "/", "sem:/" },
    { FILE_SHM "tong.", TONG_KIND_SHM, 0, "", NULL },
    { FILE_SHM, TONG_KIND_SHM, 0, "", "shm:" },
    { "/memfd:", TONG_KIND_MEMFD, 1, "", NULL },
};

static const struct file_place *place_of(const char *path)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!strncmp(path, places[i].begins, strlen(places[i].begins)))
            return &places[i];
    return NULL;
}

uint32_t file_kind(const char *path)
{
    const struct file_place *place = place_of(path);
    return place ? place->kind : 0;
}

uint32_t file_object(struct tong_snapshot *graph, uint32_t kind, uint64_t device, uint64_t inode, bool *ret_new)
{
    char key[GRAPH_KEY];
    graph_file_key(device, inode, key);
    uint32_t number = graph_object(graph, kind, key, ret_new);
    if (number != TONG_NOBODY && *ret_new) {
        tong_object *object = graph_object_at(graph, number);
        object->device = device;
        object->inode = inode;
    }
    return number;
}

static bool cut_deleted(char *path)
{
    size_t size = strlen(path), tail = sizeof DELETED - 1;
    bool deleted = size > tail && !strcmp(path + size - tail, DELETED);
    if (deleted)
        path[size - tail] = '\0';
    return deleted;
}

static void describe_status(tong_object *object, const struct stat *status)
{
    object->uid = status->st_uid;
    object->gid = status->st_gid;
    object->mode = status->st_mode & 07777;
    object->flags |= status->st_mode & S_IWOTH ? TONG_OBJECT_WORLD_WRITABLE : 0;
    if (S_ISREG(status->st_mode) && object->kind != TONG_KIND_SEM)
        object->capacity = (uint64_t)status->st_size;
}

/* What is called so by tong: a name below /dev/shm, which has no slash. */
static const char *address_of(struct tong_snapshot *graph, const struct file_place *place, const char *path)
{
    const char *name = path + strlen(place ? place->begins : "");
    return place && place->scheme && !strchr(name, '/') ? graph_address(graph, place->scheme, name) : "";
}

void file_describe(struct tong_snapshot *graph, uint32_t number, const char *path, const struct stat *status,
                   const char *source)
{
    char shorter[PATH_MOST], called[PATH_MOST];
    snprintf(shorter, sizeof shorter, "%s", path);
    bool deleted = status && status->st_nlink > 0 ? false : cut_deleted(shorter);
    const struct file_place *place = place_of(shorter);
    snprintf(called, sizeof called, "%s%s", place ? place->before : "", shorter + (place ? place->dropped : 0));
    const char *name = graph_text(graph, called);
    tong_object *object = graph_object_at(graph, number);
    object->name = name;
    object->source = source;
    if (deleted && object->kind != TONG_KIND_MEMFD) /* which never had a name */
        object->flags |= TONG_OBJECT_DELETED;
    if (status)
        describe_status(object, status);
}

void file_describe_named(struct tong_snapshot *graph, uint32_t number, const char *path, const struct stat *status,
                         const char *source)
{
    const char *address = address_of(graph, place_of(path), path);
    file_describe(graph, number, path, status, source);
    graph_object_at(graph, number)->address = address;
}
