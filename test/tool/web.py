# SPDX-License-Identifier: MIT
"""web.py TONG ROOT found|absent: tong web answers only who has the token, and sends valid pictures."""
import ctypes
import http.client
import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile

TONG, ROOT = os.path.realpath(sys.argv[1]), sys.argv[2]
sys.path.insert(0, os.path.join(ROOT, "test/house"))

from report import Report  # noqa: E402

NAME = "<script>1</scr"  # a process is called so; 15 bytes are what a name may have


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen([TONG, "web", *options], stdout=subprocess.PIPE, universal_newlines=True)
        self.link = self.process.stdout.readline().strip()
        self.token = self.link.partition("token=")[2]
        self.port = int((re.findall(r":(\d+)/", self.link) or [0])[0])

    def ask(self, target, method="GET", path=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        if path:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(20)
            connection.sock.connect(path)
        connection.request(method, target)
        return connection.getresponse()

    def ticks(self):
        with open("/proc/%d/stat" % self.process.pid, encoding="utf-8") as file:
            return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stdout.close()
        return self.process.wait(timeout=20)


def named_child():
    """A process with that name at a pipe of ours; it ends when we do."""
    ours, its = os.pipe()
    said, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(its)
        ctypes.CDLL(None).prctl(15, NAME.encode(), 0, 0, 0)
        os.write(say, b"!")
        os.read(ours, 1)
        os._exit(0)
    os.read(said, 1)
    return pid, its


def picture(answer):
    while True:
        line = answer.readline().decode("utf-8")
        if line.startswith("data: "):
            return line, json.loads(line[6:])


def refused(server):
    wrong = server.token[:-1] + ("0" if server.token[-1] != "0" else "1")
    for target in ("/", "/events", "/?token=", "/?token=" + wrong, "/events?token=" + server.token + "0",
                   "/?x=" + server.token):
        code = server.ask(target).status
        if code != 403:
            yield "%s: %d" % (target, code)


def main():
    if sys.argv[3] == "absent":
        print("skip web: this tong was built without libmicrohttpd")
        sys.exit(77)
    report = Report()
    check = lambda name, right, seen="": report.rule(name, [] if right else [str(seen)])
    server, (child, end) = Server(), named_child()
    check("the link is at the loopback address", re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[0-9a-f]{32}",
          server.link), server.link)
    report.rule("who has no token, or a wrong one, is refused", list(refused(server)))
    check("only GET", server.ask("/?token=" + server.token, "POST").status == 405)
    page = server.ask("/?token=" + server.token)
    policy, text = page.getheader("Content-Security-Policy"), page.read().decode("utf-8")
    check("the page comes with its policy", page.status == 200 and
          "default-src 'none'" in policy and "unsafe" not in policy, policy)
    check("the page loads nothing from elsewhere", not re.search(r"(src|href)=|url\(|@import|import\(", text))
    check("names never become markup",
          not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text))
    answer = server.ask("/events?token=" + server.token)
    line, told = picture(answer)
    check("a picture is valid and of a known version",
          told["version"] == 1 and told["objects_seen"] >= len(told["objects"]))
    check("a name with markup arrives as it is", [p["name"] for p in told["processes"] if p["pid"] == child] == [NAME])
    places = {p["pid"]: i for i, p in enumerate(told["processes"])}
    ends = [{e["process"] for e in o["ends"]} for o in told["objects"]]
    check("its channel is shown", any({places[child], places[os.getpid()]} <= both for both in ends))
    os.close(end)
    os.waitpid(child, 0)
    while any(p["pid"] == child for p in told["processes"]):
        line, told = picture(answer)
    check("a picture follows when something changed", True)
    check("interrupted while it is followed, it dies of the signal", server.end() == -signal.SIGTERM)
    with tempfile.TemporaryDirectory(prefix="tong-test-") as directory:
        path = os.path.join(directory, "socket")
        server = Server("--socket", path)
        check("the socket is its owner's", stat.S_IMODE(os.stat(path).st_mode) == 0o600, oct(os.stat(path).st_mode))
        check("the socket wants the token, too", server.ask("/", path=path).status == 403)
        check("the socket serves the page", server.ask("/?token=" + server.token, path=path).status == 200)
        before = server.ticks()
        select.select([], [], [], 2)
        check("idle while nobody follows", server.ticks() - before <= 4, server.ticks() - before)
        again = subprocess.run([TONG, "web", "--socket", path], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=20)
        check("a socket that is there is left alone", again.returncode != 0 and os.path.exists(path))
        check("it ends by the signal", server.end() == -signal.SIGTERM)
        check("it removes its socket", not os.path.exists(path))
    report.end()


main()
