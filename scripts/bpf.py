#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bpf.py [--check]: makes the images of the kernel's programs, src/bpf/NAME_image.c, from src/bpf/kernel/NAME.bpf.c.

Needs clang and llvm-objcopy, and libbpf's headers.  --check only says which image is not made from what is in the tree.
An image carries the digest of what it was made from: the program, kernel.h, and the headers that are shared with it.
"""
import hashlib
import os
import subprocess
import sys
import tempfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src")
BPF = os.path.join(SOURCE, "bpf")
KERNEL = os.path.join(BPF, "kernel")
PER_LINE = 19


def names():
    return sorted(name[:-len(".bpf.c")] for name in os.listdir(KERNEL) if name.endswith(".bpf.c"))


def digest(name):
    """Of the program and of the headers of ours that it includes."""
    total, waiting, done = hashlib.sha256(), [os.path.join(KERNEL, name + ".bpf.c")], set()
    while waiting:
        path = os.path.normpath(waiting.pop(0))
        if path in done:
            continue
        done.add(path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        total.update(text.encode())
        for line in text.splitlines():
            if line.startswith('#include "'):
                header = line.split('"')[1]
                waiting.append(os.path.join(SOURCE if "/" in header else os.path.dirname(path), header))
    return total.hexdigest()


def image_path(name):
    return os.path.join(BPF, name + "_image.c")


def compiled(name):
    with tempfile.TemporaryDirectory() as directory:
        output = os.path.join(directory, name + ".o")
        subprocess.run(["clang", "-target", "bpf", "-mcpu=v3", "-g", "-O2", "-Wall", "-Werror",
                        "-fdebug-compilation-dir=.", "-I.", "-c",
                        "bpf/kernel/%s.bpf.c" % name, "-o", output], check=True, cwd=SOURCE)
        subprocess.run(["llvm-objcopy", "--strip-debug", "--remove-section=.rel.BTF.ext", output], check=True)
        with open(output, "rb") as file:
            return file.read()


def write(name):
    data = compiled(name)
    lines = ["/* SPDX-License-Identifier: MIT */",
             "/* Made from src/bpf/kernel/%s.bpf.c by scripts/bpf.py." % name,
             " * sha256 of its sources: %s */" % digest(name),
             '#include "bpf/image.h"', "",
             "static const unsigned char data[] __attribute__((aligned(8))) = {"]
    for start in range(0, len(data), PER_LINE):
        lines.append("    " + " ".join("0x%02x," % byte for byte in data[start:start + PER_LINE]))
    lines += ["};", "", 'const struct bpf_image %s_image = { "%s", data, sizeof data };' % (name, name), ""]
    with open(image_path(name), "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    print("%s: %d bytes" % (name, len(data)))


def is_current(name):
    try:
        with open(image_path(name), encoding="utf-8") as file:
            return digest(name) in file.read()
    except FileNotFoundError:
        return False


def main():
    if sys.argv[1:] == ["--check"]:
        old = [name for name in names() if not is_current(name)]
        for name in old:
            print("%s: not made from its sources; run scripts/bpf.py" % os.path.relpath(image_path(name)))
        sys.exit(1 if old else 0)
    for name in names():
        write(name)


if __name__ == "__main__":
    main()
