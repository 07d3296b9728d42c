/* SPDX-License-Identifier: MIT */
/*
 * pidfd_send_signal(2), with a siginfo made as sigqueue(3) makes it.
 *
 * Traps:
 *   - kill(2) reaches whoever has the number now; a descriptor of the process does not.
 *   - A process that has ended but was not waited for still "receives" signals, so the descriptor is asked first.
 *   - When RLIMIT_SIGPENDING is reached, a queue takes no more sigqueue(3) (-EAGAIN), but a kill(2) of a real-time
 *     signal succeeds and is lost if one of its number waits already.  So those always go with a siginfo of their
 *     own; si_errno, which nobody else uses here, says that there is no value in it.
 *   - A standard signal that is pending already swallows the next one, and its value; no call tells.
 */
#include "core/signal_send.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/process.h"
#include "core/signal_name.h"
#include "sys/sys.h"

static int ended(pid_t pid)
{
    return fail(-ESRCH, "process %d has ended", (int)pid);
}

static int cannot_open(pid_t pid, int error)
{
    if (error == -ESRCH)
        return fail(-ESRCH, "there is no process %d", (int)pid);
    if (error == -EINVAL || error == -ENOENT)
        return fail(-EINVAL, "%d is a thread: signals between processes go to the process it belongs to", (int)pid);
    return fail_call(error, "pidfd_open(%d)", (int)pid);
}

int signal_target_open(pid_t pid, uint64_t start_time, struct signal_target *ret)
{
    if (pid <= 0)
        return fail(-EINVAL, "process %d: a signal goes to one process, by its number above 0", (int)pid);
    int fd = sys_pidfd_open(pid);
    if (fd < 0)
        return cannot_open(pid, fd);
    /* Whoever has the number now with that start time had it when the descriptor was opened. */
    if (start_time && process_start_time(pid) != start_time) {
        sys_close(fd);
        return ended(pid);
    }
    *ret = (struct signal_target){ pid, fd };
    return 0;
}

static int cannot_send(const struct signal_target *target, int number, int error)
{
    char name[SIGNAL_NAME_SIZE];
    signal_name(number, name);
    switch (error) {
    case -EAGAIN:
        return fail_static(-EAGAIN, "as many signals wait already as the receiver's RLIMIT_SIGPENDING (ulimit -i) allows its "
                           "user: let it take some, or raise the limit");
    case -ESRCH:
        return ended(target->pid);
    case -EPERM:
        return fail(-EPERM, "process %d: %s is not permitted: it runs as another user, and only root (CAP_KILL) may signal "
                    "those (kill(2))", (int)target->pid, name);
    default:
        return fail_call(error, "process %d: pidfd_send_signal(%s)", (int)target->pid, name);
    }
}

int signal_target_send(const struct signal_target *target, int number, const int32_t *value)
{
    struct pollfd item = { target->pidfd, POLLIN, 0 };
    int r = sys_ppoll(&item, 1, &(struct timespec){ 0, 0 }, NULL);
    if (r > 0)
        return ended(target->pid);
    siginfo_t about = { .si_signo = number, .si_errno = value ? 0 : ENODATA, .si_code = SI_QUEUE };
    about.si_pid = getpid();
    about.si_uid = getuid();
    about.si_value.sival_int = value ? *value : 0;
    bool bare = !value && !signal_real_time(number);
    r = sys_pidfd_send_signal(target->pidfd, number, bare ? NULL : &about);
    return r < 0 ? cannot_send(target, number, r) : 0;
}

void signal_target_close(struct signal_target *target)
{
    sys_close(target->pidfd);
    *target = (struct signal_target)SIGNAL_TARGET_INIT;
}
