# SPDX-License-Identifier: MIT
"""symbols.py ROOT LIBRARY: the library shows exactly what the map names and the headers declare."""
import os
import re
import shutil
import subprocess
import sys

from report import Report

ROOT, LIBRARY = sys.argv[1:3]


def mapped():
    with open(os.path.join(ROOT, "src/libtong.map"), encoding="utf-8") as file:
        return set(re.findall(r"^\s+(tong_\w+);", file.read(), re.M))


def declared():
    found = set()
    directory = os.path.join(ROOT, "include/tong")
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".h"):
            continue
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        found |= set(re.findall(r"^[a-z][\w \*]*?\b(tong_\w+)\(", text, re.M))
    return found


def exported():
    lines = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], check=True, capture_output=True, text=True).stdout
    return {line.split()[2].split("@")[0] for line in lines.splitlines() if line.split()[1] not in "Aa"}


def difference(here, there, words):
    return ["%s %s" % (name, words) for name in sorted(here - there)]


def main():
    report = Report()
    report.rule("what the map names is declared", difference(mapped(), declared(), "is in no header"))
    report.rule("what is declared is in the map", difference(declared(), mapped(), "is not in libtong.map"))
    if shutil.which("nm"):
        shown = exported()
        # Sanitizers leave names of their own in what they watch.
        shown = {name for name in shown if not name.startswith(("__asan", "__odr", "__ubsan", "__tsan", "__sanitizer"))}
        report.rule("what is shown is in the map", difference(shown, mapped(), "is exported"))
        report.rule("what the map names is shown", difference(mapped(), shown, "is not exported"))
    else:
        report.skip("what the library shows", "nm is not installed")
    report.end()


main()
