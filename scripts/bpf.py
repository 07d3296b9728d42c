#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bpf.py [--check]: makes the images of the kernel's programs, src/bpf/NAME_image.c, from src/bpf/kernel/NAME.bpf.c.

Needs clang and llvm-objcopy, and libbpf's headers.  --check only says which image is not made from what is in the tree.
An image carries the digest of what it was made from: the program, kernel.h, and the headers that are shared with it.
What an image is made of says src/bpf/image.h.
"""
import hashlib
import os
import struct
import subprocess
import sys
import tempfile

import bpf_object as bpf

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src")
BPF = os.path.join(SOURCE, "bpf")
KERNEL = os.path.join(BPF, "kernel")
WIDTH = 120

# What a section's name begins with: how image.h calls it, how the kernel calls what such a program hooks into, and the
# kind of type that this is.
HOOKS = {"iter": ("IMAGE_ITERATOR", "bpf_iter_%s", "IMAGE_FUNCTION"),
         "tp_btf": ("IMAGE_TRACEPOINT", "btf_trace_%s", "IMAGE_NAME")}
KINDS = {bpf.STRUCT: "IMAGE_STRUCT", bpf.ENUM: "IMAGE_ENUM"}
LEADS = {bpf.INT: "IMAGE_NUMBER", bpf.PTR: "IMAGE_POINTER", bpf.ARRAY: "IMAGE_ARRAY", bpf.STRUCT: "IMAGE_STRUCT",
         bpf.UNION: "IMAGE_STRUCT", bpf.ENUM: "IMAGE_ENUM"}
# Documentation/bpf/btf.rst: where a member lies, whether it, a type or a value is there, how large a type is.
ASKED = {0: "IMAGE_OFFSET", 2: "IMAGE_EXISTS", 8: "IMAGE_EXISTS", 9: "IMAGE_SIZE", 10: "IMAGE_EXISTS"}
LOAD, MOVE = {0x61, 0x69, 0x71, 0x79}, {0xb7}
FITS = {"IMAGE_OFFSET": LOAD | MOVE, "IMAGE_EXISTS": MOVE | {bpf.WIDE}, "IMAGE_SIZE": MOVE}
RDONLY_PROG = 128


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
        subprocess.run(["llvm-objcopy", "--strip-debug", output], check=True)
        with open(output, "rb") as file:
            return file.read()


class Numbered:
    """Rows of a table, each once."""

    def __init__(self):
        self.number = {}

    def of(self, row):
        return self.number.setdefault(row, len(self.number))


class Signatures:
    """Types of functions alone, as the verifier wants to have them; whatever they point to is "void" to it, so that a
    function that is not static must not take pointers."""

    def __init__(self, types):
        self.types, self.done, self.rows, self.strings = types, {}, [], b"\0"

    def text(self, name):
        if not name:
            return 0
        data = name.encode() + b"\0"
        at = self.strings.find(b"\0" + data)
        if at >= 0:
            return at + 1
        self.strings += data
        return len(self.strings) - len(data)

    def of(self, number):
        """The number here of a type with that number there."""
        of = self.types.types[number]
        if of.kind == 0:
            return 0
        if number not in self.done:
            self.done[number] = len(self.done) + 1
            self.rows.append(None)
            self.rows[self.done[number] - 1] = self.row(of)
        return self.done[number]

    def row(self, of):
        size, tail = of.size, of.tail
        if of.kind == bpf.PTR:
            size = 0
        elif of.kind in bpf.PLAIN | {bpf.FUNC, bpf.FUNC_PROTO}:
            size = self.of(size)
        if of.kind == bpf.FUNC_PROTO:
            tail = b"".join(struct.pack("<II", self.text(self.types.text(name)), self.of(number))
                            for name, number in of.rows("<II"))
        elif of.kind == bpf.ENUM:
            tail = b"".join(struct.pack("<Ii", self.text(self.types.text(name)), value)
                            for name, value in of.rows("<Ii"))
        else:
            assert of.kind in bpf.PLAIN | {bpf.INT, bpf.PTR, bpf.FUNC}, "a parameter of an unusual type"
        return struct.pack("<III", self.text(of.name), of.kind << 24 | of.count, size) + tail

    def data(self):
        rows = b"".join(self.rows)
        head = struct.pack("<HBBIIIII", 0xeb9f, 1, 0, 24, 0, len(rows), len(rows), len(self.strings))
        return head + rows + self.strings


class Image:
    def __init__(self, data):
        self.object = bpf.Object(data)
        self.types = bpf.Types(self.object.data[".BTF"])
        self.extension = bpf.Extension(self.object.data[".BTF.ext"], self.types)
        self.sections = [name for name in self.object.names if name == ".text" or name.split("/")[0] in HOOKS]
        self.functions = {(section, at): row for section in self.sections
                          for at, row in self.object.functions(section).items()}
        self.meant = {section: self.object.relocations(section) for section in self.sections}
        self.asked = {section: {row[0]: row[1:] for row in self.extension.places.get(section, [])}
                      for section in self.sections}
        self.sought, self.places, self.signatures = Numbered(), Numbered(), Signatures(self.types)
        self.maps = self.read_maps()
        self.programs = [self.program(key) for key in self.functions if key[0] != ".text"]

    def word(self, section):
        return bpf.text_at(self.object.data[section], 0)

    # ---- Maps

    def read_maps(self):
        """{name: (type, key size, value size, entries, flags, content)}"""
        maps = {}
        declared = self.types.named(bpf.DATASEC, ".maps")
        for number, _, _ in declared.rows("<III") if declared else []:
            variable = self.types.types[number]
            maps[variable.name] = self.read_map(dict(self.types.members(self.types.plain(variable.size))))
        for name, data in self.object.data.items():
            if name.startswith(".rodata"):
                maps[name] = (2, 4, len(data), 1, RDONLY_PROG, data)
        return maps

    def read_map(self, members):
        def number(name):
            return struct.unpack("<III", self.types.plain(self.types.plain(members[name]).size).tail)[2]

        def size(name):
            return self.types.size(self.types.plain(members[name]).size) if name in members else 0
        return number("type"), size("key"), size("value"), number("max_entries"), 0, None

    # ---- Code

    def target(self, section, at, code, source, value):
        """The function that an instruction calls or points to, or None."""
        meant = self.meant[section].get(at)
        if code == bpf.CALL and source == bpf.OF_CALL:
            return (meant[0], meant[1] + 8 * (value + 1)) if meant else (section, at + 8 * (value + 1))
        if code == bpf.WIDE and meant and meant[0] in self.sections:
            return meant[0], meant[1] + value
        return None

    def layout(self, first):
        """{function: where it begins}, of a program and of all that it calls, in the order of their code."""
        begins = {}

        def append(function, at):
            begins[function] = at
            at += self.functions[function][1] // 8
            for row in self.instructions(function):
                target = self.target(*row)
                if target and target not in begins:
                    at = append(target, at)
            return at
        append(first, 0)
        return begins

    def instructions(self, function):
        section, begin = function
        for at in range(begin, begin + self.functions[function][1], 8):
            code, registers, _, value = struct.unpack_from("<BBhi", self.object.data[section], at)
            yield section, at, code, registers >> 4, value

    def program(self, first):
        begins = self.layout(first)
        code, fixups = [], []
        for function in begins:
            for row in self.instructions(function):
                code.append(self.instruction(row, len(code), begins, fixups))
        signature = {section: dict(rows) for section, rows in self.extension.functions.items()}
        functions = [(begin, self.signatures.of(signature[key[0]][key[1]])) for key, begin in begins.items()]
        sort, hook, kind = HOOKS[first[0].split("/")[0]]
        return (self.functions[first][0], sort, self.sought.of((kind, hook % first[0].split("/")[1])), code, functions,
                fixups)

    def instruction(self, row, here, begins, fixups):
        section, at, code, source, value = row
        opcode, registers, offset, _ = struct.unpack_from("<BBhi", self.object.data[section], at)
        target, meant, asked = self.target(*row), self.meant[section].get(at), self.asked[section].get(at)
        if target:
            value = begins[target] - here - 1
            registers = registers & 15 | (bpf.OF_CALL if code == bpf.CALL else bpf.OF_FUNCTION) << 4
        elif meant:
            is_inside = meant[0] != ".maps"
            name = meant[0] if is_inside else meant[2]
            assert code == bpf.WIDE and name in self.maps, "what is %s?" % name
            registers = registers & 15 | (bpf.IN_MAP if is_inside else bpf.OF_MAP) << 4
            fixups.append((here, "IMAGE_MAP", list(self.maps).index(name)))
        elif asked:
            fixups.append((here, ASKED[asked[2]], self.place(*asked)))
            assert code in FITS[ASKED[asked[2]]], "an instruction 0x%x that depends on the kernel" % code
        before = self.meant[section].get(at - 8)
        if before and before[0].startswith(".rodata") and not code: # the second half: where in the section
            value = before[1] + struct.unpack_from("<i", self.object.data[section], at - 4)[0]
        return struct.unpack("<Q", struct.pack("<BBhi", opcode, registers, offset, value))[0]

    def place(self, number, access, asked):
        of = self.types.plain(number)
        kind, name = KINDS[of.kind], of.name.split("___")[0]
        if of.kind == bpf.ENUM:
            path, leads = self.types.text(of.rows("<Ii")[int(self.types.text(access))][0]), "IMAGE_ENUM"
        else:
            path, to = self.types.path(number, self.types.text(access))
            leads = LEADS[to.kind]
        return self.places.of((self.sought.of((kind, name)), path, leads))


# ---- As text --------------------------------------------------------------------------------------------------------


def table(kind, name, items):
    """An array, as many items a line as fit."""
    lines, line = ["static const %s %s[] = {" % (kind, name)], "   "
    for item in items:
        if len(line) + len(item) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += " %s," % item
    return lines + [line, "};", ""]


def map_text(name, row):
    content = "%s_content" % name.strip(".").replace(".", "_") if row[5] else "NULL"
    return '{ "%s", %d, %d, %d, %d, %d, %s }' % (name.strip(".")[:15], *row[:5], content)


def image_text(name, image):
    lines = ["/* SPDX-License-Identifier: MIT */",
             "/* Made from src/bpf/kernel/%s.bpf.c by scripts/bpf.py." % name,
             " * sha256 of its sources: %s */" % digest(name),
             '#include "bpf/image.h"', ""]
    for program, _, _, code, functions, fixups in image.programs:
        lines += table("uint64_t", program + "_code", ["0x%016x" % word for word in code])
        lines += table("struct image_function", program + "_functions", ["{ %d, %d }" % row for row in functions])
        lines += table("struct image_fixup", program + "_fixups", ["{ %d, %s, %d }" % row for row in fixups])
    for map_name, row in image.maps.items():
        if row[5]:
            lines += table("unsigned char", map_name.strip(".").replace(".", "_") + "_content",
                           ["0x%02x" % byte for byte in row[5]])
    lines += table("unsigned char", "signatures", ["0x%02x" % byte for byte in image.signatures.data()])
    lines += table("struct image_type", "types", ['{ %s, "%s" }' % row for row in image.sought.number])
    lines += table("struct image_place", "places", ['{ %d, %s, "%s" }' % (row[0], row[2], row[1])
                                                    for row in image.places.number])
    if image.maps:
        lines += table("struct image_map", "maps", [map_text(*row) for row in image.maps.items()])
    lines += ["static const struct image_program programs[] = {"]
    lines += ["    IMAGE_PROGRAM(%s, %s, %d)," % program[:3] for program in image.programs]
    lines += ["};", "", "const struct bpf_image %s_image = {" % name,
              '    "%s", "%s", "%s",' % (name, image.word("license"), image.word("since")),
              "    IMAGE_TABLE(programs), %s, IMAGE_TABLE(types), IMAGE_TABLE(places), IMAGE_TABLE(signatures)"
              % ("IMAGE_TABLE(maps)" if image.maps else "NULL, 0"), "};", ""]
    return "\n".join(lines)


def write(name):
    image = Image(compiled(name))
    with open(image_path(name), "w", encoding="utf-8") as file:
        file.write(image_text(name, image))
    print("%s: %d programs, %d instructions" % (name, len(image.programs), sum(len(row[3]) for row in image.programs)))


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
