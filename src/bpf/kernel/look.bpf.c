/* SPDX-License-Identifier: MIT */
/*
 * Processes, their descriptors and shared mappings, and what is undone at their end, in one pass each: the iterators
 * task, task_file (Linux 5.8) and task_vma (Linux 5.12).  What is nobody's talk with anybody is not told of at all.
 */
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "bpf/look.h"
#include "look_call.h"

/* A member of what is the same in every kernel: kernel.h. */
#define READ(from, member)                                                 \
    ({                                                                     \
        typeof((from)->member) value;                                      \
        bpf_probe_read_kernel(&value, sizeof value, &(from)->member);      \
        value;                                                             \
    })

#define MODE_KIND 0170000 /* inode(7) */
#define MODE_SOCKET 0140000
#define MODE_REGULAR 0100000
#define MODE_CHARACTER 0020000
#define MODE_FIFO 0010000

#define PIPEFS_MAGIC 0x50495045 /* statfs(2) */
#define SOCKFS_MAGIC 0x534F434B
#define ANON_INODE_MAGIC 0x09041934
#define MQUEUE_MAGIC 0x19800202
#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6
#define KERNEL_MOUNT (1ul << 22) /* SB_KERNMOUNT: has no directory in which it can be seen */

#define DEVICE_MINORS 20
#define TERMINAL_FIRST 136 /* majors: Documentation/admin-guide/devices.txt */
#define TERMINAL_LAST 143
#define TERMINAL_MASTER (5u << DEVICE_MINORS | 2)

#define PATH_STEPS 16     /* up the directories and mounts of one file */
#define SECOND 1000000000ull
#define SIGNALS 64
#define SIGNAL_DEFAULT 0 /* SIG_DFL, SIG_IGN */
#define SIGNAL_IGNORED 1
#define UNDOS_MOST 8     /* sets of one process that are told of */
#define SLEEPERS_MOST 16  /* places in a queue that are looked at */
#define EPOLL_STEPS 480   /* two or more for a watch: what they tell of must fit into one read of 32 KiB */
#define SHARED 0x80       /* VM_MAYSHARE, as /proc/PID/maps has it */

/* ---- Numbers of processes --------------------------------------------------------------------------------- */

static struct upid *number_at(struct pid *pid, __u32 level)
{
    return (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * sizeof(struct upid);
}

static struct upid *innermost(struct pid *pid)
{
    __u32 level = BPF_CORE_READ(pid, level);
    return number_at(pid, level);
}

/* As the reader sees it; 0: not at all.  Not static, as some below: so the verifier goes through it but once. */
__attribute__((noinline)) int number_of(unsigned long of)
{
    struct pid *pid = (void *)of, *reader = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), thread_pid);
    struct upid *own = innermost(reader), *number;
    __u32 level = BPF_CORE_READ(reader, level);
    if (!pid || BPF_CORE_READ(pid, level) < level)
        return 0;
    number = number_at(pid, level);
    return READ(number, ns) == READ(own, ns) ? READ(number, nr) : 0;
}

static int number_of_thread(struct task_struct *task)
{
    return number_of((unsigned long)BPF_CORE_READ(task, thread_pid));
}

/* What tells a process from all others, and is the same in all records. */
static struct who_seen who_is(struct task_struct *task)
{
    int thread = 0;
    __u64 started = task->start_boottime;
    if (task->pid != task->tgid) {
        thread = number_of_thread(task);
        started = BPF_CORE_READ(task, group_leader, start_boottime);
    }
    return (struct who_seen){ started, task->tgid, thread };
}

/* ---- tasks ------------------------------------------------------------------------------------------------ */

static __u64 start_time_of(struct task_struct *task)
{
    __u64 time = BPF_CORE_READ(task, start_boottime);
    if (bpf_core_field_exists(struct time_namespace, offsets)) {
        struct time_namespace *space = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), nsproxy, time_ns);
        time += BPF_CORE_READ(space, offsets.boottime.tv_sec) * SECOND + BPF_CORE_READ(space, offsets.boottime.tv_nsec);
    }
    return time;
}

/* 0 or 1, without a branch that the compiler would make of it: the verifier goes both ways at each, 64 times. */
static __u64 is_other(__u64 value, __u64 than)
{
    __u64 differs = value ^ than, negative = -differs;
    asm volatile("" : "+r"(negative));
    return (differs | negative) >> 63;
}

static void read_signals(struct task_struct *task, struct task_seen *seen)
{
    void *handlers = BPF_CORE_READ(task, sighand);
    struct k_sigaction *action = handlers + bpf_core_field_offset(struct sighand_struct, action);
    for (int i = 0; i < SIGNALS; i++) {
        __u64 handler = (__u64)BPF_CORE_READ(action, sa.sa_handler), is_set = is_other(handler, SIGNAL_DEFAULT),
              is_caught = is_set & is_other(handler, SIGNAL_IGNORED);
        seen->signals_caught |= is_caught << i;
        seen->signals_ignored |= (is_set ^ is_caught) << i;
        action = (void *)action + bpf_core_type_size(struct k_sigaction);
    }
    seen->signals_pending = BPF_CORE_READ(task, pending.signal.sig[0]) |
                            BPF_CORE_READ(task, signal, shared_pending.signal.sig[0]);
    seen->signals_blocked = BPF_CORE_READ(task, blocked.sig[0]);
}

static void read_namespaces(struct task_struct *task, struct pid *pid, struct task_seen *seen)
{
    struct nsproxy *all = BPF_CORE_READ(task, nsproxy);
    struct upid *inner = innermost(pid);
    struct pid_namespace *space = READ(inner, ns);
    seen->namespaces[0] = BPF_CORE_READ(space, ns.inum);
    if (!all)
        return;
    seen->namespaces[1] = BPF_CORE_READ(all, net_ns, ns.inum);
    seen->namespaces[2] = BPF_CORE_READ(all, ipc_ns, ns.inum);
    seen->namespaces[3] = BPF_CORE_READ(all, mnt_ns, ns.inum);
}

SEC("iter/task")
int tasks(struct bpf_iter__task *at)
{
    struct task_struct *task = at->task;
    if (!task || task->pid != task->tgid)
        return 0;
    struct task_seen seen = { .flags = BPF_CORE_READ(task, flags) };
    read_signals(task, &seen); /* first, while there is only one path that leads through it */
    struct pid *pid = BPF_CORE_READ(task, thread_pid);
    seen.who = who_is(task);
    seen.start_time = start_time_of(task);
    seen.state = state_of(task);
    seen.ended = BPF_CORE_READ(task, exit_state);
    seen.uid = BPF_CORE_READ(task, real_cred, euid.val);
    seen.gid = BPF_CORE_READ(task, real_cred, egid.val);
    seen.pid = number_of_thread(task);
    seen.threads = BPF_CORE_READ(task, signal, nr_threads);
    if (BPF_CORE_READ(task, ptrace))
        seen.tracer = number_of((unsigned long)BPF_CORE_READ(task, parent, group_leader, thread_pid));
    seen.parent = number_of((unsigned long)BPF_CORE_READ(task, real_parent, group_leader, thread_pid));
    if (!seen.pid)
        return 0;
    struct upid *inner = innermost(pid);
    seen.inner_pid = READ(inner, nr);
    bpf_core_read_str(seen.name, sizeof seen.name, &task->comm);
    read_namespaces(task, pid, &seen);
    bpf_seq_write(at->meta->seq, &seen, sizeof seen);
    return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------------ */

/* Linux 5.15. */
SEC("iter/task")
int calls(struct bpf_iter__task *at)
{
    struct task_struct *task = at->task;
    if (!task || task->flags & TASK_SEEN_KERNEL)
        return 0;
    struct call_seen seen = { .who = who_is(task), .state = state_of(task), .ran = task->se.sum_exec_runtime,
                              .files = (unsigned long long)BPF_CORE_READ(task, files) };
    if (bpf_core_field_exists(((struct task_struct *)0)->sched_info.pcount)) {
        seen.delayed = task->sched_info.run_delay;
        seen.turns = task->sched_info.pcount;
    }
    read_call(task, &seen);
    bpf_seq_write(at->meta->seq, &seen, sizeof seen);
    return 0;
}

/* ---- files: who sleeps ------------------------------------------------------------------------------------ */

/* The watches of epoll sets hang there, too, and bear nobody's name (ep_ptable_queue_proc()). */
__attribute__((noinline)) int who_sleeps(unsigned long first)
{
    struct wait_queue_entry *entry = (void *)first - offsetof(struct wait_queue_entry, next);
    void *next = (void *)first, *head = READ(entry, previous);
    for (int i = 0; i < SLEEPERS_MOST && next != head; i++) {
        entry = next - offsetof(struct wait_queue_entry, next);
        if (READ(entry, private))
            return SLEEPER_SOME;
        next = READ(entry, next);
    }
    return next == head ? SLEEPER_NONE : SLEEPER_UNKNOWN;
}

/* Most queues are empty, which is told without a call. */
#define SLEEPERS(from, queue)                                                                    \
    ({                                                                                           \
        void *first = BPF_CORE_READ(from, queue.head.next);                                      \
        void *head = (void *)(from) + bpf_core_field_offset(typeof(*(from)), queue.head);        \
        first == head ? SLEEPER_NONE : who_sleeps((unsigned long)first);                         \
    })

/* ---- files: pipes ----------------------------------------------------------------------------------------- */

__attribute__((noinline)) __u64 count_bytes(unsigned long slots, __u32 tail, __u32 used, __u32 mask)
{
    __u64 bytes = 0;
    for (__u32 i = 0; i < FILE_SEEN_SLOTS_MOST && i < used; i++) {
        struct pipe_buffer *slot = (void *)slots + ((tail + i) & mask) * sizeof(struct pipe_buffer);
        bytes += READ(slot, len);
    }
    return used > FILE_SEEN_SLOTS_MOST ? ~0ull : bytes;
}

static void read_pipe(struct pipe_inode_info *pipe, struct file_seen *seen)
{
    __u32 tail = pipe->tail, used = pipe->head - tail;
    seen->number = used;
    seen->slots = pipe->max_usage;
    seen->readers = pipe->readers;
    seen->writers = pipe->writers;
    if (!used && seen->mode & LOOK_READS) /* of others nobody needs to wait: each look into a queue costs */
        seen->reading = SLEEPERS(pipe, rd_wait);
    if (used >= seen->slots && seen->mode & LOOK_WRITES)
        seen->writing = SLEEPERS(pipe, wr_wait);
    if (used)
        seen->value = count_bytes((unsigned long)BPF_CORE_READ(pipe, bufs), tail, used, pipe->ring_size - 1);
}

/* ---- files: what has no file ------------------------------------------------------------------------------ */

static void tell(struct seq_file *to, struct file_seen *seen, enum file_seen_kind kind)
{
    seen->kind = kind;
    bpf_seq_write(to, seen, sizeof *seen);
}

/* Linux 5.2 numbers them. */
static void tell_eventfd(struct seq_file *to, struct eventfd_ctx *counter, struct file_seen *seen)
{
    seen->reading = seen->writing = SLEEPERS(counter, wqh);
    if (bpf_core_field_exists(struct eventfd_ctx, id)) {
        seen->number = BPF_CORE_READ(counter, id);
        seen->value = BPF_CORE_READ(counter, count);
        tell(to, seen, FILE_SEEN_EVENTFD);
    } else
        tell(to, seen, FILE_SEEN_ASK);
}

/* A walk through a tree in its order: a step goes down, goes up, or tells of a node. */
struct walk {
    struct seq_file *to;
    struct rb_node *node;
    enum { TELLS, DESCENDS, ASCENDS } way;
    struct file_seen seen;
    __u32 told;
};

static void tell_watch(struct walk *walk)
{
    struct epitem *item = (void *)walk->node - bpf_core_field_offset(struct epitem, rbn);
    struct file *file = BPF_CORE_READ(item, ffd.file);
    walk->seen.description = (unsigned long long)file;
    walk->seen.inode = BPF_CORE_READ(file, f_inode, i_ino);
    walk->seen.fd = BPF_CORE_READ(item, ffd.fd);
    walk->seen.number = BPF_CORE_READ(item, event.events);
    bpf_seq_write(walk->to, &walk->seen, sizeof walk->seen);
    walk->told++;
}

static void go_on(struct walk *walk)
{
    struct rb_node *node = walk->node, *child = NULL;
    if (walk->way == TELLS)
        child = READ(node, rb_right);
    else if (walk->way == DESCENDS)
        child = READ(node, rb_left);
    if (child) {
        walk->node = child;
        walk->way = DESCENDS;
    } else if (walk->way == DESCENDS)
        walk->way = TELLS;
    else {
        struct rb_node *parent = (void *)(READ(node, __rb_parent_color) & ~3ul);
        walk->way = parent && READ(parent, rb_right) == node ? ASCENDS : TELLS;
        walk->node = parent;
    }
}

static long step(__u32 number, void *context)
{
    struct walk *walk = context;
    if (!walk->node)
        return 1;
    if (walk->way == TELLS)
        tell_watch(walk);
    go_on(walk);
    return 0;
}

static void tell_epoll(struct seq_file *to, struct eventpoll *set, struct file_seen *seen, int walks)
{
    seen->number = FILE_SEEN_UNKNOWN;
    if (walks) {
        struct walk walk = { .to = to, .node = BPF_CORE_READ(set, rbr.rb_leftmost), .seen = *seen };
        walk.seen.kind = FILE_SEEN_WATCH;
        bpf_loop(EPOLL_STEPS, step, &walk, 0);
        if (!walk.node)
            seen->number = walk.told;
    }
    seen->reading = SLEEPERS(set, wq);
    if (seen->reading == SLEEPER_NONE) /* in a poll of the set itself */
        seen->reading = SLEEPERS(set, poll_wait);
    tell(to, seen, FILE_SEEN_EPOLL);
}

static void tell_socket(struct seq_file *to, struct socket *socket, struct file_seen *seen)
{
    seen->reading = seen->writing = SLEEPERS(socket, wq.wait);
    tell(to, seen, FILE_SEEN_SOCKET);
}

#define NAME_MOST 12

static __attribute__((always_inline)) int is_called(const char *name, const char *wanted, int size)
{
    for (int i = 0; i < size; i++)
        if (name[i] != wanted[i])
            return 0;
    return 1;
}

static void tell_anonymous(struct seq_file *to, struct file *file, struct file_seen *seen, int walks)
{
    char name[NAME_MOST] = "";
    bpf_probe_read_kernel(name, sizeof name, file->f_path.dentry->d_name.name);
    if (is_called(name, "[eventfd]", 10))
        tell_eventfd(to, file->private_data, seen);
    else if (is_called(name, "[eventpoll]", NAME_MOST))
        tell_epoll(to, file->private_data, seen, walks);
}

/* ---- files: with a name ----------------------------------------------------------------------------------- */

/* Somebody has a lock or a lease on it. */
static int is_locked(struct inode *inode)
{
    struct file_lock_context *locks = inode->i_flctx;
    return locks && (locks->flc_flock.next != &locks->flc_flock || locks->flc_posix.next != &locks->flc_posix ||
                     locks->flc_lease.next != &locks->flc_lease);
}

static int is_shm(struct dentry *entry)
{
    char name[4] = "";
    if (BPF_CORE_READ(entry, d_name.len) != 3)
        return 0;
    bpf_probe_read_kernel(name, 3, BPF_CORE_READ(entry, d_name.name));
    return is_called(name, "shm", 4);
}

/* Whether a directory that it lies in, or a mount, is called "shm"; true also if it lies too deep. */
__attribute__((noinline)) int may_be_in_shm(unsigned long name, unsigned long inside)
{
    struct dentry *entry = (void *)name, *next;
    struct mount *mount = (void *)inside - bpf_core_field_offset(struct mount, mnt);
    struct dentry *top = BPF_CORE_READ(mount, mnt.mnt_root);
    for (int i = 0; i < PATH_STEPS; i++) {
        if (entry == top) {
            struct mount *above = BPF_CORE_READ(mount, mnt_parent);
            if (above == mount)
                return 0;
            entry = BPF_CORE_READ(mount, mnt_mountpoint);
            mount = above;
            top = BPF_CORE_READ(mount, mnt.mnt_root);
        } else if (is_shm(entry))
            return 1;
        else {
            next = BPF_CORE_READ(entry, d_parent);
            if (next == entry)
                return 0;
            entry = next;
        }
    }
    return 1;
}

/* In a file system of the kernel's own, in which only memory is. */
static int is_memory(const struct super_block *system)
{
    return system->s_flags & KERNEL_MOUNT && (system->s_magic == TMPFS_MAGIC || system->s_magic == HUGETLBFS_MAGIC);
}

static int is_terminal(const struct inode *inode)
{
    __u32 kind = inode->i_rdev >> DEVICE_MINORS;
    return (kind >= TERMINAL_FIRST && kind <= TERMINAL_LAST) || inode->i_rdev == TERMINAL_MASTER;
}

static int is_worth_asking(struct file *file, struct inode *inode)
{
    __u32 kind = inode->i_mode & MODE_KIND;
    if (kind == MODE_CHARACTER)
        return is_terminal(inode);
    unsigned long name = (unsigned long)BPF_CORE_READ(file, f_path.dentry);
    unsigned long inside = (unsigned long)BPF_CORE_READ(file, f_path.mnt);
    return kind == MODE_REGULAR && (inode->i_sb->s_magic == MQUEUE_MAGIC || may_be_in_shm(name, inside));
}

/* ---- files ------------------------------------------------------------------------------------------------ */

static void tell_memory(struct seq_file *to, struct file *file, struct inode *inode, struct file_seen *seen)
{
    struct memory_seen *memory = &seen->memory;
    const unsigned char *name = file->f_path.dentry->d_name.name;
    seen->value = inode->i_size;
    memory->device = inode->i_sb->s_dev;
    memory->uid = inode->i_uid.val;
    memory->gid = inode->i_gid.val;
    memory->mode = inode->i_mode;
    int is_whole = bpf_probe_read_kernel_str(memory->name, sizeof memory->name, name) < FILE_SEEN_NAME;
    tell(to, seen, is_whole ? FILE_SEEN_MEMORY : FILE_SEEN_ASK);
}

static void tell_of(struct seq_file *to, struct file *file, struct file_seen *seen, int walks)
{
    struct inode *inode = file->f_inode;
    unsigned long magic = inode->i_sb->s_magic;
    if (magic == ANON_INODE_MAGIC)
        tell_anonymous(to, file, seen, walks);
    else if (magic == SOCKFS_MAGIC)
        tell_socket(to, file->private_data, seen);
    else if ((inode->i_mode & MODE_KIND) == MODE_FIFO) {
        read_pipe(inode->i_pipe, seen);
        tell(to, seen, magic == PIPEFS_MAGIC ? FILE_SEEN_PIPE : FILE_SEEN_FIFO);
    } else if (is_locked(inode))
        tell(to, seen, FILE_SEEN_LOCKED);
    else if (is_memory(inode->i_sb))
        tell_memory(to, file, inode, seen);
    else if (is_worth_asking(file, inode))
        tell(to, seen, FILE_SEEN_ASK);
}

static int tell_file(struct bpf_iter__task_file *at, int walks)
{
    struct file *file = at->file;
    struct task_struct *task = at->task;
    if (!file || !task)
        return 0;
    struct file_seen seen = {
        .who = who_is(task), .description = (unsigned long long)file, .inode = file->f_inode->i_ino, .fd = at->fd,
        .mode = file->f_mode & (LOOK_READS | LOOK_WRITES),
    };
    tell_of(at->meta->seq, file, &seen, walks);
    return 0;
}

SEC("iter/task_file")
int files(struct bpf_iter__task_file *at)
{
    return tell_file(at, 1);
}

/* Without what needs Linux 5.17. */
SEC("iter/task_file")
int files_plainly(struct bpf_iter__task_file *at)
{
    return tell_file(at, 0);
}

/* ---- mappings --------------------------------------------------------------------------------------------- */

/*
 * The file that users see, and that /proc/PID/maps tells of: of overlayfs, memory is of the file below (Linux 6.5).
 * Which file is such a one, a bit says that is not the same in every kernel; but behind no other lies a path.
 */
static struct inode *inode_of(struct file *file)
{
    if (bpf_core_type_exists(struct backing_file)) {
        struct backing_file *backing = (void *)(unsigned long)file;
        struct vfsmount *mount = BPF_CORE_READ(backing, user_path.mnt);
        struct super_block *system = READ(mount, mnt_sb);
        if (system && system == BPF_CORE_READ(backing, user_path.dentry, d_sb))
            return BPF_CORE_READ(backing, user_path.dentry, d_inode);
    }
    return BPF_CORE_READ(file, f_inode);
}

SEC("iter/task_vma")
int mappings(struct bpf_iter__task_vma *at)
{
    struct task_struct *task = at->task;
    struct vm_area_struct *area = at->vma;
    if (!task || !area || !(area->vm_flags & SHARED))
        return 0;
    if (task->pid != task->tgid && BPF_CORE_READ(task, group_leader, mm)) /* else the first thread has ended */
        return 0;
    struct file *file = area->vm_file;
    if (!file || file->f_inode->i_sb->s_magic == ANON_INODE_MAGIC)
        return 0;
    struct inode *inode = inode_of(file);
    struct mapping_seen seen = {
        .who = who_is(task), .start = area->vm_start, .end = area->vm_end, .inode = BPF_CORE_READ(inode, i_ino),
        .file = (unsigned long long)inode, .device = BPF_CORE_READ(inode, i_sb, s_dev),
        .mode = area->vm_flags & (LOOK_READS | LOOK_WRITES),
    };
    if (is_memory(file->f_inode->i_sb))
        seen.size = bpf_probe_read_kernel_str(seen.name, sizeof seen.name, file->f_path.dentry->d_name.name);
    bpf_seq_write(at->meta->seq, &seen, sizeof seen);
    return 0;
}

/* ---- undos ------------------------------------------------------------------------------------------------ */

static unsigned changes_offset(void)
{
    unsigned behind = bpf_core_field_offset(struct sem_undo, semid) + sizeof(int);
    return bpf_core_field_exists(struct sem_undo, semadj) ? bpf_core_field_offset(struct sem_undo, semadj)
                                                          : (behind + sizeof(void *) - 1) & -sizeof(void *);
}

static void tell_undo(struct seq_file *to, struct sem_undo *undo, struct undo_seen *seen)
{
    seen->id = BPF_CORE_READ(undo, semid);
    if (seen->id < 0) /* removed */
        return;
    void *changes = (void *)undo + changes_offset();
    if (!bpf_core_field_exists(struct sem_undo, semadj)) /* as an array: it is a pointer there */
        bpf_probe_read_kernel(&changes, sizeof changes, changes);
    bpf_probe_read_kernel(seen->change, sizeof seen->change, changes);
    bpf_seq_write(to, seen, sizeof *seen);
}

/* Threads of one process share the list, if libc made them. */
SEC("iter/task")
int undos(struct bpf_iter__task *at)
{
    struct task_struct *task = at->task;
    struct sem_undo_list *list = task ? BPF_CORE_READ(task, sysvsem.undo_list) : NULL;
    if (!list || (task->pid != task->tgid && BPF_CORE_READ(task, group_leader, sysvsem.undo_list) == list))
        return 0;
    struct undo_seen seen = { .who = who_is(task), .namespace_inode = BPF_CORE_READ(task, nsproxy, ipc_ns, ns.inum) };
    struct seq_file *to = at->meta->seq;
    struct list_head *head = (void *)list + bpf_core_field_offset(struct sem_undo_list, list_proc);
    struct list_head *next = BPF_CORE_READ(head, next);
    for (int i = 0; i < UNDOS_MOST && next && next != head; i++) {
        tell_undo(to, (void *)next - bpf_core_field_offset(struct sem_undo, list_proc), &seen);
        next = BPF_CORE_READ(next, next);
    }
    if (next && next != head) {
        seen.id = UNDO_SEEN_MORE;
        bpf_seq_write(to, &seen, sizeof seen);
    }
    return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
char SINCE[] SEC("since") = "Linux 5.8";
