#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tally.py LOG...: adds up the closing counts of the programs in Meson's test logs (testlog.json).

A program that prints no counts is one test, and a log that was never written is one failure.  What programs say they have
counted beside ("counted: N deaths survived, ...") is added up on a line of its own.  Ends with one plain line: "N passed, N failed, N skipped".
"""
import json
import os
import re
import sys

OURS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)
CHECK = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.M)
BESIDE = re.compile(r"^counted: (.+)$", re.M)
GOOD = ("OK", "EXPECTEDFAIL")


def counts(test):
    out = test.get("stdout") or ""
    good = test["result"] in GOOD
    if test["result"] == "SKIP":
        return 0, 0, 1
    ours = OURS.findall(out)
    check = CHECK.findall(out)
    if ours:
        passed, failed, skipped = map(int, ours[-1])
    elif check:
        total, failures, errors = map(int, check[-1])
        passed, failed, skipped = total - failures - errors, failures + errors, 0
    else:
        passed, failed, skipped = int(good), int(not good), 0
    # What died before it could count is a failure all the same.
    if not good and not failed:
        failed = 1
    return passed, failed, skipped


def add_beside(test, beside):
    for line in BESIDE.findall(test.get("stdout") or ""):
        for number, name in re.findall(r"(\d+) ([^,]+)", line):
            beside[name] = beside.get(name, 0) + int(number)


def main():
    total, beside = [0, 0, 0], {}
    for path in sys.argv[1:]:
        if not os.path.exists(path):
            total[1] += 1
            continue
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                test = json.loads(line)
                add_beside(test, beside)
                for i, count in enumerate(counts(test)):
                    total[i] += count
    if beside:
        print("counted: " + ", ".join("%d %s" % (number, name) for name, number in beside.items()))
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return 1 if total[1] or not total[0] else 0


sys.exit(main())
