# SPDX-License-Identifier: MIT
"""rules.py ROOT: the rules of the house that a reader of the source can check."""
import os
import re
import sys

from report import Report

ROOT = sys.argv[1]

# Who may include whom: the directories below each, and itself.
BELOW = {
    "base": {"base", "tong"},
    "sys": {"sys", "base", "tong"},
    "core": {"core", "sys", "base", "tong"},
    "bpf": {"bpf", "sys", "base", "tong"},
    "inspect": {"inspect", "bpf", "sys", "base", "tong"},
    "trace": {"trace", "bpf", "sys", "base", "tong"},
    "ring": {"ring", "core", "sys", "base", "tong"},
    "leftover": {"leftover", "inspect", "mechanism", "ring", "core", "sys", "base", "tong"},
    "mechanism": {"mechanism", "ring", "core", "sys", "base", "tong"},
    "": {"", "core", "sys", "base", "tong"},
    "bench": {"bench", "tong"},
    "tool": {"tool", "advise", "measure", "sight", "web", "explain", "demo", "probe", "bench", "base", "tong"},
}

# What enters the kernel, or may: in the library only src/sys says it.  clock_gettime does not (it reads a shared
# page), and what libc does inside malloc or pthread is libc's.
SYSTEM_CALLS = """
    accept accept4 bind chmod chown close connect creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_wait
    epoll_pwait eventfd execl execv execve execvp fallocate fchmod fchown fcntl fdatasync fdopen flock fopen fork
    fstat fstatat fstatfs fsync ftruncate futimens getpeername getrandom getsockname getsockopt inotify_add_watch inotify_init
    inotify_init1 inotify_rm_watch ioctl kill link linkat listen lseek lstat madvise memfd_create mkdir mkfifo
    mkfifoat mkstemp mlock mmap mprotect mq_getattr mq_notify mq_open mq_receive mq_send
    mq_timedreceive mq_timedsend mq_unlink mremap msgctl msgget msgrcv msgsnd msync munmap
    nanosleep clock_nanosleep open openat opendir pause kcmp pidfd_getfd pidfd_open pipe pipe2 poll ppoll prctl pread preadv preadv2
    pwrite pwritev pwritev2 read readlink readv recv recvfrom recvmmsg recvmsg rename renameat renameat2 rmdir
    sched_yield select semctl semget semop semtimedop send sendfile sendmmsg sendmsg sendto setsockopt shm_open
    shm_unlink shmat shmctl shmdt shmget shutdown sigaction signal signalfd sleep socket socketpair splice stat
    statfs statx symlink syscall tee timerfd_create timerfd_settime tmpfile truncate umask unlink unlinkat usleep
    getdents64 getrlimit setrlimit pthread_sigmask sigprocmask sigtimedwait sigwaitinfo
    sem_clockwait sem_getvalue sem_open sem_post sem_trywait sem_wait vmsplice waitpid write writev
""".split()
CALLS = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(SYSTEM_CALLS))

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
VAGUE = {"manager", "helper", "helpers", "handler", "util", "utils", "info", "data", "misc", "common"}
# The habit is 600; this is where the habit has been forgotten.
LINES_MAX = 600


def sources(*directories):
    for directory in directories:
        for path, names, files in os.walk(os.path.join(ROOT, directory)):
            names.sort()
            for name in sorted(files):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(path, name), ROOT)


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def code(path):
    """The text without comments and strings, line by line."""
    blank = lambda match: re.sub(r"[^\n]", " ", match.group())
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])'", blank, text(path), flags=re.S)


def layer(path):
    parts = path.split("/")
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else ""
    return parts[0]


def included(path):
    for number, line in enumerate(text(path).split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)', line)
        if match:
            yield number, match.group(1), match.group(2)


def home(target):
    return target.split("/")[0] if "/" in target else ""


def layers():
    for path in sources("src", "bench", "tool"):
        below = BELOW.get(layer(path))
        if below is None:
            yield "%s: no layer is known for this directory" % path
            continue
        for number, mark, target in included(path):
            ours = mark == '"' or target.startswith("tong/")
            if not ours:
                continue
            # A name without a directory is the file's own neighbour.
            directory = layer(path) if "/" not in target else home(target)
            if directory not in below:
                yield "%s:%d: %s may not include \"%s\"" % (path, number, layer(path) or "the facade", target)


def lone_mechanisms():
    for path in sources("src/mechanism"):
        own = re.split(r"[_.]", os.path.basename(path))[0]
        for number, mark, target in included(path):
            if mark == '"' and (home(target) == "mechanism" or "/" not in target):
                if re.split(r"[_.]", os.path.basename(target))[0] != own:
                    yield "%s:%d: a mechanism includes another (%s)" % (path, number, target)


def nameless_core():
    schemes = {"pipe", "fifo", "unix", "msgq", "mq", "shm", "mmap", "file", "fd", "signal"}
    for path in sources("src/base", "src/sys", "src/core", "src/ring"):
        for match in re.finditer(r"\bmechanism_(\w+)", code(path)):
            if match.group(1) in schemes:
                yield "%s: names the mechanism %s" % (path, match.group(1))


def system_calls():
    for path in sources("src"):
        if layer(path) == "sys":
            continue
        for number, line in enumerate(code(path).split("\n"), 1):
            for match in CALLS.finditer(line):
                # A member of a facet is declared or called as (*name)( or ->name(; a function of ours is static.
                if re.match(r"\s*static\b", line) or "(*" + match.group(1) in line:
                    continue
                yield "%s:%d: %s() belongs in src/sys" % (path, number, match.group(1))


def quiet_library():
    loud = re.compile(r"(?<![\w.>])(printf|fprintf|puts|perror|fputs|exit|_exit|abort|assert|signal|sigaction|pthread_create)\s*\(")
    for path in sources("src"):
        for number, line in enumerate(code(path).split("\n"), 1):
            match = loud.search(line)
            # Asking how a signal is handled changes nothing; the one function that changes it is told on below.
            asked = re.search(r"\bsigaction\(\w+, NULL,", line) or path == "src/sys/sys.c" and "sigaction(number" in line
            if match and not asked:
                yield "%s:%d: a library never calls %s()" % (path, number, match.group(1))


def asked_dispositions():
    """What signals do is changed in one file, whose functions the caller calls for that."""
    for path in sources("src"):
        for number, line in enumerate(code(path).split("\n"), 1):
            if layer(path) != "sys" and "sys_sigaction(" in line and path not in ("src/signal_action.c", "src/guard.c"):
                yield "%s:%d: only tong_signal_...() and tong_guard_sigbus() change what a signal does" % (path, number)


def everything():
    yield from sources("src", "include", "tool", "test", "examples", "bench")


def unfinished():
    for path in everything():
        for number, line in enumerate(text(path).split("\n"), 1):
            if UNFINISHED.search(line):
                yield "%s:%d: %s" % (path, number, line.strip())


def sizes():
    for path in sources("src", "include", "tool", "bench"):
        count = text(path).count("\n")
        if count > LINES_MAX and not path.endswith("_image.c"): # which nobody wrote
            yield "%s has %d lines; at most %d" % (path, count, LINES_MAX)


def licences():
    for path in everything():
        if not text(path).startswith("/* SPDX-License-Identifier: MIT */"):
            yield "%s does not begin with its licence" % path


def names():
    for path in sources("src", "include", "tool"):
        if VAGUE & set(re.split(r"[_.]", os.path.basename(path))):
            yield "%s: a name that says nothing" % path


def listed_rows():
    """Every row of the contract is run by the build, and every mechanism has a line in the table."""
    listed = set(re.findall(r"'([\w-]+)'", text("test/contract/meson.build").split("foreach row")[1].split("]")[0]))
    rows = set(re.findall(r"^    \{ \"([\w-]+)\"", text("test/contract/rows.c"), re.M))
    for name in sorted(rows ^ listed):
        yield "the row %s is %s" % (name, "not run by test/contract/meson.build" if name in rows else "not in rows.c")


def readme(path):
    """What stays the same in every language: commands without their comments, the C program, what tables are about."""
    words = text(path)
    commands = [line.split("  #")[0] for line in re.findall(r"^ {4}.*?(\$ .*)", words, re.M)]
    return commands + re.findall(r"^```c\n.*?^```", words, re.M | re.S) + re.findall(r"^\| (`.*?) \|", words, re.M)


def readmes():
    for line in sorted(set(readme("README.md")) ^ set(readme("README.ko.md"))):
        yield "in one language only: %s" % line
    for path, other in (("README.md", "[한국어](README.ko.md)"), ("README.ko.md", "[English](README.md)")):
        if other not in text(path).split("\n")[:4]:
            yield "%s does not begin with %s" % (path, other)


def main():
    report = Report()
    for name, rule in (
        ("layers include only what is below them", layers),
        ("a mechanism never includes another", lone_mechanisms),
        ("the core names no mechanism", nameless_core),
        ("system calls go through src/sys", system_calls),
        ("the library never prints, exits, installs or starts anything", quiet_library),
        ("dispositions of signals change only where the caller asks", asked_dispositions),
        ("nothing is left unfinished", unfinished),
        ("files stay under %d lines" % LINES_MAX, sizes),
        ("every file begins with its licence", licences),
        ("names say something", names),
        ("every row of the contract is run", listed_rows),
        ("README.ko.md has the commands of README.md", readmes),
    ):
        report.rule(name, list(rule()))
    report.end()


main()
