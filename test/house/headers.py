# SPDX-License-Identifier: MIT
"""headers.py ROOT C++ CC...: every public header compiles alone, as strict C11 and as C++, without a warning."""
import os
import subprocess
import sys

from report import Report

ROOT, CPP = sys.argv[1:3]
CC = sys.argv[3:]
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]


def complaints(command, language, header):
    source = "#include <tong/%s>\n#include <tong/%s>\n" % (header, header)
    command = command + WARNINGS + ["-I" + os.path.join(ROOT, "include"), "-x", language, "-"]
    result = subprocess.run(command, input=source, capture_output=True, text=True)
    return (result.stderr.strip().split("\n")[:5] or ["failed"]) if result.returncode else []


def main():
    report = Report()
    for header in sorted(os.listdir(os.path.join(ROOT, "include/tong"))):
        if not header.endswith(".h"):
            continue
        report.rule("%s as C11" % header, complaints(CC + ["-std=c11"], "c", header))
        if CPP:
            report.rule("%s as C++" % header, complaints([CPP, "-std=c++11"], "c++", header))
        else:
            report.skip("%s as C++" % header, "no C++ compiler is installed")
    report.end()


main()
