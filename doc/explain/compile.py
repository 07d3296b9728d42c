# SPDX-License-Identifier: MIT
"""compile.py OUTPUT DIRECTORY NAME...: the pages as a table in C, every one in both languages."""
import json
import sys

from pages import HEADINGS, Page, lines_of


def string(text):
    """A C string: what JSON escapes, C escapes alike; line by line, to be read."""
    return "\n        ".join(json.dumps(line, ensure_ascii=False) for line in text.splitlines(True)) or '""'


def row(page, facts):
    members = ["name", page.name], ["language", page.language], ["title", page.title]
    words = [(key, " ".join(facts.front[key])) for key in ("schemes", "related", "measured")]
    words.append(("names", " ".join([page.name] * (page is facts) + page.front["names"])))
    lines = ["    {"] + ["        .%s = %s," % (key, string(value)) for key, value in list(members) + words]
    lines.append("        .sections = {")
    for index, heading in enumerate(HEADINGS[page.language]):
        lines.append("        { %s,\n        %s }," % (string(heading), string(lines_of(page, index))))
    return "\n".join(lines + ["        },", "    },"])


def main():
    output, directory, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    lines = ["/* SPDX-License-Identifier: MIT */", "/* Made from doc/explain by compile.py. */",
             '#include "tool/explain/explain.h"', "", "const struct page explain_pages[] = {"]
    for name in names:
        facts = Page(directory, "en", name)
        lines += [row(facts, facts), row(Page(directory, "ko", name), facts)]
    lines += ["    { .name = NULL },", "};", ""]
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


main()
