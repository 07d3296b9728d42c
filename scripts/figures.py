#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""figures.py JSON DOCUMENT: writes the figures of a round (tong bench --json) into the document, between its marks
`<!-- figures: NAME -->` and `<!-- end -->`.  What stands between other marks stays."""
import json
import re
import sys

# What this project set out to reach.  Of a goal: what, the work, how it is told (a figure's key, or a rate), by which results
# (a part of their name), the goal, and the limit that was found by hand when it was set, from which it was derived: what has
# to be reached here is as near to the limit of the round.  A range is there by its middle.
TIME, P99, CPU, EACH, BYTES = "time_ns", "p99_ns", "cpu_ns", "messages a second", "bytes a second"
GOALS = (
    ("64 B there and back, spinning, 50%", "round-trip-64-spin", TIME, "", 160, 140),
    ("the same, 99%", "round-trip-64-spin", P99, "", 250, None),
    ("64 B there and back, sleeping, one processor", "round-trip-64-sleep-one", TIME, "", 4500, 4100),
    ("the same, through shm", "round-trip-64-sleep-one", TIME, "shm", 4500, 4100),
    ("64 B there and back, spinning a little, then sleeping", "round-trip-64-sleep", TIME, "", 240, 230),
    ("64 B one way, one by one", "one-way-64-spin", EACH, "", 70e6, (72e6 + 87e6) / 2),
    ("64 B one way, in batches", "one-way-64-batch", EACH, "", 400e6, 437e6),
    ("64 B, 2 senders, 1 receiver", "one-way-64-2-1", EACH, "", 16e6, 16.3e6),
    ("64 B, 2 senders, 2 receivers", "one-way-64-2-2", EACH, "", 18e6, 18.8e6),
    ("64 B broadcast to 1", "broadcast-64-1-1", EACH, "", 90e6, 97e6),
    ("1 KiB one way", "one-way-1024-spin", EACH, "", 20e6, 37.6e6),
    ("64 KiB one way", "one-way-65536-spin", BYTES, "", 40e9, 42e9),
    ("1 MiB one way, written and read in place", "one-way-1048576-spin", BYTES, "in place", 36e9, (36e9 + 41e9) / 2),
    ("1 MiB one way, handed over", "hand-over-1048576", BYTES, "", 80e9, 88e9),
)
PACED = ("paced-64-one", 15e3, 15.8e3)          # nanoseconds of processor time a message, both ends, one processor
AHEAD = ("broadcast-64-1-4", "ZeroMQ")          # whose rate is the goal
RAW = (                                         # times the time of the bare system calls
    ("there and back, sleeping, one processor", "round-trip-64-sleep-one", 1.05),
    ("there and back, spinning", "round-trip-64-spin", 1.05),
    ("one way, sleeping, one processor", "one-way-64-sleep-one", 1.05),
    ("one way, spinning", "one-way-64-spin", 1.05),
    ("one way, 64 KiB of messages a call", "one-way-64-stream", 1 / 0.9),
)
SHOWN = {"tong": 3, "raw": 3, "rival": 6}
PERCENTILES = ("time_ns", "p99_ns", "p99.9_ns", "p99.99_ns")


def time(ns):
    for limit, unit, each in ((999.5, "ns", 1), (999.5e3, "us", 1e3), (999.5e6, "ms", 1e6)):
        if ns < limit:
            value = ns / each
            return "%s %s" % ("%.0f" % value if value >= 99.5 or each == 1 and value >= 10 else "%.3g" % value, unit)
    return "%.3g s" % (ns / 1e9)


def median(result, key="time_ns"):
    return result[key]["median"] if result.get(key) else None


def amount(work, ns):
    """What a work is told by: how long, how many a second, or how many bytes."""
    if work["test"] != "one-way":
        return time(ns)
    if work["size"] > 1024:
        return "%.3g GB/s" % (work["size"] / ns)
    return "%.3g M/s" % (1e3 / ns)


def best(work, group, carriers=None):
    """Of each mechanism of a group its quickest way, the quickest first."""
    seen, ordered = set(), []
    for result in sorted((r for r in work["results"] if r["group"] == group and median(r)), key=median):
        key = result["scheme"] or result["name"].split(",")[0].split(" in ")[0]
        if key not in seen and (not carriers or key in carriers):
            seen.add(key)
            ordered.append(result)
    return ordered


def shown(work, group, count):
    """The quickest, and shared memory too: it is what one looks for."""
    ordered = best(work, group)
    return ordered[:count] + [r for r in ordered[count:] if group == "tong" and r["scheme"] == "shm"]


def unsettled(result):
    """What stands behind a figure whose runs differ by more than twice."""
    return " ~" if result["time_ns"]["most"] > 2 * result["time_ns"]["least"] else ""


def cell(work, results, limit=None):
    """The ratio is that of the two medians that a reader sees."""
    words = []
    for result in results:
        word = "%s %s%s" % (result["name"].replace(" (DPDK)", "").replace(" (tags)", "").replace(" (ipc)", ""),
                            amount(work, median(result)), unsettled(result))
        if limit:
            word += " (%.2f)" % (median(result) / median(limit[0]))
        words.append(word)
    return "; ".join(words)


def limit_of(work):
    limits = [r for r in best(work, "limit") if r["name"] != "pacing alone"]
    return limits[:1]


def works_table(round):
    yield "| work | limit | tong | bare system calls | other libraries |"
    yield "|---|---|---|---|---|"
    for work in round["works"]:
        limit = limit_of(work)
        yield "| %s | %s | %s | %s | %s |" % (work["title"], cell(work, limit), *(
            cell(work, shown(work, group, count), limit) for group, count in SHOWN.items()))


def latency_table(round):
    yield "| work | who | 50% | 99% | 99.9% | 99.99% | processor time, both |"
    yield "|---|---|---|---|---|---|---|"
    for work in round["works"]:
        if work["test"] == "one-way" or work["size"] != 64:
            continue
        rows = limit_of(work) + shown(work, "tong", 3) + best(work, "raw")[:1] + best(work, "rival")[:3]
        for result in rows + [r for r in work["results"] if r["name"] == "pacing alone"]:
            figures = [median(result, key) for key in (*PERCENTILES, "cpu_ns")]
            yield "| %s | %s: %s | %s |" % (work["title"], result["group"], result["name"],
                                            " | ".join(time(f) if f else "" for f in figures))


def raw_table(round):
    """Mechanisms of the kernel: tong's time to that of the calls themselves, in the same turns."""
    keys = [w["key"] for w in round["works"] if any(r.get("ratio_to_raw") for r in w["results"])]
    works = {w["key"]: w for w in round["works"]}
    names = []
    for key in keys:
        names += [r["name"] for r in works[key]["results"] if r.get("ratio_to_raw") and r["name"] not in names]
    yield "| work | %s |" % " | ".join(names)
    yield "|---|%s" % ("---|" * len(names))
    for key in keys:
        ratios = {r["name"]: "%.2f" % median(r, "ratio_to_raw") for r in works[key]["results"] if r.get("ratio_to_raw")}
        yield "| %s | %s |" % (works[key]["title"], " | ".join(ratios.get(name, "") for name in names))


def files_table(round):
    yield "| size | write(2) | mapped | read(2) | mapped |"
    yield "|---|---|---|---|---|"
    for file in round["files"]:
        size = "%d KiB" % (file["size"] // 1024) if file["size"] < 1 << 20 else "%d MiB" % (file["size"] >> 20)
        yield "| %s | %s |" % (size, " | ".join(time(median(file, key)) for key in (
            "write_ns", "map_write_ns", "read_ns", "map_read_ns")))


def overtaken_table(round):
    yield "| how | mechanism | shared memory overtakes from |"
    yield "|---|---|---|"
    for pair in round["overtaken"]:
        if pair["by"].startswith("shm"):
            yield "| %s | %s | %s |" % (pair["how"], pair["name"],
                                        "%d B" % pair["from_size"] if pair["from_size"] else "at none of them")


def conditions(round):
    c = round["conditions"]
    yield "%s, %d processors, %s. %d runs of each, medians; in brackets its time to the limit's, ~: its runs differ" \
        % (c["machine"], c["processors"], c["kernel"], c["runs"])
    yield "by more than twice. Load %.1f before and %.1f after; a cache line took %.0f ns there and back, and %.0f to %.0f was accepted%s; %.0f minutes%s." \
        % (c["load"], c["load_after"], c["line_ns"], c["line_low_ns"], c["line_high_ns"],
           " (settled %d times)" % c["line_changes"] if c["line_changes"] > 1 else "", c["seconds"] / 60,
           ". Not here: " + c["absent"] if c["absent"] else "")


def told(how, ns, work):
    """A figure as its goal is told."""
    if how == EACH:
        return "%.3g M/s" % (1e3 / ns)
    return "%.3g GB/s" % (work["size"] / ns) if how == BYTES else time(ns)


def verdict(got, goal, ratio, goal_ratio):
    """Times and ratios, these as they are printed: less is better.  Machines differ: one of the two may be reached here and the other not."""
    figure, nearness = got <= goal, goal_ratio is None or round(ratio, 2) <= round(goal_ratio, 2)
    if figure == nearness:
        return "reached" if figure else "missed"
    return "reached as a figure, missed as a ratio" if figure else "missed as a figure, reached as a ratio"


def goal_row(what, goal, limit, got, ratio, goal_ratio, judged):
    return "| %s | %s | %s | %s | %s | %s |" % (
        "%s: %s" % (what, goal), limit, got, "" if ratio is None else "%.2f" % ratio,
        "" if goal_ratio is None else "%.2f" % goal_ratio, judged)


def measured_goal(work, what, how, part, goal, derived):
    key = how if how in (P99, CPU) else TIME
    results = sorted((r for r in work["results"] if r["group"] == "tong" and part in r["name"] and median(r, key)),
                     key=lambda r: median(r, key))
    limits = sorted((r for r in work["results"] if r["group"] == "limit" and median(r) and median(r, key)),
                    key=lambda r: median(r, key))
    if not results or not limits:
        return
    got, limit = median(results[0], key), median(limits[0], key)
    rate = {EACH: 1e9, BYTES: 1e9 * work["size"]}.get(how)
    wanted, derived = (rate / goal if rate else goal), derived and (rate / derived if rate else derived)
    words = "%s %s" % ("at least" if rate else "at most", told(how, wanted, work))
    yield goal_row(what, words, told(how, limit, work), "%s: %s%s" % (results[0]["name"], told(how, got, work),
                   unsettled(results[0])), got / limit, derived and wanted / derived,
                   verdict(got, wanted, got / limit, derived and wanted / derived))


def paced_goal(work):
    """Once with what keeping the pace costs by itself, as the goal was set, and once without it."""
    alone = next((median(r, "cpu_ns") for r in work["results"] if r["name"] == "pacing alone"), None)
    cheap = lambda group: min((r for r in work["results"] if r["group"] == group and r["name"] != "pacing alone"
                               and r["cpu_ns"]), key=lambda r: median(r, "cpu_ns"), default=None)
    got, limit = cheap("tong"), cheap("limit")
    if not got or not limit:
        return
    name, got, limit, goal, derived = got["name"], median(got, "cpu_ns"), median(limit, "cpu_ns"), *PACED[1:]
    what = "64 B, 10000 a second, processor time of both ends, one processor"
    yield goal_row(what, "at most " + time(goal), time(limit), "%s: %s" % (name, time(got)), got / limit, goal / derived,
                   verdict(got, goal, got / limit, goal / derived))
    if alone:
        net = lambda cpu: time(cpu - alone) if cpu > alone else "less than can be told"
        yield goal_row("the same, without pacing alone", "none", net(limit), "%s: %s" % (name, net(got)), None, None,
                       "pacing alone takes " + time(alone))


def ahead_goal(work):
    tong, limit = best(work, "tong"), limit_of(work)
    rival = next((r for r in best(work, "rival") if AHEAD[1] in r["name"]), None)
    if tong and limit and rival:
        yield goal_row("64 B broadcast to 4, sent", "ahead of %s, %s" % (AHEAD[1], told(EACH, median(rival), work)),
                       told(EACH, median(limit[0]), work), "%s: %s%s" % (tong[0]["name"], told(EACH, median(tong[0]), work),
                       unsettled(tong[0])), median(tong[0]) / median(limit[0]), None,
                       verdict(median(tong[0]), median(rival), None, None))


def raw_goal(work, what, goal):
    ratios = {r["name"]: median(r, "ratio_to_raw") for r in work["results"] if r.get("ratio_to_raw")}
    if ratios:
        within = sum(round(ratio, 2) <= round(goal, 2) for ratio in ratios.values())
        yield goal_row("kernel's mechanisms, 64 B, %s" % what, "at most %.2f times raw" % goal, "raw",
                       "; ".join("%s %.2f" % (name, ratio) for name, ratio in ratios.items()), max(ratios.values()), goal,
                       "reached" if within == len(ratios) else "missed" if not within else
                       "reached by %d of %d" % (within, len(ratios)))


def goals_table(round):
    works = {w["key"]: w for w in round["works"]}
    yield "| goal | limit here | got | ratio to limit | goal as a ratio | reached or missed |"
    yield "|---|---|---|---|---|---|"
    for what, key, how, part, goal, derived in GOALS:
        if key in works:
            yield from measured_goal(works[key], what, how, part, goal, derived)
    if PACED[0] in works:
        yield from paced_goal(works[PACED[0]])
    if AHEAD[0] in works:
        yield from ahead_goal(works[AHEAD[0]])
    for what, key, goal in RAW:
        if key in works:
            yield from raw_goal(works[key], what, goal)
    yield goal_row("learn that the receiver was killed", "at most 10 ms", "", "no work of a round: `test/torture/test_step.c`",
                   None, None, "held by that test")


TABLES = {"goals": goals_table, "conditions": conditions, "works": works_table, "latency": latency_table, "raw": raw_table,
          "files": files_table, "overtaken": overtaken_table}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        round = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        text = file.read()
    for name, table in TABLES.items():
        mark = re.compile(r"(<!-- figures: %s -->\n).*?(<!-- end -->)" % name, re.S)
        if not mark.search(text):
            sys.exit("%s: has no place for the figures '%s'" % (sys.argv[2], name))
        text = mark.sub(lambda m: m.group(1) + "\n".join(table(round)) + "\n" + m.group(2), text)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
