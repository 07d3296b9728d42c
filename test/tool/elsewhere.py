# SPDX-License-Identifier: MIT
"""elsewhere.py TONG ROOT: looks without /proc, by an ordinary user, from a namespace of processes, and at a process whose
number another has taken in between."""
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

TONG, ROOT = os.path.realpath(sys.argv[1]), sys.argv[2]
sys.path.insert(0, os.path.join(ROOT, "test/house"))

from report import Report  # noqa: E402

NOBODY = 65534
NUMBER = 3000
VERBS = ("ls", "map", "doctor", "gc", "watch")
libc = ctypes.CDLL(None, use_errno=True)


def run(*words, **more):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240, universal_newlines=True,
                          stdin=subprocess.DEVNULL, **more)


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def content(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def refused(answer, words):
    """It must fail as what is not found, in one line."""
    lines = answer.stderr.splitlines()
    if answer.returncode != 6 or len(lines) != 1 or words not in lines[0] or answer.stdout:
        yield "exit %d: %r %r" % (answer.returncode, answer.stderr, answer.stdout[:80])


def check_proc(report):
    offences = []
    for verb in VERBS:
        # Who looks for leaks needs /proc himself.
        gone = run("unshare", "--mount", "sh", "-c", 'umount -l /proc && ASAN_OPTIONS=detect_leaks=0 exec "$0" "$1"', TONG, verb)
        offences += [verb + ": " + offence for offence in refused(gone, "mount -t proc")]
    report.rule("without /proc each verb says what to mount", offences)
    offences = []
    for verb in VERBS:
        wrong = run("unshare", "--pid", "--fork", TONG, verb)
        offences += [verb + ": " + offence for offence in refused(wrong, "another pid namespace")]
    report.rule("the /proc of another pid namespace is refused", offences)


def check_user(report):
    """An ordinary user is told what it did not see; nothing is wrong, and that is no proof."""
    as_nobody = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    if not shutil.which("setpriv") or run(*as_nobody, TONG, "--version").returncode:
        report.skip("an ordinary user", "there is no setpriv, or the program is not for everybody")
        return
    answer = run(*as_nobody, TONG, "doctor")
    told = answer.stderr
    wrong = re.search(r"^(stuck|leftover|orphan|full|world|perhaps)", answer.stdout, re.MULTILINE)
    report.rule("an ordinary user is told what it did not see", [
        "%r is not in %r" % (words, told) for words in ("descriptors of processes", "mappings of processes",
                                                        "not permitted to this user") if words not in told])
    report.rule("and its doctor exits with 9, or with findings", [] if answer.returncode == (8 if wrong else 9)
                else ["exit %d" % answer.returncode])


def begin_stuck(ends):
    """A process of that number that reads what only it could write, and is called by that name."""
    with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
        file.write(str(NUMBER - 1))
    pid = os.fork()
    if pid == 0:
        try:
            libc.prctl(1, signal.SIGKILL, 0, 0, 0)
            for number in range(1, 32):  # who catches signals is taken for an event loop
                if number not in (signal.SIGKILL, signal.SIGSTOP):
                    signal.signal(number, signal.SIG_DFL)
            os.close(ends)
            inner = os.pipe()
            libc.prctl(15, b"stuck", 0, 0, 0)
            os.read(inner[0], 1)
        finally:
            os._exit(1)
    if pid != NUMBER:
        raise OSError("the child is %d" % pid)
    until(lambda: content("/proc/%d/stat" % pid).startswith("%d (stuck) S" % pid))
    return pid


def confirm(options, replace):
    """A doctor that looks twice; whether it finds the process stuck, when that is another in between."""
    ours, its = os.pipe()
    pid = begin_stuck(its)
    doctor = subprocess.Popen([TONG, "doctor", "--confirm", "2s", *options], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, universal_newlines=True)
    asleep = until(lambda: "nanosleep" in content("/proc/%d/wchan" % doctor.pid) or
                   content("/proc/%d/syscall" % doctor.pid).startswith(("230 ", "35 ", "115 ", "101 ")))
    if replace:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        time.sleep(2 / os.sysconf("SC_CLK_TCK"))  # two that begin within one tick of the clock cannot be told apart
        pid = begin_stuck(its)
    output = doctor.communicate(timeout=240)[0]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(ours)
    os.close(its)
    if "--json" in options:
        found = any("stuck %d" % NUMBER in finding["summary"] for finding in json.loads(output)["findings"])
    else:
        found = "stuck %d" % NUMBER in output
    return asleep, found


def check_confirm(report):
    for options in ([], ["--json"]):
        asleep, found = confirm(options, False)
        report.rule(" ".join(["doctor confirms who is stuck", *options]), [] if asleep and found else ["it does not"])
        asleep, found = confirm(options, True)
        report.rule(" ".join(["doctor confirms nothing of another of that number", *options]),
                    [] if asleep and not found else ["it does"])


def check_watch(report):
    """The heir of a number is another process: the one ends, the other begins."""
    ours, its = os.pipe()
    pid = begin_stuck(its)
    watching = subprocess.Popen([TONG, "watch", "--interval", "100ms", "--on", "began,death"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, universal_newlines=True)
    watching.stderr.readline()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))
    pid = begin_stuck(its)
    lines = [watching.stdout.readline() for _ in range(2)]
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=120)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(ours)
    os.close(its)
    report.rule("watch tells the end of one and the beginning of the other", [
        "%s is not told: %r" % (word, lines) for word in ("began", "death")
        if not any(re.search(r" %s +\w+/%d " % (word, NUMBER), line) for line in lines)])


def main():
    report = Report()
    inside = len(sys.argv) > 3
    if not inside:
        alone = ["unshare", "--pid", "--mount", "--net", "--ipc", "--fork", "--mount-proc", "--kill-child"]
        if os.geteuid() != 0 or not shutil.which("unshare") or run(*alone, "true").returncode:
            print("skip elsewhere: only root can make namespaces, where it can")
            sys.exit(77)
        sys.exit(subprocess.run([*alone, sys.executable, "-B", __file__, TONG, os.path.realpath(ROOT), "inside"],
                                timeout=1000).returncode)
    check_proc(report)
    check_user(report)
    if os.access("/proc/sys/kernel/ns_last_pid", os.W_OK):
        check_confirm(report)
        check_watch(report)
    else:
        report.skip("another of the same number", "this kernel lets nobody choose one")
    report.end()


main()
