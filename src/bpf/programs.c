/* SPDX-License-Identifier: MIT */
#include "bpf/programs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/detail.h"
#include "bpf/library.h"

#define LINKS_MOST 16

struct programs {
    const struct bpf_image *image;
    struct bpf_object *object;
    struct bpf_link *link[LINKS_MOST];
    size_t links;
};

/* What libbpf would tell standard error; the reason reaches the caller as an error. */
static int say_nothing(int level, const char *format, va_list values)
{
    (void)level, (void)format, (void)values;
    return 0;
}

/* What prints is the whole process's, which may use libbpf itself. */
static pthread_mutex_t quiet = PTHREAD_MUTEX_INITIALIZER;

static libbpf_print begin_quiet(void)
{
    pthread_mutex_lock(&quiet);
    return libbpf.libbpf_set_print(say_nothing);
}

static void end_quiet(libbpf_print print)
{
    libbpf.libbpf_set_print(print);
    pthread_mutex_unlock(&quiet);
}

static int refused(const struct programs *programs, int error, const char *what)
{
    const char *name = programs->image->name;
    if (error == -EPERM) /* EACCES is what the verifier says to a program */
        return fail(-EPERM, "%s the kernel's programs \"%s\": needs CAP_BPF and CAP_PERFMON (root has them)", what, name);
    if (error == -ENOMEM)
        return fail(-ENOMEM, "%s the kernel's programs \"%s\": out of memory", what, name);
    return fail(-EOPNOTSUPP, "%s the kernel's programs \"%s\": this kernel cannot (Linux 5.11 with BTF is new enough; error %d)",
                what, name, -error);
}

static bool is_among(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(*names, name))
            return true;
    return false;
}

static void choose(struct bpf_object *object, const char *const *wanted)
{
    struct bpf_program *program = NULL;
    while (wanted && (program = libbpf.bpf_object__next_program(object, program)))
        libbpf.bpf_program__set_autoload(program, is_among(libbpf.bpf_program__name(program), wanted));
}

static int load(struct programs *programs, const char *const *wanted)
{
    programs->object = libbpf.bpf_object__open_mem(programs->image->data, programs->image->size, NULL);
    if (!programs->object)
        return refused(programs, -errno, "opening");
    choose(programs->object, wanted);
    int r = libbpf.bpf_object__load(programs->object);
    return r < 0 ? refused(programs, r, "loading") : 0;
}

int programs_load(const struct bpf_image *image, const char *const *wanted, struct programs **ret)
{
    int r = libbpf_find();
    if (r < 0)
        return r;
    struct programs *programs = calloc(1, sizeof *programs);
    if (!programs)
        return fail(-ENOMEM, "loading the kernel's programs \"%s\": out of memory", image->name);
    programs->image = image;
    libbpf_print print = begin_quiet();
    r = load(programs, wanted);
    end_quiet(print);
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
    while (programs->links)
        libbpf.bpf_link__destroy(programs->link[--programs->links]);
    if (programs->object)
        libbpf.bpf_object__close(programs->object);
    free(programs);
}

static int attach(struct programs *programs, const char *name, bool is_iterator, struct bpf_link **ret)
{
    struct bpf_program *program = libbpf.bpf_object__find_program_by_name(programs->object, name);
    if (!program || programs->links == LINKS_MOST)
        return fail(-EINVAL, "the kernel's programs \"%s\": no \"%s\", or too many", programs->image->name, name);
    libbpf_print print = begin_quiet();
    *ret = is_iterator ? libbpf.bpf_program__attach_iter(program, NULL) : libbpf.bpf_program__attach(program);
    int error = -errno;
    end_quiet(print);
    return *ret ? 0 : refused(programs, error, "attaching");
}

int programs_attach(struct programs *programs, const char *program)
{
    struct bpf_link *link;
    int r = attach(programs, program, false, &link);
    if (r == 0)
        programs->link[programs->links++] = link;
    return r;
}

int programs_iterate(struct programs *programs, const char *program)
{
    struct bpf_link *link;
    int r = attach(programs, program, true, &link);
    if (r < 0)
        return r;
    int fd = libbpf.bpf_iter_create(libbpf.bpf_link__fd(link));
    libbpf.bpf_link__destroy(link);
    return fd < 0 ? refused(programs, fd, "running") : fd;
}

int programs_map(struct programs *programs, const char *map)
{
    return libbpf.bpf_object__find_map_fd_by_name(programs->object, map);
}
