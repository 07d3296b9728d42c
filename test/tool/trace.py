# SPDX-License-Identifier: MIT
"""trace.py TONG ROOT: tong trace attributes each byte, and tells and shows only what was asked for."""
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

TONG, ROOT = os.path.realpath(sys.argv[1]), sys.argv[2]
sys.path.insert(0, os.path.join(ROOT, "test/house"))

from report import Report  # noqa: E402

SECRET = "pass\033[31mword"
ENVIRONMENT = dict(os.environ, LC_ALL="C", TZ="UTC")
PATIENCE = 240
BPF_CAPABILITIES = (21, 38, 39)  # SYS_ADMIN, PERFMON, BPF
PR_CAPBSET_DROP = 24


class Trace:
    """tong trace, which looks from the moment on when this is made."""

    def __init__(self, *words, **more):
        self.process = subprocess.Popen([TONG, "trace", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=ENVIRONMENT, **more)
        self.words = b""
        deadline = time.monotonic() + PATIENCE
        while b"Ctrl-C ends it" not in self.words and time.monotonic() < deadline:
            if select.select([self.process.stderr], [], [], 1)[0]:
                piece = os.read(self.process.stderr.fileno(), 4096)
                if not piece:
                    break
                self.words += piece

    def end(self, number=None):
        if number:
            self.process.send_signal(number)
        try:
            out, rest = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, rest = self.process.communicate()
            return None, out, (self.words + rest).decode()
        return self.process.returncode, out.decode(), (self.words + rest).decode()

    def lines(self, number=None):
        code, out, words = self.end(number)
        return code, [json.loads(line) for line in out.splitlines()], words


class Shell:
    """A shell that runs a command once it may, and then ends."""

    def __init__(self, command):
        self.process = subprocess.Popen(["sh", "-c", "read go; " + command], stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.pid = str(self.process.pid)

    def go(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)


def run(*words, **more):
    result = subprocess.run([TONG, "trace", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE,
                            env=ENVIRONMENT, **more)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def counts(lines, name, direction):
    return [line for line in lines if line["event"] == "count" and line["process"]["name"] == name and
            line["direction"] == direction and line["kind"] == "pipe"]


def traced(command, *options):
    """All that a shell's command does, and what its children do."""
    shell = Shell(command)
    trace = Trace("-f", *options, shell.pid)
    shell.go()
    result = trace.lines() if "--json" in options else trace.end()
    shell.end()
    return result


def pipeline():
    code, lines, words = traced("dd if=/dev/zero bs=64 count=10000 | cat >/dev/null", "--json", "--summary")
    yield from complaint(code == 0, "exit code %s: %s" % (code, words))
    sent, received = counts(lines, "dd", "send"), counts(lines, "cat", "receive")
    for what, found in (("dd sends", sent), ("cat receives", received)):
        yield from complaint([one["bytes"] for one in found] == [640000], "%s %s" % (what, found))
    yield from complaint([one["messages"] for one in sent] == [10000], "dd sends %s" % sent)
    yield from complaint(sent and received and sent[0]["key"] == received[0]["key"], "through two pipes")
    yield from complaint(not [line for line in lines if line["event"] == "message"], "events with --summary")
    yield from complaint([line["events"] + line["messages"] for line in lines if line["event"] == "lost"] == [0],
                         "something was lost")


def table():
    code, out, words = traced("dd if=/dev/zero bs=100 count=100 | cat >/dev/null")
    yield from complaint(code == 0, "exit code %s: %s" % (code, words))
    yield from complaint(re.search(r"^pipe +\[\d+\] +dd/\d+ +--> +100 +10000 +\d+$", out, re.M), "no row of dd: " + out)
    yield from complaint(re.search(r"^ +cat/\d+ +<-- +\d+ +10000 +\d+$", out, re.M), "no row of cat: " + out)
    yield from complaint(re.search(r"^\d\d:\d\d:\d\d\.\d{6}  dd/\d+ +--> pipe +\[\d+\] +100 bytes", out, re.M),
                         "no line of dd: " + out)
    code, out, words = traced("printf 1 | cat >/dev/null")
    yield from complaint(" 1 byte  " in out and "1 bytes" not in out, "one byte is " + out)


def short_processes():
    """Above eight of a name are one row."""
    command = "(i=0; while [ $i -lt 50 ]; do i=$((i+1)); /bin/echo 1234; done) | cat >/dev/null"
    code, out, words = traced(command, "--summary")
    yield from complaint(code == 0, "exit code %s: %s" % (code, words))
    yield from complaint(re.search(r"echo, 50 of them +--> +50 +250 ", out), out)
    yield from complaint(re.search(r"cat/\d+ +<-- +\d+ +250 ", out), out)


def content():
    command = "printf '%s' | cat >/dev/null" % SECRET.replace("\033", "\\033")
    plain = traced(command)
    shown = traced(command, "--hex", "--bytes", "4")
    whole = traced(command, "--hex", "--json")
    yield from complaint("70 61 73 73" not in plain[1] and "pass" not in plain[1], "it is shown unasked: " + plain[1])
    yield from complaint("70 61 73 73  " in shown[1] and "|pass|" in shown[1], "it is not shown: " + shown[1])
    yield from complaint("the first 4 of 13 bytes" in shown[1] and "word" not in shown[1], "too much is: " + shown[1])
    contents = {line["content"] for line in whole[1] if line["event"] == "message" and line["kind"] == "pipe"}
    yield from complaint("cGFzcxtbMzFtd29yZA==" in contents, "as JSON: %s" % contents)


def only_the_address():
    """A FIFO of two, whose name a terminal must not be shown."""
    with tempfile.TemporaryDirectory() as directory:
        ours, other = os.path.join(directory, "\033[7mours"), os.path.join(directory, "other")
        for path in (ours, other):
            os.mkfifo(path)
        ends = [os.open(path, os.O_RDWR | os.O_CLOEXEC) for path in (ours, other)]
        trace = Trace("fifo:" + ours)
        for end in ends:
            os.write(end, b"123")
            os.read(end, 3)
        code, out, words = trace.end(signal.SIGINT)
        for end in ends:
            os.close(end)
    yield from complaint(code == -signal.SIGINT, "exit code %s: %s" % (code, words))
    yield from complaint(out.count("3 bytes") == 2 and "other" not in out, out)
    yield from complaint("\\x1b[7mours" in out and "\033" not in out + words, "it is not escaped")


def signals():
    code, lines, words = traced("sleep 60 & kill -TERM $!; wait $!", "--json", "--signals", "--wakes")
    yield from complaint(code == 0, "exit code %s: %s" % (code, words))
    told = [line for line in lines if line["event"] == "signal" and line["signal"] == signal.SIGTERM]
    yield from complaint(len(told) == 1 and told[0]["from"]["name"] == "sh" and told[0]["code"] == 0 and
                         told[0]["to"]["name"] in ("sleep", "sh") and told[0]["result"] == "delivered", "%s" % told)
    pairs = [line for line in lines if line["event"] == "pair" and line["signal"] == signal.SIGTERM]
    yield from complaint([pair["count"] for pair in pairs] == [1], "%s" % pairs)
    command = "(i=0; while [ $i -lt 30 ]; do i=$((i+1)); sleep 0.05; echo 1; done) | cat >/dev/null"
    code, out, words = traced(command, "--wakes")
    yield from complaint(re.search(r"^ +\d+  wakes +sh/\d+ -> cat/\d+$", out, re.M), "nobody woke cat: " + out)
    yield from complaint(re.search(r"^ +\d+  wakes +an interrupt -> sleep, \d+ pairs$", out, re.M), "no timer: " + out)
    yield from complaint("migration" not in out and "ksoftirqd" not in out, "a thread of the kernel: " + out)


def ends():
    """By time, by count, by Ctrl-C, by a reader that has gone."""
    shell = Shell("while :; do echo 12; done | cat")
    yield from complaint(run("--for", "100ms", shell.pid)[0] == 0, "--for")
    trace = Trace("-f", "--count", "5", shell.pid)
    shell.go()
    code, out, words = trace.end()
    yield from complaint(code == 0 and len(out.split("\n\n")[0].split("\n")) == 5, "--count: %s %s" % (code, out))
    code, out, words = Trace("-f", "--summary", shell.pid).end(signal.SIGINT)
    yield from complaint(code == -signal.SIGINT and out.startswith("KIND "), "Ctrl-C: %s %s" % (code, out))
    trace = Trace("-f", shell.pid)
    trace.process.stdout.close()
    trace.process.stdout = None
    code = trace.process.wait(PATIENCE)
    yield from complaint(code == -signal.SIGPIPE, "a reader that has gone: %s" % code)
    trace.process.stderr.close()
    os.killpg(shell.process.pid, signal.SIGKILL)
    shell.end()


def everything():
    code, out, words = run("--summary", "--for", "300ms")
    yield from complaint(code == 0 and out.startswith("KIND "), "%s %s %s" % (code, out, words))


def memory():
    """What makes no call for a message is said, and how much went through is read from it."""
    address = "shm:tong-test-%d-trace" % os.getpid()
    receiver = subprocess.Popen([TONG, "recv", "--lines", address], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    sender = subprocess.Popen([TONG, "send", "--lines", "--wait", "20s", address], stdin=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    sender.stdin.write(b"first\n")
    sender.stdin.flush()
    receiver.stdout.readline()
    plain, told = Trace("--wakes", address), Trace("--json", "--summary", address)
    sender.stdin.write(b"x" * 1000 + b"\n")
    sender.stdin.close()
    code = [sender.wait(PATIENCE), receiver.wait(PATIENCE)]
    receiver.stdout.close()
    out, words = plain.end(signal.SIGINT)[1:]
    lines = told.lines(signal.SIGINT)[1]
    subprocess.run([TONG, "rm", address], stderr=subprocess.DEVNULL, check=False)
    yield from complaint(code == [0, 0], "they ended with %s" % code)
    yield from complaint("messages go through memory" in words, words)
    passed = re.search(r"(\d+) bytes went through its memory", out)
    yield from complaint(passed and 1000 <= int(passed.group(1)) < 2000, out)
    found = [line for line in lines if line["event"] == "passed"]
    yield from complaint(passed and [(one["kind"], one["object"], one["bytes"]) for one in found] ==
                         [("channel", address, int(passed.group(1)))], "as JSON: %s" % found)
    yield from complaint(lines and lines[-1]["event"] == "lost", "what was lost is not last: %s" % lines[-1:])


def namespace():
    """Processes have the numbers that they have where tong runs."""
    with tempfile.TemporaryDirectory() as directory:
        fifo = os.path.join(directory, "go")
        os.mkfifo(fifo)
        end = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
        script = "(read go <'%s'; dd if=/dev/zero bs=64 count=100 2>/dev/null | cat >/dev/null) & " \
                 "\"$0\" trace -f --json --summary $!"
        inside = subprocess.Popen(["unshare", "--fork", "--pid", "--mount-proc", "sh", "-c", script % fifo, TONG],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        words = b""
        while b"Ctrl-C" not in words:
            piece = os.read(inside.stderr.fileno(), 4096)
            words += piece
            if not piece:
                break
        os.write(end, b"\n")
        out, rest = inside.communicate(timeout=PATIENCE)
        os.close(end)
    lines = [json.loads(line) for line in out.decode().splitlines()]
    for name, way in (("dd", "send"), ("cat", "receive")):
        found = counts(lines, name, way)
        yield from complaint([one["bytes"] for one in found] == [6400], "%s: %s %s" % (name, found, words))
        yield from complaint(all(one["process"]["pid"] < 1000 for one in found), "its number outside: %s" % found)


def completion():
    words = subprocess.run([TONG, "complete", "--", "trace", "fi"], capture_output=True, check=True, timeout=PATIENCE).stdout
    yield from complaint(b"fifo:" in words, "fi becomes %s" % words)


def refusals():
    for words, due, pattern in (
        ((), 2, "say which processes"), (("--bytes", "4", "1"), 2, "--hex"),
        (("--hex", "--bytes", "5000", "1"), 2, "4096"),
        (("--hex", "--summary", "1"), 2, "one of them"), (("no-such-process-here",), 6, "no process is called"),
        (("fifo:/no/such",), 6, "nobody has fifo:/no/such open"),
        (("futex:[1:2:3:4]",), 6, "nobody has futex:[1:2:3:4] open"), (("memfd:none",), 6, "nobody has memfd:none open"),
        (("bogus:x",), 2, "there is no mechanism and no kind of object 'bogus:'; there are file:, "),
        (("bogus/0:1",), 6, "no process is called bogus/0:1"), (("--for", "x", "1"), 2, "duration"),
    ):
        code, out, told = run(*words)
        yield from complaint(code == due and pattern in told and not out and told.count("\n") == 1,
                             "%s: %s %s" % (words, code, told))


def drop_capabilities():
    libc = ctypes.CDLL(None)
    for capability in BPF_CAPABILITIES:
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def without_permission():
    code, out, words = run("--summary", "--for", "1s", preexec_fn=drop_capabilities)
    yield from complaint(code == 5 and "CAP_BPF" in words and not out and words.count("\n") == 1,
                         "%s %s" % (code, words))


def may_unshare():
    try:
        return subprocess.run(["unshare", "--fork", "--pid", "--mount-proc", "true"], stderr=subprocess.DEVNULL,
                              check=False).returncode == 0
    except FileNotFoundError:
        return False


def complaint(right, words):
    if not right:
        yield words


RULES = (
    ("dd | cat, to the byte", pipeline), ("lines and a table", table),
    ("many short processes are one row", short_processes),
    ("content is shown when asked for, and no more of it", content),
    ("only the address, and its name escaped", only_the_address),
    ("who signals and wakes whom", signals), ("how it ends", ends), ("all of the machine", everything),
    ("a channel in memory", memory), ("in a pid namespace", namespace), ("what is refused", refusals),
    ("an address is completed", completion),
    ("who may not is told what is missing", without_permission),
)


def main():
    report = Report()
    code, out, words = run("--summary", "--for", "10ms")
    for name, rule in RULES:
        if code:
            report.skip(name, words.strip())
        elif rule is namespace and not may_unshare():
            report.skip(name, "no pid namespace can be made here")
        else:
            report.rule(name, list(rule()))
    report.end()


main()
