# SPDX-License-Identifier: MIT
"""The pages of `tong explain`, read from DIRECTORY/{en,ko}/NAME.md: front matter, a title, five headings in the
order of the documents.  Whatever is not so ends the build, so that the two languages cannot drift apart."""
import os
import re
import sys
import unicodedata

HEADINGS = {
    "en": ["Definition", "Structure", "When to use", "Cautions", "Example"],
    "ko": ["정의", "구조", "사용 시기", "유의사항", "예제"],
}
# What a page says before its title.  Facts that have no language stand in the English page only.
FRONT = {"en": {"schemes", "names", "related", "measured", "see"}, "ko": {"names"}}
WIDTH = 100
INDENT = 2


class Page:
    def __init__(self, directory, language, name):
        self.path = os.path.join(directory, language, name + ".md")
        self.language, self.name = language, name
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        match = re.fullmatch(r"---\n(.*?)---\n# ([^\n]+)\n(.*)", text, re.S)
        if not match:
            self.fail("begins with ---, front matter, --- and '# TITLE'")
        self.front = {key: [] for key in FRONT[language]}
        for line in match.group(1).splitlines():
            key, _, words = line.partition(":")
            if key not in self.front:
                self.fail("'%s' is not one of %s" % (key, ", ".join(sorted(self.front))))
            self.front[key] = words.split()
        self.title = match.group(2)
        parts = re.split(r"^## (.+)\n", match.group(3), flags=re.M)
        if parts[1::2] != HEADINGS[language]:
            self.fail("has the headings %s, not %s" % (parts[1::2], HEADINGS[language]))
        self.sections = [body.strip("\n") for body in parts[2::2]]

    def fail(self, words):
        sys.exit("%s: %s" % (self.path, words))

    def blocks(self, section):
        """("code", lines), ("item", text) and ("text", text), in order."""
        lines = self.sections[section].split("\n")
        while lines:
            line = lines.pop(0)
            if line.startswith("```"):
                end = lines.index("```")
                yield "code", lines[:end]
                lines = lines[end + 1:]
            elif line:
                gathered = [line]
                while lines and lines[0] and not lines[0].startswith(("- ", "```")):
                    gathered.append(lines.pop(0).strip())
                kind = "item" if line.startswith("- ") else "text"
                yield kind, " ".join(gathered)[2 if kind == "item" else 0:]

    def commands(self):
        """What the example says to type, and what it shows: [(command, [output line])]."""
        result = []
        for kind, lines in self.blocks(len(self.sections) - 1):
            for line in lines if kind == "code" else ():
                if line.startswith("$ "):
                    result.append((line[2:], []))
                elif result and line.startswith("> ") and not result[-1][1]:
                    result[-1] = (result[-1][0] + "\n" + line[2:], [])
                elif result:
                    result[-1][1].append(line)
        return result


def columns(text):
    """How many columns of a terminal: Korean letters take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def lines_of(page, section):
    """The section for `tong explain`: a line for each paragraph, each point ("- ") and each line as it is ("\\t")."""
    lines, before = [], None
    for kind, body in page.blocks(section):
        if before and not kind == before == "item":
            lines.append("")
        if kind == "code":
            for line in body:
                if columns(line) > WIDTH - INDENT:
                    page.fail("wider than %d columns: %s" % (WIDTH - INDENT, line))
            lines += ["\t" + line.rstrip() for line in body]
        else:
            lines.append(("- " if kind == "item" else "") + body.replace("`", ""))
        before = kind
    return "\n".join(lines) + "\n"
