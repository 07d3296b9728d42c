/* SPDX-License-Identifier: MIT */
/*
 * What processes send and receive, who signals whom, and who wakes whom.
 *
 * A call is looked at when it ends, where its result and still all of its arguments are known (on x86 the kernel
 * keeps them for its caller, on arm64 the first one for a restart): so one program a call is enough, nothing has to
 * be remembered between its begin and its end, and calls that sleep since before the trace began are told of
 * too.  What its descriptor leads to is looked up then: if another thread closed that descriptor meanwhile, the call
 * is not told of.
 */
#include "trace_object.h"

#define MSG_PEEK 2
#define FMODE_WRITE 2
#define SPANS_MOST 8     /* that content is read from */
#define HEADERS_MOST 1024 /* UIO_MAXIOV */
#define STREAM 1
#define PF_KTHREAD 0x200000
#define SI_USER 0
#define SI_KERNEL 0x80
#define FUTEX_COMMAND 0x7f
#define FUTEX_PRIVATE 0x80
#define FUTEX_WAKES (1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 7 | 1u << 10 | 1u << 12)

struct scratch {
    struct trace_event event;
    char content[2 * TRACE_CONTENT_MOST]; /* so that a piece fits wherever the one before ended */
};

/* The second is an interrupt's, which may come while the first is filled. */
MAP(scratches, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct scratch, 2);

/* What user space passes, on 64-bit machines. */
struct span {
    __u64 base, size;
};

struct header {
    __u64 name, name_size, spans, count, control, control_size, flags;
};

struct many {
    struct header header;
    __u32 size, unused;
};

struct ended {
    const struct trace_settings *set;
    const struct trace_call *call;
    const struct task_struct___t *self;
    __u64 argument[4];
    __u64 result;
    __u32 number, process, wanted;
};

/* ---- Arguments --------------------------------------------------------------------------------------------------- */

/* Whether it was called as 64-bit programs call. */
static __always_inline bool read_call(const struct pt_regs *regs, struct ended *ret)
{
    if (bpf_core_field_exists(struct pt_regs___x86, orig_ax)) {
        const struct pt_regs___x86 *x86 = (const void *)regs;
        ret->number = (__u32)x86->orig_ax;
        ret->argument[0] = x86->di;
        ret->argument[1] = x86->si;
        ret->argument[2] = x86->dx;
        ret->argument[3] = x86->r10;
        return x86->cs != 0x23 && ret->number >> 30 != 1; /* x32; the number is -1 where a signal's handler returns */
    }
    const struct pt_regs___arm *arm = (const void *)regs;
    ret->number = (__u32)arm->syscallno;
    ret->argument[0] = arm->orig_x0;
    ret->argument[1] = arm->regs[1];
    ret->argument[2] = arm->regs[2];
    ret->argument[3] = arm->regs[3];
    return !(arm->pstate & 0x10);
}

static __always_inline __u64 argument(const struct ended *ended, __u32 number)
{
    return number == 0 ? ended->argument[0] : number == 1 ? ended->argument[1] :
           number == 2 ? ended->argument[2] : ended->argument[3];
}

/* ---- How much ---------------------------------------------------------------------------------------------------- */

/* Not static: so it is verified once, and not for each call of it. */
__noinline __u64 sum_of(__u64 headers, __u64 count)
{
    __u64 sum = 0;
    for (__u32 i = 0; i < HEADERS_MOST && i < count; i++) {
        __u32 size = 0;
        __u64 at = headers + i * sizeof(struct many) + offsetof(struct many, size);
        bpf_probe_read_user(&size, sizeof size, (const void *)at);
        sum += size;
    }
    return sum;
}

/* An empty message is one; an empty piece of a stream is its end. */
static __always_inline bool is_message(const struct trace_object *object, const struct file___t *of)
{
    if (object->kind == KIND_MQ || object->kind == KIND_QUEUE)
        return true;
    bool socket = object->kind >= KIND_UNIX && object->kind <= KIND_NETLINK;
    return socket && of && BPF_CORE_READ(sock_of(of), sk_type) != STREAM;
}

/* ---- Counting and telling ---------------------------------------------------------------------------------------- */

struct moved {
    struct trace_object object;
    const struct file___t *file;
    __u64 bytes, messages;
    __u32 direction;
    int fd;
};

static __always_inline bool in_interrupt(void)
{
    const __u32 *depth = bpf_map_lookup_elem(&interrupts, &only);
    return depth && *depth;
}

static __always_inline struct scratch *scratch_here(void)
{
    __u32 which = in_interrupt();
    return bpf_map_lookup_elem(&scratches, &which);
}

static __always_inline void put(struct scratch *scratch, __u32 content)
{
    content = content > TRACE_CONTENT_MOST ? TRACE_CONTENT_MOST : content;
    scratch->event.content = content;
    if (bpf_ringbuf_output(&ring, scratch, sizeof scratch->event + content, 0) < 0)
        ADD_TO_LOST(events, 1);
}

static __always_inline struct scratch *new_event(__u32 what)
{
    struct scratch *scratch = scratch_here();
    if (scratch) {
        __builtin_memset(&scratch->event, 0, sizeof scratch->event);
        scratch->event.what = what;
        scratch->event.time = bpf_ktime_get_ns();
    }
    return scratch;
}

/* Says now and then that counts become many, or have no room.  What another processor has begun meanwhile is neither. */
static __always_inline void count_begun(bool begun, bool full)
{
    struct trace_lost *now = begun || full ? bpf_map_lookup_elem(&lost, &only) : NULL;
    if (!now)
        return;
    if (begun)
        __sync_fetch_and_add(&now->begun, 1);
    else
        __sync_fetch_and_add(&now->refused, 1);
    struct scratch *scratch = (now->begun + now->refused) % TRACE_BEGUN_MANY ? NULL : new_event(TRACE_CROWDED);
    if (scratch)
        put(scratch, 0);
}

/* What it is called, and who is at its other end, in place of an event's content. */
__noinline int tell_socket(__u64 at, __u32 kind, __u64 inode)
{
    const struct sock *sock = (const struct sock *)at;
    struct scratch *scratch = new_event(TRACE_SOCKET);
    if (!scratch || !sock)
        return 0;
    struct trace_socket *socket = (struct trace_socket *)scratch->content;
    __builtin_memset(socket, 0, sizeof *socket);
    scratch->event.object.kind = kind;
    scratch->event.object.inode = inode;
    socket->family = BPF_CORE_READ(sock, __sk_common.skc_family);
    if (socket->family == FAMILY_UNIX) {
        const struct unix_sock *self = (const struct unix_sock *)sock;
        const struct sock *peer = BPF_CORE_READ(self, peer);
        if (!read_name(self, &socket->name))
            read_name((const struct unix_sock *)peer, &socket->name);
        socket->self = at;
        socket->other = (__u64)peer;
        if (peer)
            socket->peer = BPF_CORE_READ(peer, sk_socket, file, f_inode, i_ino);
    } else if (socket->family == FAMILY_INET) {
        bpf_core_read(socket->here, 4, &sock->__sk_common.skc_rcv_saddr);
        bpf_core_read(socket->there, 4, &sock->__sk_common.skc_daddr);
    } else {
        bpf_core_read(socket->here, 16, &sock->__sk_common.skc_v6_rcv_saddr);
        bpf_core_read(socket->there, 16, &sock->__sk_common.skc_v6_daddr);
    }
    if (socket->family != FAMILY_UNIX) {
        socket->here_port = BPF_CORE_READ(sock, __sk_common.skc_num);
        socket->there_port = __builtin_bswap16(BPF_CORE_READ(sock, __sk_common.skc_dport));
    }
    put(scratch, sizeof *socket);
    return 0;
}

static __always_inline void add_count(const struct ended *ended, const struct moved *moved)
{
    const struct trace_count_key key = { moved->object, ended->process, moved->direction, ended->set->epoch, 0 };
    struct trace_count *count = bpf_map_lookup_elem(&counts, &key);
    if (!count) {
        struct trace_count fresh = { 0 };
        name_of(ended->self, fresh.name);
        bool begun = bpf_map_update_elem(&counts, &key, &fresh, BPF_NOEXIST) == 0;
        count = bpf_map_lookup_elem(&counts, &key);
        count_begun(begun, !count);
        if (moved->file && moved->object.kind >= KIND_UNIX && moved->object.kind <= KIND_UDP)
            tell_socket((__u64)sock_of(moved->file), moved->object.kind, moved->object.inode);
    }
    if (!count) {
        ADD_TO_LOST(messages, moved->messages);
        ADD_TO_LOST(bytes, moved->bytes);
        return;
    }
    __sync_fetch_and_add(&count->calls, 1);
    __sync_fetch_and_add(&count->messages, moved->messages);
    __sync_fetch_and_add(&count->bytes, moved->bytes);
}

__noinline __u32 copy_spans(__u64 spans, __u64 count, __u32 most)
{
    struct scratch *scratch = scratch_here();
    __u32 used = 0;
    if (!scratch)
        return 0;
    for (__u32 i = 0; i < SPANS_MOST && i < count; i++) {
        struct span span;
        if (bpf_probe_read_user(&span, sizeof span, (const void *)(spans + i * sizeof span)) < 0)
            break;
        __u32 size = span.size < most ? (__u32)span.size : most;
        if (used > TRACE_CONTENT_MOST || size > TRACE_CONTENT_MOST ||
            bpf_probe_read_user(scratch->content + used, size, (const void *)span.base) < 0)
            break;
        used += size;
        if (used >= most)
            return most;
    }
    return used;
}

static __always_inline __u32 copy_bytes(struct scratch *scratch, __u64 from, __u32 size)
{
    if (size > TRACE_CONTENT_MOST || bpf_probe_read_user(scratch->content, size, (const void *)from) < 0)
        return 0;
    return size;
}

/* As much of what it moved as is asked for, of many messages of the first. */
static __always_inline __u32 copy_content(const struct ended *ended, const struct moved *moved, struct scratch *scratch)
{
    __u32 most = moved->bytes < ended->set->content ? (__u32)moved->bytes : ended->set->content;
    __u64 at = ended->argument[1];
    struct header header;
    if (most == 0)
        return 0;
    switch (ended->call->content) {
    case TRACE_BYTES:
        return copy_bytes(scratch, at, most);
    case TRACE_TYPED:
        return copy_bytes(scratch, at + sizeof(long), most);
    case TRACE_SPANS:
        return copy_spans(at, ended->argument[2], most);
    case TRACE_HEADERS:
        bpf_probe_read_user(&most, sizeof most, (const void *)(at + offsetof(struct many, size)));
        most = most < ended->set->content ? most : ended->set->content;
        /* fall through */
    case TRACE_HEADER:
        if (bpf_probe_read_user(&header, sizeof header, (const void *)at) < 0)
            return 0;
        return copy_spans(header.spans, header.count, most);
    }
    return 0;
}

static __always_inline void tell(const struct ended *ended, const struct moved *moved)
{
    struct scratch *scratch = new_event(TRACE_MESSAGE);
    if (!scratch)
        return;
    struct trace_event *event = &scratch->event;
    event->process = ended->process;
    event->thread = thread_of(ended->set, ended->self);
    event->call = ended->number;
    event->object = moved->object;
    event->bytes = moved->bytes;
    event->messages = moved->messages;
    event->direction = moved->direction;
    event->fd = moved->fd;
    name_of(ended->self, event->name);
    put(scratch, copy_content(ended, moved, scratch));
}

static __always_inline void record(const struct ended *ended, const struct moved *moved)
{
    bool asked = is_asked(ended->set, &moved->object, moved->file);
    if (!asked && (!(ended->wanted & TRACE_MESSAGES) ||
                   (moved->object.kind == KIND_FILE && !(ended->set->flags & TRACE_FILES))))
        return;
    add_count(ended, moved);
    if (ended->set->flags & TRACE_EVENTS)
        tell(ended, moved);
}

/* ---- The sorts of calls ------------------------------------------------------------------------------------------ */

static __noinline int record_descriptor(const struct ended *ended, __u32 fd, __u32 direction)
{
    if (!ended)
        return 0;
    struct file___t *file = file_of(fd);
    struct moved moved = { .file = file, .direction = direction, .fd = (int)fd };
    if (!file)
        return 0;
    fill_file(file, &moved.object);
    if (moved.object.kind == 0 || (moved.object.kind == KIND_MQ) != ended->call->own)
        return 0;
    if (direction == TRACE_BY_MODE)
        moved.direction = BPF_CORE_READ(file, f_mode) & FMODE_WRITE ? TRACE_SEND : TRACE_RECEIVE;
    if (ended->call->amount == TRACE_BY_MANY) {
        moved.bytes = sum_of(ended->argument[1], ended->result);
        moved.messages = ended->result;
    } else {
        moved.bytes = ended->call->amount == TRACE_BY_SIZE ? ended->argument[2] : ended->result;
        moved.messages = moved.bytes > 0 || is_message(&moved.object, file);
    }
    record(ended, &moved);
    return 0;
}

static __noinline int record_system_v(const struct ended *ended, __u32 kind)
{
    if (!ended)
        return 0;
    struct moved moved = { .messages = 1, .direction = ended->call->direction, .fd = -1 };
    fill_system_v(ended->self, kind, ended->argument[0], &moved.object);
    if (kind == KIND_QUEUE) {
        moved.bytes = ended->call->amount == TRACE_BY_SIZE ? ended->argument[2] : ended->result;
    } else {
        short operation[3] = { 0 };
        bpf_probe_read_user(operation, sizeof operation, (const void *)ended->argument[1]);
        moved.direction = operation[1] > 0 ? TRACE_SEND : TRACE_RECEIVE;
    }
    record(ended, &moved);
    return 0;
}

static __noinline int record_word(const struct ended *ended)
{
    if (!ended)
        return 0;
    __u32 operation = (__u32)ended->argument[1];
    bool wakes = operation & FUTEX_COMMAND && FUTEX_WAKES >> (operation & 31) & 1;
    struct moved moved = { .messages = wakes ? ended->result : 1, .fd = -1,
                           .direction = wakes ? TRACE_SEND : TRACE_RECEIVE };
    if (operation & FUTEX_PRIVATE || moved.messages == 0)
        return 0;
    find_word(ended->set, ended->argument[0], &moved.object);
    if (moved.object.kind)
        record(ended, &moved);
    return 0;
}

static __always_inline bool peeks(const struct ended *ended)
{
    return ended->call->flags != TRACE_NONE && argument(ended, ended->call->flags) & MSG_PEEK;
}

SEC("tp_btf/sys_exit")
int message(__u64 *context)
{
    struct ended ended = { .result = context[1], .set = settings_now() };
    if ((__s64)ended.result < 0 || !ended.set)
        return 0;
    bool ours = read_call((const struct pt_regs *)context[0], &ended);
    ended.call = ours ? bpf_map_lookup_elem(&calls, &ended.number) : NULL;
    if (ours && (!ended.call || !ended.call->leads))
        return 0;
    ended.self = current_task();
    ended.process = own_process(ended.set);
    ended.wanted = wanted(ended.set, ended.process);
    if ((!ended.wanted && !(ended.set->flags & TRACE_OBJECTS)) || ended.process == ended.set->self)
        return 0;
    if (!ended.call) {
        ADD_TO_LOST(foreign, 1);
        return 0;
    }
    if (peeks(&ended))
        return 0;
    if (ended.call->leads == TRACE_QUEUE)
        return record_system_v(&ended, KIND_QUEUE);
    if (ended.call->leads == TRACE_SET)
        return record_system_v(&ended, KIND_SET);
    if (ended.call->leads == TRACE_WORD)
        return record_word(&ended);
    record_descriptor(&ended, (__u32)argument(&ended, ended.call->argument), ended.call->direction);
    if (ended.call->other != TRACE_NONE)
        record_descriptor(&ended, (__u32)argument(&ended, ended.call->other), TRACE_RECEIVE);
    return 0;
}

/* ---- Who did what to whom ---------------------------------------------------------------------------------------- */

static __always_inline void add_pair(const struct trace_pair_key *key, const struct task_struct___t *from,
                                     const struct task_struct___t *to)
{
    struct trace_pair *pair = bpf_map_lookup_elem(&pairs, key);
    if (!pair) {
        struct trace_pair fresh = { 0 };
        if (key->from || !in_interrupt())
            name_of(from, fresh.from);
        name_of(to, fresh.to);
        bpf_map_update_elem(&pairs, key, &fresh, BPF_NOEXIST);
        pair = bpf_map_lookup_elem(&pairs, key);
    }
    if (pair)
        __sync_fetch_and_add(&pair->count, 1);
    else
        ADD_TO_LOST(pairs, 1);
}

/* Between them is who is in both; 0: an interrupt, which only borrows the process that it came upon. */
static __always_inline bool find_pair(const struct trace_settings *set, const struct task_struct___t *from,
                                      const struct task_struct___t *to, struct trace_pair_key *ret)
{
    ret->to = process_of(set, to);
    ret->from = in_interrupt() ? 0 : process_of(set, from);
    return ret->to && ret->to != set->self && ret->from != set->self &&
           ((wanted(set, ret->from) | wanted(set, ret->to)) & TRACE_PAIRS);
}

/* The second argument is a pointer, or 0 for "from a process", or 1 for "from the kernel"; the verifier takes it for a
 * pointer always, and must not see what is compared. */
static __always_inline int code_of(const __u64 *context)
{
    __u64 about = 0;
    bpf_probe_read_kernel(&about, sizeof about, context + 1);
    if (about <= 1)
        return about ? SI_KERNEL : SI_USER;
    return BPF_CORE_READ((const struct kernel_siginfo *)about, si_code);
}

SEC("tp_btf/signal_generate")
int signalled(__u64 *context)
{
    const struct trace_settings *set = settings_now();
    const struct task_struct___t *from = current_task(), *to = (const struct task_struct___t *)context[2];
    struct trace_pair_key key = { .signal = (__u32)context[0] };
    if (!set || !find_pair(set, from, to, &key))
        return 0;
    add_pair(&key, from, to);
    struct scratch *scratch = new_event(TRACE_SIGNAL);
    if (!scratch)
        return 0;
    struct trace_event *event = &scratch->event;
    event->process = key.from;
    event->other = key.to;
    event->signal = (int)key.signal;
    event->code = code_of(context);
    event->result = (int)context[4];
    if (key.from || !in_interrupt())
        name_of(from, event->name);
    name_of(to, event->other_name);
    put(scratch, 0);
    return 0;
}

SEC("tp_btf/sched_waking")
int woken(__u64 *context)
{
    const struct trace_settings *set = settings_now();
    const struct task_struct___t *from = current_task(), *to = (const struct task_struct___t *)context[0];
    struct trace_pair_key key = { 0 };
    bool kernel = BPF_CORE_READ(to, flags) & PF_KTHREAD; /* works for itself, whoever wakes it */
    if (set && !kernel && find_pair(set, from, to, &key) && key.from != key.to)
        add_pair(&key, from, to);
    return 0;
}

static __always_inline int nest(__u32 by)
{
    __u32 *depth = bpf_map_lookup_elem(&interrupts, &only);
    if (depth && (by == 1 || *depth))
        *depth += by;
    return 0;
}

/* All that may wake somebody while it borrows the running process. */
#define INTERRUPT(enters, leaves, name)  \
    SEC("tp_btf/" #enters)               \
    int name##_begins(__u64 *context)    \
    {                                    \
        (void)context;                   \
        return nest(1);                  \
    }                                    \
    SEC("tp_btf/" #leaves)               \
    int name##_ends(__u64 *context)      \
    {                                    \
        (void)context;                   \
        return nest((__u32)-1);          \
    }

INTERRUPT(irq_handler_entry, irq_handler_exit, device)
INTERRUPT(hrtimer_expire_entry, hrtimer_expire_exit, timer)
INTERRUPT(softirq_entry, softirq_exit, soft)

/* ---- Who comes and goes ------------------------------------------------------------------------------------------ */

SEC("tp_btf/sched_process_fork")
int forked(__u64 *context)
{
    const struct trace_settings *set = settings_now();
    if (!set || !(set->flags & TRACE_FOLLOW))
        return 0;
    const struct task_struct___t *self = (const struct task_struct___t *)context[0];
    __u32 parent = process_of(set, self), child = process_of(set, (const struct task_struct___t *)context[1]);
    const __u32 *flags = bpf_map_lookup_elem(&processes, &parent);
    if (!flags || !child || child == parent)
        return 0;
    __u32 same = *flags;
    bpf_map_update_elem(&processes, &child, &same, BPF_ANY);
    struct scratch *scratch = new_event(TRACE_BEGIN);
    if (!scratch)
        return 0;
    scratch->event.process = parent;
    scratch->event.other = child;
    name_of(self, scratch->event.name);
    put(scratch, 0);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int exited(__u64 *context)
{
    const struct trace_settings *set = settings_now();
    const struct task_struct___t *self = (const struct task_struct___t *)context[0];
    if (!set || BPF_CORE_READ(self, signal, live.counter) > 0)
        return 0;
    __u32 process = process_of(set, self);
    if (!bpf_map_lookup_elem(&processes, &process))
        return 0;
    bpf_map_delete_elem(&processes, &process);
    struct scratch *scratch = new_event(TRACE_END);
    if (!scratch)
        return 0;
    scratch->event.process = process;
    name_of(self, scratch->event.name);
    put(scratch, 0);
    return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
char SINCE[] SEC("since") = "Linux 5.11";
