#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""figures.py JSON DOCUMENT: writes the figures of a round (tong bench --json) into the document, between its marks
`<!-- figures: NAME -->` and `<!-- end -->`.  What stands between other marks stays."""
import json
import re
import sys

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


def cell(work, results, ratio):
    words = []
    for result in results:
        word = "%s %s" % (result["name"].replace(" (DPDK)", "").replace(" (tags)", "").replace(" (ipc)", ""),
                          amount(work, median(result)))
        if ratio and result.get(ratio):
            word += " (%.2f)" % median(result, ratio)
        words.append(word)
    return "; ".join(words)


def limit_of(work):
    limits = [r for r in best(work, "limit") if r["name"] != "pacing alone"]
    return limits[:1]


def works_table(round):
    yield "| work | limit | tong | bare system calls | other libraries |"
    yield "|---|---|---|---|---|"
    for work in round["works"]:
        yield "| %s | %s | %s | %s | %s |" % (
            work["title"], cell(work, limit_of(work), None),
            *(cell(work, best(work, group)[:count], "ratio_to_limit") for group, count in SHOWN.items()))


def latency_table(round):
    yield "| work | who | 50% | 99% | 99.9% | 99.99% | processor time, both |"
    yield "|---|---|---|---|---|---|---|"
    for work in round["works"]:
        if work["test"] == "one-way" or work["size"] != 64:
            continue
        rows = limit_of(work) + best(work, "tong")[:3] + best(work, "raw")[:1] + best(work, "rival")[:3]
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
                                        "%d B" % pair["from_size"] if pair["from_size"] else "at no size measured")


def conditions(round):
    c = round["conditions"]
    yield "%s, %d processors, %s. %d runs of each, medians; in brackets the ratio to the limit in the same turns. Load %.1f" \
        % (c["machine"], c["processors"], c["kernel"], c["runs"], c["load"])
    yield "before and %.1f after; a cache line took %.0f ns there and back, and %.0f to %.0f was accepted%s; %.0f minutes%s." \
        % (c["load_after"], c["line_ns"], c["line_low_ns"], c["line_high_ns"],
           " (settled %d times)" % c["line_changes"] if c["line_changes"] > 1 else "", c["seconds"] / 60,
           ". Not here: " + c["absent"] if c["absent"] else "")


TABLES = {"conditions": conditions, "works": works_table, "latency": latency_table, "raw": raw_table,
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
