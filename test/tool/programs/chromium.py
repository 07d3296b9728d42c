# SPDX-License-Identifier: MIT
"""chromium.py TONG ROOT [sandbox]: a browser without a screen, its zygotes and renderers, in pid namespaces or not."""
import os
import sys

from stage import NOBODY, is_root, perform, skip, text

SANDBOX = sys.argv[-1] == "sandbox"
QUIET = ("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--remote-debugging-port=0")


def parts(seen, browser, kind):
    """The browser's processes that are there for this."""
    below = seen.descendants(browser.pid)
    return [pid for pid in below if " --type=" + kind in seen.by_pid[pid]["command"]]


def begin(stage):
    """Root may not have a sandbox, so that one is nobody's."""
    data = stage.path("data")
    os.mkdir(data, 0o700)
    if SANDBOX and is_root():
        os.chmod(stage.directory, 0o711)
        os.chown(data, NOBODY, NOBODY)
    os.environ.update(HOME=data, TMPDIR=data, XDG_CONFIG_HOME=data, XDG_CACHE_HOME=data)
    words = QUIET if SANDBOX else ("--no-sandbox", *QUIET)
    return stage.start("chromium", *words, "--user-data-dir=" + data, "about:blank", unprivileged=SANDBOX)


def check_namespaces(stage, seen, browser, renderers):
    stage.check("the browser has one number", seen.by_pid[browser.pid]["inner_pid"] == browser.pid)
    inside = [pid for pid in renderers if seen.by_pid[pid]["inner_pid"] != pid]
    if SANDBOX:
        stage.check("renderers in the sandbox have other numbers inside", inside == renderers, inside)
    else:
        stage.check("renderers have one number without a sandbox", inside == [], inside)


def play(stage):
    browser = begin(stage)

    def ready():
        if browser.poll() is not None and SANDBOX:
            skip("its sandbox does not work here: " + text(stage.path("log")).strip().split("\n")[-1])
        return os.path.exists(stage.path("data/DevToolsActivePort"))
    stage.until("the browser", ready)

    def connected(seen):
        renderers = parts(seen, browser, "renderer")
        return renderers and all(seen.sockets(browser.pid, pid) for pid in renderers + parts(seen, browser, "zygote"))
    seen = stage.settled({browser.pid}, "sockets from the browser to its parts", connected)
    renderers, zygotes = parts(seen, browser, "renderer"), parts(seen, browser, "zygote")
    for pid in renderers:
        pairs = seen.sockets(browser.pid, pid)
        own = [one for one in pairs if seen.at(one) == {browser.pid} and seen.at(seen.by_index[one["peer"]]) == {pid}]
        stage.check("a renderer has a pair of sockets with the browser, of these two only", own, pairs)
    for pid in zygotes:
        stage.check("a zygote is connected to the browser", seen.sockets(browser.pid, pid))
    shared = [one for kind in ("memfd", "shm", "map") for one in seen.objects(kind) if browser.pid in seen.at(one)]
    stage.check("a renderer and the browser have memory in common", all(
        any(pid in seen.at(one) for one in shared) for pid in renderers), shared)
    check_namespaces(stage, seen, browser, renderers)
    stage.check_nobody_stuck(seen, {browser.pid, *seen.descendants(browser.pid)})
    mapped = stage.look("map", str(browser.pid))
    stage.check("the map of the browser has its renderers", any(mapped.sockets(browser.pid, pid) for pid in renderers))
    stage.check_shown("the map says which process this is", r"^chromium/%d %s /\S+ --type=renderer" % (renderers[0],
                      r"\(\d+ in its pid namespace\) " if SANDBOX else ""), "map", str(renderers[0]))
    stage.check_shown("the map counts what is alike", r"^  <-> memfd .*\(gpu-process\)  \(\d+ of them\)$", "map",
                      str(browser.pid))
    listed = stage.look("ls", "--kind", "unix", "--of", str(renderers[0]))
    stage.check("the list of a renderer has its sockets", len(listed.all) > 0 and all(
        renderers[0] in listed.at(one) for one in listed.all), listed.all)


perform(play, "chromium", users=2 if SANDBOX else 1)
