# SPDX-License-Identifier: MIT
"""keeper.py: runs work of which nothing stays behind: no process, System V memory, name in /dev/shm, directory.

Three processes.  The one that was started waits.  Its child, the keeper, is in a session of its own, and inherits every
process that loses its parent; it sees by a pipe when the first one dies, of whatever.  The work is the keeper's child.
"""
import contextlib
import ctypes
import os
import re
import select
import shutil
import signal
import sys
import tempfile
import time

PR_SET_CHILD_SUBREAPER, IPC_RMID = 36, 0
CAP_SYS_PTRACE, NOBODY = 19, 65534
PATIENCE = 5  # seconds that programs have to end by themselves
LIBC = ctypes.CDLL(None, use_errno=True)


def text(path):
    """The file; "" where it, or its process, is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def children(pid):
    try:
        threads = os.listdir("/proc/%d/task" % pid)
    except OSError:
        return []
    return [int(child) for thread in threads for child in text("/proc/%d/task/%s/children" % (pid, thread)).split()]


def descendants(pid):
    found = children(pid)
    for one in found:
        found += children(one)
    return found


def segments():
    """System V memory: identifier, size, creator, attachments."""
    rows = [line.split() for line in text("/proc/sysvipc/shm").splitlines()[1:]]
    return [(int(row[1]), int(row[3]), int(row[4]), int(row[6])) for row in rows]


class Keeper:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="tong-test-")
        self.size = (1 << 20) + os.getpid()  # of segments that nobody attaches: how they are known again
        self.dead, self.shared = {os.getpid()}, set()

    def send_all(self, number):
        """A signal to all that are left: how many they are."""
        everybody = descendants(os.getpid())
        for pid in everybody:
            self.dead.add(pid)
            self.shared.update(re.findall(r" (/dev/shm/\S+)$", text("/proc/%d/maps" % pid), re.M))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return len(everybody)

    def end_all(self):
        """Who is asked removes what it made; who is killed may just have started another one."""
        limit = time.monotonic() + PATIENCE
        self.send_all(signal.SIGTERM)
        while children(os.getpid()) and time.monotonic() < limit:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        while self.send_all(signal.SIGKILL):
            os.waitpid(-1, 0)

    def clean(self):
        self.end_all()
        left = [number for number, size, creator, attached in segments()
                if attached == 0 and (creator in self.dead or size == self.size)]
        for number in left:
            LIBC.shmctl(number, IPC_RMID, None)
        for name in filter(os.path.exists, self.shared):
            os.unlink(name)
        shutil.rmtree(self.directory)

    def run(self, work, alarm):
        worker = os.fork()
        if worker == 0:
            os.close(alarm)
            work(self)
            os._exit(1)
        ended = os.pidfd_open(worker)
        ready = select.select([ended, alarm], [], [])[0]
        code = 1
        if ended in ready:
            code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
        self.clean()
        os._exit(code if code >= 0 else 1)


def step_down():
    """Root in a container that may not look at others' processes can as well be an ordinary user."""
    abilities = int(re.search(r"CapEff:\s*(\w+)", text("/proc/self/status")).group(1), 16)
    if os.geteuid() == 0 and not abilities >> CAP_SYS_PTRACE & 1:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def keep(work, users):
    """Calls work(keeper), which ends by sys.exit(), and exits as it does.  Several users: processes of others, too."""
    alarm, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(end)
        os.setsid()
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        if users > 1:
            step_down()
        Keeper().run(work, alarm)
    os.close(alarm)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
