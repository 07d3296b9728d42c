#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tutorial.py [--write] [--beside DIRECTORY] TONG DOCUMENT...: runs every command of the documents and compares what
they print.

A fenced block that begins with ```console holds commands ("$ ", continued by "> ") and, below each, its output.
```console about: numbers in the output may differ.  The documents, which are one text in several languages, must have
the same commands; a command that names a language's own words (tong explain) may differ.  --write puts the real output
into the documents instead.  --beside: commands find what is in that directory in theirs (raw/pipe, ./pipe).

The tutorial's key 1234 and the word "tutorial" in names stand for what nobody else has: while it runs, they are
replaced by this run's own, so that no object of anybody is touched.
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "house"))
from report import Report  # noqa: E402

BLOCK = re.compile(r"^```console( about)?\n(.*?)^```$", re.M | re.S)
SECONDS = 120


class Step:
    """One command and the output below it."""

    def __init__(self, line, about, text):
        self.line, self.about, self.text, self.output = line, about, text, []

    def expected(self):
        return "".join(self.output)


def steps_of(document):
    with open(document, encoding="utf-8") as file:
        text = file.read()
    found = []
    for block in BLOCK.finditer(text):
        number = text.count("\n", 0, block.start()) + 1
        for i, line in enumerate(block.group(2).splitlines(keepends=True), number + 1):
            if line.startswith("$ "):
                found.append(Step(i, bool(block.group(1)), line[2:]))
            elif line.startswith("> ") and found and not found[-1].output:
                found[-1].text += line[2:]
            elif found:
                found[-1].output.append(line)
    return found


class Place:
    """Where the commands run: a directory of their own, a key and a word of their own."""

    def __init__(self, tong, beside):
        self.key = str(0x50000000 + os.getpid())
        self.word = "tutorial-test-%d" % os.getpid()
        self.directory = tempfile.TemporaryDirectory(prefix="tong-test-")
        bin_directory = os.path.join(self.directory.name, ".bin")
        os.mkdir(bin_directory)
        os.symlink(os.path.abspath(tong), os.path.join(bin_directory, "tong"))
        for name in os.listdir(beside) if beside else []:
            os.symlink(os.path.join(os.path.abspath(beside), name), os.path.join(self.directory.name, name))
        self.environment = {**os.environ, "PATH": bin_directory + ":" + os.environ["PATH"], "LC_ALL": "C.UTF-8"}

    def ours(self, text):
        return re.sub(r"\b1234\b", self.key, text).replace("tutorial", self.word)

    def theirs(self, text):
        for number, words in ((int(self.key), "1234"), (int(self.key), "0x4d2")):
            text = text.replace(str(number) if words == "1234" else "0x%x" % number, words)
        return text.replace("0x%08x" % int(self.key), "0x000004d2").replace(self.word, "tutorial")

    def run(self, step):
        late = ""
        with subprocess.Popen(["bash", "-c", self.ours(step.text)], cwd=self.directory.name, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              start_new_session=True) as process:
            try:
                output = process.communicate(timeout=SECONDS)[0]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, late = process.communicate()[0], "(not done after %d s)\n" % SECONDS
        return self.theirs(output.decode(errors="replace")) + late

    def left_behind(self):
        for directory in "/dev/shm", "/tmp":
            yield from (name for name in os.listdir(directory) if self.word in name)
        for kind, remove in ("msg", "-Q"), ("sem", "-S"), ("shm", "-M"):
            try:
                with open("/proc/sysvipc/" + kind, encoding="ascii") as table:
                    found = [line.strip() for line in table if line.split()[0] == self.key]
            except FileNotFoundError:
                continue
            for line in found:
                yield "%s %s" % (kind, line)
                subprocess.run(["ipcrm", remove, self.key], check=False)


def same(step, output):
    expected = step.expected()
    if step.about:
        expected, output = (re.sub(r"\d[\d.,]*", "#", re.sub(r" +", " ", text)) for text in (expected, output))
    return expected == output


def difference(step, output):
    return ["line %d: %s" % (step.line, step.text.strip()), "due:"] + step.expected().splitlines() + \
        ["came:"] + output.splitlines()


def check(report, place, document):
    for step in steps_of(document):
        output = place.run(step)
        name = "%s:%d" % (os.path.basename(document), step.line)
        report.rule(name, [] if same(step, output) else difference(step, output))
    report.rule(os.path.basename(document) + " leaves nothing behind", list(place.left_behind()))


def write(place, document):
    outputs = iter([place.run(step) for step in steps_of(document)])

    def filled(block):
        lines = []
        for line in block.group(2).splitlines(keepends=True):
            if line.startswith("$ "):
                lines.append([line])
            elif line.startswith("> ") and lines:
                lines[-1].append(line)
        return "```console%s\n%s```" % (block.group(1) or "", "".join("".join(step) + next(outputs) for step in lines))

    with open(document, encoding="utf-8") as file:
        text = file.read()
    with open(document, "w", encoding="utf-8") as file:
        file.write(BLOCK.sub(filled, text))


def commands_of(document):
    return ["tong explain" if step.text.startswith("tong explain") else step.text for step in steps_of(document)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--beside")
    parser.add_argument("tong")
    parser.add_argument("documents", nargs="+")
    asked = parser.parse_args()
    report = Report()
    for document in asked.documents:
        place = Place(asked.tong, asked.beside)
        if asked.write:
            write(place, document)
        else:
            check(report, place, document)
    for document in asked.documents[1:]:
        differ = sorted(set(commands_of(asked.documents[0])) ^ set(commands_of(document)))
        report.rule("%s has the commands of %s" % (document, asked.documents[0]), differ)
    if not asked.write:
        report.end()


main()
