# SPDX-License-Identifier: MIT
"""manual.py SCDOC TONG DIRECTORY NAME: tong-NAME(7), from the page of `tong explain` and from what the library says of
itself, so that no option is described twice."""
import json
import os
import re
import subprocess
import sys


def escape(text):
    """scdoc's marks, and the beginnings of lines that it takes for something."""
    return re.sub(r"^([#\-|\[\]<.])", r"\\\1", re.sub(r"([\\*_~])", r"\\\1", text))


def running(text):
    """`code` becomes bold; between the marks everything is itself."""
    parts = text.split("`")
    return "".join("*%s*" % escape(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def prose(page, section):
    for kind, body in page.blocks(section):
        if kind == "code":
            yield "\n".join(["```"] + body + ["```", ""])
        else:
            yield ("- " if kind == "item" else "") + running(body) + ("" if kind == "item" else "\n")
    yield ""


def options(row):
    """Noun by noun; what a noun shares with one before it is only named."""
    nouns = list(dict.fromkeys(option["noun"] for option in row["options"]))
    told = []
    for noun in nouns:
        mine = [{key: option[key] for key in ("name", "values", "default", "help")}
                for option in row["options"] if option["noun"] == noun]
        shared = [option["name"] for option in mine if option in told]
        if len(nouns) > 1:
            yield "As a %s%s\n" % (noun, ": " + ", ".join(shared) if shared else "")
        for option in mine:
            if option not in told:
                yield "*%s=%s*" % (escape(option["name"]), escape(option["default"]))
                yield "\t%s (%s)\n" % (running(option["help"]), running(option["values"]).replace("\\|", "|"))
        told += mine


def limits(row):
    for limit in row["limits"]:
        yield "- %s, in %s: %s" % (running(limit["name"]), running(limit["unit"]), running(limit["source"]))
    yield "\n*tong explain %s* shows the figures in force.\n" % row["scheme"]


def facts(row):
    for key in ("direction", "medium", "unit", "reach", "order", "lifetime", "family"):
        yield "*%s*\n\t%s\n" % ("synchronised by" if key == "order" else key, running(row[key]))


def manual(page, rows):
    first = rows[0]
    yield "tong-%s(7)\n\n# NAME\n" % page.name
    yield "tong-%s - %s\n\n# SYNOPSIS\n" % (page.name, running(first["summary"]))
    yield "++\n".join(", ".join("*%s*" % escape(form) for form in row["form"].split(", ")) for row in rows)
    yield "\n# DEFINITION\n"
    yield from prose(page, 0)
    yield "# STRUCTURE\n"
    yield from prose(page, 1)
    yield "# CLASSIFICATION\n"
    yield from facts(first)
    yield "# WHEN TO USE\n"
    yield from prose(page, 2)
    yield "# CAUTIONS\n"
    yield from prose(page, 3)
    for row in rows:
        if row["options"]:
            yield "# OPTIONS%s\n" % (" OF %s:" % row["scheme"].upper() if len(rows) > 1 else "")
            yield "Given as ?_option_=_value_ behind the name; shown with what holds without them.\n"
            yield from options(row)
    if first["limits"]:
        yield "# LIMITS\n"
        yield from limits(first)
    yield "# EXAMPLE\n"
    yield from prose(page, 4)
    yield "# SEE ALSO\n"
    others = ["tong(1)"] + ["tong-%s(7)" % name for name in page.front["related"]] + page.front["see"]
    yield ", ".join(re.sub(r"(.+)(\(\w+\))", lambda m: "*%s*%s" % (escape(m.group(1)), m.group(2)), other)
                    for other in others)
    yield ""


def main():
    scdoc, tong, directory, name = sys.argv[1:]
    sys.path.insert(0, directory)
    from pages import Page
    page = Page(directory, "en", name)
    told = json.loads(subprocess.run([tong, "explain", "--json"], stdout=subprocess.PIPE, check=True).stdout)
    rows = {}
    for row in told["mechanisms"]:
        rows.setdefault(row["scheme"], row)
    mine = [rows[scheme] for scheme in page.front["schemes"] if scheme in rows]
    if not mine:
        sys.exit("%s: no mechanism has one of the schemes %s" % (page.path, page.front["schemes"]))
    source = "\n".join(manual(page, mine))
    sys.stdout.flush()
    subprocess.run([scdoc], input=source.encode(), check=True)


main()
