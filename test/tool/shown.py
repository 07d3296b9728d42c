# SPDX-License-Identifier: MIT
"""shown.py TONG ROOT: what tong bench shows of a round that was saved, what it refuses before it measures, and what
scripts/figures.py writes into a document."""
import os
import re
import subprocess
import sys
import tempfile
import time

from saved import result, save, work

TONG, ROOT = os.path.abspath(sys.argv[1]), sys.argv[2]
failures = []


def check(name, holds, what=""):
    print("%s %s%s" % ("ok  " if holds else "FAIL", name, "" if holds else ": %s" % (what,)))
    if not holds:
        failures.append(name)


def tong(*words):
    """Code, output and words; one that measures after all is stopped, so that it clears up."""
    process = subprocess.Popen([TONG, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, words = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.terminate()
        out, words = process.communicate()
    return process.returncode, out, words


def sizes(*chosen):
    """The memory is slower than the pipe at the largest of them."""
    times = {"64": (20, 900), "1024": (30, 1000), "65536": (5000, 9000), "1048576": (90000, 80000)}
    return [work("one-way-%s" % size, [result("shm in place", times[size][0]), result("pipe", times[size][1]),
                                       result("memfd in place", 15), result("index" if size == "64" else "index, 8 MiB", 10,
                                                                            group="limit")], size=int(size))
            for size in chosen]


def page_of(directory, works):
    path = os.path.join(directory, "page.html")
    code, _, words = tong("bench", "--from", save(os.path.join(directory, "round.json"), works), "--report", path)
    check("a page is written", code == 0, words)
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_page(directory):
    page = page_of(directory, sizes("64", "65536", "1048576"))
    pairs = page[page.index("From which size shared memory overtakes"):]
    check("sizes were measured, and it overtakes at none of them", "no size measured" not in page and
          re.search(r"<td>pipe</td><td>at none of them</td><td>64 B</td>", pairs), pairs[:900])
    check("a memory is a column", "<th>shm in place</th><th>memfd in place</th>" in pairs, pairs[:900])
    chart = page[page.index('<svg class="curve"'):page.index("</svg>", page.index('<svg class="curve"'))]
    ticks = re.findall(r'text-anchor="middle">([^<]+)<', chart)
    check("ticks stand at measured sizes only", ticks == ["64 B", "64 KiB", "1 MiB"], ticks)
    dots = chart.count("<circle")
    check("a dot for each measured size of each curve", dots == 12, dots)
    check("nothing is unsettled, and what that is stands in the legend", "is unsettled" in page and " ~<" not in page)
    wide = [work("one-way-64", [result("pipe", 900, spread=2.5), result("fifo", 950, spread=1.9)])]
    page = page_of(directory, wide)
    check("runs that differ by more than twice are marked, others are not", "<span>900 ns ~</span>" in page and
          "<span>950 ns</span>" in page, re.findall(r"<span>9\d\d ns[^<]*</span>", page))
    check("in short too", re.search(r"pipe <b>1\.11 M/s ~</b>", page))


def test_refusals(directory):
    """Before the round, which would take longer than this."""
    kept, missing = os.path.join(directory, "kept"), os.path.join(directory, "none", "page.html")
    with open(kept, "w", encoding="utf-8") as file:
        file.write("mine")
    began = time.monotonic()
    code, _, words = tong("bench", "--quick", "--report", missing)
    check("a page that cannot be written is refused first", code == 6 and missing in words, (code, words))
    code, _, words = tong("bench", "--quick", "--report", directory)
    check("a directory is none", code == 1 and directory in words, (code, words))
    for given, named in ((("--only", "zzz"), "zzz"), (("--work", "zzz"), "zzz"), (("--only", "pipe", "--work", "hand-over"), "limit alone")):
        code, shown, words = tong("bench", "--report", kept, *given)
        check("%s names nothing, and is refused" % " ".join(given), code == 2 and named in words and not shown, (code, words))
    code, _, words = tong("bench", "--only", "zzz", "--report", os.path.join(directory, "new"))
    check("no empty page is left", not os.path.exists(os.path.join(directory, "new")))
    with open(kept, encoding="utf-8") as file:
        check("and none is emptied", file.read() == "mine")
    check("none of that measures", time.monotonic() - began < 20, time.monotonic() - began)
    check("what is no round is said", tong("bench", "--from", os.devnull)[0] == 2)


def figures(directory, works):
    document, saved = os.path.join(directory, "document.md"), os.path.join(directory, "round.json")
    marks = ("conditions", "works", "goals", "latency", "raw", "files", "overtaken")
    with open(document, "w", encoding="utf-8") as file:
        file.write("".join("<!-- figures: %s -->\n<!-- end -->\nby hand\n" % mark for mark in marks))
    subprocess.run([sys.executable, "-B", os.path.join(ROOT, "scripts", "figures.py"), save(saved, works), document], check=True)
    with open(document, encoding="utf-8") as file:
        text = file.read()
    check("what is written by hand stays", text.count("by hand") == len(marks))
    return {mark: text.split("<!-- figures: %s -->\n" % mark)[1].split("<!-- end -->")[0] for mark in marks}


def test_figures(directory):
    slept = [result("line", 4000, group="limit", spread=3)] + [
        result(name, ns, ns, ratio_to_raw=ratio) for name, ns, ratio in (
            ("pipe", 4400, 1.051), ("fifo", 4600, 1.2), ("mq", 5000, 1.0), ("shm", 8000, 1.0))]
    one_way = [result("turns", 10, group="limit"), result("shm", 14, ratio_to_limit=1.2), result("fifo", 900)]
    pace = [result("pacing alone", None, 19000, "limit"), result("line", 2900, 24000, "limit"), result("shm", 3200, 19500)]
    to_all = [result("bursts, 4 MiB", 6, group="limit"), result("shm deliver=broadcast", 20), result("ZeroMQ (ipc)", 500, group="rival")]
    tables = figures(directory, [work("round-trip-64-sleep-one", slept, "round-trip"), work("one-way-64-spin", one_way),
                                 work("paced-64-one", pace, "paced"), work("broadcast-64-1-4", to_all, receivers=4)])
    check("shared memory is shown though three are quicker", "mq 5 us (1.25); shm 8 us (2.00)" in tables["works"], tables["works"])
    check("but not twice", tables["works"].count("shm 71.4 M/s") == 1, tables["works"])
    check("a ratio is that of the figures beside it", "shm 71.4 M/s (1.40)" in tables["works"], tables["works"])
    check("what is unsettled is marked", "line 4 us ~ " in tables["works"] and "~" in tables["conditions"], tables["works"])
    goals = {row.split(" | ")[0].lstrip("| "): row.split(" | ") for row in tables["goals"].splitlines()[2:]}

    def goal(name):
        return next((row for what, row in goals.items() if what.startswith(name)), None)

    check("a goal is held against the figure and the ratio", goal("64 B there and back, sleeping")[1:] ==
          ["4 us", "pipe: 4.4 us", "1.10", "1.10", "reached |"], goal("64 B there and back, sleeping"))
    check("what is missed by both is missed", goal("the same, through shm")[5] == "missed |", goal("the same, through shm"))
    check("a rate is better when it is more", goal("64 B one way")[1:] ==
          ["100 M/s", "shm: 71.4 M/s", "1.40", "1.14", "reached as a figure, missed as a ratio |"], goal("64 B one way"))
    check("pacing is told with and without", goal("64 B, 10000")[2] == "shm: 19.5 us" and
          goal("the same, without")[1:3] == ["5 us", "shm: 500 ns"], (goal("64 B, 10000"), goal("the same, without")))
    check("ahead of who was measured here", "2 M/s" in goal("64 B broadcast to 4")[0] and goal("64 B broadcast to 4")[5] == "reached |")
    raw = goal("kernel's mechanisms, 64 B, there and back, sleeping")
    check("mechanisms are counted, as they are printed", raw[5] == "reached by 3 of 4 |", raw)


def main():
    with tempfile.TemporaryDirectory(prefix="tong-test-") as directory:
        test_page(directory)
        test_refusals(directory)
        test_figures(directory)
    print("%d failed" % len(failures))
    return bool(failures)


sys.exit(main())
