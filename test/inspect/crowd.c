/* SPDX-License-Identifier: MIT */
/*
 * crowd PROCESSES DESCRIPTORS: that many processes, with so many descriptors each, for who measures a look at them.
 * They are of the usual kinds, some of them a family's, and threads wait in the usual calls; nobody is stuck.  Says
 * "ready", and how many pipes it has, once all of them are there, and ends with its standard input.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAMILY 10        /* processes that inherit the same pipes, sockets and memory */
#define FAMILY_PIPES 2
#define FAMILY_PAIRS 1
#define PIPES 4          /* of one process */
#define PAIRS 3
#define EVENTFDS 4
#define LIBRARIES 60     /* mappings of a file that nobody writes to */
#define LEAST 34         /* descriptors, before files of the disk */
#define PAGE 4096
#define DAY 86400

static int must(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        _exit(1);
    }
    return result;
}

/* ---- What a process has ----------------------------------------------------------------------------------- */

struct member {
    int stay;            /* ends with the crowd */
    int pipes[PIPES][2], pairs[PAIRS][2], eventfds[EVENTFDS], set;
    uint32_t *shared;    /* a word in memory that its family has */
    atomic_uint way;     /* in which its next thread waits */
};

static void add_pairs(int (*pairs)[2], int count)
{
    for (int i = 0; i < count; i++)
        must(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), "socketpair");
}

static void add_pipes(int (*pipes)[2], int count)
{
    for (int i = 0; i < count; i++)
        must(pipe(pipes[i]), "pipe");
}

/* Both ends of a connection, which leaves nothing behind when it is closed. */
static void add_connection(void)
{
    const struct linger none = { .l_onoff = 1 };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    int client = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(bind(listener, (const struct sockaddr *)&address, size), "bind");
    must(listen(listener, 1), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
    must(connect(client, (const struct sockaddr *)&address, size), "connect");
    int server = must(accept(listener, NULL, NULL), "accept");
    must(setsockopt(client, SOL_SOCKET, SO_LINGER, &none, sizeof none), "setsockopt");
    must(setsockopt(server, SOL_SOCKET, SO_LINGER, &none, sizeof none), "setsockopt");
    close(listener);
}

static void watch(int set, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    must(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static void add_sets(struct member *member)
{
    int nested = must(epoll_create1(0), "epoll_create1");
    member->set = must(epoll_create1(0), "epoll_create1");
    for (int i = 0; i < EVENTFDS; i++)
        watch(nested, member->eventfds[i]);
    for (int i = 0; i < PIPES; i++)
        watch(member->set, member->pipes[i][0]);
    for (int i = 0; i < PAIRS; i++)
        watch(member->set, member->pairs[i][0]);
    watch(member->set, member->stay);
    watch(member->set, nested);
}

static void *map(int fd, int protection, int flags)
{
    void *at = mmap(NULL, PAGE, protection, flags, fd, 0);
    must(at == MAP_FAILED ? -1 : 0, "mmap");
    return at;
}

static int add_memory(uint32_t **ret)
{
    int fd = must(memfd_create("crowd", 0), "memfd_create");
    must(ftruncate(fd, PAGE), "ftruncate");
    *ret = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    return fd;
}

/* Files that are open, and parts of one that are mapped, as those of libraries are. */
static void add_files(int count)
{
    static const char *const names[] = { "/proc/self/exe", "/etc/passwd", "/", "/etc/group", "/dev/null", "/usr" };
    int program = must(open("/proc/self/exe", O_RDONLY), "open");
    for (int i = 0; i < LIBRARIES; i++)
        map(program, i % 2 ? PROT_READ : PROT_READ | PROT_EXEC, MAP_PRIVATE);
    close(program);
    for (int i = 0; i < count; i++)
        must(open(names[i % (int)(sizeof names / sizeof *names)], O_RDONLY), "open");
}

static void have(struct member *member, int files)
{
    uint32_t *own;
    add_pipes(member->pipes, PIPES);
    add_pairs(member->pairs, PAIRS);
    for (int i = 0; i < EVENTFDS; i++)
        member->eventfds[i] = must(eventfd(0, 0), "eventfd");
    add_connection();
    add_sets(member);
    add_memory(&own);
    add_files(files);
}

/* ---- What its threads wait in ----------------------------------------------------------------------------- */

static void wait_for_word(const uint32_t *word, int flags)
{
    syscall(SYS_futex, word, FUTEX_WAIT | flags, *word, NULL);
}

/* One of the ways after the other, from one thread to the next. */
static void *wait_aside(void *argument)
{
    struct member *member = argument;
    struct epoll_event event;
    uint64_t word = 0;
    switch (member->way++ % 7) {
    case 0: return (void *)read(member->pipes[0][0], &word, sizeof word);
    case 1: return wait_for_word((uint32_t *)&word, FUTEX_PRIVATE_FLAG), NULL;
    case 2: return (void *)recv(member->pairs[0][0], &word, sizeof word, 0);
    case 3: return wait_for_word(member->shared, 0), NULL;
    case 4: return (void *)(intptr_t)epoll_wait(member->set, &event, 1, -1);
    case 5: return (void *)read(member->eventfds[0], &word, sizeof word);
    default: return (void *)(intptr_t)sleep(DAY);
    }
}

static void start(struct member *member, int threads)
{
    pthread_t thread;
    for (int i = 0; i < threads; i++)
        must(-pthread_create(&thread, NULL, wait_aside, member), "pthread_create");
}

/* Until the crowd ends. */
static void stay(const struct member *member, int number)
{
    struct pollfd items[1 + PIPES] = { { .fd = member->stay, .events = POLLIN } };
    struct epoll_event event;
    fd_set set;
    char byte;
    for (int i = 0; i < PIPES; i++)
        items[1 + i] = (struct pollfd){ .fd = member->pipes[i][0], .events = POLLIN };
    FD_ZERO(&set);
    FD_SET(member->stay, &set);
    switch (number % 4) {
    case 0: must(poll(items, 1 + PIPES, -1), "poll"); break;
    case 1: must(epoll_wait(member->set, &event, 1, -1), "epoll_wait"); break;
    case 2: must(select(member->stay + 1, &set, NULL, NULL, NULL), "select"); break;
    default: must((int)read(member->stay, &byte, 1), "read");
    }
}

/* ---- All of them ------------------------------------------------------------------------------------------ */

struct crowd {
    int stay[2], descriptors;
    int pipes[FAMILY_PIPES][2], pairs[FAMILY_PAIRS][2], memory;
    uint32_t *shared;
};

static void begin_family(struct crowd *crowd)
{
    add_pipes(crowd->pipes, FAMILY_PIPES);
    add_pairs(crowd->pairs, FAMILY_PAIRS);
    crowd->memory = add_memory(&crowd->shared);
}

static void end_family(struct crowd *crowd)
{
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < FAMILY_PIPES; j++)
            close(crowd->pipes[j][i]);
        for (int j = 0; j < FAMILY_PAIRS; j++)
            close(crowd->pairs[j][i]);
    }
    close(crowd->memory);
    munmap(crowd->shared, PAGE);
}

static void be_member(const struct crowd *crowd, int told, int number)
{
    struct member member = { .stay = crowd->stay[0], .shared = crowd->shared, .way = (unsigned)number };
    int nothing = must(open("/dev/null", O_RDWR), "open");
    close(crowd->stay[1]);
    have(&member, crowd->descriptors - LEAST);
    start(&member, number % 10 == 0 ? 4 : number % 2);
    for (int fd = 0; fd <= 2; fd++)
        must(dup2(nothing, fd), "dup2");
    close(nothing);
    must((int)write(told, "", 1), "write");
    close(told);
    stay(&member, number);
    _exit(0);
}

static void add_member(const struct crowd *crowd, int number)
{
    int told[2];
    char byte;
    must(pipe(told), "pipe");
    if (must(fork(), "fork") == 0) {
        close(told[0]);
        be_member(crowd, told[1], number);
    }
    close(told[1]);
    must(read(told[0], &byte, 1) == 1 ? 0 : -1, "a process of the crowd");
    close(told[0]);
}

int main(int argc, char **argv)
{
    int processes = argc > 2 ? atoi(argv[1]) : 0;
    struct crowd crowd = { .descriptors = argc > 2 ? atoi(argv[2]) : 0 };
    char byte;
    if (processes < 1 || crowd.descriptors < LEAST) {
        fprintf(stderr, "crowd PROCESSES DESCRIPTORS: at least 1, with %d each\n", LEAST);
        return 2;
    }
    must(pipe(crowd.stay), "pipe");
    for (int i = 0; i < processes; i++) {
        if (i % FAMILY == 0)
            begin_family(&crowd);
        add_member(&crowd, i);
        if (i % FAMILY == FAMILY - 1 || i == processes - 1)
            end_family(&crowd);
    }
    printf("ready %d\n", processes * PIPES + (processes + FAMILY - 1) / FAMILY * FAMILY_PIPES);
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    close(crowd.stay[1]);
    while (wait(NULL) > 0)
        ;
    return 0;
}
