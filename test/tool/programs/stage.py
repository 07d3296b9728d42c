# SPDX-License-Identifier: MIT
"""stage.py TONG ROOT: what the tests of real programs share: starting, waiting, looking, and saying what is right."""
import functools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

from keeper import NOBODY, children, keep, text  # noqa: F401

TONG, ROOT = os.path.realpath(sys.argv[1]), sys.argv[2]
sys.path.insert(0, os.path.join(ROOT, "test/house"))

from report import Report  # noqa: E402

LONGEST = 200  # seconds until something that is waited for is not coming
SKIPPED = 77
STUCK, ORPHAN, FULL, WORLD_WRITABLE, LEFTOVER, PERHAPS_STUCK, STOPPED = range(1, 8)
# Debian keeps daemons where only root looks for them.
os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["LC_ALL"] = "C"


def is_root():
    return os.geteuid() == 0


def free_port():
    """Of the loopback address, below those that the kernel gives away by itself."""
    port = 20000 + os.getpid() % 10000
    while True:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                port += 1


def subprocess_output(command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LONGEST,
                          check=False).stdout


class Sight:
    """What tong said: a document of doc/json.md."""

    def __init__(self, document):
        self.processes, self.findings = document["processes"], document["findings"]
        self.all = document["objects"]
        self.by_index = {one["index"]: one for one in self.all}
        self.by_pid = {one["pid"]: one for one in self.processes}

    def pid(self, end):
        return self.processes[end["process"]]["pid"]

    def objects(self, kind, name=""):
        return [one for one in self.all if one["kind"] == kind and name in one["name"]]

    def ends(self, thing, pid):
        return [end for end in thing["ends"] if self.pid(end) == pid]

    def at(self, thing, way=None):
        """The processes at an object: all, or those that can go one way only, or the other, "sends", "receives"."""
        return {self.pid(end) for end in thing["ends"] if way is None or end[way]}

    def sockets(self, one, other):
        """Sockets of the first process whose other side the second has."""
        return [thing for thing in self.all if thing["peer"] is not None and self.ends(thing, one) and
                thing["peer"] in self.by_index and self.ends(self.by_index[thing["peer"]], other)]

    def stuck(self, pids):
        """Findings that say of one of these processes that it is, or perhaps is, stuck."""
        return [one for one in self.findings if one["kind"] in (STUCK, PERHAPS_STUCK) and
                any(self.processes[wait["process"]]["pid"] in pids for wait in one["waits"])]

    def descendants(self, pid):
        found = [pid]
        for one in found:
            found += [other["pid"] for other in self.processes if other["parent"] == one]
        return found[1:]

    def found(self, kind, key):
        return [one for one in self.findings if one["kind"] == kind and one["object"] is not None and
                key in (self.by_index[one["object"]]["key"], self.by_index[one["object"]]["name"])]


class Stage:
    def __init__(self, keeper):
        self.keeper, self.report = keeper, Report()
        self.directory = keeper.directory
        os.chdir(self.directory)
        os.environ.update(HOME=self.directory, TMPDIR=self.directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def start(self, *command, unprivileged=False, log="log", **more):
        """A program with a file of what it says."""
        if unprivileged and is_root():
            more.update(user=NOBODY, group=NOBODY, extra_groups=[])
        more.setdefault("stdin", subprocess.DEVNULL)
        with open(self.path(log), "ab") as out:
            return subprocess.Popen(command, stdout=out, stderr=out, **more)

    def run(self, *command, **more):
        process = self.start(*command, **more)
        if process.wait(timeout=LONGEST) != 0:
            self.give_up("%s exits with %d" % (command[0], process.returncode))
        return process

    def give_up(self, why):
        self.report.rule("the program runs as it should", [why] + text(self.path("log")).splitlines()[-10:])
        self.report.end()

    def until(self, what, condition):
        """What the condition returns, once that is true."""
        limit = time.monotonic() + LONGEST
        got = condition()
        while not got:
            if time.monotonic() > limit:
                self.give_up("in vain waited for: " + what)
            time.sleep(0.02)
            got = condition()
        return got

    def says(self, log, words):
        self.until("%r in %s" % (words, log), lambda: words in text(self.path(log)))

    def check_shown(self, name, pattern, *command):
        """That what a person reads has a line like this, and only one."""
        told = subprocess_output([TONG, *command])
        self.check(name, len(re.findall(pattern, told, re.M)) == 1, told)

    def look(self, verb="doctor", *arguments):
        told = subprocess.run([TONG, verb, "--json", *arguments], stdout=subprocess.PIPE, timeout=LONGEST, check=False)
        return Sight(json.loads(told.stdout))

    def settled(self, pids, what, condition):
        """The first look at which the condition holds; whoever of these cannot be looked at makes it a skip."""
        def try_once():
            seen = self.look()
            self.skip_hidden(seen, pids)
            return condition(seen) and seen
        return self.until(what, try_once)

    def skip_hidden(self, seen, pids):
        if any(seen.by_pid[pid]["hidden"] for pid in pids if pid in seen.by_pid):
            skip("this user may not look at processes of another one")

    def check(self, name, right, told=""):
        self.report.rule(name, [] if right else [str(told)])

    def check_nobody_stuck(self, seen, pids):
        found = seen.stuck(pids)
        self.check("nobody is called stuck", not found, [(one["summary"], one["proof"]) for one in found])


def skip(reason):
    print("skip %s: %s" % (os.path.basename(sys.argv[0])[:-3], reason))
    sys.exit(SKIPPED)


def perform(play, *programs, users=1):
    """Calls play(stage) if all these programs are there.  Users: of how many the processes are, if root starts them."""
    for program in programs:
        if not shutil.which(program):
            skip("%s is not installed" % program)

    def work(keeper):
        if not os.access(TONG, os.X_OK):
            skip("an ordinary user may not run %s" % TONG)
        stage = Stage(keeper)
        play(stage)
        stage.report.end()
    sys.stdout.reconfigure(line_buffering=True)
    keep(work, users)
