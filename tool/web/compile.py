# SPDX-License-Identifier: MIT
"""compile.py OUTPUT PAGE: the page as a string in C, and a policy that allows it its own script and style."""
import base64
import hashlib
import json
import re
import sys


def digests(page, element):
    contents = re.findall("<%s>(.*?)</%s>" % (element, element), page, re.S)
    return " ".join("'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in contents)


def main():
    output, source = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        page = file.read()
    policy = ("default-src 'none'; script-src %s; style-src %s; connect-src 'self'; base-uri 'none'; form-action 'none'; "
              "frame-ancestors 'none'" % (digests(page, "script"), digests(page, "style")))
    lines = ["/* SPDX-License-Identifier: MIT */", "/* Made from tool/web/page.html by compile.py. */",
             '#include "tool/web/web.h"', "", "const char web_page[] ="]
    lines += ["    " + json.dumps(line, ensure_ascii=False) for line in page.splitlines(True)]
    lines += ["    ;", "const size_t web_page_size = sizeof web_page - 1;",
              "const char web_policy[] = %s;" % json.dumps(policy), ""]
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


main()
