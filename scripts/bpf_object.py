# SPDX-License-Identifier: MIT
"""What a compiled object (ELF) of programs for the kernel holds: code, maps, and what has to be looked up in a kernel."""
import struct

SECTION_FORMAT, SYMBOL_FORMAT, RELOCATION_FORMAT = "<IIQQQQIIQQ", "<IBBHQQ", "<QQ"
FUNCTION = 2  # sort of a symbol

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC = range(1, 16)
DECL_TAG, TYPE_TAG, ENUM64 = 17, 18, 19
TAILS = {INT: (4, 0), ARRAY: (12, 0), STRUCT: (0, 12), UNION: (0, 12), ENUM: (0, 8), FUNC_PROTO: (0, 8), VAR: (4, 0),
         DATASEC: (0, 12), DECL_TAG: (4, 0), ENUM64: (0, 12)}
PLAIN = {TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG}

CALL, WIDE = 0x85, 0x18         # instructions
OF_MAP, IN_MAP, OF_FUNCTION = 1, 2, 4  # what the second stands for: BPF_PSEUDO_...
OF_CALL = 1


def text_at(data, offset):
    return data[offset:data.index(b"\0", offset)].decode()


class Object:
    """Sections and symbols of the file, of little-endian 64 bits."""

    def __init__(self, data):
        offset, = struct.unpack_from("<Q", data, 40)
        count, names = struct.unpack_from("<HH", data, 60)
        rows = [struct.unpack_from(SECTION_FORMAT, data, offset + 64 * i) for i in range(count)]
        self.names = [text_at(data, rows[names][4] + row[0]) for row in rows]
        self.data = {name: data[row[4]:row[4] + row[5]] for name, row in zip(self.names, rows)}
        self.strings = self.data[".strtab"]
        self.symbols = [struct.unpack_from(SYMBOL_FORMAT, self.data[".symtab"], at)
                        for at in range(0, len(self.data[".symtab"]), 24)]

    def functions(self, section):
        """{offset: (name, size)}"""
        return {symbol[4]: (text_at(self.strings, symbol[0]), symbol[5]) for symbol in self.symbols
                if symbol[1] & 15 == FUNCTION and self.names[symbol[3]] == section}

    def relocations(self, section):
        """{offset: (section, offset, name)} of what is meant there."""
        found = {}
        data = self.data.get(".rel" + section, b"")
        for at in range(0, len(data), 16):
            offset, info = struct.unpack_from(RELOCATION_FORMAT, data, at)
            symbol = self.symbols[info >> 32]
            found[offset] = (self.names[symbol[3]], symbol[4], text_at(self.strings, symbol[0]))
        return found


class Type:
    def __init__(self, name, kind, count, size, tail):
        self.name, self.kind, self.count, self.size, self.tail = name, kind, count, size, tail

    def rows(self, form):
        return list(struct.iter_unpack(form, self.tail))


class Types:
    """The section .BTF (Documentation/bpf/btf.rst)."""

    def __init__(self, data):
        _, _, _, header, types, types_size, strings, _ = struct.unpack_from("<HBBIIIII", data)
        self.strings = data[header + strings:]
        self.types = [Type("void", 0, 0, 0, b"")]
        at, end = header + types, header + types + types_size
        while at < end:
            name, about, size = struct.unpack_from("<III", data, at)
            kind, count = about >> 24 & 31, about & 0xffff
            fixed, each = TAILS.get(kind, (0, 0))
            behind = at + 12 + fixed + each * count
            self.types.append(Type(self.text(name), kind, count, size, data[at + 12:behind]))
            at = behind

    def text(self, offset):
        return text_at(self.strings, offset)

    def plain(self, number):
        while self.types[number].kind in PLAIN:
            number = self.types[number].size
        return self.types[number]

    def size(self, number):
        of = self.plain(number)
        if of.kind == ARRAY:
            element, _, count = struct.unpack("<III", of.tail)
            return count * self.size(element)
        return 8 if of.kind == PTR else of.size

    def members(self, of):
        """[(name, number of its type)]"""
        return [(self.text(name), number) for name, number, _ in of.rows("<III")]

    def named(self, kind, name):
        return next((of for of in self.types if of.kind == kind and of.name == name), None)

    def path(self, number, access):
        """The steps that "0:3:1" means from a type, and what they lead to."""
        steps, at = [], self.plain(number)
        for step in map(int, access.split(":")[1:]):
            if at.kind == ARRAY:
                number = struct.unpack("<III", at.tail)[0]
                steps.append(str(step))
            else:
                name, number = self.members(at)[step]
                steps.append(name)
            at = self.plain(number)
        return ".".join(steps), at


class Extension:
    """The section .BTF.ext: which function is of which type, and what depends on the kernel."""

    def __init__(self, data, types):
        head, functions, functions_size, _, _, places, places_size = struct.unpack_from("<IIIIIII", data, 4)
        self.functions = dict(self.rows(data[head + functions:][:functions_size], types, "<II"))
        self.places = dict(self.rows(data[head + places:][:places_size], types, "<IIII"))

    @staticmethod
    def rows(table, types, form):
        """(section, [row]), as often as there are sections."""
        each, = struct.unpack_from("<I", table)
        at = 4
        while at < len(table):
            section, count = struct.unpack_from("<II", table, at)
            yield types.text(section), [struct.unpack_from(form, table, at + 8 + each * i) for i in range(count)]
            at += 8 + each * count
