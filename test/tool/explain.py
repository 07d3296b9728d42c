# SPDX-License-Identifier: MIT
"""explain.py TONG ROOT: tong explain in both languages.  Its pages agree, its examples run, its figures hold."""
import functools
import json
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios

TONG, ROOT = os.path.realpath(sys.argv[1]), sys.argv[2]
PAGES = os.path.join(ROOT, "doc/explain")
sys.path[:0] = [os.path.join(ROOT, "test/house"), PAGES]

from pages import HEADINGS, Page, columns  # noqa: E402
from report import Report  # noqa: E402

HANGUL = re.compile("[가-힣]")
DIRECTORY = tempfile.mkdtemp(prefix="tong-test-")
LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")


def explain(*arguments, **locale):
    environment = {key: value for key, value in os.environ.items() if key not in LOCALE}
    environment.update(locale, TMPDIR=DIRECTORY)
    return subprocess.run([TONG, "explain", *arguments], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, encoding="utf-8",
                          timeout=240)


@functools.lru_cache(None)
def screen(scheme, language):
    """What is shown; asked for once, because measuring takes time."""
    return explain(scheme, "--lang", language).stdout


def told(*arguments):
    return json.loads(explain("--json", *arguments).stdout)


measured = functools.lru_cache(None)(lambda scheme: told(scheme)["measured"])


MECHANISMS = told()["mechanisms"]
SCHEMES = list(dict.fromkeys(mechanism["scheme"] for mechanism in MECHANISMS))
NAMES = sorted(name[:-3] for name in os.listdir(os.path.join(PAGES, "en")))
ENGLISH = {name: Page(PAGES, "en", name) for name in NAMES}
KOREAN = {name: Page(PAGES, "ko", name) for name in sorted(name[:-3] for name in os.listdir(os.path.join(PAGES, "ko")))}


def offered(page):
    return not page.front["schemes"] or any(scheme in SCHEMES for scheme in page.front["schemes"])


def about(page):
    """The first scheme of the page that the library has."""
    return next((scheme for scheme in page.front["schemes"] if scheme in SCHEMES), None)


SHOWN = [name for name in NAMES if about(ENGLISH[name])]

# ---- Pages ------------------------------------------------------------------------------------------------------


def every_scheme_has_a_page():
    owners = {}
    for name in NAMES:
        for scheme in ENGLISH[name].front["schemes"]:
            owners.setdefault(scheme, []).append(name)
    for scheme in SCHEMES:
        if len(owners.get(scheme, [])) != 1:
            yield "%s has the pages %s" % (scheme, owners.get(scheme))
        if screen(scheme, "ko").count("정의") == 0:
            yield "%s is not explained in Korean: is its page in doc/explain/meson.build?" % scheme


def languages_agree():
    if set(ENGLISH) != set(KOREAN):
        yield "pages in one language only: %s" % (set(ENGLISH) ^ set(KOREAN))
    for name in set(ENGLISH) & set(KOREAN):
        english, korean = ENGLISH[name], KOREAN[name]
        if english.commands() != korean.commands():
            yield "%s: other commands, or another output, in Korean" % name
        for section, heading in enumerate(HEADINGS["en"]):
            count = [[kind for kind, _ in page.blocks(section)].count("item") for page in (english, korean)]
            if count[0] != count[1]:
                yield "%s, %s: %d points in English, %d in Korean" % (name, heading, *count)


def names_are_unique():
    seen = {}
    for name in NAMES:
        for word in [name] + ENGLISH[name].front["names"] + KOREAN[name].front["names"]:
            if seen.setdefault(word, name) != name:
                yield "'%s' is called by %s and %s" % (word, seen[word], name)


def without_a_row():
    for name in NAMES:
        if not offered(ENGLISH[name]) and explain(name).returncode != 2:
            yield "%s is explained, but the library has none" % name


# ---- Examples ---------------------------------------------------------------------------------------------------


def own_names(text):
    """The example's names, which other runs of this test use too, made this run's own."""
    own = os.getpid() % 9000
    text = re.sub(r"(?<=:)(70\d\d)\b", lambda match: str(0x51000000 + own * 100 + int(match.group()) % 100), text)
    text = re.sub(r"(?<=\.1:)170(\d\d)\b", lambda match: str(21000 + own + int(match.group(1)) % 50), text)
    return text.replace("tong-example", "tong-test-%d" % os.getpid())


def run_example(page):
    directory = tempfile.mkdtemp(dir=DIRECTORY)
    script = own_names("\n".join(command for command, _ in page.commands()) + "\nwait\n")
    environment = dict(os.environ, PATH=os.path.dirname(TONG) + ":" + os.environ["PATH"], LC_ALL="C")
    ran = subprocess.run(["sh", "-c", script], cwd=directory, env=environment, stdin=subprocess.DEVNULL, timeout=240,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    # Making something is told once on standard error, with numbers that are never the same.
    got = [line for line in ran.stdout.splitlines() if not re.match(r"tong [a-z ]+: made ", line)]
    expected = [line for _, lines in page.commands() for line in lines]
    if got != expected:
        yield "%s: %s where the page has %s" % (page.name, got, expected)


def examples_run():
    for page in ENGLISH.values():
        if not page.commands():
            yield "%s has no example" % page.name
        if offered(page):
            yield from run_example(page)


# ---- Names and languages ----------------------------------------------------------------------------------------

# What people say, and the page they mean: a scheme in the first line.
CALLED = {
    "파이프": "pipe", "이름있는파이프": "fifo", "이름 있는 파이프": "fifo", "메시지큐": "msgq", "메시지 큐": "msgq",
    "공유메모리": "shm", "메모리맵": "mmap", "공유파일": "file", "소켓": "unix", "시그널": "signal", "세마포어": "sem",
    "세마포": "sysvsem", "named-pipe": "fifo", "Named Pipe": "fifo", "socket": "unix", "semaphore": "sem",
    "shared-memory": "shm", "shared_memory": "shm", "message-queue": "msgq", "memory-map": "mmap", "fifo:/tmp/f": "fifo",
}


def names_find_pages():
    for name, scheme in CALLED.items():
        result = explain(name, LC_ALL="C")
        if scheme not in SCHEMES:
            if result.returncode != 2:
                yield "%s: exit code %d, without such a mechanism" % (name, result.returncode)
            continue
        first = result.stdout.split("\n")[0]
        if not first.endswith("(%s)" % scheme):
            yield "%s: %s, %s" % (name, first, result.stderr.strip())
        if bool(HANGUL.search(first)) != bool(HANGUL.search(name)):
            yield "%s is answered with: %s" % (name, first)
    told_names = explain("메세지").stderr
    if "there are 공유파일, 파이프" not in told_names or "msgq" in told_names:
        yield "who asks for an unknown Korean name is told: %s" % told_names
    if explain("이름", "있는", "파이프").stdout.split("\n")[0] != "이름 있는 파이프 (fifo)":
        yield "a name of several words is not understood"


def language_choice():
    rows = (
        (("pipe",), {}, "en"), (("pipe",), {"LANG": "ko_KR.UTF-8"}, "ko"), (("pipe",), {"LC_MESSAGES": "ko"}, "ko"),
        (("pipe",), {"LC_ALL": "C", "LANG": "ko_KR.UTF-8"}, "en"), (("pipe",), {"LC_ALL": "", "LANG": "ko"}, "ko"),
        (("pipe", "--lang", "ko"), {"LC_ALL": "C"}, "ko"), (("파이프", "--lang", "en"), {"LANG": "ko"}, "en"),
        ((), {"LANG": "ko_KR.UTF-8"}, "ko"), ((), {"LANG": "en_US.UTF-8"}, "en"), (("--lang", "ko"), {}, "ko"),
    )
    for arguments, locale, language in rows:
        got = "ko" if HANGUL.search(explain(*arguments, **locale).stdout) else "en"
        if got != language:
            yield "%s with %s is answered in %s" % (arguments, locale, got)
    if explain("--lang", "fr").returncode != 2:
        yield "--lang fr is taken"


def remote_calls():
    for name, words in (("원격프로시저호출", "이 버전의 tong에는 원격 프로시저 호출이 없다"), ("rpc", "no remote calls")):
        result = explain(name)
        if result.returncode != 0 or words not in result.stdout:
            yield "%s: exit code %d, %s" % (name, result.returncode, result.stdout[:200])
    if explain("rpc", "--json").returncode != 2:
        yield "rpc has JSON without a mechanism"
    if "remote" in explain().stdout:
        yield "the table has remote calls"


# ---- On the screen ----------------------------------------------------------------------------------------------


def starts(line):
    """The columns at which the cells of a line begin."""
    return {columns(line[:match.start()]) for match in re.finditer(r"(?:(?<=  )|^)\S", line)}


def tables_align():
    for language in "en", "ko":
        lines = explain("--lang", language).stdout.split("\n\n")[0].split("\n")
        allowed = starts(lines[0])
        for line in lines[1:]:
            if not line.startswith("    ") and not starts(line) <= allowed | {2}:
                yield "%s: %s" % (language, line)


def part(text, heading):
    """The lines under a heading, up to the next blank one."""
    if "\n%s" % heading not in text:
        return []
    return text.split("\n%s" % heading)[1].split("\n\n")[0].split("\n")[1:]


def pages_fit():
    for name in SHOWN:
        for language in "en", "ko":
            text = screen(about(ENGLISH[name]), language)
            lines = text.split("\n")
            if len(lines) > 155: # shm: and mmap: have three nouns and ways to deliver
                yield "%s in %s has %d lines" % (name, language, len(lines))
            limits = part(text, "이 컴퓨터의 한계" if language == "ko" else "Limits in force here")
            for line in lines:
                if columns(line) > 106 and line not in limits:
                    yield "%s in %s: %d columns: %s" % (name, language, columns(line), line)
            if "\033" in text:
                yield "%s: colours where there is no terminal" % name


def narrow_terminals():
    for language, heading in (("en", "Cautions"), ("ko", "유의사항")):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        with subprocess.Popen([TONG, "explain", "rpc", "--lang", language], stdout=theirs) as process:
            os.close(theirs)
            text = b""
            try:
                while block := os.read(ours, 4096):
                    text += block
            except OSError: # the other side is closed
                pass
        os.close(ours)
        lines = part(text.decode().replace("\r", ""), heading)
        if process.returncode or not lines or max(map(columns, lines)) > 60 or len(lines) < 4:
            yield "60 columns, %s: %s" % (language, lines)


def words_stand_once():
    with open(os.path.join(ROOT, "tool/explain/words.c"), encoding="utf-8") as file:
        rows = re.findall(r'^    \{ ((?:"(?:[^"\\]|\\.)*"\s*)+),', file.read(), re.M)
    seen = set()
    for row in rows:
        words = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', row))
        if words in seen:
            yield "two rows for: %s" % words
        seen.add(words)


def korean_throughout():
    for scheme in SCHEMES:
        text = screen(scheme, "ko")
        if "\n  주소         %s:" % scheme not in text:
            yield "%s: no address of that scheme" % scheme
        for line in part(text, "분류"):
            if not line.startswith("   ") and not line.startswith("  주소") and not HANGUL.search(line[8:]):
                yield "%s: %s" % (scheme, line)
        for line in part(text, "옵션과 기본값") + part(text, "이 컴퓨터의 한계"):
            if not line.startswith("   ") and not HANGUL.search(line):
                yield "%s: an option or limit without a translation: %s" % (scheme, line)
        for line in part(text, "할 수 있는 일"):
            if not HANGUL.search(line):
                yield "%s: an ability without a translation: %s" % (scheme, line)
        for line in part(text, "지금 이 컴퓨터에서 잰 값"):
            if not HANGUL.search(line):
                yield "%s: a figure without a translation: %s" % (scheme, line)


# ---- Figures ----------------------------------------------------------------------------------------------------


def enough():
    """The share of a processor that a loop must have got: half of one, or what others leave of it."""
    return max(5, 50 * min(1, os.cpu_count() / (1 + os.getloadavg()[0])))


FACTS = {
    "ends": lambda f: f["read_inode"] == f["write_inode"] and f["disk"] == 0 and f["read_access"] == "read only"
    and f["write_access"] == "write only" and f["capacity"] >= 4096,
    "siblings": lambda f: f["written"] == f["read"] == 7,
    "disk": lambda f: f["waiting"] == 4096 and f["size"] == f["disk"] == 0,
    "readers": lambda f: f["first"] == f["second"] == 4096,
    "faults": lambda f: f["first_faults"] > 0 and f["second_faults"] == 0,
    "calls": lambda f: f["accesses"] == 1000000 and f["system_calls"] == 0,
    "globals": lambda f: (f["global"], f["mapped"]) == (1, 2),
    "place": lambda f: f["rights"] == "rw-s" and int(f["address_here"], 16) > 0 < int(f["address_there"], 16),
    "queue-ways": lambda f: (f["untyped"], f["typed"]) == ("the sender itself", "another process"),
    "memory-ways": lambda f: (f["own"], f["other"]) == (41, 42),
    "socket-ways": lambda f: f["answered"] == f["sent"] + 1,
    "default": lambda f: f["killed_by"] == f["signal"] == 10,
    "merge": lambda f: (f["standard"], f["real_time"]) == (1, 3),
    "lost": lambda f: f["with"] == f["expected"] > f["without"],
    "undo": lambda f: (f["posix"], f["sysv"], f["sysv_undo"]) == (0, 0, 1),
    "set": lambda f: f["semaphores"] == 1000,
    "priority": lambda f: f["received"] == "9, 5, 1",
    "credentials": lambda f: f["vouched"] == f["client"] and f["uid"] == os.geteuid(),
    "port": lambda f: f["clients"] == 3 and f["port"] > 0,
    "loss": lambda f: f["lost"] == f["sent"] - f["arrived"] > 0,
    "waiting": lambda f: f["blocking_read"] < 5 and f["busy_wait"] > enough() and f.get("own_wait", 0) < 5,
}
# A machine may refuse these, and then says so.
REFUSED = {"priority", "undo", "set", "queue-ways", "calls"}


def hold(scheme):
    """What is wrong with the figures of a mechanism."""
    for probe in measured(scheme):
        name, figures = probe["probe"], probe["figures"]
        if probe["error"] and name not in REFUSED:
            yield "%s, %s: %s" % (scheme, name, probe["error"])
        elif not probe["error"] and not (FACTS[name](figures) and probe["shown"]):
            yield "%s, %s: %s" % (scheme, name, figures)


def figures_hold():
    """What takes a processor's time is tried again when others take it."""
    for name in SHOWN:
        for _ in range(5):
            wrong = list(hold(about(ENGLISH[name])))
            if not wrong:
                break
            measured.cache_clear()
        yield from wrong


def probes_exist():
    for name in NAMES:
        for probe in ENGLISH[name].front["measured"]:
            if probe not in FACTS:
                yield "%s: this test knows no probe '%s'" % (name, probe)
    for name in SHOWN:
        ran = [probe["probe"] for probe in measured(about(ENGLISH[name]))]
        if ran != ENGLISH[name].front["measured"]:
            yield "%s: measured %s, the page asks for %s" % (name, ran, ENGLISH[name].front["measured"])


def waits_are_measured():
    for name in SHOWN:
        for probe in measured(about(ENGLISH[name])):
            if probe["probe"] == "waiting" and "own_wait" not in probe["figures"]:
                yield "%s: tong's own wait was not measured" % name


def nothing_is_left():
    left = [name for name in os.listdir(DIRECTORY) if name.startswith("tong-explain")]
    if left:
        yield "left behind: %s" % left


def main():
    report = Report()
    for name, rule in (
        ("every mechanism has a page, in both languages", every_scheme_has_a_page),
        ("both languages have the same points, commands and outputs", languages_agree),
        ("a name means one page", names_are_unique),
        ("what the library lacks is not explained", without_a_row),
        ("the examples run as they stand", examples_run),
        ("what people say finds the page", names_find_pages),
        ("the language is chosen", language_choice),
        ("who asks for remote calls is told", remote_calls),
        ("the table is aligned", tables_align),
        ("pages fit the screen", pages_fit),
        ("pages fit narrow terminals, too", narrow_terminals),
        ("Korean throughout", korean_throughout),
        ("a string has one translation", words_stand_once),
        ("probes are known", probes_exist),
        ("the figures hold", figures_hold),
        ("tong's own wait is measured", waits_are_measured),
        ("nothing is left behind", nothing_is_left),
    ):
        report.rule(name, list(rule()))
    shutil.rmtree(DIRECTORY)
    report.end()


main()
