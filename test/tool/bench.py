# SPDX-License-Identifier: MIT
"""bench.py TONG: a short round runs, its JSON and page hold together, and tong advise measures what it needs."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser

TONG = os.path.abspath(sys.argv[1])
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
NEEDED = {"p99_ns": 1000, "p99.9_ns": 10000, "p99.99_ns": 100000}
failures = []
VOID = {"meta", "link", "br", "img"}


def check(name, holds, what=""):
    print("%s %s%s" % ("ok  " if holds else "FAIL", name, "" if holds else ": %s" % (what,)))
    if not holds:
        failures.append(name)


def tong(*words, codes=(0,)):
    done = subprocess.run([TONG, *words], capture_output=True, text=True, timeout=800)
    check("tong %s exits with %s" % (" ".join(words[:4]), codes), done.returncode in codes, (done.returncode, done.stderr))
    return done.stdout


class Nesting(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def names():
    traces = [n for d in ("/dev/shm", "/dev/mqueue") if os.path.isdir(d) for n in os.listdir(d)]
    return {n for n in traces if "tong-bench" in n}


def ratios(measured):
    """To the limit: what was measured, and then once more and again, for the machine may have stood still meanwhile."""
    for _ in range(5):
        yield measured["ratio_to_limit"]["median"]
        round = json.loads(tong("bench", "--quick", "--runs", "1", "--slice", "1ms", "--peers", "none", "--json",
                                "--work", "round-trip-64-sleep-one", "--only", "pipe"))
        measured = next(r for r in round["works"][0]["results"] if r["group"] == "tong" and r["name"] == "pipe")


def test_round(page):
    before = names()
    round = json.loads(tong("bench", "--quick", "--runs", "1", "--slice", "1ms", "--peers", "none", "--json", "--report", page))
    check("nothing is left", not names() - before, names() - before)
    saved = os.path.join(os.path.dirname(page), "round.json")
    with open(saved, "w", encoding="utf-8") as file:
        json.dump(round, file)
    check("a saved round is shown as it was", json.loads(tong("bench", "--from", saved, "--json")) == round)
    works = {work["key"]: work for work in round["works"]}
    check("sleeping on one processor is measured anywhere", "round-trip-64-sleep-one" in works)
    for key, work in works.items():
        groups = {r["group"] for r in work["results"] if r["time_ns"]}
        check("%s has a limit" % key, "limit" in groups, [(r["name"], r["missing"], r["void"]) for r in work["results"]])
        wrong = [r["name"] for r in work["results"] if r["void"]]
        check("%s has no wrong message" % key, not wrong, wrong)
        ordered = [r["name"] for r in work["results"] if r["time_ns"]
                   and not r["time_ns"]["least"] <= r["time_ns"]["median"] <= r["time_ns"]["most"]]
        check("%s has medians within their ranges" % key, not ordered, ordered)
        thin = [(r["name"], p) for r in work["results"] for p, needed in NEEDED.items()
                if bool(r[p]) != (bool(r["time_ns"]) and r["samples"] >= needed)]
        check("%s tells percentiles of enough latencies, and all of those" % key, not thin, thin)
    if "round-trip-64-spin" in works:
        check("bare calls spin too", any(r["group"] == "raw" and r["time_ns"] for r in works["round-trip-64-spin"]["results"]))
        carried = {r["name"]: r["time_ns"] for r in works["hand-over-1048576"]["results"] if r["group"] == "tong"}
        check("memory is handed over", carried.get("shm, handed over"), carried)
        stream = {(r["group"], r["name"]): r for r in works["one-way-64-stream"]["results"]}
        check("a pipe's batches are compared with calls that gather", stream["tong", "pipe, in batches"]["ratio_to_raw"])
    check("what is not offered is skipped by name", all(
        r["time_ns"] or r["missing"] for work in works.values() for r in work["results"]))
    slept = works["round-trip-64-sleep-one"]["results"]
    pipes = {r["group"]: r for r in slept if r["name"] == "pipe"}
    check("a pipe is compared with its system calls", pipes["tong"]["ratio_to_raw"])
    check("and with the limit", pipes["raw"]["ratio_to_limit"] and pipes["tong"]["ratio_to_limit"])
    check("what is slower than the limit says so", any(ratio > 0.5 for ratio in ratios(pipes["tong"])))
    return round


def one_way_ratios():
    """Of shared memory to the limit where both sleep on one processor; again and again, as above."""
    for _ in range(5):
        round = json.loads(tong("bench", "--quick", "--runs", "3", "--slice", "2ms", "--peers", "none", "--json",
                                "--work", "one-way-64-sleep-one", "--only", "shm"))
        yield min(r["ratio_to_limit"]["median"] for r in round["works"][0]["results"] if r["group"] == "tong" and r["time_ns"])


FAKE = """#!%(python)s
import sys
if sys.argv[1] == "describe":
    sys.exit(print("name fake\\nwaiting spin\\nwaiting sleep"))
role, count = int(sys.argv[1]), int(sys.argv[4])
print("ready", flush=True)
input()
if role == 0:
    print("sent", flush=True)
    input()
    print("began 1000\\nmessages %%d\\nout %%d\\nover" %% (count, count), flush=True)
else:
    print("ended %%d\\nin %%d\\nover" %% (1000 + count * 1000000, count - %(lost)d), flush=True)
input()
"""


def test_loss(directory):
    """A rival that loses a message has no figure."""
    for lost in (0, 1):
        program = os.path.join(directory, "tong-peer-ck")
        with open(program, "w", encoding="utf-8") as file:
            file.write(FAKE % {"python": sys.executable, "lost": lost})
        os.chmod(program, 0o755)
        round = json.loads(tong("bench", "--quick", "--runs", "1", "--slice", "1ms", "--peers", directory, "--json",
                                "--work", "one-way-64-sleep-one" if os.cpu_count() < 2 else "one-way-64", "--only", "fake"))
        fake = [r for work in round["works"] for r in work["results"] if r["name"] == "fake"]
        check("%d lost: %s" % (lost, "void" if lost else "counts"), fake and all(
            bool(r["void"]) == bool(lost) and bool(r["time_ns"]) != bool(lost) for r in fake), fake)


def test_figures(directory, round):
    """The document takes the figures of a round, and again those of the same round."""
    saved, document = os.path.join(directory, "round.json"), os.path.join(directory, "performance.md")
    shutil.copy(os.path.join(ROOT, "doc", "performance.md"), document)
    with open(saved, "w", encoding="utf-8") as file:
        json.dump(round, file)
    texts = []
    for _ in range(2):
        subprocess.run([sys.executable, os.path.join(ROOT, "scripts", "figures.py"), saved, document], check=True)
        with open(document, encoding="utf-8") as file:
            texts.append(file.read())
    check("figures are written once", texts[0] == texts[1])
    check("each work has its row", all("| %s |" % work["title"] in texts[0] for work in round["works"]))
    check("nothing broken is written", not re.search(r"\b(nan|inf|None)\b", texts[0]))


def test_page(page):
    text = open(page, encoding="utf-8").read()
    foreign = [m for m in re.findall(r"(?:https?:)?//[^\s\"'<]+", text) if "www.w3.org" not in m]
    check("the page refers to nothing elsewhere", not foreign and "<script" not in text and "url(" not in text, foreign[:3])
    nesting = Nesting()
    nesting.feed(text)
    check("its elements nest", not nesting.wrong and not nesting.open, (nesting.wrong[:3], nesting.open[:3]))
    check("it has charts", text.count("<svg") > 10)
    check("light and dark", "prefers-color-scheme:dark" in text)
    check("no figure is broken", not re.search(r"\b(nan|inf)\b", text))


def main():
    with tempfile.TemporaryDirectory(prefix="tong-test-") as directory:
        page = os.path.join(directory, "page.html")
        round = test_round(page)
        test_figures(directory, round)
        test_page(page)
        check("one way, sleeping, is limited by what is called its limit", any(ratio > 0.8 for ratio in one_way_ratios()))
        test_loss(directory)
        answer = json.loads(tong("advise", "--json", "--related"))
        check("advice is measured here and now", answer["use"] and any(m["time_ns"] for m in answer["mechanisms"]))
    print("%d failed" % len(failures))
    return bool(failures)


sys.exit(main())
