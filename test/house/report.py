# SPDX-License-Identifier: MIT
"""How the house's tests report: a line for each rule, what breaks it, and the closing counts."""
import sys


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def rule(self, name, offences):
        if offences:
            self.failed += 1
            print("FAIL " + name)
            for offence in offences:
                print("     " + offence)
        else:
            self.passed += 1
            print("ok   " + name)

    def skip(self, name, reason):
        self.skipped += 1
        print("skip %s: %s" % (name, reason))

    def end(self):
        print("%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped))
        sys.exit(1 if self.failed else 0)
