#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs to look at a machine: at a crowd that is made for it, beside lsof, ss and lsfd, in turns.  Times are
medians with their range, of the processor, user's and system's: other programs change those less than the clock's.
"""
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
ALL = ["waits", "depths", "findings"]
# Of what lsof +E takes, one part in so many, with what it takes to load programs into the kernel; fewer than measured,
# as what else runs meanwhile weighs on each differently.
BOUNDS = {"proc: ends, waits, depths": 3, "bpf: ends": 10, "bpf: ends, waits, depths": 10}


class Programs:
    def __init__(self, build):
        here = os.path.join(os.path.realpath(build), "test/inspect")
        self.crowd, self.take, self.meter = (os.path.join(here, name) for name in ("crowd", "take", "meter"))
        self.tong = os.path.join(build, "tool/tong")
        self.best = self.look()[0]

    def look(self, *words):
        """Where it is from, how many microseconds it took of the processor, and how many ends there are."""
        tier, took, ends = subprocess.check_output([self.take, *words], universal_newlines=True).split()
        return tier, int(took), int(ends)

    def tiers(self):
        """With the words that choose each."""
        return {"proc": ["plainly"], self.best: []} if self.best != "proc" else {"proc": ["plainly"]}

    def looks(self):
        """The library alone, from each tier there is, and the commands with all that they print."""
        for tier, words in self.tiers().items():
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


def part(results, name, other):
    """What it takes of another."""
    if other not in results:
        return "-"
    ratio = cost(results, other) / cost(results, name)
    return "1/%.1f" % ratio if ratio > 1 else "%.1f times" % (1 / ratio)


def print_looks(results):
    print("%-28s %22s %12s %10s %12s %12s" % (
        "", "processor, ms", "clock, ms", "peak, MiB", "of lsof +E", "of ss -xap"))
    for name, result in results.items():
        used = result["processor_us"]
        print("%-28s %8.1f (%5.1f..%5.1f) %12.1f %10.1f %12s %12s" % (
            name, used["median"] / 1e3, used["low"] / 1e3, used["high"] / 1e3, result["clock_us"]["median"] / 1e3,
            result["peak_kib"] / 1024, part(results, name, BASE), part(results, name, "ss -xap")))


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
    link = process.stdout.readline().strip()
    events = "%s/events?token=%s" % (link.rpartition("/")[0], link.partition("token=")[2])
    return process, threads + [take_all(urllib.request.urlopen(events).read1)]


# With per cents of a processor that they may take; what goes to a page is more while things come and go.
IDLE = (
    ("tong top", on_terminal, ["top"], 2),
    ("tong watch", as_server, ["watch"], 2),
    ("tong web, one page", as_page, ["web"], 5),
    ("tong web, no page", as_server, ["web"], 0.1),
)


# How to ask a verb whether this tong has it, without its going on.
ASKED = {"top": ["top"], "web": ["web", "--socket", "/nonexistent/socket"]}


def is_built(programs, verb):
    if verb not in ASKED:
        return True
    asked = subprocess.run([programs.tong, *ASKED[verb]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, universal_newlines=True, check=False)
    return "install " not in asked.stderr


def used_by(process):
    return time.clock_gettime((~process.pid << 3) | 2)  # its clock of processor time


def idle(programs, seconds):
    """Per cent of a processor that each takes, all of them at once, once its first look is over."""
    started = [(name, *start([programs.tong, *words])) for name, start, words, _ in IDLE if is_built(programs, words[0])]
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


def wrongly_seen(programs, due):
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


def too_dear(results):
    for name, bound in BOUNDS.items():
        if name in results and cost(results, name) * bound > cost(results, BASE):
            yield "%s takes %.1f ms, more than 1/%d of the %.1f ms of %s" % (
                name, cost(results, name) / 1e3, bound, cost(results, BASE) / 1e3, BASE)
        if name in results and results[name]["peak_kib"] > results[BASE]["peak_kib"]:
            yield "%s has up to %d KiB, more than %s" % (name, results[name]["peak_kib"], BASE)


def for_each_end(programs):
    """Microseconds of a look at everything for each end in it, by tier; who else is on the machine is in both.  The least
    of some: what a machine does meanwhile only adds to it."""
    looks = {tier: [programs.look(*words, *ALL) for _ in range(5)] for tier, words in programs.tiers().items()}
    return {tier: min(took / ends for _, took, ends in runs) for tier, runs in looks.items()}


def too_steep(few, many):
    for tier in few:
        if many[tier] > 1.7 * few[tier]:
            yield "%s: %.1f us for each end among few, %.1f among many" % (tier, few[tier], many[tier])


def too_busy(programs, seconds):
    """A look more than its due may fall into the time that was measured, at as many processes as came meanwhile."""
    looks = [measure(programs, [("", [programs.tong, "doctor", "--json"])], 1)]
    shares = idle(programs, seconds)
    looks += [measure(programs, [("", [programs.tong, "doctor", "--json"])], 1)]
    edge = 1.5 * max(cost(look, "") for look in looks) / 1e4 / seconds
    for name, _, _, bound in IDLE:
        if name in shares and shares[name] > bound + (edge if bound >= 1 else 0):
            yield "%s takes %.1f %% of a processor" % (name, shares[name])


FEW, MANY, DESCRIPTORS, SECONDS = 50, 500, 40, 8


def check(programs):
    report = Report()
    with crowd(programs, FEW, DESCRIPTORS) as pipes:
        report.rule("a crowd: both ends of every pipe are seen, nobody is stuck", list(wrongly_seen(programs, pipes)))
        few = for_each_end(programs)
    with crowd(programs, MANY, DESCRIPTORS):
        report.rule("a look takes as long as there are ends, not as their square",
                    list(too_steep(few, for_each_end(programs))))
        if shutil.which("lsof"):
            results = measure(programs, [OTHERS[0]] + [look for look in programs.looks() if look[0] in BOUNDS], 3)
            print_looks(results)
            report.rule("a look takes a small part of %s" % BASE, list(too_dear(results)))
        else:
            report.skip("a look beside %s" % BASE, "there is no lsof")
    report.rule("what looks again and again takes little", list(too_busy(programs, SECONDS)))
    report.end()


# ---- In a document -------------------------------------------------------------------------------------------------


def milliseconds(used):
    return "%.0f (%.0f to %.0f)" % (used["median"] / 1e3, used["low"] / 1e3, used["high"] / 1e3)


def table(found):
    """As Markdown, between the marks of scripts/figures.py."""
    looks = found["looks"]
    yield "%d processes with %d descriptors; %d rounds; load %.1f before and %.1f after." % (
        found["processes"], found["descriptors"], found["rounds"], *found["load"])
    yield ""
    yield "| look | ms of a processor | of `%s` | of `ss -xap` | most memory |" % BASE
    yield "|---|---|---|---|---|"
    for name, result in looks.items():
        yield "| %s | %s | %s | %s | %.1f MiB |" % (name, milliseconds(result["processor_us"]), part(looks, name, BASE),
                                                    part(looks, name, "ss -xap"), result["peak_kib"] / 1024)
    if "idle_percent" not in found:
        return
    yield ""
    yield "| all the time | % of a processor | beside the crowd |"
    yield "|---|---|---|"
    for name, share in found["idle_percent"].items():
        yield "| %s | %.2f | %.2f |" % (name, share, found["idle_percent_beside_the_crowd"][name])


def write_into(path, found):
    with open(path, encoding="utf-8") as file:
        before, mark, rest = file.read().partition("<!-- figures: sight -->\n")
    if not mark:
        sys.exit("%s has no mark for figures of sight" % path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + mark + "\n".join(table(found)) + "\n" + rest[rest.index("<!-- end -->"):])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", help="where tong was built, with its tests")
    parser.add_argument("--processes", type=int, default=500)
    parser.add_argument("--descriptors", type=int, default=40, help="of each process")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--idle", type=int, default=0, metavar="SECONDS",
                        help="also what looks again and again, for so long, without the crowd and with it")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--document", metavar="FILE", help="also write the figures into FILE, between its marks")
    parser.add_argument("--check", action="store_true", help="a short round that asserts the bounds")
    asked = parser.parse_args()
    programs = Programs(asked.build)
    if asked.check:
        check(programs)  # and ends
    load = os.getloadavg()[0]
    found = {"idle_percent": idle(programs, asked.idle)} if asked.idle else {}
    others = [(name, command) for name, command in OTHERS if shutil.which(command[0])]
    with crowd(programs, asked.processes, asked.descriptors):
        found.update(processes=asked.processes, descriptors=asked.processes * asked.descriptors, rounds=asked.rounds,
                     looks=measure(programs, others + list(programs.looks()), asked.rounds))
        if asked.idle:
            found["idle_percent_beside_the_crowd"] = idle(programs, asked.idle)
    found["load"] = [load, os.getloadavg()[0]]
    if asked.document:
        write_into(asked.document, found)
    if asked.json:
        print(json.dumps(found, indent=1))
        return
    print("%d processes with %d descriptors, %d rounds" % (asked.processes, found["descriptors"], asked.rounds))
    print_looks(found["looks"])
    for key in ("idle_percent", "idle_percent_beside_the_crowd"):
        for name, share in found.get(key, {}).items():
            print("%s: %s %.2f" % (key, name, share))


main()
