# SPDX-License-Identifier: MIT
"""advise.py TONG: tong advise answers what is clear from rounds that were saved, and says by what."""
import json
import os
import subprocess
import sys
import tempfile

from saved import result, save, work

TONG = os.path.abspath(sys.argv[1])
TIMES = {"pipe": 900, "fifo": 950, "tcp": 2500, "shm": 60, "mmap": 70, "file": 4000, "msgq": 1200, "unix stream": 1500}
failures = []


def check(name, holds, what=""):
    print("%s %s%s" % ("ok  " if holds else "FAIL", name, "" if holds else ": %s" % (what,)))
    if not holds:
        failures.append(name)


def tong(*words, codes=(0,)):
    done = subprocess.run([TONG, *words], capture_output=True, text=True, timeout=60)
    check("tong %s exits with %s" % (" ".join(words), codes), done.returncode in codes, (done.returncode, done.stderr))
    return done.stdout


class Answer:
    def __init__(self, path, *words, codes=(0,)):
        self.json = json.loads(tong("advise", "--json", "--from", path, *words, codes=codes))
        self.use, self.work, self.notes = self.json["use"], self.json["work"], " ".join(self.json["notes"])
        self.of = {m["name"]: m for m in self.json["mechanisms"]}
        self.ordered = [m["name"] for m in self.json["mechanisms"] if not m["rejected"] and m["work"] == self.work]

    def reason(self, name):
        return self.of[name]["rejected"] or ""


def plain(times, key="one-way-64", size=64):
    return work(key, [result(name, time, time) for name, time in times.items()], size=size)


def paced(cpu, pacing, key="paced-64-one", size=64):
    results = [result(name, 3000, time) for name, time in cpu.items()]
    if pacing:
        results.append(result("pacing alone", None, pacing, "limit"))
    return work(key, results, "paced", size)


def test_needs(path):
    to_all = work("broadcast-64-1-4", [result("file", 2900, 6000), result("shm deliver=broadcast", 43, 94)], receivers=4)
    save(path, [plain(TIMES), to_all, paced({"fifo": 21000, "shm": 24000, "msgq": 24500}, 19000)])
    first = Answer(path)
    check("the fastest wins", first.use == "shm", first.use)
    check("what needs a parent is rejected, with the reason", "parent" in first.reason("pipe"))
    check("a parent allows a pipe", not Answer(path, "--related").reason("pipe"))
    check("from one to one nobody needs what is for several", "several" in first.reason("shm deliver=broadcast"))
    check("a restart is survived by mmap", Answer(path, "--durable").use == "mmap")
    far = Answer(path, "--remote")
    check("another machine means tcp, measured over loopback", far.use == "tcp" and "loopback" in far.notes, far.notes)
    all_of_them = Answer(path, "--broadcast", "--receivers", "4")
    check("every receiver gets every message of a broadcast only", all_of_them.use == "shm deliver=broadcast")
    check("what gives a message to one is rejected then", "one receiver" in all_of_them.reason("msgq"))
    many = Answer(path, "--receivers", "20")
    check("more receivers than there are places are too many", "fewer" in many.reason("shm receivers=16"))
    check("who serves any number is left", many.use == "msgq", many.use)
    check("what nothing can do has no answer", Answer(path, "--remote", "--durable", codes=(1,)).use is None)
    text = tong("advise", "--from", path, "--remote")
    check("words name the mechanism, the figures and their work",
          text.startswith("Use tcp (tcp:HOST:PORT)") and "2.50 us" in text and "One way, 64 B" in text and "loopback" in text)
    tong("advise", "--from", os.devnull, codes=(2,))
    tong("advise", "--from", "/nonexistent/round", codes=(6,))
    save(path, [paced({"shm": 20000}, 19000)])
    tong("advise", "--from", path, codes=(2,))


def test_variants(path):
    """An address with its options is judged, by what was measured of it, and works are not mixed."""
    two = {"shm receivers=16": 39, "mmap receivers=16": 41, "mq": 500}
    save(path, [plain(TIMES), work("one-way-64-2-2", [result(name, time, 2 * time) for name, time in two.items()],
                                   senders=2, receivers=2)])
    several = Answer(path, "--senders", "10", "--receivers", "4")
    check("the plain address has one receiver", "one receiver" in several.reason("mmap"), several.of["mmap"])
    check("the variant for several is judged by its work", several.use == "shm receivers=16" and
          several.work == "one-way-64-2-2", several.json)
    check("its address has the option", several.of[several.use]["address"] == "shm:NAME?receivers=16")
    check("figures of one to one do not stand in order with them", several.ordered == list(two), several.ordered)
    apart = several.of["unix stream"]
    check("who was measured at another work stands apart", apart["work"] == "one-way-64" and not apart["rejected"], apart)
    check("what was asked and what was measured is said", "10 senders and 4 receivers" in several.notes, several.notes)
    kept = Answer(path, "--receivers", "4", "--durable")
    check("several receivers of what survives", kept.use == "mmap receivers=16", kept.use)
    text = tong("advise", "--from", path, "--senders", "10", "--receivers", "4")
    check("a ratio is to the best of that work", "12.82 times the best" in text and "25.00 times" not in text, text)


def test_rates(path):
    save(path, [plain(TIMES), paced({"fifo": 21000, "shm": 24000, "msgq": 24500}, 19000)])
    slow = Answer(path, "--rate", "1000")
    check("at a slow pace the processor's time decides", slow.use == "fifo" and slow.json["decided_by"] == "cpu_ns", slow.json)
    check("without what pacing costs", slow.of["fifo"]["cpu_ns"] == 2000 and slow.json["pacing_ns"] == 19000, slow.of["fifo"])
    check("who has no time of the processor is not ranked by another", slow.ordered == ["fifo", "shm", "msgq"], slow.ordered)
    large = Answer(path, "--rate", "1000", "--size", "1048576")
    check("it is said of which size that is", "1 MiB are asked; the nearest measured are of 64 B" in large.notes, large.notes)
    text = tong("advise", "--from", path, "--rate", "1000")
    check("in words too", "Paced, 64 B" in text and "19.0 us" in text and "3.00 us more than the best" in text, text)
    check("what cannot keep up is rejected", "too slow" in Answer(path, "--rate", "10000000").reason("fifo"))
    each = ("--rate", "300000", "--senders")
    check("a rate is of each sender", not Answer(path, *each, "2").reason("msgq") and
          "too slow" in Answer(path, *each, "4").reason("msgq"))
    check("so many messages are not few", Answer(path, "--rate", "60000", "--senders", "2").json["decided_by"] == "time_ns")
    save(path, [plain(TIMES), paced({"fifo": 21000, "shm": 24000}, None), paced({"shm": 30000, "fifo": 90000}, 20000, "paced-65536-one", 65536)])
    check("without pacing alone that is said", "not in that round" in Answer(path, "--rate", "10").notes)
    check("paced messages of the nearest size decide", Answer(path, "--rate", "10", "--size", "50000").use == "shm")


def test_quantities(path):
    """The broadcast of a file has no time of the processor in this round: that is not compared with time."""
    results = [result("shm deliver=broadcast", 43, 94), result("file", 2900)]
    save(path, [plain(TIMES), work("broadcast-64-1-4", results, receivers=4), paced({"shm": 20000}, 19000)])
    rare = Answer(path, "--broadcast", "--receivers", "4", "--rate", "100")
    check("who lacks the quantity is not compared", rare.ordered == ["shm deliver=broadcast"], rare.ordered)
    check("nothing is hundreds of times the best", "times the best" not in tong(
        "advise", "--from", path, "--broadcast", "--receivers", "4", "--rate", "100").split("Can do it too")[1])


def test_sizes(path):
    missing = "udp:127.0.0.1:1 to 127.0.0.1:2: a message of 1048576 bytes; the largest that fits a datagram is 65507"
    large = {"shm": 28000, "unix stream": 100000}
    results = [result(name, time, time) for name, time in large.items()] + [result("unix seqpacket", missing=missing)]
    save(path, [plain(TIMES), work("one-way-1048576", results, size=1048576)])
    above = Answer(path, "--size", "5000000")
    check("a ring that is too small as it is names its option", above.of["shm"]["address"] == "shm:NAME?capacity=32M", above.of["shm"])
    check("and what was asked and measured", "5000000 B are asked" in above.notes and "1 MiB" in above.notes and
          "capacity=32M" in above.notes, above.notes)
    check("one that holds it needs none", Answer(path, "--size", "3000000").of["shm"]["address"] == "shm:NAME")
    check("a stream has an option too", Answer(path, "--size", "20000000").of["unix stream"]["address"] ==
          "unix:PATH?socket=stream&size=32M")
    check("who cannot hold it is rejected, with what it holds", "65507 bytes" in Answer(path, "--size", "1048576", "--lossy")
          .reason("udp") and "bytes (kernel.msgmax)" in above.reason("msgq"), above.reason("msgq"))
    most = Answer(path, "--size", "1073741824")
    check("a GiB goes through a stream, not through a ring", most.use == "unix stream" and "1073741664" in most.reason("shm"), most.json)
    none = Answer(path, "--size", "999999999999999", codes=(1,))
    check("what nothing holds is refused", none.use is None and none.json["size_measured"] is None and all(
        m["rejected"] for m in none.json["mechanisms"]))
    check("that too with its reason", "1073741824 bytes (size=1G)" in none.reason("unix stream"), none.reason("unix stream"))
    near = Answer(path, "--size", "1000000")
    check("why it was not measured is told from a saved round", missing in near.reason("unix seqpacket"), near.reason("unix seqpacket"))
    check("a size that the round lacks is judged by the nearest", Answer(path, "--size", "4096").work == "one-way-64")


def main():
    with tempfile.TemporaryDirectory(prefix="tong-test-") as directory:
        path = os.path.join(directory, "saved.json")
        for test in (test_needs, test_variants, test_rates, test_quantities, test_sizes):
            test(path)
    print("%d failed" % len(failures))
    return bool(failures)


sys.exit(main())
