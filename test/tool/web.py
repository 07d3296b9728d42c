# SPDX-License-Identifier: MIT
"""web.py TONG ROOT found|absent: tong web answers only who has the token, and sends valid pictures."""
import atexit
import ctypes
import http.client
import json
import os
import re
import select
import shlex
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

TONG, ROOT = os.path.realpath(sys.argv[1]), sys.argv[2]
sys.path.insert(0, os.path.join(ROOT, "test/house"))

from report import Report  # noqa: E402

NAME = "<script>1</scr"  # a process is called so; 15 bytes are what a name may have

PATIENCE = 100  # looks are rare where they are dear


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen([TONG, "web", *options], stdout=subprocess.PIPE, universal_newlines=True)
        atexit.register(self.process.kill)  # which does nothing to one that has ended
        self.link = self.process.stdout.readline().strip()
        self.token = self.link.partition("token=")[2]
        self.port = int((re.findall(r":(\d+)/", self.link) or [0])[0])

    def ask(self, target, method="GET", path=None, host=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        if path:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(PATIENCE)
            connection.sock.connect(path)
        connection.putrequest(method, target, skip_host=host is not None)
        if host:
            connection.putheader("Host", host)
        connection.endheaders()
        return connection.getresponse()

    def ticks(self):
        with open("/proc/%d/stat" % self.process.pid, encoding="utf-8") as file:
            return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stdout.close()
        return self.process.wait(timeout=PATIENCE)


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
    """The next picture, and whether a sign of life came before it."""
    alive = False
    while True:
        line = answer.readline().decode("utf-8")
        alive = alive or line == "event: alive\n"
        if line.startswith("data: {"):
            return json.loads(line[6:]), alive


def picture_or_sign(answer):
    while not answer.readline().startswith(b"data: "):
        pass


def refused(server):
    wrong = server.token[:-1] + ("0" if server.token[-1] != "0" else "1")
    for target in ("/events", "/events?token=", "/events?token=" + wrong, "/events?token=" + server.token + "0",
                   "/events?token=" + server.token[:-1], "/events?x=" + server.token):
        code = server.ask(target).status
        if code != 403:
            yield "%s: %d" % (target, code)


def misled(server):
    """Names by which a page of another site could have a browser come here; and none at all."""
    for host in ("example.org", "127.0.0.1.example.org:%d" % server.port, "localhost.example.org", "127.0.0.2", ""):
        for target in ("/", "/events?token=" + server.token):
            code = server.ask(target, host=host).status
            if code != 403:
                yield "%s at %s: %d" % (target, host, code)
    for host in ("localhost", "LOCALHOST:8000", "[::1]:%d" % server.port, "127.0.0.1:8000"):
        code = server.ask("/", host=host).status
        if code != 200:
            yield "%s: %d" % (host, code)


def crowded(server, count):
    """How many descriptors it has more while so many connect and say nothing; it must answer after that."""
    held = lambda: len(os.listdir("/proc/%d/fd" % server.process.pid))
    before, most = held(), 0
    silent = [socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(count)]
    begin = time.monotonic()
    while most < count and time.monotonic() < begin + (2 if most else PATIENCE):
        most = max(most, held() - before)
        select.select([], [], [], 0.05)
    for one in silent:
        one.close()
    return most if server.ask("/").status == 200 else count


def leads_there(server, path):
    """What it prints is right as it stands: the link by the port that ssh makes of the socket, and curl's events."""
    ssh, curl = [shlex.split(server.process.stdout.readline()) for _ in range(2)]
    host, _, query = server.link.removeprefix("http://").partition("/#")
    address = curl[-1].removeprefix("http://localhost")
    return (ssh[:4] == ["ssh", "-N", "-L", "8000:" + os.path.realpath(path)] and len(ssh) == 5 and
            host == "localhost:8000" and server.ask("/", path=path, host=host).status == 200 and
            server.ask("/events?" + query, path=path, host=host).status == 200 and
            curl[:3] == ["curl", "-N", "--unix-socket"] and
            server.ask(address, path=curl[3], host="localhost").status == 200)


def missing_in(told):
    """What doc/json.md promises of the members that the page is drawn from."""
    process, wait = set(told["processes"][0]), [w for w in told["waits"] if w["process"] < len(told["processes"])]
    yield from {"user", "namespaces", "pid", "start_time", "command"} - process
    if len(wait) != len(told["waits"]) or not wait:
        yield "waits"


def share_of(server, answer):
    """Processor time as a part of time from look to look, over two of them at least and five seconds."""
    picture_or_sign(answer)
    ticks, begin, looks = server.ticks(), time.monotonic(), 0
    while looks < 2 or time.monotonic() < begin + 5:
        picture_or_sign(answer)
        looks += 1
    return (server.ticks() - ticks) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begin)


def main():
    if sys.argv[3] == "absent":
        print("skip web: this tong was built without libmicrohttpd")
        sys.exit(77)
    report = Report()
    check = lambda name, right, seen="": report.rule(name, [] if right else [str(seen)])
    server, (child, end) = Server(), named_child()
    check("the link is at the loopback address", re.fullmatch(r"http://127\.0\.0\.1:\d+/#token=[0-9a-f]{32}",
          server.link), server.link)
    report.rule("who has no token, or a wrong one, is refused", list(refused(server)))
    report.rule("only local names are answered", list(misled(server)))
    check("only GET", {server.ask(t, m).status for t in ("/", "/events") for m in ("POST", "PUT", "HEAD")} == {405})
    check("nothing else is there", server.ask("/favicon.ico").status == 404)
    more = crowded(server, 60)
    check("it takes a bounded number of connections, and goes on", 0 < more <= 32, more)
    page = server.ask("/")
    policy, text = page.getheader("Content-Security-Policy"), page.read().decode("utf-8")
    check("the page comes with its policy", page.status == 200 and
          "default-src 'none'" in policy and "unsafe" not in policy, policy)
    check("the page holds no secret", server.token not in text)
    check("no other site is told where it was", page.getheader("Referrer-Policy") == "no-referrer" and
          page.getheader("Cross-Origin-Resource-Policy") == "same-origin" and not page.getheader("Set-Cookie") and
          not page.getheader("Access-Control-Allow-Origin"))
    check("the page loads nothing from elsewhere", not re.search(r"(src|href)=|url\(|@import|import\(", text))
    check("names never become markup",
          not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text))
    answer = server.ask("/events?token=" + server.token)
    told, _ = picture(answer)
    check("a picture is valid and of a known version",
          told["version"] == 1 and told["objects_seen"] >= len(told["objects"]))
    report.rule("it has what the page is drawn from", list(missing_in(told)))
    check("a name with markup arrives as it is", [p["name"] for p in told["processes"] if p["pid"] == child] == [NAME])
    places = {p["pid"]: i for i, p in enumerate(told["processes"])}
    ends = [{e["process"] for e in o["ends"]} for o in told["objects"]]
    check("its channel is shown", any({places[child], places[os.getpid()]} <= both for both in ends))
    os.close(end)
    os.waitpid(child, 0)
    while any(p["pid"] == child for p in told["processes"]):
        told, _ = picture(answer)
    check("a picture follows when something changed", True)
    check("looks are as rare as they are dear", share_of(server, answer) <= 0.12)
    check("interrupted while it is followed, it dies of the signal", server.end() == -signal.SIGTERM)
    with tempfile.TemporaryDirectory(prefix="tong-test-") as directory:
        path = os.path.join(directory, "it's a socket")
        server = Server("--socket", path)
        check("the socket is its owner's", stat.S_IMODE(os.stat(path).st_mode) == 0o600, oct(os.stat(path).st_mode))
        check("the socket wants the token, too", server.ask("/events", path=path).status == 403)
        check("the socket serves the page", server.ask("/", path=path).status == 200)
        before = server.ticks()
        select.select([], [], [], 2)
        check("idle while nobody follows", server.ticks() - before <= 4, server.ticks() - before)
        answer = server.ask("/events?token=" + server.token, path=path)
        check("the socket has the events", picture(answer)[0]["version"] == 1)
        check("it says how to come to the socket", leads_there(server, path), server.link)
        again = subprocess.run([TONG, "web", "--socket", path], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=PATIENCE)
        check("a socket that is there is left alone", again.returncode != 0 and os.path.exists(path))
        check("it ends by the signal", server.end() == -signal.SIGTERM)
        check("it removes its socket", not os.path.exists(path))
    report.end()


main()
