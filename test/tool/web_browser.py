# SPDX-License-Identifier: MIT
"""web_browser.py TONG ROOT DIRECTORY found|absent: the page of tong web in a real browser; its pictures go there."""
import json
import os
import signal
import subprocess
import sys
import tempfile

TONG, ROOT, PICTURES = os.path.realpath(sys.argv[1]), sys.argv[2], sys.argv[3]
sys.path.insert(0, os.path.join(ROOT, "test/house"))

from actors import Actors  # noqa: E402
from devtools import Page, find_browser  # noqa: E402
from report import Report  # noqa: E402

TAG = "w%x-" % (os.getpid() & 0xfff)  # what the names of our processes begin with
OPENER = "여는이"
EVIL = "<img/src/onerro"
EVIL_PATH = "<img src=x onerror=document.title='evil'>" + "n" * 20
PROCESSES = int(os.environ.get("TONG_TEST_PROCESSES", "300"))

# Words for the browser.
FUNCTIONS = """
    window.all = selector => [...document.querySelectorAll(selector)];
    window.node = pid => document.querySelector(`#nodes g:not(.gone)[data-ref^="p${pid}:"]`);
    window.edge = (a, b) => all("#edges g:not(.gone)").find(g => g.dataset.id && [a, b].every(pid =>
        g.dataset.id.includes("p" + pid + ":")));
    window.details = () => document.getElementById("details").textContent;
    window.boxes = () => all("#nodes g:not(.gone) > rect:not(.behind)").map(rect => {
        const box = rect.getBoundingClientRect();
        return { id: rect.parentNode.dataset.id, x: box.x, y: box.y, right: box.right, bottom: box.bottom }; });
    window.places = () => Object.fromEntries(all("#nodes g:not(.gone) > rect:not(.behind)").map(rect =>
        [rect.parentNode.dataset.id, rect.getAttribute("x") + "," + rect.getAttribute("y")]));
    window.overlaps = list => list.flatMap((a, at) => list.slice(at + 1).filter(b => a.x < b.right - .5 &&
        b.x < a.right - .5 && a.y < b.bottom - .5 && b.y < a.bottom - .5).map(b => a.id + " and " + b.id));
    window.outside = list => { const room = document.querySelector("main").getBoundingClientRect();
        return list.filter(b => b.x < room.x || b.y < room.y || b.right > room.right || b.bottom > room.bottom)
            .map(b => b.id); };
    window.signs = 0;
    true"""


class Test:
    def __init__(self, page, actors):
        self.page, self.actors, self.report = page, actors, Report()
        self.server = None
        self.link = ""

    def check(self, name, right, seen=""):
        self.report.rule(name, [] if right else [str(seen)])

    def serve(self, *options):
        self.server = subprocess.Popen([TONG, "web", *options], stdout=subprocess.PIPE, universal_newlines=True)
        self.link = self.server.stdout.readline().strip()

    def end_server(self):
        if self.server:
            self.server.send_signal(signal.SIGTERM)
            self.server.stdout.close()
            self.server.wait(timeout=240)
            self.server = None

    def open(self, address=None):
        self.page.open("about:blank")
        self.page.open(address or self.link)
        self.page.until("document.readyState == 'complete' && location.href != 'about:blank'")
        self.page.run(FUNCTIONS)

    def go_to(self, word):
        """Brings what is found into the middle, as large as it is read."""
        self.page.write("search", word)
        self.page.run("document.getElementById('search').focus()")
        self.page.key("Enter")
        self.page.write("search", "")

    def show_only(self, word):
        """Only ours and who talks to them."""
        self.page.write("process", word)


def test_pipeline(test):
    page = test.page
    one, two, three = test.actors.chain([TAG + "from", TAG + "through", TAG + "to"])
    test.open()
    for pid in (one, two, three):
        test.check("a process of a pipeline is a box", page.until("!!node(%d)" % pid))
    test.check("the token is not left in the address", "token" not in page.run("location.href"))
    seen = page.run("[[%d, %d], [%d, %d], [%d, %d]].map(([a, b]) => !!edge(a, b))" % (one, two, two, three, one, three))
    test.check("its pipes are edges between neighbours", seen == [True, True, False], seen)
    heads = page.run("""[[%d, %d], [%d, %d]].map(([a, b]) => { const heads = edge(a, b).querySelectorAll(".head"),
        box = node(b).querySelector("rect").getBoundingClientRect(), head = heads[0].getBoundingClientRect();
        return [heads.length, Math.min(Math.abs(head.right - box.left), Math.abs(head.left - box.right)) < 2]; })"""
                     % (one, two, two, three))
    test.check("each has one head, at the reader", heads == [[1, True], [1, True]], heads)
    test.go_to(TAG + "from")
    page.click("node(%d)" % two)
    words = page.until("details().includes('%sthrough') && details()" % TAG) or ""
    test.check("a click opens its details", str(two) in words and "namespaces" in words and "channels (2)" in words and
               "read pipe" in words, words)
    page.click("all('#details button').find(b => b.textContent.includes('receives'))")
    words = page.until("details().includes('who (2)') && details()") or ""
    test.check("whose channel is a link", TAG + "from" in words and "sends" in words and "65536" in words, words)
    page.click("all('#details button').find(b => b.textContent.includes('%sfrom'))" % TAG)
    test.check("whose other end is a link", page.until("details().includes('%sfrom %d')" % (TAG, one)))
    page.click("document.querySelector('#details .back')")
    test.check("and back again", page.until("details().includes('who (2)')"))
    test.check("what is shown is chosen in the picture",
               page.run("edge(%d, %d).classList.contains('chosen')" % (one, two)))
    return one, two, three


def test_stuck(test, calm):
    page = test.page
    left, right = test.actors.deadlock(TAG + "left", TAG + "right")
    test.check("the stuck are marked", page.until("[%d, %d].every(pid => node(pid)?.classList.contains('bad'))" %
                                                  (left, right)))
    reasons = page.run("[%d, %d].map(pid => node(pid).querySelector('.reason').textContent)" % (left, right))
    test.check("with what they wait in", all(r.startswith("read pipe") for r in reasons), reasons)
    button = "all('#findings button.stuck').find(b => b.textContent.includes('%sleft %d'))" % (TAG, left)
    test.check("the finding is in the list", page.run("!!%s" % button), page.run("all('#findings')[0].textContent"))
    page.click(button)
    words = page.until("details().includes('why') && details()") or ""
    test.check("a click shows its proof and advice", "whose only writer is" in words and "what to do" in words, words)
    test.check("its processes are chosen", page.run("[%d, %d].every(pid => node(pid).classList.contains('chosen'))" %
                                                    (left, right)))
    page.click("document.getElementById('bad')")
    # with whom they talk, so others on this machine may be calm and shown
    test.check("only what is stuck can be shown", page.until("!!node(%d) && ![%s].some(pid => node(pid))" %
                                                             (left, ", ".join(map(str, calm)))))
    page.click("document.getElementById('bad')")
    pair = tuple(test.actors.crossed(TAG + "sem-a", TAG + "sem-b"))
    if not pair:
        test.report.skip("who waits for what another has taken", "no semaphores of System V here")
        return
    test.check("who waits for what another has taken is joined to him", page.until(
        "node(%d)?.classList.contains('bad') && edge(%d, %d)?.querySelector('title').textContent.startsWith('sysvsem')" %
        (pair[0], *pair)))


def test_search(test, pids):
    page = test.page
    page.write("search", TAG + "thr")
    seen = page.run("[%s].map(pid => [node(pid).classList.contains('dim'), node(pid).classList.contains('found')])" %
                    ", ".join(map(str, pids)))
    test.check("a search dims what it did not find", seen == [[True, False], [False, True], [True, False]], seen)
    test.check("it says how many it found", page.run("document.getElementById('found').textContent").endswith("of 1"))
    page.run("document.getElementById('search').focus()")
    page.key("Enter")
    test.check("Enter goes to it", page.until("details().includes('%sthrough')" % TAG))
    inside = page.run("outside(boxes().filter(b => b.id.startsWith('p%d:'))).length" % pids[1])
    test.check("it is in the window then", inside == 0)
    page.write("search", "no-such-thing-anywhere")
    test.check("what is not found is said", page.run("document.getElementById('found').textContent") == "none")
    page.write("search", "")
    test.check("without a search nothing is dim", page.run("all('.dim').length") == 0)


def kind(name):
    return "document.querySelector('#kinds input[value=%s]')" % name


def test_filters(test, pids):
    page = test.page
    page.click(kind("pipe"))
    test.check("without its kind an edge is gone", not page.run("!!edge(%d, %d) || !!node(%d)" % (*pids[:2], pids[0])))
    page.run("window.signs = 0; new MutationObserver(() => window.signs++).observe(document.getElementById('time'), "
             "{ childList: true })")
    test.check("an update comes", page.until("window.signs > 0"))
    test.check("it leaves the filter as it is", not page.run("!!node(%d) || %s.checked" % (pids[0], kind("pipe"))))
    test.check("the filter is in the address", "hide=pipe" in page.run("location.hash"), page.run("location.hash"))
    page.call("Page.reload")
    page.until("document.querySelectorAll('#kinds input').length > 0")
    page.run(FUNCTIONS)
    test.check("it is there after loading the page again", page.run(kind("pipe") + ".checked") is False)
    page.click(kind("pipe"))
    test.check("it can be taken back", page.until("!!edge(%d, %d)" % tuple(pids[:2])))
    test.show_only(str(pids[0]))
    seen = page.until("!!node(%d) && !!node(%d) && !node(%d) && 'yes'" % tuple(pids))
    test.check("a process is shown with those who talk to it", seen == "yes")
    test.show_only("")
    page.run("(s => { s.value = [...s.options].at(-1).value; s.dispatchEvent(new Event('change')); })"
             "(document.getElementById('user'))")
    test.check("a user can be chosen", "user=" in page.run("location.hash"))
    page.run("(s => { s.value = ''; s.dispatchEvent(new Event('change')); })(document.getElementById('user'))")


def test_view(test, pids):
    page = test.page
    view = lambda: page.run("document.getElementById('picture').getAttribute('viewBox')")
    page.click("document.getElementById('fit')")
    before = view()
    page.mouse("mouseWheel", 400, 400, deltaX=0, deltaY=-300)
    nearer = page.until("(v => v != '%s' && v)(document.getElementById('picture').getAttribute('viewBox'))" % before)
    test.check("the wheel brings it nearer", nearer and float(nearer.split()[2]) < float(before.split()[2]), nearer)
    page.drag(400, 500, 120, 60)
    moved = view()
    test.check("a drag moves it", float(moved.split()[0]) < float(nearer.split()[0]) and
               moved.split()[2] == nearer.split()[2], moved)
    page.pinch(400, 400, 40, 120)
    pinched = view()
    test.check("two fingers bring it nearer", float(pinched.split()[2]) < float(moved.split()[2]), pinched)
    places = page.run("places()")
    new = tuple(test.actors.star(TAG + "newest", [TAG + "new-%d" % i for i in range(12)])[:2])
    test.check("what is new comes by itself", page.until("!!edge(%d, %d)" % new))
    now = page.run("places()")
    stays = [pid for pid in pids if [v for k, v in places.items() if k.startswith("p%d:" % pid)] !=
             [v for k, v in now.items() if k.startswith("p%d:" % pid)]]
    test.check("what was there stays where it was", not stays, stays)
    test.check("the view stays where the reader moved it",
               view().split()[:2] == pinched.split()[:2], (pinched, view()))
    test.go_to(TAG + "newest")
    test.actors.end(new[0])
    test.check("what ended goes by itself", page.until("!node(%d) && !node(%d)" % new))
    test.check("the details say that it is gone", page.until("details().includes('gone')"))
    page.click("document.getElementById('fit')")
    page.run("document.getElementById('picture').focus()")
    page.key("ArrowRight")
    label = page.run("document.activeElement.getAttribute('aria-label')")
    page.key("Enter", text="\r")
    test.check("by keys alone: to a box, and its details", label and page.until("details().length > 0"), label)
    page.run("document.activeElement.blur()")
    page.key("/", text="/")
    test.check("a key goes to the search", page.run("document.activeElement.id") == "search")
    page.key("Escape")
    test.check("a key ends what is chosen", page.until("details() == '' && !location.hash.includes('show')"))
    seen = page.run("['role', 'aria-label'].map(name => node(%d).getAttribute(name))" % pids[0])
    test.check("a box tells who it is to those who hear it", seen == ["button", "%sfrom %d" % (TAG, pids[0])], seen)


def test_names(test, directory):
    page = test.page
    evil, other = test.actors.listeners(os.path.join(directory, EVIL_PATH), EVIL, "\u202e" + TAG + "x")
    test.check("a name with markup is a name", page.until("!!node(%d)" % evil))
    test.check("as it is", page.run("node(%d).querySelector('title').textContent" % evil).startswith(EVIL))
    test.check("what reorders letters is shown as a number",
               page.run("node(%d).getAttribute('aria-label')" % other).startswith("\\u{202e}"))
    test.go_to(EVIL)
    page.click("edge(%d, %d).querySelector('.sign')" % (evil, other))
    test.check("the details, too", page.until("details().includes(\"onerror=document.title='evil'\")"),
               page.run("details()"))
    test.check("no script of theirs ran", page.run("document.title == 'tong web' && !document.querySelector('img')"))
    tall = page.run("document.querySelector('aside').scrollWidth - document.querySelector('aside').clientWidth")
    test.check("long names are broken", tall <= 0, tall)


def crowd(actors):
    """Small groups, one of each kind, and as many pairs as are left; the two with many pipes."""
    actors.star(TAG + "hub", [TAG + "c%d" % i for i in range(60)])
    actors.star(TAG + "same", [TAG + "worker"] * 20)
    actors.chain([TAG + "s%d" % i for i in range(40)])
    many = actors.bundle(TAG + "many-w", TAG + "many-r", 200)
    actors.alone([TAG + "a%d" % i for i in range(30)])
    for i in range(max(4, (PROCESSES - len(actors.pids)) // 2)):
        actors.chain([TAG + "p%d" % i, TAG + "q%d" % i])
    return tuple(many)


def test_alike(test):
    """Equal workers and equal groups are one with a count, and what all inherited joins no groups."""
    page = test.page
    fold = "all('#nodes g.several').find(g => g.querySelector('title').textContent.includes('%sworker'))" % TAG
    count = "all('#nodes g.box:not(.gone)').filter(g => /%s/.test(g.getAttribute('aria-label'))).length"
    page.run("(e => { const o = { bubbles: true }; e.dispatchEvent(new MouseEvent('click', o)); })(%s)" % fold)
    test.check("equal workers are listed on a click", page.until("details().includes('%sworker ×20')" % TAG) and
               page.run("all('#details [data-ref]').length") == 20)
    page.click("document.querySelector('#details [data-open]')")
    test.check("each is shown on request", page.until((count % (TAG + "worker \\d")) + " == 20"))
    page.click("document.querySelector('#findings [data-fold]')")
    test.check("and folded again", page.until("!!" + fold))
    for _ in range(5):
        test.actors.chain([TAG + "ka", TAG + "kb"])
    same = "all('#nodes .alike').find(g => g.dataset.ref.includes('%ska'))" % TAG
    test.check("equal groups are one with a count", page.until("!!(%s)" % same) and
               page.run("%s.textContent" % same).startswith("5 alike") and page.run(count % (TAG + "k")) == 2)
    page.run("(e => e.dispatchEvent(new MouseEvent('click', { bubbles: true })))(%s)" % same)
    test.check("and five on request", page.until(count % (TAG + "k") + " == 10"))
    page.click("document.querySelector('#findings [data-fold]')")
    pids = test.actors.logged([(TAG + "x%d" % i, TAG + "y%d" % i) for i in range(4)], TAG + "log")
    hub = "all('#nodes g.hub').find(g => g.textContent.includes('+ 8 in other groups'))"
    test.check("what all inherited stands apart", page.until("!!" + hub),
               page.run("all('#nodes g.hub').map(g => g.textContent)"))
    test.check("and joins only who has nothing else", page.run(
        "[%s].map(pid => all('#edges g:not(.gone)').filter(g => g.dataset.id.includes('p' + pid + ':')).length)" %
        ", ".join(map(str, pids))) == [1] * 9)


def test_crowd(test):
    page = test.page
    many = crowd(test.actors)
    last = test.actors.pids[-1]
    test.check("%d processes are shown" % len(test.actors.pids), page.until("!!node(%d)" % last))
    for only in ("", TAG):
        test.show_only(only)
        page.click("document.getElementById('fit')")
        what = "of ours" if only else "of all"
        test.report.rule("no two boxes %s overlap" % what, page.run("overlaps(boxes())")[:5])
        test.report.rule("the whole picture has all boxes %s" % what, page.run("outside(boxes())")[:5])
    fold = page.run("all('#nodes g.several text.far').map(t => t.textContent)")
    test.check("equal workers are one with a count", any(words.endswith("×20") for words in fold), fold)
    letters = page.run("Math.min(...all('#nodes text').map(t => t.getBoundingClientRect().height).filter(Boolean))")
    test.check("names can be read", letters >= 8, letters)
    wide = page.run("(r => { const b = boxes(), w = Math.max(...b.map(x => x.right)) - Math.min(...b.map(x => x.x)); "
                    "return w / r.width; })(document.querySelector('main').getBoundingClientRect())")
    test.check("the width is used", wide > 0.7, wide)
    test.go_to(TAG + "many-w")
    page.click("edge(%d, %d).querySelector('.sign')" % many)
    words = page.until("details().includes('150 more') && details()")
    test.check("of 200 channels fifty are listed", words, page.run("details()")[:200])
    page.click("document.querySelector('#details [data-more]')")
    test.check("and the rest on request", page.until("all('#details [data-ref]').length == 200"))
    test.show_only("")
    page.click("document.getElementById('fit')")
    page.picture(os.path.join(PICTURES, "web-light.png"))


def test_looks(test, directory):
    page = test.page
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.run(paper)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    dark = page.run(paper)
    test.check("dark where the system is dark", light != dark, dark)
    page.picture(os.path.join(PICTURES, "web-dark.png"))
    page.click("document.getElementById('theme')")
    test.check("light on request", page.run(paper) == light)
    page.run("[1, 2].forEach(() => document.getElementById('theme').click())")
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    test.check("nothing moves for who wants no motion", page.run(
        "(g => { g.classList.add('fresh'); const is = getComputedStyle(g).animationName; g.classList.remove('fresh'); "
        "return is; })(document.querySelector('#nodes g'))") == "none")
    page.call("Emulation.setEmulatedMedia", features=[])
    for width, height in ((390, 844), (1920, 1080)):
        page.size(width, height)
        page.until("innerWidth == %d" % width)
        test.check("nothing is wider than a window of %d" % width,
                   page.run("document.documentElement.scrollWidth <= innerWidth && "
                            "document.querySelector('main').getBoundingClientRect().height > innerHeight / 3"))
        page.picture(os.path.join(PICTURES, "web-%d.png" % width))
    page.size(1280, 800)
    coverage = page.run("document.getElementById('coverage').textContent")
    test.check("what was seen is said", coverage.startswith("seen: ") and "from" in coverage, coverage)
    lonely = os.path.join(directory, "외로운파이프")
    os.mkfifo(lonely)
    opener = test.actors.start(OPENER, [], lambda: os.open(lonely, os.O_WRONLY))
    page.call("Emulation.setUserAgentOverride", userAgent="test", acceptLanguage="ko-KR")
    test.open()
    test.check("in Korean for who reads Korean", page.until(
        "document.documentElement.lang == 'ko' && document.getElementById('coverage').textContent.startsWith('본 것')"))
    test.check("what waits to open a FIFO is drawn with it", page.until(
        "node(%d) && all('#nodes .hub title').some(title => title.textContent.includes('외로운파이프'))" % opener))
    page.run("node(%d).dispatchEvent(new MouseEvent('click', { bubbles: true }))" % opener)
    page.until("details().includes('%s')" % OPENER)
    test.check("a Korean name is whole, and what it waits for is Korean",
               page.run("details()").startswith(OPENER + " ") and page.until("details().includes('읽을 쪽을 기다림')"),
               page.run("details()"))
    test.check("counts follow what they count", page.run(
        "/^[^0-9]+ [0-9]+개(, [^0-9]+ [0-9]+개)*$/.test(document.querySelector('#findings h2').textContent)"),
        page.run("document.querySelector('#findings h2').textContent"))
    test.check("nothing is cut off", page.run("""all("header button, header label").every(e =>
        e.scrollWidth <= e.clientWidth + 1 || getComputedStyle(e).display == 'inline') && all("header input[type=search]").every(e => {
            const pen = document.createElement("canvas").getContext("2d");
            pen.font = getComputedStyle(e).font;
            return pen.measureText(e.placeholder).width <= e.clientWidth - 12; })"""))
    page.picture(os.path.join(PICTURES, "web-korean.png"))


def test_end(test):
    page = test.page
    page.call("Emulation.setUserAgentOverride", userAgent="test", acceptLanguage="en-US")
    test.open()
    page.until("all('#nodes g').length > 0")
    port = test.link.split(":")[2].split("/")[0]
    test.end_server()
    test.check("that the connection is lost is said", page.until(
        "document.getElementById('status').textContent.startsWith('connection lost')"))
    test.serve("--port", port)
    test.check("that the link is of an earlier one is said", page.until(
        "document.getElementById('status').textContent.includes('use the link that was printed')"))
    test.open()
    test.check("its own link works", page.until("all('#nodes g').length > 0"))
    others = [address for address in page.requests if not address.startswith(("http://127.0.0.1:", "about:"))]
    test.report.rule("nothing was asked of anybody else", sorted(set(others)))
    test.report.rule("no error, and nothing against the policy", page.wrong[:5])


def main():
    program = find_browser()
    if sys.argv[4] == "absent" or not program:
        print("skip web_browser: " + ("this tong was built without libmicrohttpd" if program else "no Chromium here"))
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="tong-test-") as directory:
        actors, page = Actors(), None
        try:
            page = Page(program, directory)
            page.size(1280, 800)
            test = Test(page, actors)
            test.serve()
            pids = test_pipeline(test)
            test_stuck(test, pids)
            test_search(test, pids)
            test_filters(test, pids)
            test_view(test, pids)
            test_names(test, directory)
            test_crowd(test)
            test_alike(test)
            test_looks(test, directory)
            test_end(test)
        finally:
            if page:
                page.end()
            if page and test.server:
                test.end_server()
            actors.end_all()
    test.report.end()


main()
