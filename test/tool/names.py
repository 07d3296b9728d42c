# SPDX-License-Identifier: MIT
"""names.py TONG ROOT found|absent: names that would do something to whoever shows them are shown as what they are, in a
terminal, as DOT, as JSON, in the page, and to the command of watch --exec."""
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unicodedata
import xml.etree.ElementTree

TONG, ROOT = os.path.realpath(sys.argv[1]), sys.argv[2]
sys.path.insert(0, os.path.join(ROOT, "test/house"))

from report import Report  # noqa: E402

NAMES = {
    "newline": b"a\nfifo     b",
    "escapes": b"\x1b[31mred\x1b]0;title\x07\x1b[2J",
    "tab and return": b"a\tb\rc",
    "quotes": b"\"'`$(touch harm)`;touch harm",
    "backslash": b"\\n\\\"\\N\\G\\",
    "markup": b"<script>harm=1<script>--><!--",
    "an image": b"<img src=x onerror=document.title='harm'>",
    "entities": b"&lt;&amp;&#10;&",
    "line separators": "a\u2028b\u2029c\u0085d".encode(),
    "right to left": "\u202egnp.exe\u2066x\u200b".encode(),
    "not UTF-8": b"\xff\xfe\xc3(\xed\xa0\x80",
    "C1": "\u009b31m".encode() + b"\x9b31m",
    "formats": b"%s%n%25%d?create=no,x#y",
    "record": b"{a|<b>c}",
    "long": b"x" * 150,
}
HARMFUL = [(0, 0x1f), (0x7f, 0x9f), (0xad, 0xad), (0x61c, 0x61c), (0x180e, 0x180e), (0x200b, 0x200f), (0x2028, 0x202e),
           (0x2060, 0x206f), (0xfeff, 0xfeff), (0xfff9, 0xfffb), (0xe0000, 0xe007f)]
NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
libc = ctypes.CDLL(None, use_errno=True)


def kept(name):
    """What the kernel keeps of a process's name, without a letter that it cut in two."""
    return re.sub(rb"(?:[\xc0-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf7][\x80-\xbf]{0,2})$", b"", name[:15])


def shown(name):
    """As a terminal is shown it."""
    words = ""
    for letter in name.decode("utf-8", "surrogateescape"):
        code = ord(letter)
        if 0xdc80 <= code <= 0xdcff:
            words += "\\x%02x" % (code - 0xdc00)
        elif letter in NAMED:
            words += NAMED[letter]
        elif any(low <= code <= high for low, high in HARMFUL):
            words += ("\\x%02x" if code < 0x100 else "\\u%04x" if code < 0x10000 else "\\U%08x") % code
        else:
            words += letter
    return words


def hold(path, mark, name):
    """A process of that name, which has a FIFO, a socket and memory of it, and a queue where there are any."""
    said, say = os.pipe()
    pid = os.fork()
    if pid:
        os.close(say)
        ready = os.read(said, 1)
        os.close(said)
        if not ready:
            raise OSError("no process called %r" % name)
        return pid
    try:
        libc.prctl(1, signal.SIGKILL, 0, 0, 0)
        libc.prctl(15, name[:15], 0, 0, 0)
        keep = [os.open(path, os.O_RDWR), socket.socket(socket.AF_UNIX)]
        keep[1].bind(b"\0" + mark + name[:80])
        keep[1].listen()
        keep.append(os.memfd_create(name))
        with open(b"/dev/shm/" + mark + name, "wb") as file:
            file.write(b"x")
        os.write(say, b"!")
        while True:
            signal.pause()
    finally:
        os._exit(1)


def run(*words, **more):
    return subprocess.run([TONG, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240, **more)


def unsafe(output):
    """Letters that are no text, in any line."""
    for line in output.decode("utf-8", "surrogateescape").split("\n"):
        for letter in line:
            if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp", "Cs"):
                yield "%r in %r" % (letter, line[:120])


def missing(output, wanted):
    text = output.decode("utf-8", "replace")
    return ["%s: %r is not shown" % (kind, words) for kind, words in wanted.items() if words not in text]


def unique(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("a name twice")
    return dict(pairs)


def strictly(text):
    def refuse(word):
        raise ValueError(word)
    return json.loads(text.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)


class Stage:
    def __init__(self, directory):
        self.mark = b"tong-test-%d-" % os.getpid()
        self.paths, self.pids, self.commands, self.ends = {}, {}, {}, []
        for kind, name in NAMES.items():
            self.paths[kind] = os.fsencode(directory) + b"/" + name
            os.mkfifo(self.paths[kind])
            self.pids[kind] = hold(self.paths[kind], self.mark, name)
            self.ends.append(os.open(self.paths[kind], os.O_RDWR))
            self.commands[kind] = subprocess.Popen([name, b"300"], executable=shutil.which("sleep"),
                                                   stdin=subprocess.PIPE)

    def end(self):
        for end in self.ends:
            os.close(end)
        for pid in self.pids.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for kind, name in NAMES.items():
            self.commands[kind].kill()
            self.commands[kind].wait()
            self.commands[kind].stdin.close()
            os.unlink(self.paths[kind])
            if os.path.exists(b"/dev/shm/" + self.mark + name):
                os.unlink(b"/dev/shm/" + self.mark + name)


def check_terminal(report, stage):
    wanted = {kind: shown(path) for kind, path in stage.paths.items()}
    found = run("ls").stdout
    report.rule("ls shows names as text", list(unsafe(found)) + missing(found, wanted))
    report.rule("ls shows the names of sockets and of memory", missing(found, {
        kind: shown(name[:80]) for kind, name in NAMES.items()}) + missing(found, {
            kind: shown(b"/dev/shm/" + stage.mark + name) for kind, name in NAMES.items()}))
    rows = re.findall(rb"^(\S+)", found, re.MULTILINE)
    kinds = [row for row in rows if not re.fullmatch(rb"KIND|[a-z]+", row)]
    report.rule("a name makes no row", kinds)
    found = run("map", *[str(pid) for pid in stage.pids.values()]).stdout
    report.rule("map shows names as text", list(unsafe(found)) + missing(found, {
        kind: shown(kept(name)) for kind, name in NAMES.items()}))
    found = run("map", *[str(command.pid) for command in stage.commands.values()]).stdout
    report.rule("map shows command lines as text", list(unsafe(found)) + missing(found, {
        kind: shown(name[:40]) for kind, name in NAMES.items() if b"\xff" not in name}))
    found = run("gc")
    report.rule("gc shows names as text", list(unsafe(found.stdout)) + list(unsafe(found.stderr)))


def check_doctor(report, stage):
    for pid in stage.pids.values():  # now nobody has the FIFOs and the memory
        os.kill(pid, signal.SIGSTOP)
    found = run("doctor")
    report.rule("doctor shows names as text", list(unsafe(found.stdout)))
    begins = re.compile(rb"(stuck|orphan|full|world-writable|leftover|perhaps stuck) \(|    |nothing is stuck")
    lines = found.stdout.split(b"\n")
    report.rule("a name makes no line of doctor's", [
        repr(line) for line in lines if line and (not begins.match(line) or line.startswith(b"    fifo"))]
        + ([] if shown(b"/dev/shm/" + stage.mark).encode() + b"a\\012fifo" in found.stdout else ["it is not shown"]))


def check_dot(report, stage):
    found = run("map", "--dot", *[str(pid) for pid in stage.pids.values()]).stdout
    report.rule("map --dot is text", list(unsafe(found)))
    if not shutil.which("dot"):
        report.skip("graphviz reads it", "there is none")
        return
    drawn = subprocess.run(["dot", "-Tsvg"], input=found, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240)
    offences = [drawn.stderr.decode()] if drawn.returncode or drawn.stderr else []
    tree = xml.etree.ElementTree.fromstring(drawn.stdout)
    words = "\n".join("".join(element.itertext()) for element in tree.iter() if element.tag.endswith("}text"))
    words = words.replace("\xa0", " ")
    for kind, name in NAMES.items():
        if shown(kept(name)).replace("  ", " ") not in words.replace("  ", " "):
            offences.append("%s: %r is not drawn" % (kind, shown(kept(name))))
    strange = {element.tag.split("}")[-1] for element in tree.iter()} - {
        "svg", "g", "title", "polygon", "text", "path", "ellipse"}
    report.rule("graphviz draws the names, and nothing else", offences + sorted(strange))


def check_json(report, stage):
    told = strictly(run("ls", "--json").stdout)
    names = {o["name"] for o in told["objects"]}
    called = {p["pid"]: p["name"] for p in told["processes"]}
    offences = []
    for kind, name in NAMES.items():
        wanted = re.sub("[\udc80-\udcff]", "\ufffd", stage.paths[kind].decode("utf-8", "surrogateescape"))
        if wanted not in names:
            offences.append("%s: %r is not there" % (kind, wanted))
        wanted = re.sub("[\udc80-\udcff]", "\ufffd", kept(name).decode("utf-8", "surrogateescape"))
        if called.get(stage.pids[kind]) != wanted:
            offences.append("%s: %r is called %r" % (kind, wanted, called.get(stage.pids[kind])))
    report.rule("JSON has the names themselves", offences)
    for words in (["map", "--json"], ["doctor", "--json"]):
        report.rule("%s is JSON" % " ".join(words), [] if strictly(run(*words).stdout) else ["it is empty"])


def check_watch(report, directory):
    told, place = os.path.join(directory, "told"), os.path.join(directory, "watched")
    os.mkdir(place)
    command = 'printf "%s\\0" "$TONG_OBJECT" >>"$TOLD"'
    watching = subprocess.Popen([TONG, "watch", "--interval", "100ms", "--on", "made", "--exec", command], cwd=place,
                                env=dict(os.environ, TOLD=told), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    watching.stderr.readline()
    made = {os.fsencode(place) + b"/" + name for name in NAMES.values()}
    keep = []
    for path in made:
        os.mkfifo(path)
        keep.append(os.open(path, os.O_RDWR))
    seen = set()
    deadline = time.monotonic() + 60
    while not made <= seen and time.monotonic() < deadline:
        time.sleep(0.05)
        if os.path.exists(told):
            with open(told, "rb") as file:
                seen = set(file.read().split(b"\0"))
    watching.send_signal(signal.SIGINT)
    output = watching.communicate(timeout=120)[0]
    report.rule("--exec is told the names themselves", ["%r" % path for path in made - seen])
    report.rule("and runs nothing of them", [path for path in os.listdir(place) if path == "harm"])
    report.rule("watch shows names as text", list(unsafe(output)) + missing(output, {
        kind: shown(os.fsencode(place) + b"/" + name) for kind, name in NAMES.items()}))
    for end in keep:
        os.close(end)


def check_page(report, stage):
    """What the page is sent; that it makes markup of nothing, its own tests say."""
    if sys.argv[3] == "absent":
        report.skip("the page", "this tong was built without libmicrohttpd")
        return
    server = subprocess.Popen([TONG, "web"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    link = server.stdout.readline().decode().strip()
    port, token = re.search(r":(\d+)/.*token=(\w+)", link).groups()
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=240)
    connection.request("GET", "/events?token=" + token)
    answer = connection.getresponse()
    lines = [answer.readline() for _ in range(2)]
    while not lines[-2].startswith(b"data: "):
        lines.append(answer.readline())
    connection.close()
    server.send_signal(signal.SIGTERM)
    server.wait()
    server.stdout.close()
    called = {p["pid"]: p["name"] for p in strictly(lines[-2][6:])["processes"]}
    report.rule("an event of the page is one line of JSON", [
        "%r is called %r" % (name, called.get(stage.pids[kind])) for kind, name in NAMES.items()
        if called.get(stage.pids[kind], "").encode("utf-8", "replace")[:3] != name[:3] and name.isascii()]
        + (["it goes on: %r" % lines[-1]] if lines[-1] != b"\n" else []) + list(unsafe(lines[-2].rstrip(b"\n"))))


def main():
    os.environ["LC_ALL"] = "C"
    report = Report()
    with tempfile.TemporaryDirectory(prefix="tong-test-") as directory:
        os.chdir(directory)
        stage = Stage(directory)
        try:
            check_terminal(report, stage)
            check_dot(report, stage)
            check_json(report, stage)
            check_page(report, stage)
            check_doctor(report, stage)
            check_watch(report, directory)
            report.rule("nothing was run", [name for name in os.listdir(directory) if name == "harm"])
        finally:
            stage.end()
            os.chdir("/")
    report.end()


main()
