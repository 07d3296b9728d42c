/* SPDX-License-Identifier: MIT */
/* trace_object.h - what a descriptor, an identifier or a word of memory leads to, and whether that is asked for. */
#ifndef TRACE_OBJECT_H
#define TRACE_OBJECT_H

#include "trace_state.h"

/* Numbers of tong/inspect.h, which cannot be included here. */
enum { KIND_PIPE = 1, KIND_FIFO = 2, KIND_UNIX = 3, KIND_TCP = 4, KIND_UDP = 5, KIND_NETLINK = 6, KIND_QUEUE = 7,
       KIND_SET = 9, KIND_MQ = 10, KIND_EVENTFD = 15, KIND_PTY = 17, KIND_FUTEX = 19, KIND_FILE = 22 };

enum { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10, FAMILY_NETLINK = 16, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

#define MODE_TYPE 0170000
#define MODE_FIFO 0010000
#define MODE_CHARACTERS 0020000
#define MODE_REGULAR 0100000
#define MODE_SOCKET 0140000
#define PIPEFS 0x50495045
#define MQUEUE 0x19800202
#define EVENTFD 0x6466746e6576655bull /* "[eventfd", as little-endian processors read it */
#define PTMX (5 << 20 | 2)
#define SLAVE_FIRST 136
#define SLAVE_LAST 143
#define VM_SHARED 8

/* Of the running process; its own structures are read without a call of a helper each, which would cost most here. */
static __always_inline struct file___t *file_of(__u32 fd)
{
    const struct task_struct___t *self = (const struct task_struct___t *)bpf_get_current_task_btf();
    const struct fdtable *table = self->files->fdt;
    struct file___t *found = NULL;
    if (fd < table->max_fds)
        bpf_probe_read_kernel(&found, sizeof found, table->fd + fd);
    return found;
}

static __always_inline struct sock *sock_of(const struct file___t *of)
{
    const struct socket *socket = BPF_CORE_READ(of, private_data);
    return BPF_CORE_READ(socket, sk);
}

static __always_inline __u32 kind_of_socket(const struct sock *sock)
{
    __u16 family = BPF_CORE_READ(sock, __sk_common.skc_family), protocol = BPF_CORE_READ(sock, sk_protocol);
    if (family == FAMILY_UNIX)
        return KIND_UNIX;
    if (family == FAMILY_NETLINK)
        return KIND_NETLINK;
    if (family != FAMILY_INET && family != FAMILY_INET6)
        return 0;
    return protocol == PROTOCOL_TCP ? KIND_TCP : protocol == PROTOCOL_UDP ? KIND_UDP : 0;
}

/* Either side of a pseudoterminal, by the number and the file system of its slave. */
static __always_inline void fill_terminal(const struct file___t *of, const struct inode___t *inode,
                                          struct trace_object *ret)
{
    __u32 device = BPF_CORE_READ(inode, i_rdev), major = device >> 20;
    if (major >= SLAVE_FIRST && major <= SLAVE_LAST) {
        ret->kind = KIND_PTY;
        ret->inode = (major - SLAVE_FIRST) * 256 + (device & 0xff);
    } else if (device == PTMX) {
        const struct tty_file_private *open = BPF_CORE_READ(of, private_data);
        const struct tty_struct *tty = BPF_CORE_READ(open, tty);
        const struct dentry *slave = BPF_CORE_READ(tty, driver_data);
        inode = (const struct inode___t *)BPF_CORE_READ(slave, d_inode);
        ret->kind = KIND_PTY;
        ret->inode = BPF_CORE_READ(tty, index);
    }
    ret->device = BPF_CORE_READ(inode, i_sb, s_dev);
}

/* All of them share one inode; what they are stands in the name. */
static __always_inline void fill_anonymous(const struct file___t *of, struct trace_object *ret)
{
    __u64 name = 0;
    bpf_probe_read_kernel(&name, sizeof name, BPF_CORE_READ(of, f_path.dentry, d_name.name));
    if (name != EVENTFD)
        return;
    const struct eventfd_ctx *counter = BPF_CORE_READ(of, private_data);
    ret->kind = KIND_EVENTFD;
    ret->inode = BPF_CORE_READ(counter, id);
    ret->device = 0;
}

static __always_inline void fill_file(const struct file___t *of, struct trace_object *ret)
{
    const struct inode___t *inode = (const struct inode___t *)BPF_CORE_READ(of, f_inode);
    __u32 type = BPF_CORE_READ(inode, i_mode) & MODE_TYPE;
    *ret = (struct trace_object){ .inode = BPF_CORE_READ(inode, i_ino) };
    if (type == MODE_SOCKET) {
        ret->kind = kind_of_socket(sock_of(of));
        return;
    }
    const struct super_block___t *system = BPF_CORE_READ(inode, i_sb);
    if (type == MODE_FIFO && BPF_CORE_READ(system, s_magic) == PIPEFS) {
        ret->kind = KIND_PIPE;
        return;
    }
    ret->device = BPF_CORE_READ(system, s_dev);
    if (type == MODE_FIFO)
        ret->kind = KIND_FIFO;
    else if (type == MODE_REGULAR)
        ret->kind = BPF_CORE_READ(system, s_magic) == MQUEUE ? KIND_MQ : KIND_FILE;
    else if (type == MODE_CHARACTERS)
        fill_terminal(of, inode, ret);
    else if (type == 0)
        fill_anonymous(of, ret);
}

static __always_inline void fill_system_v(const struct task_struct___t *of, __u32 kind, __u64 identifier,
                                          struct trace_object *ret)
{
    *ret = (struct trace_object){ .kind = kind, .device = BPF_CORE_READ(of, nsproxy, ipc_ns, ns.inum),
                                  .inode = identifier };
}

/* ---- Words of shared memory ------------------------------------------------------------------------------------ */

struct word {
    struct trace_object object;
    __u64 address;
    __u32 page_shift;
};

static long fill_word(struct task_struct *of, struct vm_area_struct *area, struct word *word)
{
    (void)of;
    const struct inode___t *inode = (const struct inode___t *)BPF_CORE_READ(area, vm_file, f_inode);
    if (!(BPF_CORE_READ(area, vm_flags) & VM_SHARED) || !inode)
        return 0;
    word->object.kind = KIND_FUTEX;
    word->object.device = BPF_CORE_READ(inode, i_sb, s_dev);
    word->object.inode = BPF_CORE_READ(inode, i_ino);
    word->object.offset = (BPF_CORE_READ(area, vm_pgoff) << word->page_shift) + word->address -
                          BPF_CORE_READ(area, vm_start);
    return 0;
}

/* Linux 5.17; before it, such words are not told of. */
static __always_inline void find_word(const struct trace_settings *set, __u64 address, struct trace_object *ret)
{
    struct word word = { .address = address, .page_shift = set->page_shift };
    if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_find_vma))
        bpf_find_vma(bpf_get_current_task_btf(), address, fill_word, &word, 0);
    *ret = word.object;
}

/* ---- Which objects are asked for ------------------------------------------------------------------------------- */

static __always_inline bool is_listed(const struct trace_object *object)
{
    bool own = object->kind == KIND_QUEUE || object->kind == KIND_SET || object->kind == KIND_EVENTFD ||
               object->kind == KIND_PTY;
    const struct trace_place place = { .device = object->device | (own ? (__u64)object->kind << TRACE_KIND_SHIFT : 0),
                                       .inode = object->inode };
    const __u32 *what = bpf_map_lookup_elem(&objects, &place);
    return what && (*what == TRACE_ALL || object->kind == KIND_FUTEX);
}

/* False: it has none. */
static __always_inline bool read_name(const struct unix_sock *socket, struct trace_name *ret)
{
    const struct unix_address *address = socket ? BPF_CORE_READ(socket, addr) : NULL;
    if (!address)
        return false;
    __u32 size = (__u32)BPF_CORE_READ(address, len) - sizeof(__u16);
    size = size > TRACE_SOCKET_NAME ? TRACE_SOCKET_NAME : size;
    if (bpf_probe_read_kernel(ret->bytes, size, &address->name[0].sun_path) < 0)
        return false;
    ret->size = ret->bytes[0] ? 0 : size;
    return true;
}

static __always_inline bool is_called(const struct unix_sock *socket)
{
    struct trace_name name = { 0 };
    return read_name(socket, &name) && bpf_map_lookup_elem(&names, &name);
}

/* By its own name or by its peer's: the socket of a client has none. */
static __always_inline bool is_named(const struct trace_settings *set, const struct trace_object *object,
                                     const struct sock *sock)
{
    if (!(set->flags & TRACE_NAMES) || object->kind != KIND_UNIX)
        return false;
    const struct unix_sock *socket = (const struct unix_sock *)sock;
    return is_called(socket) || is_called((const struct unix_sock *)BPF_CORE_READ(socket, peer));
}

static __always_inline bool is_port(__u32 kind, __u32 port)
{
    const struct trace_port key = { kind, port };
    return bpf_map_lookup_elem(&ports, &key) != NULL;
}

/* Whether a connection is one of this machine with itself. */
static __always_inline bool is_local(const struct sock *sock)
{
    if (BPF_CORE_READ(sock, __sk_common.skc_family) == FAMILY_INET)
        return BPF_CORE_READ(sock, __sk_common.skc_daddr) == BPF_CORE_READ(sock, __sk_common.skc_rcv_saddr);
    __u64 here[2] = { 0 }, there[2] = { 1 };
    bpf_core_read(here, sizeof here, &sock->__sk_common.skc_v6_rcv_saddr);
    bpf_core_read(there, sizeof there, &sock->__sk_common.skc_v6_daddr);
    return here[0] == there[0] && here[1] == there[1];
}

static __always_inline bool has_port(const struct trace_settings *set, const struct trace_object *object,
                                     const struct sock *sock)
{
    if (!(set->flags & TRACE_PORTS) || (object->kind != KIND_TCP && object->kind != KIND_UDP))
        return false;
    __u16 there = __builtin_bswap16(BPF_CORE_READ(sock, __sk_common.skc_dport));
    return is_port(object->kind, BPF_CORE_READ(sock, __sk_common.skc_num)) ||
           (there && is_port(object->kind, there) && is_local(sock));
}

/* `of` is NULL where no descriptor leads to it. */
static __always_inline bool is_asked(const struct trace_settings *set, const struct trace_object *object,
                                     const struct file___t *of)
{
    if (!(set->flags & TRACE_OBJECTS))
        return false;
    if (is_listed(object))
        return true;
    if (!of || object->kind < KIND_UNIX || object->kind > KIND_UDP)
        return false;
    const struct sock *sock = sock_of(of);
    return is_named(set, object, sock) || has_port(set, object, sock);
}

#endif
