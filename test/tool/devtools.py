# SPDX-License-Identifier: MIT
"""A browser without a screen, driven by its own protocol over two pipes."""
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ("--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
           "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-breakpad", "--hide-scrollbars",
           "--force-device-scale-factor=1", "--lang=en-US")
PATIENCE = 120


def find_browser():
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """One page in a browser of its own, which keeps its files in the directory."""

    def __init__(self, program, directory):
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (*os.pipe(), *os.pipe())]
        its_in, self.out, self.input, its_out = high
        self.process = subprocess.Popen(
            [program, *OPTIONS, "--user-data-dir=" + os.path.join(directory, "profile"), "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env=dict(os.environ, TMPDIR=directory, HOME=directory, LC_ALL="C.UTF-8"), pass_fds=(3, 4),
            preexec_fn=lambda: (os.dup2(its_in, 3), os.dup2(its_out, 4)))
        os.close(its_in)
        os.close(its_out)
        self.number, self.rest, self.session = 0, b"", None
        self.requests, self.wrong = [], []  # addresses asked for; exceptions and refusals of the policy
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def read(self, end):
        while b"\0" not in self.rest:
            if not select.select([self.input], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self.input, 1 << 20)
            if not piece:
                raise EOFError("the browser has ended")
            self.rest += piece
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def note(self, event):
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.wrong.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["source"] == "security":
            self.wrong.append(params["entry"]["text"])

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            answer = self.read(end)
            if answer.get("id") != self.number:
                self.note(answer)
            elif "error" in answer:
                raise RuntimeError("%s: %s" % (method, answer["error"]["message"]))
            else:
                return answer["result"]

    def run(self, script):
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError("%s: %s" % (script, result["exceptionDetails"]["exception"].get("description")))
        return result["result"].get("value")

    def until(self, script):
        """Waits until the expression is true, and returns it; or what it was last."""
        end, value = time.monotonic() + PATIENCE, None
        while time.monotonic() < end:
            value = self.run(script)
            if value:
                break
            select.select([], [], [], 0.1)
        return value

    def open(self, address):
        self.call("Page.navigate", url=address)

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, script):
        """In the middle of the element that the expression gives."""
        x, y = self.run("(e => { if (e instanceof HTMLElement) e.scrollIntoView({ block: 'nearest' }); "
                        "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })"
                        "(%s)" % script)
        self.mouse("mousePressed", x, y, button="left", clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)

    def drag(self, x, y, dx, dy):
        self.mouse("mousePressed", x, y, button="left", clickCount=1)
        for part in (0.3, 0.7, 1):
            self.mouse("mouseMoved", x + dx * part, y + dy * part, button="left", buttons=1)
        self.mouse("mouseReleased", x + dx, y + dy, button="left", clickCount=1)

    def pinch(self, x, y, before, after):
        """Two fingers, from so far apart to so far."""
        touch = lambda kind, far: self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[] if far is None else
                                            [{"x": x - far, "y": y, "id": 1}, {"x": x + far, "y": y, "id": 2}])
        touch("touchStart", before)
        touch("touchMove", (before + after) / 2)
        touch("touchMove", after)
        touch("touchEnd", None)

    def key(self, name, **more):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, **more)

    def write(self, place, text):
        """Into an input, as if typed."""
        self.run("(e => { e.value = %s; e.dispatchEvent(new Event('input', { bubbles: true })); })($(%s))".replace(
            "$(%s)", "document.getElementById(%s)") % (json.dumps(text), json.dumps(place)))

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def end(self):
        """Asks it to end, and ends what is left of it: its processes are a session of their own."""
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(timeout=PATIENCE)
        except (OSError, EOFError, TimeoutError, RuntimeError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.out)
        os.close(self.input)
