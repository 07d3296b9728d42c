#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs to look at a machine: at a crowd that is made for it, beside lsof, ss and lsfd, in turns.  Times are of
the processor, user's and system's, which other programs change less than those on the clock; medians, with their range."""
import argparse
import contextlib
import http.client
import json
import os
import pty
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../house"))

from report import Report  # noqa: E402

BASE = "lsof +E"
OTHERS = (
    (BASE, ["lsof", "-n", "-P", "+E"]),
    ("lsof", ["lsof", "-n", "-P"]),
    ("ss -xap", ["ss", "-xap"]),
    ("lsfd", ["lsfd"]),
)
ALL = ["waits", "depths"]
SHARE = 2.0  # per cent of a processor that an idle program may take
# One look, with everything: its part of lsof +E, by the tier that it is taken from.
BOUNDS = {"proc": 3, "bpf": 10}


class Programs:
    def __init__(self, build):
        self.crowd, self.take, self.meter = (os.path.join(build, "test/inspect", name) for name in ("crowd", "take", "meter"))
        self.tong = os.path.join(build, "tool/tong")
        self.best = self.tier()

    def tier(self, *words):
        return subprocess.check_output([self.take, *words], universal_newlines=True).split()[0]

    def looks(self):
        """The library alone, from each tier there is, and the commands with all that they print."""
        tiers = [("proc", ["plainly"])] + ([] if self.best == "proc" else [(self.best, [])])
        for tier, words in tiers:
            yield "%s: ends" % tier, [self.take, *words]
            yield "%s: ends, waits, depths" % tier, [self.take, *words, *ALL]
        yield "tong ls --json", [self.tong, "ls", "--json"]
        yield "tong doctor --json", [self.tong, "doctor", "--json"]


@contextlib.contextmanager
def crowd(programs, processes, descriptors):
    """Yields how many pipes it has."""
    process = subprocess.Popen([programs.crowd, str(processes), str(descriptors)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, universal_newlines=True)
    try:
        words = process.stdout.readline().split()
        if not words:
            sys.exit("the crowd of %d processes could not be made" % processes)
        yield int(words[1])
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


# ---- Looks --------------------------------------------------------------------------------------------------------


def spread(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def measure(programs, commands, rounds):
    """In turns, so that what else happens on the machine happens to all of them."""
    runs = {name: [] for name, _ in commands}
    for _ in range(rounds):
        for name, command in commands:
            words = subprocess.check_output([programs.meter, *command], universal_newlines=True).split()
            runs[name].append([int(word) for word in words])
    return {name: {"processor_us": spread([run[0] for run in found]), "clock_us": spread([run[1] for run in found]),
                   "peak_kib": max(run[2] for run in found)} for name, found in runs.items()}


def cost(results, name):
    return results[name]["processor_us"]["median"]


def print_looks(results):
    print("%-28s %22s %12s %10s %9s %9s" % ("", "processor, ms", "clock, ms", "peak, MiB", "1/lsof+E", "1/ss"))
    for name, result in results.items():
        used = result["processor_us"]
        words = ["%9.1f" % (cost(results, other) / used["median"]) if other in results else "%9s" % "-"
                 for other in (BASE, "ss -xap")]
        print("%-28s %8.1f (%5.1f..%5.1f) %12.1f %10.1f %s" % (
            name, used["median"] / 1e3, used["low"] / 1e3, used["high"] / 1e3, result["clock_us"]["median"] / 1e3,
            result["peak_kib"] / 1024, " ".join(words)))


# ---- Programs that look again and again ----------------------------------------------------------------------------


def take_all(read):
    """All that comes, until whoever writes has ended."""
    def work():
        with contextlib.suppress(OSError, http.client.HTTPException):
            while read(65536):
                pass
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def on_terminal(command):
    ours, its = pty.openpty()
    process = subprocess.Popen(command, stdin=its, stdout=its, env=dict(os.environ, TERM="xterm"))
    os.close(its)
    return process, [take_all(lambda size: os.read(ours, size))]


def as_server(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True)
    return process, []


def as_page(command):
    process, threads = as_server(command)
    link = process.stdout.readline().strip().replace("/?", "/events?")
    return process, threads + [take_all(urllib.request.urlopen(link).read1)]


IDLE = (
    ("tong top", on_terminal, ["top"]),
    ("tong watch", as_server, ["watch"]),
    ("tong web, one page", as_page, ["web"]),
    ("tong web, no page", as_server, ["web"]),
)


def used_by(process):
    return time.clock_gettime((~process.pid << 3) | 2)  # its clock of processor time


def idle(programs, seconds):
    """Per cent of a processor that each takes, all of them at once, once its first look is over."""
    started = [(name, *start([programs.tong, *words])) for name, start, words in IDLE]
    time.sleep(2)
    before, began = [used_by(process) for _, process, _ in started], time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - began
    shares = {name: 100 * (used_by(process) - used) / elapsed for (name, process, _), used in zip(started, before)}
    for _, process, threads in started:
        process.terminate()
        process.communicate()
        for thread in threads:
            thread.join()
    return shares


# ---- What is asserted ----------------------------------------------------------------------------------------------


def pipes_whole(programs, due):
    """What is wrong with the pipes of the crowd, and whether any of it is called stuck."""
    picture = json.loads(subprocess.run([programs.tong, "doctor", "--json"], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, check=False).stdout)
    ours = {i for i, process in enumerate(picture["processes"]) if process["command"].startswith(programs.crowd + " ")}
    pipes = [item for item in picture["objects"] if item["kind"] == "pipe" and
             ours & {end["process"] for end in item["ends"]}]
    whole = [item for item in pipes if any(end["sends"] for end in item["ends"]) and
             any(end["receives"] for end in item["ends"])]
    if len(whole) < due:
        yield "%d of %d pipes were seen with both ends" % (len(whole), due)
    for finding in picture["findings"]:
        if ours & {wait["process"] for wait in finding["waits"]}:
            yield "it is told to be stuck: " + finding["summary"]


def too_dear(programs, results):
    for tier, bound in BOUNDS.items():
        name = "%s: ends, waits, depths" % tier
        if name in results and cost(results, name) * bound > cost(results, BASE):
            yield "%s takes %.1f ms, more than 1/%d of the %.1f ms of %s" % (
                name, cost(results, name) / 1e3, bound, cost(results, BASE) / 1e3, BASE)


def too_steep(programs, few, many):
    """A process more must cost as much among many as among few; the machine's other ones are in both."""
    for name in few:
        each = [cost(results, name) / count for count, results in ((FEW, few), (MANY, many))]
        if each[1] > 2 * each[0]:
            yield "%s: %.0f us a process of %d, %.0f of %d" % (name, each[0], FEW, each[1], MANY)


def too_busy(programs, shares, seconds):
    """One look may fall on the edge of the time that was measured."""
    look = int(subprocess.check_output([programs.meter, programs.tong, "doctor", "--json"]).split()[0]) / 1e4
    for name, share in shares.items():
        if share > SHARE + 1.5 * look / seconds:
            yield "%s takes %.1f %% of a processor" % (name, share)


FEW, MANY, DESCRIPTORS, SECONDS = 100, 800, 40, 6


def check(programs):
    report = Report()
    looks = list(programs.looks())
    with crowd(programs, FEW, DESCRIPTORS) as pipes:
        few = measure(programs, looks, 5)
        report.rule("both ends of every pipe of a crowd are seen, and nobody in it is stuck", list(pipes_whole(programs, pipes)))
        if shutil.which("lsof"):
            few.update(measure(programs, [OTHERS[0]], 3))
            print_looks(few)
            report.rule("a look at everything takes a part of %s" % BASE, list(too_dear(programs, few)))
        else:
            report.skip("a look beside %s" % BASE, "there is no lsof")
    with crowd(programs, MANY, DESCRIPTORS):
        many = measure(programs, looks, 3)
    report.rule("a look takes as long as there are processes, not as their square", list(too_steep(programs, dict(looks), many)))
    report.rule("idle, all take less than %.0f %% of a processor" % SHARE, list(too_busy(programs, idle(programs, SECONDS), SECONDS)))
    report.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", help="where tong was built, with its tests")
    parser.add_argument("--processes", type=int, default=500)
    parser.add_argument("--descriptors", type=int, default=40, help="of each process")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--idle", type=int, default=0, metavar="SECONDS", help="also what runs all the time, with and without the crowd")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="a short round that asserts the bounds")
    asked = parser.parse_args()
    programs = Programs(asked.build)
    if asked.check:
        check(programs)
    found = {"idle_percent": idle(programs, asked.idle)} if asked.idle else {}
    others = [(name, command) for name, command in OTHERS if shutil.which(command[0])]
    with crowd(programs, asked.processes, asked.descriptors):
        found.update(processes=asked.processes, descriptors=asked.processes * asked.descriptors, rounds=asked.rounds,
                     looks=measure(programs, others + list(programs.looks()), asked.rounds))
        if asked.idle:
            found["idle_percent_beside_the_crowd"] = idle(programs, asked.idle)
    if asked.json:
        print(json.dumps(found, indent=1))
        return
    print("%d processes with %d descriptors, %d rounds" % (asked.processes, found["descriptors"], asked.rounds))
    print_looks(found["looks"])
    for key in ("idle_percent", "idle_percent_beside_the_crowd"):
        for name, share in found.get(key, {}).items():
            print("%s: %s %.2f" % (key, name, share))


main()
