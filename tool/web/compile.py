# SPDX-License-Identifier: MIT
"""compile.py OUTPUT PAGE STYLE SCRIPT...: the page as a string in C, and a policy that allows its own script and style."""
import base64
import hashlib
import json
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def digest(text):
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def filled(page, begin, end, text):
    """The page with the text in its one empty element."""
    if page.count(begin + end) != 1 or end in text:
        sys.exit("%s must be there once, and its end not in its text" % (begin + end))
    return page.replace(begin + end, begin + "\n" + text + end), digest("\n" + text)


def main():
    output, page, style, *scripts = sys.argv[1:]
    page, style = filled(read(page), "<style>", "</style>", read(style))
    page, script = filled(page, '<script type="module">', "</script>", "".join(map(read, scripts)))
    policy = ("default-src 'none'; script-src %s; style-src %s; connect-src 'self'; base-uri 'none'; "
              "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
              % (script, style))
    lines = ["/* SPDX-License-Identifier: MIT */", "/* Made by tool/web/compile.py. */",
             '#include "tool/web/web.h"', "", "const char web_page[] ="]
    lines += ["    " + json.dumps(line, ensure_ascii=False) for line in page.splitlines(True)]
    lines += ["    ;", "const size_t web_page_size = sizeof web_page - 1;",
              "const char web_policy[] = %s;" % json.dumps(policy), ""]
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


main()
